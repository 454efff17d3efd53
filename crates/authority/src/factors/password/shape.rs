//! What stands in a password: words that are near at hand, pieces that repeat, characters in their order. Pure; the
//! texts are in lower case, at most [`super::CHARS_MOST`] characters and somewhat more where lower case is longer.

use super::config::Context;

/// The product's name, which people put into passwords for it.
const PRODUCT: &str = "portcullis";
/// Letters of a part of a name or address that counts; shorter ones stand in any text.
const PART_CHARS: usize = 4;
/// Words of a context at most; an address and a name have some ten.
const WORDS: usize = 48;
/// Bytes of each of its texts that are looked at.
const TEXT_BYTES: usize = 512;
/// Rows of keys, as they lie on the keyboards that most people have.
const ROWS: [&str; 6] =
    ["1234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm"];

/// A word that is near at hand.
pub(super) type Word = String;

/// The words of a context, the longest first.
pub(super) fn words(context: &Context<'_>) -> Vec<Word> {
    let cut = |text: &str| {
        let mut end = text.len().min(TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end).unwrap_or_default().to_lowercase()
    };
    let (email, host) = (cut(context.email), cut(context.host));
    let name = cut(context.name.unwrap_or_default());
    let (local, domain) = email.split_once('@').unwrap_or((&email, ""));
    let run_on: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let wholes = [email.as_str(), local, domain, &host, &name, &run_on, PRODUCT];
    let mut words: Vec<Word> = wholes.into_iter().map(str::to_owned).collect();
    for text in [local, domain, &host, &name] {
        words.extend(text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
    }
    words.retain(|word| word.chars().count() >= PART_CHARS);
    words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    words.truncate(WORDS);
    words
}

/// Whether one of the words stands in the text, and how many letters and figures stand outside of them.
pub(super) fn without(text: &str, words: &[Word]) -> (bool, usize) {
    let mut covered = vec![false; text.len()];
    for word in words {
        for (at, found) in text.match_indices(word.as_str()) {
            covered.iter_mut().skip(at).take(found.len()).for_each(|it| *it = true);
        }
    }
    let outside = |at: usize| !covered.get(at).copied().unwrap_or_default();
    let rest = text.char_indices().filter(|(at, c)| c.is_alphanumeric() && outside(*at)).count();
    (covered.contains(&true), rest)
}

/// The piece of which the text consists, over and over; `None` when there is none.
pub(super) fn unit(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    (1..=bytes.len() / 2)
        .filter(|length| bytes.len().is_multiple_of(*length))
        .find(|length| {
            bytes.iter().eq(bytes.iter().skip(*length).chain(bytes.iter().take(*length)))
        })
        .and_then(|length| text.get(..length))
}

/// Whether a character follows from the one before: the same, its neighbour in the alphabet, or on the keyboard.
pub(super) fn follows(before: char, c: char) -> bool {
    let near = before.is_alphanumeric() == c.is_alphanumeric();
    (near && u32::from(before).abs_diff(u32::from(c)) <= 1)
        || ROWS.iter().any(|row| {
            let at = |wanted: char| row.chars().position(|key| key == wanted);
            matches!((at(before), at(c)), (Some(a), Some(b)) if a.abs_diff(b) <= 1)
        })
        || matches!((before, c), ('9', '0') | ('0', '9'))
}

/// How many characters do not follow from the one before.
pub(super) fn fresh_chars(text: &str) -> usize {
    let mut before = None;
    text.chars().filter(|c| before.replace(*c).is_none_or(|before| !follows(before, *c))).count()
}

/// With so many such characters or fewer, a text of this length is a row.
pub(super) fn fresh_least(length: usize) -> usize {
    match length {
        0..12 => 2,
        _ => 3,
    }
}

/// The text with the letters that figures and signs stand for; `one` is what `1`, `!` and `|` stand for.
pub(super) fn plain(text: &str, one: char) -> String {
    let letter = |c: char| match c {
        '0' => 'o',
        '1' | '!' | '|' => one,
        '3' | '\u{20ac}' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        other => other,
    };
    text.chars().map(letter).collect()
}
