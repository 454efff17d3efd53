//! The `Date` of our own responses.

use base::UnixMs;

/// The length of an IMF-fixdate.
const LEN: usize = 29;
/// What is shown for a moment outside the years 0 to 9999, which the format cannot express.
const EPOCH: &[u8; LEN] = b"Thu, 01 Jan 1970 00:00:00 GMT";

/// An IMF-fixdate (RFC 9110 §5.6.7), written anew once a second at most.
#[derive(Debug, Clone)]
pub struct DateCache {
    second: i64,
    text: [u8; LEN],
}

impl DateCache {
    /// A cache that has nothing yet.
    pub fn new() -> Self {
        Self { second: 0, text: *EPOCH }
    }

    /// The date of `now`, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn at(&mut self, now: UnixMs) -> &[u8; LEN] {
        let second = now.seconds();
        if second != self.second {
            self.second = second;
            self.text = fixdate(second).unwrap_or(*EPOCH);
        }
        &self.text
    }
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}

fn fixdate(second: i64) -> Option<[u8; LEN]> {
    const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let (day, time) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let weekday = DAYS.get(usize::try_from(day.rem_euclid(7)).ok()?)?;
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    let mut text = *EPOCH;
    text.get_mut(..3)?.copy_from_slice(*weekday);
    digits(text.get_mut(5..7)?, date);
    text.get_mut(8..11)?.copy_from_slice(*month);
    digits(text.get_mut(12..16)?, year);
    digits(text.get_mut(17..19)?, time / 3600);
    digits(text.get_mut(20..22)?, time / 60 % 60);
    digits(text.get_mut(23..25)?, time % 60);
    Some(text)
}

fn digits(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Year, month and day of a day since the epoch in the proleptic Gregorian calendar: eras of 400 years that
/// begin in March, so that the leap day is a year's last.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, date)
}
