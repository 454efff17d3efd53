//! The list of common and breached passwords (`common.md` says where it is from). It stands in the binary.
//!
//! Invariant: its lines are sorted, in lower case, and of 5 to 64 bytes.

/// The list, one a line.
const LIST: &str = include_str!("common.txt");
/// Bits of one entry: all are taken for equally likely, which makes the frequent ones look better than they are.
pub(super) const BITS: f32 = 16.0;
/// Bytes of an entry.
pub(super) const BYTES: std::ops::RangeInclusive<usize> = 5..=64;

/// Whether this text, in lower case, is on the list.
pub(super) fn contains(text: &str) -> bool {
    BYTES.contains(&text.len()) && search(LIST.as_bytes(), text.as_bytes())
}

/// Binary search over lines, without an index of them.
fn search(list: &[u8], wanted: &[u8]) -> bool {
    // INVARIANT: both ends are beginnings of lines or the end of the list.
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = list.get(low..middle).unwrap_or_default();
        let start = before.iter().rposition(|b| *b == b'\n').map_or(low, |at| low + at + 1);
        let rest = list.get(start..).unwrap_or_default();
        let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        match line.cmp(wanted) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = start + length + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_what_the_search_relies_on() {
        assert!(LIST.is_ascii() && LIST.ends_with('\n'));
        let lines: Vec<&str> = LIST.lines().collect();
        assert_eq!(lines.len(), 69_911);
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
        for line in lines {
            assert!(BYTES.contains(&line.len()), "{line}");
            assert_eq!(line, line.to_lowercase());
            assert!(contains(line), "{line}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for absent in [
            "",
            "\n",
            "a",
            "password\n",
            "passworq",
            "passwordx",
            "zzzzzzzzzzzzzzzzzzzzzz",
            "\u{e9}t\u{e9}\u{e9}t\u{e9}",
        ] {
            assert!(!contains(absent), "{absent:?}");
        }
        assert!(!search(b"", b"x") && !search(b"\n", b"x"));
        assert!(
            search(b"a\nb\nc\n", b"a") && search(b"a\nb\nc\n", b"c") && search(b"a\nb\nc", b"c")
        );
    }
}
