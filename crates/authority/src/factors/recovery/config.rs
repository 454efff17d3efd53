//! How codes look, are drawn and are read.

use base::{IdError, Secret, crockford, random_array};

/// Codes that a person has at a time.
pub const CODES: usize = 10;
/// Characters of a code. At 5 bits each they are 65 bits (NIST SP 800-63B-4 §4.2.1 asks for 64 of a saved recovery
/// code, §3.1.2 for 20 of a look-up secret).
pub const CODE_CHARS: usize = 13;
/// Where a hyphen stands when a code is shown: three groups are easier to copy than thirteen characters in a row.
const GROUP_ENDS: [usize; 2] = [4, 8];
/// Characters of the text of 128 bits in Crockford's base32.
const LONG_CHARS: usize = 26;
/// Bytes of what is typed that are looked at: a code, and spaces or hyphens anywhere.
const TYPED_BYTES: usize = 64;

/// [`CODES`] codes as they are shown: `xxxx-xxxx-xxxxx` in Crockford's base32, whose characters are not easily mistaken
/// for each other. What is kept is the MAC of the [`normal`] form.
///
/// # Errors
/// When the system has no randomness to give.
pub fn fresh() -> Result<Vec<Secret<String>>, IdError> {
    (0..CODES).map(|_| code()).collect()
}

/// One code, as it is shown.
///
/// # Errors
/// When the system has no randomness to give.
pub fn code() -> Result<Secret<String>, IdError> {
    let random = Secret::new(random_array::<16>()?);
    let long = Secret::new(crockford::encode(u128::from_be_bytes(*random.expose())));
    // The last digits: the first one of the 26 holds three bits only.
    let digits = long.expose().iter().skip(LONG_CHARS - CODE_CHARS);
    let mut shown = String::with_capacity(CODE_CHARS + GROUP_ENDS.len());
    for (place, digit) in digits.enumerate() {
        if GROUP_ENDS.contains(&place) {
            shown.push('-');
        }
        shown.push(char::from(*digit));
    }
    Ok(Secret::new(shown))
}

/// The one form of what was typed or shown: thirteen lower-case characters; letters that look like digits are those digits,
/// spaces and hyphens do not count. `None` when it cannot be a code.
#[must_use]
pub fn normal(typed: &str) -> Option<Secret<String>> {
    if typed.len() > TYPED_BYTES {
        return None;
    }
    // Filled up to the length that the decoder reads, which knows the alphabet.
    let mut text = String::with_capacity(LONG_CHARS + TYPED_BYTES);
    text.extend(std::iter::repeat_n('0', LONG_CHARS - CODE_CHARS));
    text.extend(typed.chars().filter(|c| !is_separator(*c)).map(plain));
    let long = Secret::new(text);
    crockford::decode(long.expose()).ok()?;
    let code = long.expose().get(LONG_CHARS - CODE_CHARS..)?;
    Some(Secret::new(code.to_owned()))
}

fn is_separator(c: char) -> bool {
    // The hyphens that word processors put in the place of one.
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn plain(c: char) -> char {
    match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    }
}
