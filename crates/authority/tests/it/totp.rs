//! Codes of `oathtool`, which stands for a person's app.

use authority::factors::totp::{Algorithm, Checked, TotpSecret, verify};
use base::UnixMs;
use std::process::Command;

const NOW: UnixMs = UnixMs(1_790_000_017_250);

/// What the app shows when it is given the text that people type into one.
fn shown(secret: &TotpSecret, algorithm: Algorithm, at: UnixMs) -> String {
    let kind = match algorithm {
        Algorithm::Sha1 => "--totp=sha1",
        Algorithm::Sha256 => "--totp=sha256",
    };
    let mut oathtool = Command::new("oathtool");
    oathtool.args([kind, "--base32", "--digits=6", "--now", &format!("@{}", at.seconds())]);
    let out = oathtool.arg(secret.base32()).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{errors}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn codes_of_oathtool_are_accepted_once_and_their_drift_is_told() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        for round in 0..8i64 {
            let secret = TotpSecret::fresh(algorithm).unwrap();
            let now = UnixMs(NOW.0 + round * 86_400_123);
            for drift in -1..=1i8 {
                let at = UnixMs(now.0 + i64::from(drift) * 30_000);
                let typed = shown(&secret, algorithm, at);
                let step = at.seconds() / 30;
                // Of a million pairs, two have one code; then the later step counts.
                let checked = verify(&secret, algorithm, &typed, now, None);
                let Checked::Accepted { step: found, drift: told } = checked else {
                    assert_eq!(checked, Checked::Accepted { step, drift }, "{algorithm:?}");
                    continue;
                };
                assert!(found >= step && told >= drift && found - step == i64::from(told - drift));
                assert_eq!(verify(&secret, algorithm, &typed, now, Some(found)), Checked::Rejected);
            }
        }
    }
}

#[test]
fn codes_of_oathtool_from_further_away_are_rejected() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        // A secret whose codes of these steps differ, so that chance has no part in it.
        let secret = TotpSecret::from_bytes(b"a secret of 25 bytes long").unwrap();
        for away in [-3_600_000, -60_000, 60_000, 3_600_000] {
            let typed = shown(&secret, algorithm, UnixMs(NOW.0 + away));
            assert_eq!(verify(&secret, algorithm, &typed, NOW, None), Checked::Rejected, "{away}");
        }
        // The other hash makes other codes.
        let other = match algorithm {
            Algorithm::Sha1 => Algorithm::Sha256,
            Algorithm::Sha256 => Algorithm::Sha1,
        };
        let typed = shown(&secret, other, NOW);
        assert_eq!(verify(&secret, algorithm, &typed, NOW, None), Checked::Rejected);
    }
}
