//! Which passwords may be chosen. Pure.

use super::common;
use super::config::{self, CHARS_LEAST_BESIDE, Context, RuleBroken};
use super::shape::{self, Word};
use base::Secret;

/// Characters before and after a common word that change nothing: a year and a sign, or a date.
const AFFIX_CHARS: usize = 6;

/// Whether this password may be chosen here. No other rule: no classes of characters, no end by date (NIST SP
/// 800-63B-4 §3.1.1.2).
///
/// # Errors
/// The rule that it breaks.
pub fn judge(typed: &Secret<String>, context: &Context<'_>) -> Result<(), RuleBroken> {
    let normal = config::normal(typed).ok_or(RuleBroken::TooLong)?;
    let least = context.least();
    if normal.expose().chars().count() < least {
        return Err(RuleBroken::TooShort { least });
    }
    let text = Secret::new(normal.expose().to_lowercase());
    let words = shape::words(context);
    for form in forms(text.expose()) {
        // NIST SP 800-63B-4 §3.1.1.2: compared as a whole with the blocklist, which holds context words and their
        // derivatives too.
        guessable(form.expose(), &words)?;
    }
    Ok(())
}

/// The text and what it was made from by the simple changes that people make, and that programs that guess undo.
fn forms(text: &str) -> Vec<Secret<String>> {
    let mut forms = Vec::with_capacity(12);
    for part in [Some(text), core(text)].into_iter().flatten() {
        for plain in [part.to_owned(), shape::plain(part, 'i'), shape::plain(part, 'l')] {
            forms.push(Secret::new(plain.chars().rev().collect()));
            forms.push(Secret::new(plain));
        }
    }
    forms
}

/// What lies between figures and signs at both ends, if those are few or in order.
fn core(text: &str) -> Option<&str> {
    let start = text.find(char::is_alphabetic)?;
    let (last, letter) = text.char_indices().rfind(|(_, c)| c.is_alphabetic())?;
    let end = last + letter.len_utf8();
    let few = |affix: &str| affix.chars().count() <= AFFIX_CHARS || shape::fresh_chars(affix) <= 2;
    let (before, after) = (text.get(..start)?, text.get(end..)?);
    let whole = before.is_empty() && after.is_empty();
    (!whole && few(before) && few(after)).then_some(text.get(start..end)).flatten()
}

fn guessable(text: &str, words: &[Word]) -> Result<(), RuleBroken> {
    if common::contains(text) {
        return Err(RuleBroken::Common);
    }
    if let Some(unit) = shape::unit(text) {
        // A piece counts once, however often it stands there.
        let short = unit.chars().count() < CHARS_LEAST_BESIDE;
        return match short || common::contains(unit) {
            true => Err(RuleBroken::Repetitive),
            false => guessable(unit, words),
        };
    }
    let length = text.chars().count();
    let fresh = shape::fresh_chars(text);
    if length >= CHARS_LEAST_BESIDE && fresh <= shape::fresh_least(length) {
        return Err(RuleBroken::Repetitive);
    }
    let (named, rest) = shape::without(text, words);
    match named && rest < CHARS_LEAST_BESIDE {
        true => Err(RuleBroken::Context),
        false => Ok(()),
    }
}
