//! The vectors of RFC 6238, and the contract of every factor.

use super::verify::code_at;
use super::*;
use crate::factors::Verdict;
use crate::factors::contract::{self, NOW, Subject};
use base::UnixMs;
use std::time::Duration;

const SHA1_KEY: &[u8] = b"12345678901234567890";
const SHA256_KEY: &[u8] = b"12345678901234567890123456789012";

fn secret(bytes: &[u8]) -> TotpSecret {
    TotpSecret::from_bytes(bytes).unwrap()
}

fn step_of(at: UnixMs) -> i64 {
    at.seconds() / STEP_SECONDS
}

#[test]
fn rfc6238_appendix_b_vectors() {
    // The RFC shows eight digits; ours are the last six of them.
    let check = |seconds: i64, sha1: &str, sha256: &str| {
        for (algorithm, key, expect) in
            [(Algorithm::Sha1, SHA1_KEY, sha1), (Algorithm::Sha256, SHA256_KEY, sha256)]
        {
            let at = UnixMs(seconds * 1000);
            let checked = verify(&secret(key), algorithm, &expect[2..], at, None);
            let expect = Checked::Accepted { step: seconds / 30, drift: 0 };
            assert_eq!(checked, expect, "{algorithm:?} at {seconds}");
        }
    };
    check(59, "94287082", "46119246");
    check(1_111_111_109, "07081804", "68084774");
    check(1_111_111_111, "14050471", "67062674");
    check(1_234_567_890, "89005924", "91819424");
    check(2_000_000_000, "69279037", "90698825");
    check(20_000_000_000, "65353130", "77737706");
}

#[test]
fn rfc6238_s5_2_a_code_is_accepted_once_and_none_from_before_it() {
    let key = TotpSecret::fresh(Algorithm::Sha1).unwrap();
    let judge = |at: UnixMs, last: Option<i64>| {
        let code = code_at(&key, Algorithm::Sha1, at);
        verify(&key, Algorithm::Sha1, &code, NOW, last)
    };
    let step = step_of(NOW);
    let second = Duration::from_secs(30);
    assert_eq!(judge(NOW, None), Checked::Accepted { step, drift: 0 });
    assert_eq!(judge(NOW, Some(step - 1)), Checked::Accepted { step, drift: 0 });
    assert_eq!(judge(NOW, Some(step)), Checked::Rejected);
    assert_eq!(judge(NOW.minus(second), Some(step)), Checked::Rejected);
    let next = Checked::Accepted { step: step + 1, drift: 1 };
    assert_eq!(judge(NOW.plus(second), Some(step)), next);
    assert_eq!(judge(NOW, Some(i64::MAX)), Checked::Rejected);
    assert_eq!(judge(NOW, Some(i64::MIN)), Checked::Accepted { step, drift: 0 });
}

#[test]
fn rfc6238_s5_2_one_step_before_and_after_and_the_drift_is_told() {
    let key = secret(SHA256_KEY);
    for drift in -3..=3_i8 {
        let at = UnixMs(NOW.0 + i64::from(drift) * STEP_SECONDS * 1000);
        let code = code_at(&key, Algorithm::Sha256, at);
        let expect = match drift.abs() <= 1 {
            true => Checked::Accepted { step: step_of(at), drift },
            false => Checked::Rejected,
        };
        assert_eq!(verify(&key, Algorithm::Sha256, &code, NOW, None), expect, "{drift}");
    }
}

#[test]
fn a_code_that_two_steps_share_spends_both() {
    // Found by trying: for some secret, two neighbours in the window have one code.
    let (key, at) = (0u32..)
        .find_map(|n| {
            let key = secret(&[&n.to_be_bytes()[..], &[7; 16]].concat());
            let at = |step: i64| UnixMs(step * STEP_SECONDS * 1000);
            (1..2000i64)
                .find(|step| {
                    let code = |step: i64| code_at(&key, Algorithm::Sha1, at(step));
                    code(*step) == code(step + 1)
                })
                .map(|step| (key, at(step)))
        })
        .unwrap();
    let code = code_at(&key, Algorithm::Sha1, at);
    let later = step_of(at) + 1;
    let found = verify(&key, Algorithm::Sha1, &code, at, None);
    assert_eq!(found, Checked::Accepted { step: later, drift: 1 });
    assert_eq!(verify(&key, Algorithm::Sha1, &code, at, Some(later)), Checked::Rejected);
}

#[test]
fn only_six_digits_are_a_code_spaces_aside() {
    let key = secret(SHA1_KEY);
    let at = UnixMs(59_000);
    let accepted = Checked::Accepted { step: 1, drift: 0 };
    let check = |typed: &str, expect: Checked| {
        assert_eq!(verify(&key, Algorithm::Sha1, typed, at, None), expect, "{typed:?}");
    };
    check("287082", accepted);
    check(" 287 082 ", accepted);
    check("2\u{a0}8 7 0 8 2\n", accepted);
    check("94287082", Checked::Rejected);
    check("2870829", Checked::Rejected);
    check("28708", Checked::Rejected);
    check("+28708", Checked::Rejected);
    check("287-082", Checked::Rejected);
    // Digits of other scripts are no ASCII digits.
    check("\u{662}\u{668}\u{667}\u{660}\u{668}\u{662}", Checked::Rejected);
    check(&format!("287082{}", " ".repeat(100)), Checked::Rejected);
    check("", Checked::NotPresented);
    check("   ", Checked::NotPresented);
}

