//! Filters (RFC 7644 §3.4.2.2): read from text, and asked of a resource.
//!
//! Owns: the grammar `attr op value` with `and`, `or`, `not` and parentheses.
//!
//! Never does: know an attribute; what a resource does not have, it has not (`eq` is false, `ne` is true).
//!
//! Invariant: reading ends for any text, in time that grows with its length, and never panics.

use super::Refused;
use serde_json::{Map, Value};

/// Bytes of a filter: a few comparisons of e-mail addresses.
const BYTES: usize = 1024;
/// Parentheses and `not` within each other.
const DEPTH: usize = 8;
/// Comparisons of one filter: each is asked of every resource of a listing.
const TERMS: usize = 16;

/// How two values are compared (RFC 7644 Table 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

impl Op {
    fn read(word: &str) -> Option<Self> {
        let all = [
            ("eq", Self::Eq),
            ("ne", Self::Ne),
            ("co", Self::Co),
            ("sw", Self::Sw),
            ("ew", Self::Ew),
            ("gt", Self::Gt),
            ("ge", Self::Ge),
            ("lt", Self::Lt),
            ("le", Self::Le),
        ];
        all.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, op)| op)
    }
}

/// A filter that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    /// A comparison: attribute (lower case, without its schema), how, with what.
    Compare(String, Op, Value),
    /// The attribute has a value.
    Present(String),
    /// All of them.
    All(Vec<Filter>),
    /// Any of them.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// 400 `invalidFilter` when it breaks the grammar or a bound.
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        if text.len() > BYTES {
            return Err(refused("is too long"));
        }
        let tokens = tokens(text)?;
        let mut reader = Reader { tokens: &tokens, terms: 0 };
        let filter = reader.any(0)?;
        match reader.tokens {
            [] => Ok(filter),
            _ => Err(refused("goes on after its end")),
        }
    }

    /// The text with which `attribute` (lower case) must be equal, when the filter asks nothing else.
    pub(super) fn only_equal(&self, attribute: &str) -> Option<&str> {
        match self {
            Self::Compare(name, Op::Eq, Value::String(text)) if name == attribute => Some(text),
            _ => None,
        }
    }

    /// Whether it holds for a resource.
    pub(super) fn holds(&self, resource: &Map<String, Value>) -> bool {
        match self {
            Self::Compare(path, Op::Ne, wanted) => {
                !values(resource, path).iter().any(|it| compare(path, it, Op::Eq, wanted))
            }
            Self::Compare(path, op, wanted) => {
                values(resource, path).iter().any(|it| compare(path, it, *op, wanted))
            }
            Self::Present(path) => values(resource, path).iter().any(|it| is_present(it)),
            Self::All(parts) => parts.iter().all(|it| it.holds(resource)),
            Self::Any(parts) => parts.iter().any(|it| it.holds(resource)),
            Self::Not(part) => !part.holds(resource),
        }
    }
}

fn refused(problem: &str) -> Refused {
    Refused::bad("invalidFilter", format!("the filter {problem}"))
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// The values at a path of at most two names; each of a list's, and `value` of complex ones.
fn values<'a>(resource: &'a Map<String, Value>, path: &str) -> Vec<&'a Value> {
    let (name, sub) = match path.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (path, None),
    };
    let Some(found) = member(resource, name) else { return Vec::new() };
    let items = match found {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    let inner = |item: &'a Value| match item {
        Value::Object(object) => member(object, sub.unwrap_or("value")),
        plain => sub.is_none().then_some(plain),
    };
    items.into_iter().filter_map(inner).collect()
}

/// A member by its name in any case (RFC 7643 §2.1).
pub(super) fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn compare(path: &str, have: &Value, op: Op, wanted: &Value) -> bool {
    match (have, wanted) {
        (Value::String(have), Value::String(wanted)) => {
            // RFC 7643 §2.2, §3.1: texts are compared in any case, but ids and what other systems call a resource.
            let exact = ["id", "externalid", "value", "members", "groups"].contains(&path)
                || path.ends_with(".value");
            match exact {
                true => compare_text(have, op, wanted),
                false => compare_text(&have.to_lowercase(), op, &wanted.to_lowercase()),
            }
        }
        _ => op == Op::Eq && have == wanted,
    }
}

