//! The words of messages. A language is one file and one line in [`super::Language`].

pub(super) mod english;

use super::body::Body;
use super::{Link, MethodChange, Seen};

/// What a language says. `name` is what the organisation calls itself, fit to be shown.
pub(super) trait Texts: Sync {
    /// The language's own code (BCP 47): `en`.
    fn code(&self) -> &'static str;
    /// An account was made.
    fn invitation(&self, name: &str, link: &Link<'_>) -> Body;
    /// Whether the address is theirs.
    fn address_proof(&self, name: &str, code: &str, link: &Link<'_>) -> Body;
    /// The way back in.
    fn recovery(&self, name: &str, code: &str, link: &Link<'_>, seen: &Seen<'_>) -> Body;
    /// The ways to sign in changed.
    fn methods_changed(&self, name: &str, change: MethodChange<'_>, seen: &Seen<'_>) -> Body;
    /// A device that was not known.
    fn new_device(&self, name: &str, seen: &Seen<'_>) -> Body;
    /// An address was let into this list until then.
    fn address_allowed(&self, name: &str, to: (&str, base::UnixMs), seen: &Seen<'_>) -> Body;
    /// A passkey was refused whose counter has gone backwards; `key` is what its person calls it.
    fn passkey_copied(&self, name: &str, key: &str, seen: &Seen<'_>) -> Body;
    /// A person made an API key: what they call it, and its scopes.
    fn own_key_made(&self, name: &str, key: (&str, &[String]), seen: &Seen<'_>) -> Body;
    /// What stands below each message.
    fn foot(&self, name: &str, url: &str) -> String;
}

/// Year, month from 1, day, hour and minute of a moment in UTC (proleptic Gregorian). Years are counted from March, so
/// that the leap day is the last of its year; 400 years have 146,097 days.
fn civil(at: base::UnixMs) -> (i64, i64, i64, i64, i64) {
    // 0000-01-01 and 9999-12-31T23:59:59.999.
    let seconds = at.0.clamp(-62_167_219_200_000, 253_402_300_799_999).div_euclid(1000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, rest / 3600, rest / 60 % 60)
}
