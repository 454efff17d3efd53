//! Hashes that other programs made: passlib 1.7, argon2-cffi 25, Django 5.2, and OpenBSD's tests of bcrypt.

use super::secret;
use crate::factors::Verdict;
use crate::factors::password::{RuleBroken, importable, needs_rehash, verify};

const PASSWORD: &str = "correct horse battery";
const HASHES: [&str; 14] = [
    "$2b$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO",
    "$2a$05$9gKWg02qBbDNbChc2uis4usC6lM.9iGj7COe4RgmTZxHRvxH9nNTS",
    "$2y$05$L7lpXtAIYYJhIgX9AOLT7udT2ai4AQZ28KpboU5uCacVkGTqXckuO",
    "bcrypt$$2b$04$7O.HUHg/p7ypBm9k25pF9uG96zmM4a01HaIjMD3Wd8SPNv6uKuC6m",
    "$pbkdf2-sha256$1000$e..d0zonBGDsXQuBkJKSMg$oN7wwPIVQOWJpxGMc8J9P418fDQ8qVNoxRNDF6L.uGk",
    "$pbkdf2-sha512$1000$GWNsLUUoJWQMoRSiVKr1Hg$U54xBtPmpTPTBbGJ7wEe3ddE1dsaqYDseLnnN8b6X4fpjMPC0ZyI1IEwml0u/oMieL.Hnw22Qx1Kz/cB5y8qaQ",
    "$pbkdf2$1000$/N87h9A6B6CUknJubW0txQ$z9J8oqhCrFcAsdwbEcSaPHRaWug",
    "$pbkdf2-sha256$i=1000,l=32$e++d0zonBGDsXQuBkJKSMg$oN7wwPIVQOWJpxGMc8J9P418fDQ8qVNoxRNDF6L+uGk",
    "pbkdf2_sha256$1000$saltsaltsalt$GacV8oEzUl3KM0Mwey9yrMcTPKpkL4jXrFpbKB8oOnI=",
    "pbkdf2_sha1$1000$saltsaltsalt$bXetuqXv3xEiqmlwhuj1G8h56R4=",
    "$scrypt$ln=10,r=8,p=1$D8FYC6HU2tsboxRizBlDyA$Ga7ICPRPl605vX7lTnRsz9wiYouoN6UdEmofaygFP/g",
    "$argon2id$v=19$m=64,t=1,p=2$Os5CP0YBtXSxPNfdlmYCTw$VdCMAdXdgwI9uae4o3gwii7nB7YnvH7DL3e5uaQbYyU",
    "$argon2i$v=19$m=64,t=1,p=1$L7kJMDgHuKk37DZngYMdig$SkUN/hvUaT8UR5Z2b3PLL2MrwhP7P6RkRliM71IyNYU",
    "argon2$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$IFTPU2T57OfS1UCuRGHB/rWveuBJh10XCxhj9AvQtiM",
];

#[test]
fn hashes_of_other_programs_are_checked_and_then_replaced() {
    for hash in HASHES {
        assert_eq!(importable(hash), Ok(()), "{hash}");
        assert_eq!(verify(Some(hash), &secret(PASSWORD)), Verdict::Accepted, "{hash}");
        assert_eq!(
            verify(Some(hash), &secret("correct horse batterz")),
            Verdict::Rejected,
            "{hash}"
        );
        assert_eq!(
            verify(Some(hash), &secret("correct horse batter")),
            Verdict::Rejected,
            "{hash}"
        );
        assert!(needs_rehash(hash), "{hash}");
    }
}

#[test]
fn any_changed_character_is_another_hash() {
    for hash in HASHES {
        for at in hash.rfind('$').unwrap() + 1..hash.len() - 2 {
            let other = if &hash[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &hash[..at], &hash[at + 1..]);
            // Of bcrypt the first 22 characters there are the salt, which cost the same to try.
            if !hash.contains("$2") || at % 9 == 0 {
                assert_eq!(
                    verify(Some(&changed), &secret(PASSWORD)),
                    Verdict::Rejected,
                    "{changed}"
                );
            }
        }
    }
}

#[test]
fn bcrypt_looks_at_72_bytes_and_at_nothing_typed() {
    let check = |hash: &str, text: &str, expect: Verdict| {
        assert_eq!(verify(Some(hash), &secret(text)), expect, "{hash}");
    };
    let long = "$2b$04$98S40vaZ4kBxj.wvnqkhze3wvfUAgJ0/7xuczf49vJ7ICOKmEnbl2";
    check(long, &"x".repeat(72), Verdict::Accepted);
    check(long, &"x".repeat(71), Verdict::Rejected);
    // OpenBSD's: of the empty text, of "a", and of signs.
    check(
        "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
        "",
        Verdict::NotPresented,
    );
    check("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a", Verdict::Accepted);
    let signs = "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO";
    check(signs, "~!@#$%^&*()      ~!@#$%^&*()PNBFRD", Verdict::Accepted);
}

#[test]
fn other_programs_hashed_what_was_typed_normal_form_or_not() {
    let hash =
        "$scrypt$ln=10,r=8,p=1$jPE+B2CMMYaQUorxfq+11g$yGX6tvBN5hHaSYDwAI2CaU5hq9SiWvxfQO47MAKzr/A";
    let check = |text: &str, expect: Verdict| {
        assert_eq!(verify(Some(hash), &secret(text)), expect, "{text}");
    };
    check("cafe\u{301} cafe\u{301} cafe\u{301} x", Verdict::Accepted);
    check("cafe cafe cafe x", Verdict::Rejected);
}

