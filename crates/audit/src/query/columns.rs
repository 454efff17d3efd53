//! The columns of the table `events`.

use super::value::Value;
use base::{Event, UnixMs};

/// The columns, in the order of `SELECT *`.
pub const COLUMNS: [&str; 26] = [
    "time",
    "request_id",
    "node",
    "kind",
    "outcome",
    "code",
    "phase",
    "route",
    "method",
    "host",
    "path",
    "client_ip",
    "principal",
    "client_id",
    "credential_id",
    "issuer",
    "scheme",
    "status",
    "latency_us",
    "upstream_us",
    "bytes_in",
    "bytes_out",
    "count",
    "detail",
    "trace_id",
    "id",
];

/// A column by its place in [`COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column(usize);

impl Column {
    pub(crate) fn find(name: &str) -> Option<Self> {
        COLUMNS.iter().position(|it| it.eq_ignore_ascii_case(name)).map(Self)
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..COLUMNS.len()).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        COLUMNS.get(self.0).copied().unwrap_or_default()
    }

    pub(crate) fn is_time(self) -> bool {
        self.0 == 0
    }

    /// Whether its values are numbers.
    pub(crate) fn is_number(self) -> bool {
        (17..=22).contains(&self.0)
    }

    /// Its value in a row.
    pub(crate) fn of(self, event: &Event) -> Value {
        match self.0 {
            0 => Value::Text(time_text(event.time)),
            1 => show(event.request_id),
            2 => show(Some(event.node)),
            3 => text(Some(event.kind.as_str())),
            4 => text(Some(event.outcome.as_str())),
            5 => text(Some(event.code.as_str())),
            6 => text(event.phase.map(|it| it.as_str())),
            7 => text(event.route.as_deref()),
            8 => text(event.method.as_deref()),
            9 => text(event.host.as_deref()),
            10 => text(event.path.as_deref()),
            11 => show(event.client_ip),
            12 => text(event.principal.as_deref()),
            13 => text(event.client_id.as_deref()),
            14 => text(event.credential_id.as_deref()),
            15 => text(event.issuer.as_deref()),
            16 => text(event.scheme.map(|it| it.as_str())),
            17 => Value::Int(event.status.into()),
            18 => Value::Int(event.latency_us.into()),
            19 => Value::Int(event.upstream_us.into()),
            20 => Value::Int(i64::try_from(event.bytes_in).unwrap_or(i64::MAX)),
            21 => Value::Int(i64::try_from(event.bytes_out).unwrap_or(i64::MAX)),
            22 => Value::Int(event.count.into()),
            23 => text(event.detail.as_deref()),
            24 => show(event.trace_id.map(|id| format!("{:032x}", u128::from_be_bytes(id)))),
            25 => show(Some(format!("{:032x}", u128::from_be_bytes(event.id.0)))),
            _ => Value::Null,
        }
    }
}

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |it| Value::Text(it.to_owned()))
}

fn show(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |it| Value::Text(it.to_string()))
}

const DAY_MS: i64 = 86_400_000;

/// `2025-11-24T16:00:00.123Z` (RFC 3339, UTC, always with milliseconds): texts compare as the times do.
pub(crate) fn time_text(time: UnixMs) -> String {
    let (days, ms) = (time.0.div_euclid(DAY_MS), time.0.rem_euclid(DAY_MS));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// The moment that a text names, or the beginning of the span when it is only the front of one
/// (`2025-11-24`, `2025-11-24T16`). Nothing when it is neither.
pub(crate) fn read_time(text: &str) -> Option<UnixMs> {
    const WHOLE: &str = "0000-01-01T00:00:00.000Z";
    let filled = format!("{text}{}", WHOLE.get(text.len()..)?);
    let part = |from: usize, to: usize| filled.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second, ms) = (part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 23)?);
    let days = days(year, month, day);
    let time = UnixMs(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + ms);
    (time_text(time) == filled).then_some(time)
}

/// Year, month and day of a number of days since 1970-01-01 (the algorithm of H. Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 (`days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_764_000_000_123, "2025-11-24T16:00:00.123Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(time_text(UnixMs(ms)), text);
            assert_eq!(read_time(text), Some(UnixMs(ms)));
        }
        assert_eq!(read_time("2025-11-24"), Some(UnixMs(1_763_942_400_000)));
        assert_eq!(read_time("2025-11-24T16"), Some(UnixMs(1_764_000_000_000)));
        for wrong in
            ["2025-02-30", "yesterday", "2025-11-24T25", "é025-11-24", "2025-11-24T16:00:00.123Zx"]
        {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }
}