fn compare_text(have: &str, op: Op, wanted: &str) -> bool {
    match op {
        Op::Eq => have == wanted,
        Op::Ne => have != wanted,
        Op::Co => have.contains(wanted),
        Op::Sw => have.starts_with(wanted),
        Op::Ew => have.ends_with(wanted),
        Op::Gt => have > wanted,
        Op::Ge => have >= wanted,
        Op::Lt => have < wanted,
        Op::Le => have <= wanted,
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, Refused> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            '"' => {
                // A JSON string (RFC 7644 §3.4.2.2, `compValue`).
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                match values.next() {
                    Some(Ok(value)) => tokens.push(Token::Text(value)),
                    _ => return Err(refused("has a text that does not end")),
                }
                values.byte_offset()
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()\"".contains(c);
                let word = rest.find(ends).and_then(|end| rest.get(..end)).unwrap_or(rest);
                tokens.push(Token::Word(word.to_owned()));
                word.len()
            }
        };
        rest = rest.get(used..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
    terms: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Takes the next word when it is this one.
    fn took(&mut self, wanted: &str) -> bool {
        let is =
            matches!(self.tokens.first(), Some(Token::Word(it)) if it.eq_ignore_ascii_case(wanted));
        if is {
            self.next();
        }
        is
    }

    fn any(&mut self, depth: usize) -> Result<Filter, Refused> {
        let first = self.all(depth)?;
        let mut parts = vec![first];
        while self.took("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, Refused> {
        let first = self.part(depth)?;
        let mut parts = vec![first];
        while self.took("and") {
            parts.push(self.part(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn part(&mut self, depth: usize) -> Result<Filter, Refused> {
        if depth > DEPTH {
            return Err(refused("is nested too deeply"));
        }
        let negated = self.took("not");
        if let Some(Token::Open) = self.tokens.first() {
            self.next();
            let inner = self.any(depth + 1)?;
            if self.next() != Some(&Token::Close) {
                return Err(refused("has a parenthesis that is not closed"));
            }
            return Ok(if negated { Filter::Not(Box::new(inner)) } else { inner });
        }
        match negated {
            true => Err(refused("has a `not` without parentheses")),
            false => self.term(),
        }
    }

    fn term(&mut self) -> Result<Filter, Refused> {
        self.terms += 1;
        if self.terms > TERMS {
            return Err(refused("has too many comparisons"));
        }
        let Some(Token::Word(path)) = self.next() else {
            return Err(refused("has no attribute where one must stand"));
        };
        let path = attribute(path).ok_or_else(|| refused("has a malformed attribute"))?;
        let Some(Token::Word(word)) = self.next() else {
            return Err(refused("has no operator after an attribute"));
        };
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let op = Op::read(word).ok_or_else(|| refused("has an unknown operator"))?;
        let value = match self.next() {
            Some(Token::Text(text)) => Value::String(text.clone()),
            Some(Token::Word(word)) => match serde_json::from_str(word) {
                Ok(value @ (Value::Bool(_) | Value::Null | Value::Number(_))) => value,
                _ => return Err(refused("has a value that is not JSON")),
            },
            _ => return Err(refused("has no value after an operator")),
        };
        Ok(Filter::Compare(path, op, value))
    }
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            many(parts)
        }
        (None, _) => many(parts),
    }
}

/// An attribute's path in lower case, without the schema before it (RFC 7644 §3.10).
fn attribute(path: &str) -> Option<String> {
    let path = path.rsplit(':').next().unwrap_or(path).to_ascii_lowercase();
    let good = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c == '$')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_$".contains(c))
    };
    let names = path.split('.').count();
    (names <= 2 && path.split('.').all(good)).then_some(path)
}
