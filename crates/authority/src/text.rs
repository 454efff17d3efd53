//! Checks of text that people type.

use crate::error::Error;

/// Characters of a name: fits a table column on a wide terminal.
pub(crate) const NAME_CHARS: usize = 100;
/// Characters of a note or reason.
pub(crate) const NOTE_CHARS: usize = 500;
/// Bytes of a blocked subject, client or token id. RFC 7519 sets no bound; OpenID Connect Core §2 bounds
/// `sub` at 255.
pub(crate) const VALUE_BYTES: usize = 512;
/// Bytes of a name from the configuration file.
pub(crate) const CONFIG_NAME_BYTES: usize = 64;
/// Scopes of one credential; more would not fit a header anyway.
pub(crate) const SCOPES: usize = 100;
/// Bytes of one scope.
pub(crate) const SCOPE_BYTES: usize = 128;

/// A one-line text of 1 to `chars` characters, without characters that hide or forge lines in a listing.
pub(crate) fn line(field: &'static str, text: &str, chars: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid(field, "may not be empty"));
    }
    if text.chars().count() > chars {
        return Err(Error::invalid(field, format!("may have at most {chars} characters")));
    }
    if text.chars().any(hides) {
        return Err(Error::invalid(field, "may not contain control or direction characters"));
    }
    Ok(text.to_owned())
}

/// As [`line`], where nothing is allowed too.
pub(crate) fn optional_line(
    field: &'static str,
    text: Option<&str>,
    chars: usize,
) -> Result<Option<String>, Error> {
    text.filter(|it| !it.trim().is_empty()).map(|it| line(field, it, chars)).transpose()
}

/// Control characters, and those that reorder or hide what a terminal shows (Unicode TR 36 §2).
pub(crate) fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A value as it stands in a token: 1 to 512 bytes, taken exactly as it is.
pub(crate) fn value(field: &'static str, text: &str) -> Result<String, Error> {
    if text.is_empty() || text.len() > VALUE_BYTES {
        return Err(Error::invalid(field, format!("must have 1 to {VALUE_BYTES} bytes")));
    }
    // WHY: PostgreSQL cannot hold NUL in text, and no claim worth blocking has control characters.
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "may not contain control characters"));
    }
    Ok(text.to_owned())
}

/// A name as the configuration file uses them.
pub(crate) fn config_name(field: &'static str, text: &str) -> Result<String, Error> {
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > CONFIG_NAME_BYTES || !text.bytes().all(good) {
        return Err(Error::invalid(
            field,
            format!("must be 1 to {CONFIG_NAME_BYTES} letters, digits, `-`, `_` or `.`"),
        ));
    }
    Ok(text.to_owned())
}

/// Scopes: each by the grammar, sorted, without repeats.
pub(crate) fn scopes(given: &[String]) -> Result<Vec<String>, Error> {
    if given.len() > SCOPES {
        return Err(Error::invalid("scope", format!("at most {SCOPES} may be named")));
    }
    let mut out = Vec::with_capacity(given.len());
    for scope in given {
        if !is_scope(scope) {
            return Err(Error::invalid(
                "scope",
                format!(
                    "`{}` is not a scope: 1 to {SCOPE_BYTES} visible ASCII characters, without space, `\"` and `\\`",
                    scope.escape_default().take(SCOPE_BYTES).collect::<String>()
                ),
            ));
        }
        out.push(scope.clone());
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// RFC 6749 §3.3: a scope token is one or more of %x21 / %x23-5B / %x5D-7E.
fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SCOPE_BYTES
        && text.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
