//! Moments as text.

use base::UnixMs;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// RFC 3339 §5.6 in UTC with milliseconds: `2026-11-24T10:28:43.120Z`. Years outside 0 to 9999, which the
/// format does not know, become the nearest that it does.
pub fn rfc3339(at: UnixMs) -> String {
    // 0000-01-01 and 9999-12-31T23:59:59.999.
    let ms = at.0.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let rest = ms.rem_euclid(DAY_MS);
    let (seconds, milli) = (rest / 1000, rest % 1000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{milli:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The day in UTC: `2026-11-24`.
pub(crate) fn day(at: UnixMs) -> String {
    rfc3339(at).split('T').next().unwrap_or_default().to_owned()
}

/// The proleptic Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the
/// leap day is the last of its year; 400 years have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_s5_6_known_moments() {
        let check = |ms: i64, expect: &str| assert_eq!(rfc3339(UnixMs(ms)), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_709_251_199_999, "2024-02-29T23:59:59.999Z");
        check(1_764_000_000_123, "2025-11-24T16:00:00.123Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(i64::MAX, "9999-12-31T23:59:59.999Z");
        check(i64::MIN, "0000-01-01T00:00:00.000Z");
    }
}