#[test]
fn rfc4648_s10_base32_vectors_without_padding() {
    // Shorter than any secret may be, so made from their neighbours: five bytes are eight characters.
    let long = |tail: &str| [b"foobafoobafooba".as_slice(), tail.as_bytes()].concat();
    let head = "MZXW6YTBMZXW6YTBMZXW6YTB";
    for (tail, text) in [
        ("f", "MY"),
        ("fo", "MZXQ"),
        ("foo", "MZXW6"),
        ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ] {
        assert_eq!(secret(&long(tail)).base32(), format!("{head}{text}"), "{tail}");
    }
}

#[test]
fn rfc4226_s4_r6_secrets_have_128_bits_at_least() {
    assert!(TotpSecret::from_bytes(&[1; 15]).is_none());
    assert!(TotpSecret::from_bytes(&[1; 16]).is_some());
    assert!(TotpSecret::from_bytes(&[1; 65]).is_none());
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        let fresh = TotpSecret::fresh(algorithm).unwrap();
        assert_eq!(fresh.bytes().len(), algorithm.secret_bytes());
        assert_ne!(fresh, TotpSecret::fresh(algorithm).unwrap());
        assert_eq!(TotpSecret::from_bytes(fresh.bytes()), Some(fresh));
    }
}

#[test]
fn the_address_says_all_that_an_app_must_know() {
    let uri = secret(SHA1_KEY).uri("Acme: the gate", "ann+x@example.com", Algorithm::Sha1);
    assert_eq!(
        uri,
        "otpauth://totp/Acme%20%20the%20gate:ann%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=Acme%20%20the%20gate&algorithm=SHA1&digits=6&period=30"
    );
    let hostile = secret(SHA256_KEY).uri("a&b=c#\"<", "\u{e9}\n\0", Algorithm::Sha256);
    assert!(hostile.starts_with("otpauth://totp/a%26b%3Dc%23%22%3C:%C3%A9?secret="), "{hostile}");
    assert!(hostile.ends_with("&algorithm=SHA256&digits=6&period=30"), "{hostile}");
}

#[test]
fn the_picture_needs_no_style_and_no_script() {
    let wide = "\u{1f98a}".repeat(1000);
    let uri = secret(&[0xff; 64]).uri(&wide[..4], &wide, Algorithm::Sha256);
    let svg = qr_svg(&uri).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    assert!(svg.contains("role=\"img\"") && svg.contains("<title>"));
    for banned in ["style", "script", "href", "<!", "<?", "on"] {
        let attribute = format!(" {banned}");
        assert!(!svg.contains(&attribute), "{banned}");
    }
    assert!(svg.len() < 64 * 1024, "{}", svg.len());
    assert_eq!(qr_svg(&"x".repeat(5000)), None);
}

#[test]
fn the_picture_shows_the_modules_of_the_code() {
    let text = "otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQ";
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M).unwrap();
    let svg = qr_svg(text).unwrap();
    let path = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut dark = vec![false; code.width() * code.width()];
    for line in path.split('M').skip(1) {
        let start = line.find(['h', 'm']).unwrap();
        let (x, y) = line[..start].split_once(' ').unwrap();
        let y: usize = y.strip_suffix(".5").unwrap().parse().unwrap();
        let mut at = (y - 4) * code.width() + x.parse::<usize>().unwrap() - 4;
        let runs = line[start..].replace(" 0", "").replace('h', "|h").replace('m', "|m");
        for run in runs.split('|').skip(1) {
            let length: usize = run[1..].parse().unwrap();
            if run.starts_with('h') {
                dark[at..at + length].fill(true);
            }
            at += length;
        }
    }
    let expect: Vec<bool> =
        code.to_colors().iter().map(|color| *color == qrcode::Color::Dark).collect();
    assert_eq!(dark, expect);
}

struct App {
    secret: TotpSecret,
    algorithm: Algorithm,
    last: Option<i64>,
}

impl Subject for App {
    fn right(&self, at: UnixMs) -> String {
        code_at(&self.secret, self.algorithm, at)
    }

    fn judge(&mut self, typed: &str, at: UnixMs) -> Verdict {
        match verify(&self.secret, self.algorithm, typed, at, self.last) {
            Checked::NotPresented => Verdict::NotPresented,
            Checked::Rejected => Verdict::Rejected,
            Checked::Accepted { step, .. } => {
                self.last = Some(step);
                Verdict::Accepted
            }
        }
    }

    fn shown(&self) -> Vec<Box<dyn std::fmt::Debug>> {
        vec![Box::new(self.secret.clone())]
    }

    fn secrets(&self) -> Vec<String> {
        let bytes: Vec<String> = self.secret.bytes().iter().map(u8::to_string).collect();
        vec![self.secret.base32(), bytes.join(", "), hex::encode(self.secret.bytes())]
    }

    fn again(&self) -> Verdict {
        Verdict::Rejected
    }

    fn skew(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }
}

#[test]
fn the_contract_of_factors_holds() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        // WHY not random: of a million secrets, some share a code at the same moment.
        let next = std::cell::Cell::new(0u8);
        contract::holds(|| {
            next.set(next.get() + 1);
            App { secret: secret(&[next.get(); 20]), algorithm, last: None }
        });
    }
}
