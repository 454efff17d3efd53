//! Small readers of text: durations, sizes, hosts, near words.
//!
//! Never does: look at anything but its arguments.

use std::time::Duration;

/// The longest span that is taken: 10 years. Longer ones are mistakes, and sums of them must not overflow.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Reads a span such as `250ms`, `5s`, `10m`, `24h` or `30d`: a whole number and one unit.
///
/// ```
/// use portcullis::config::parse_duration;
/// assert_eq!(parse_duration("10m"), Some(std::time::Duration::from_secs(600)));
/// assert_eq!(parse_duration("10 minutes"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_number(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return None,
    };
    let span = Duration::from_millis(number.checked_mul(millis)?);
    (span <= LONGEST).then_some(span)
}

/// Reads a size in bytes such as `512KiB`, `10MiB`, `4GiB` (powers of 1024), `10MB` (of 1000) or `100B`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let bytes = match unit {
        "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

/// A span as the shortest text that reads back: `30s`, `10m`.
pub(super) fn show_duration(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis != 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

/// A DNS name in lower case (RFC 1123 §2.1): labels of letters, digits, inner hyphens and, since services in
/// private networks bear such names, `_`. A trailing dot is not taken: a name with it compares unequal to one
/// without.
pub(super) fn host_name(text: &str) -> Option<String> {
    let label = |label: &str| {
        let edge = |c: Option<u8>| c.is_some_and(|c| c != b'-');
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
            && edge(label.bytes().next())
            && edge(label.bytes().next_back())
    };
    let lower = text.to_ascii_lowercase();
    // WHY: a name that ends in digits is an IPv4 address in some notation to some resolvers.
    let last = lower.rsplit('.').next()?;
    let numeric = last.bytes().all(|c| c.is_ascii_digit()) || last.starts_with("0x");
    (lower.len() <= 253 && lower.split('.').all(label) && !numeric).then_some(lower)
}

/// A name for things in the file: 1 to 64 letters, digits, `-`, `_`, `.`.
pub(super) fn is_name(text: &str) -> bool {
    let char = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(char)
}

/// A scope token (RFC 6749 §3.3): visible ASCII without `"` and `\`.
pub(super) fn is_scope(text: &str) -> bool {
    let char = |c: u8| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=128).contains(&text.len()) && text.bytes().all(char)
}

/// A token of HTTP (RFC 9110 §5.6.2), as in header names and methods.
pub(super) fn is_token(text: &str) -> bool {
    let char = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    (1..=64).contains(&text.len()) && text.bytes().all(char)
}

/// The word of `known` that `text` probably meant, if any is near enough.
pub(super) fn nearest<'k>(text: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if text.len() > 64 {
        return None;
    }
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    known
        .filter(|word| word.len() <= 64)
        .map(|word| (distance(text, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, word)| word)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().replace('-', "_").chars().collect();
    let b: Vec<char> = b.to_lowercase().replace('-', "_").chars().collect();
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replace = cell(&last, j) + usize::from(x != y);
            let mut best = replace.min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    cell(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5000), ("10m", 600_000), ("24h", 86_400_000), ("0s", 0)]
        {
            let span = parse_duration(text).unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(parse_duration(&show_duration(span)), Some(span));
        }
        for text in ["", "5", "s", "-5s", "5 s", "5S", "1.5s", "3651d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("10MiB"), Some(10 << 20));
        assert_eq!(parse_size("10MB"), Some(10_000_000));
        for text in ["", "10", "MiB", "10mib", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(host_name("API.Example.com").as_deref(), Some("api.example.com"));
        for text in ["", "a..b", "a.", "-a.com", "a-.com", "127.1", "x.0x7f", "a b"] {
            assert_eq!(host_name(text), None, "{text}");
        }
    }

    #[test]
    fn near_words() {
        let known = ["upstream", "methods", "max_body", "ip"];
        for (text, want) in [
            ("upstraem", Some("upstream")),
            ("method", Some("methods")),
            ("max-body", Some("max_body")),
            ("pi", Some("ip")),
            ("nothing_like_it", None),
        ] {
            assert_eq!(nearest(text, known.into_iter()), want, "{text}");
        }
    }
}