#[test]
fn a_hostile_import_cannot_take_the_machine_down() {
    let out = "oN7wwPIVQOWJpxGMc8J9P418fDQ8qVNoxRNDF6LBuGk";
    let salt = "D8FYC6HU2tsboxRizBlDyA";
    let check = |hash: String, expect: Result<(), RuleBroken>| {
        assert_eq!(importable(&hash), expect, "{hash}");
        if expect.is_err() {
            // It does not run either: this ends at once, and costs what no hash costs.
            assert_eq!(verify(Some(&hash), &secret("x")), Verdict::Rejected, "{hash}");
        }
    };
    let dear = Err(RuleBroken::TooCostly);
    let bcrypt =
        |cost: u32| format!("$2b${cost:02}$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO");
    check(bcrypt(14), Ok(()));
    check(bcrypt(15), dear);
    check(bcrypt(31), dear);
    check(bcrypt(99), dear);
    check(bcrypt(3), dear);
    check(format!("$pbkdf2-sha256$2000000${salt}${out}"), Ok(()));
    check(format!("$pbkdf2-sha256$2000001${salt}${out}"), dear);
    check(format!("$pbkdf2-sha256$99999999999999999999${salt}${out}"), dear);
    check(format!("pbkdf2_sha256$4294967295$x${out}="), dear);
    for (params, fits) in [
        ("ln=17,r=8,p=1", true),
        ("ln=17,r=8,p=2", true),
        ("ln=17,r=8,p=3", false),
        ("ln=14,r=8,p=16", true),
        ("ln=18,r=8,p=1", false),
        ("ln=10,r=1025,p=1", false),
        ("ln=1,r=1,p=1073741823", false),
        ("ln=63,r=4294967295,p=1", false),
        ("ln=64,r=8,p=1", false),
        ("ln=4294967295,r=1,p=1", false),
    ] {
        let expect = if fits { Ok(()) } else { dear };
        check(format!("$scrypt${params}${salt}${out}"), expect);
    }
    for (params, fits) in [
        ("m=102400,t=2,p=8", true),
        ("m=65536,t=3,p=4", true),
        ("m=131072,t=4,p=1", true),
        ("m=131073,t=1,p=1", false),
        ("m=131072,t=5,p=1", false),
        ("m=64,t=11,p=1", false),
        ("m=128,t=1,p=9", false),
        ("m=4294967295,t=4294967295,p=1", false),
    ] {
        let expect = if fits { Ok(()) } else { dear };
        check(format!("$argon2id$v=19${params}${salt}${out}"), expect);
    }
}

#[test]
fn what_is_no_hash_that_is_known_here_is_not_imported() {
    let out = "oN7wwPIVQOWJpxGMc8J9P418fDQ8qVNoxRNDF6LBuGk";
    for text in [
        "",
        "$",
        "$$$$",
        "$$$$$",
        "tulip vase rain",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$6$saltsalt$x",
        "$2x$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO",
        "$2b$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRY",
        "$2b$05$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYOO",
        "$2b$+5$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO",
        "$2b$05$\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        "bcrypt_sha256$$2b$04$oMius132ccFJfWi6NCfkUuDEiPgJjPRR2muOB3IuP2cwsNSsqV3ty",
        "$argon2d$v=19$m=64,t=1,p=1$r9sHJTUYi4wrM/mkOZRBVg$CiaD85c57G7qnl676qsGME3IDz6rCsTrGdqRjASm3d4",
        "$argon2id$v=19$m=64,t=1,p=1",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0",
        "argon2$",
        "bcrypt$",
        "$scrypt$ln=10,r=8$D8FYC6HU2tsboxRizBlDyA$Ga7ICPRPl605vX7lTnRsz9wiYouoN6UdEmofaygFP/g",
        "$scrypt$ln=0,r=0,p=0$D8FYC6HU2tsboxRizBlDyA$Ga7ICPRPl605vX7lTnRsz9wiYouoN6UdEmofaygFP/g",
        "pbkdf2_md5$1000$salt$GacV8oEzUl3KM0Mwey9yrMcTPKpkL4jXrFpbKB8oOnI=",
        "pbkdf2_sha256$0$salt$GacV8oEzUl3KM0Mwey9yrMcTPKpkL4jXrFpbKB8oOnI=",
        "pbkdf2_sha256$1000$$GacV8oEzUl3KM0Mwey9yrMcTPKpkL4jXrFpbKB8oOnI=",
        "pbkdf2_sha256$1000$salt$AAAA",
        "pbkdf2_sha256$1000$salt$",
    ] {
        assert_eq!(importable(text), Err(RuleBroken::NotAHash), "{text:?}");
    }
    let long = format!("pbkdf2_sha256$1000${}${out}=", "s".repeat(500));
    assert_eq!(importable(&long), Err(RuleBroken::NotAHash));
}

#[test]
fn no_text_makes_the_reader_panic_or_take_what_is_too_dear() {
    // A walk over changed hashes, the same in every run (xorshift, Marsaglia 2003).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let pieces = [
        "$", "=", ",", "9", "99999999", "\u{e9}", "m=", "ln=", "p=", "", "$$", "A", "argon2",
        "bcrypt$",
    ];
    for _ in 0..20_000 {
        let mut text: Vec<char> = HASHES[draw(HASHES.len())].chars().collect();
        for _ in 0..=draw(3) {
            let at = draw(text.len() + 1);
            let end = (at + draw(4)).min(text.len());
            text.splice(at..end, pieces[draw(pieces.len())].chars());
        }
        let text: String = text.into_iter().collect();
        // What may be imported is borne when it is checked; only a few are, since each takes its time.
        if importable(&text).is_ok() && draw(400) == 0 {
            let verdict = verify(Some(&text), &secret("no such password"));
            assert_eq!(verdict, Verdict::Rejected, "{text}");
        }
    }
}
