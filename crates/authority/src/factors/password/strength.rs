//! How well a password withstands guessing: an estimate, told to people, and no rule.
//!
//! The cheapest way to put the text together from common passwords, words that are near at hand, rows and single
//! characters, each with the bits that it is worth. Pure.

use super::common;
use super::config::{self, Context};
use super::shape::{self, Word};
use base::Secret;

/// Bytes of the longest entry that is looked for within a text.
const PIECE_BYTES: usize = 24;
/// Bits of a word of the context: which of them, and how it is written.
const CONTEXT_BITS: f32 = 4.0;
/// Bits of a character that follows from the one before.
const FOLLOWING_BITS: f32 = 1.0;
/// Bits of a letter after another one, as in words of languages.
const LETTER_BITS: f32 = 2.5;
/// Bits of any other letter or figure.
const FIGURE_BITS: f32 = 3.3;
/// Bits of a sign; of a space, which people put between words, it is one.
const SIGN_BITS: f32 = 4.0;
/// Bits for where capital letters stand.
const CAPITALS_BITS: f32 = 2.0;
/// Below so many bits the score is 0, 1, 2, 3.
const STEPS: [f32; 4] = [20.0, 30.0, 40.0, 55.0];

/// How well a password withstands guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strength {
    /// 0 (nothing) to 4 (strong).
    pub score: u8,
    /// What a person is told.
    pub words: &'static str,
}

/// Estimates a password. What is too long for one is strong, and refused elsewhere.
#[must_use]
pub fn strength(typed: &Secret<String>, context: &Context<'_>) -> Strength {
    let Some(normal) = config::normal(typed) else { return told(4) };
    let text = Secret::new(normal.expose().to_lowercase());
    let capitals = text.expose() != normal.expose();
    let words = shape::words(context);
    let mut bits = match shape::unit(text.expose()) {
        // Each repetition is worth as much as saying how often.
        Some(unit) => bits(unit, &words) + FIGURE_BITS,
        None => bits(text.expose(), &words),
    };
    if capitals {
        bits += CAPITALS_BITS;
    }
    let over = STEPS.iter().filter(|step| bits >= **step).count();
    told(u8::try_from(over).unwrap_or_default())
}

fn told(score: u8) -> Strength {
    let words = match score {
        0 => "very easy to guess",
        1 => "easy to guess",
        2 => "fair",
        3 => "good",
        _ => "strong",
    };
    Strength { score, words }
}

/// The bits of the cheapest way to the end of the text; a step ends where a character ends.
fn bits(text: &str, words: &[Word]) -> f32 {
    let plain = [Secret::new(shape::plain(text, 'i')), Secret::new(shape::plain(text, 'l'))];
    let mut least = vec![f32::INFINITY; text.len() + 1];
    if let Some(start) = least.first_mut() {
        *start = 0.0;
    }
    let mut before = None;
    for (at, c) in text.char_indices() {
        let here = least.get(at).copied().unwrap_or(f32::INFINITY);
        let mut reach = |length: usize, cost: f32| {
            if let Some(end) = least.get_mut(at + length) {
                *end = end.min(here + cost);
            }
        };
        reach(c.len_utf8(), single(before, c));
        let rest = text.get(at..).unwrap_or_default();
        for word in words.iter().filter(|word| rest.starts_with(word.as_str())) {
            reach(word.len(), CONTEXT_BITS);
        }
        let long = PIECE_BYTES.min(rest.len());
        for length in *common::BYTES.start()..=long {
            if rest.get(..length).is_some_and(common::contains) {
                reach(length, common::BITS);
            } else if plain.iter().any(|plain| piece(plain.expose(), text, at, length)) {
                reach(length, common::BITS + 1.0);
            }
        }
        before = Some(c);
    }
    least.last().copied().unwrap_or_default()
}

/// Whether the piece of the plain text that lies where this one of the text lies is common. Only where both are of one
/// length, which only the sign of the euro changes.
fn piece(plain: &str, text: &str, at: usize, length: usize) -> bool {
    plain.len() == text.len() && plain.get(at..at + length).is_some_and(common::contains)
}

fn single(before: Option<char>, c: char) -> f32 {
    match before {
        Some(before) if shape::follows(before, c) => FOLLOWING_BITS,
        _ if c == ' ' => FOLLOWING_BITS,
        Some(before) if before.is_alphabetic() && c.is_alphabetic() => LETTER_BITS,
        _ if c.is_alphanumeric() => FIGURE_BITS,
        _ => SIGN_BITS,
    }
}
