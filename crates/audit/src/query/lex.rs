//! Text to tokens.

use super::error::QueryError;

/// Bytes of a query.
const TEXT: usize = 16 * 1024;

/// A token and the character that it begins at, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) position: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// A keyword, column or function; as it was written.
    Word(String),
    /// `"quoted"`: a name, never a keyword.
    Name(String),
    /// `'quoted'`.
    Text(String),
    Int(i64),
    Float(f64),
    /// An operator or mark.
    Mark(&'static str),
    End,
}

impl std::fmt::Display for TokenKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Name(name) => write!(f, "\"{name}\""),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Int(number) => write!(f, "`{number}`"),
            Self::Float(number) => write!(f, "`{number}`"),
            Self::Mark(mark) => write!(f, "`{mark}`"),
            Self::End => write!(f, "the end"),
        }
    }
}

/// Longer ones first.
const MARKS: [&str; 14] =
    ["<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", ",", "*", ";", "-", "+"];

/// Takes the text apart; the last token is [`TokenKind::End`].
pub(crate) fn lex(text: &str) -> Result<Vec<Token>, QueryError> {
    if text.len() > TEXT {
        return Err(QueryError::TooMuch("characters"));
    }
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(c) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (kind, length) = match c {
            'a'..='z' | 'A'..='Z' | '_' => word(rest),
            '0'..='9' => number(rest).ok_or_else(|| syntax(at, "this number is too large"))?,
            '\'' => {
                let (text, length) = quoted(rest, '\'', at)?;
                (TokenKind::Text(text), length)
            }
            '"' => {
                let (name, length) = quoted(rest, '"', at)?;
                (TokenKind::Name(name), length)
            }
            _ => mark(rest).ok_or_else(|| syntax(at, &format!("`{c}` is not part of a query")))?,
        };
        tokens.push(Token { kind, position: at + 1 });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, position: at + 1 });
    Ok(tokens)
}

fn syntax(at: usize, what: &str) -> QueryError {
    QueryError::Syntax { position: at + 1, what: what.to_owned() }
}

fn word(rest: &[char]) -> (TokenKind, usize) {
    let word: String =
        rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
    let length = word.len();
    (TokenKind::Word(word), length)
}

fn number(rest: &[char]) -> Option<(TokenKind, usize)> {
    let text: String = rest.iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
    let kind = match text.parse() {
        Ok(int) => TokenKind::Int(int),
        Err(_) => TokenKind::Float(text.parse().ok().filter(|_| text.contains('.'))?),
    };
    Some((kind, text.len()))
}

/// A quote inside is written twice.
fn quoted(rest: &[char], quote: char, at: usize) -> Result<(String, usize), QueryError> {
    let (mut text, mut from) = (String::new(), 1);
    loop {
        match (rest.get(from), rest.get(from + 1)) {
            (Some(c), Some(next)) if *c == quote && *next == quote => {
                text.push(quote);
                from += 2;
            }
            (Some(c), _) if *c == quote => return Ok((text, from + 1)),
            (Some(c), _) => {
                text.push(*c);
                from += 1;
            }
            (None, _) => return Err(syntax(at, &format!("the closing {quote} is missing"))),
        }
    }
}

fn mark(rest: &[char]) -> Option<(TokenKind, usize)> {
    let found = MARKS.iter().find(|mark| mark.chars().eq(rest.iter().copied().take(mark.len())))?;
    Some((TokenKind::Mark(found), found.len()))
}
