//! Credentials in a URL, where logs and histories keep them.

use super::{Decoded, decode};
use std::borrow::Cow;

/// Query parameters that carry a credential by their name, lower case, with `_` for `-`.
/// `access_token` is RFC 6750 §2.3, which RFC 9700 §4.3.2 forbids.
const NAMES: [&[u8]; 4] = [b"access_token", b"api_key", b"apikey", b"x_api_key"];
/// How every API key of ours begins.
const PREFIX: &[u8] = b"pcl_";
/// Characters of a key's environment that are taken for one.
const ENVIRONMENT_CHARS: usize = 32;
/// Characters of a key's id.
const ID_CHARS: usize = 12;
/// Characters of a key's secret and check together.
const SECRET_CHARS: usize = 38;

/// Whether a query (what stands behind `?`) carries a credential: a parameter named `access_token`,
/// `api_key`, `apikey` or `x-api-key` (in any case, escaped or not, `_` and `-` alike), a name or value that
/// begins with `pcl_`, or one of our keys anywhere in it.
pub fn query_names_a_credential(query: &[u8]) -> bool {
    // WHY: `;` too, since some servers still separate parameters with it.
    let named = query.split(|byte| matches!(byte, b'&' | b';')).any(|part| {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                (part.get(..at).unwrap_or_default(), part.get(at + 1..).unwrap_or_default())
            }
            None => (part, &[][..]),
        };
        is_credential_name(name) || begins_like_a_key(name) || begins_like_a_key(value)
    });
    named || contains_key(query) || (query.contains(&b'%') && contains_key(&decode(query)))
}

fn is_credential_name(name: &[u8]) -> bool {
    NAMES.iter().any(|wanted| {
        name.len() >= wanted.len()
            && Decoded(name)
                .map(|byte| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() })
                .eq(wanted.iter().copied())
    })
}

fn begins_like_a_key(text: &[u8]) -> bool {
    text.len() >= PREFIX.len() && Decoded(text).take(PREFIX.len()).eq(PREFIX.iter().copied())
}

/// Whether one of our API keys stands in `text` in its full form, `pcl_<env>_<id>_<secret><check>`. The
/// check characters are not verified: a key with a typing mistake is nearly as bad. Escapes are not decoded,
/// which a canonical path has no need of: every character of a key is unreserved.
pub fn contains_key(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.windows(PREFIX.len()).position(|window| window == PREFIX) {
        rest = rest.get(at + PREFIX.len()..).unwrap_or_default();
        if begins_with_key_body(rest) {
            return true;
        }
    }
    false
}

/// How every signed token begins: `{"` in base64url (RFC 7515 §3.1).
const TOKEN: &str = "eyJ";
/// What stands in a record for a token.
const MASK: &str = "[token]";

/// `path` with whatever looks like a signed token (two parts of JSON and a signature, in base64url, joined by dots)
/// masked. Some services take one in their paths, so it is forwarded; no record keeps it.
pub fn without_tokens(path: &str) -> Cow<'_, str> {
    let Some(first) = path.find(TOKEN) else { return Cow::Borrowed(path) };
    let (head, mut rest) = path.split_at(first);
    let mut out = String::from(head);
    while let Some(at) = rest.find(TOKEN) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (length, dots) = token_run(from);
        // WHY: one dot is enough: header and claims without the signature are as personal as the whole. A run
        // without one holds no token; it is passed over whole, so that no byte is looked at twice.
        let (run, after) = from.split_at(length);
        out.push_str(if dots { MASK } else { run });
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// How many bytes from the front may belong to a token, and whether there is a dot among them.
fn token_run(text: &str) -> (usize, bool) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let run = text.bytes().take_while(is_part);
    run.fold((0, false), |(length, dots), byte| (length + 1, dots || byte == b'.'))
}

/// Whether `<env>_<id>_<secret><check>` begins here.
fn begins_with_key_body(text: &[u8]) -> bool {
    fn skip(text: &[u8], most: usize) -> (usize, &[u8]) {
        let length = text.iter().take(most).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        (length, text.get(length..).unwrap_or_default())
    }
    let (environment, after) = skip(text, ENVIRONMENT_CHARS);
    let Some((b'_', after)) = after.split_first() else { return false };
    let (id, after) = skip(after, ID_CHARS);
    let Some((b'_', after)) = after.split_first() else { return false };
    environment > 0 && id == ID_CHARS && skip(after, SECRET_CHARS).0 == SECRET_CHARS
}
