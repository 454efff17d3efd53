//! The value of an expression in a row or a group. Total: what has no value is null.

use super::columns::Column;
use super::parse::{Comparison, Expr, Function, Slot};
use super::value::Value;
use base::Event;
use std::cmp::Ordering;

/// Where columns and slots get their values from.
pub(crate) enum Source<'a> {
    Row(&'a Event),
    Group { keys: &'a [Value], aggregates: &'a [Value] },
}

impl Source<'_> {
    fn column(&self, column: Column) -> Value {
        match self {
            Self::Row(event) => column.of(event),
            Self::Group { .. } => Value::Null,
        }
    }

    fn slot(&self, slot: Slot) -> Value {
        let found = match (self, slot) {
            (Self::Group { keys, .. }, Slot::Group(at)) => keys.get(at),
            (Self::Group { aggregates, .. }, Slot::Aggregate(at)) => aggregates.get(at),
            (Self::Row(_), _) => None,
        };
        found.cloned().unwrap_or(Value::Null)
    }

    /// The value of `expr`.
    pub(crate) fn value(&self, expr: &Expr) -> Value {
        match expr {
            Expr::Column(column) => self.column(*column),
            Expr::Literal(value) => value.clone(),
            Expr::Slot(slot) => self.slot(*slot),
            Expr::Call(function, arguments) => self.call(*function, arguments),
            Expr::Aggregate(_) | Expr::Named(_) => Value::Null,
            _ => self.truth(expr).map_or(Value::Null, Value::Bool),
        }
    }

    /// Whether `expr` holds; nothing when that is unknown, as SQL's three-valued logic has it.
    pub(crate) fn truth(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Not(inner) => self.truth(inner).map(|it| !it),
            Expr::Both(a, b) => match (self.truth(a), self.truth(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Expr::Either(a, b) => match (self.truth(a), self.truth(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Expr::Compare(comparison, a, b) => {
                let order = self.value(a).compare(&self.value(b))?;
                Some(comparison.holds(order))
            }
            Expr::In(inner, list) => self.within(inner, list),
            Expr::Like(inner, pattern) => match self.value(inner) {
                Value::Text(text) => Some(like(&text, pattern)),
                _ => None,
            },
            Expr::IsNull(inner) => Some(matches!(self.value(inner), Value::Null)),
            other => match self.value(other) {
                Value::Bool(it) => Some(it),
                _ => None,
            },
        }
    }

    fn within(&self, inner: &Expr, list: &[Expr]) -> Option<bool> {
        let value = self.value(inner);
        let mut unknown = matches!(value, Value::Null);
        for candidate in list {
            match value.compare(&self.value(candidate)) {
                Some(Ordering::Equal) => return Some(true),
                Some(_) => {}
                None => unknown = true,
            }
        }
        if unknown { None } else { Some(false) }
    }

    fn call(&self, function: Function, arguments: &[Expr]) -> Value {
        let mut values = arguments.iter().map(|it| self.value(it));
        let Some(Value::Text(text)) = values.next() else { return Value::Null };
        match function {
            Function::Lower => Value::Text(text.to_lowercase()),
            Function::Upper => Value::Text(text.to_uppercase()),
            Function::Substr => {
                let mut number = || match values.next() {
                    Some(Value::Int(number)) => Some(number),
                    _ => None,
                };
                let Some(from) = number() else { return Value::Null };
                let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(0);
                let take = if arguments.len() > 2 { number() } else { Some(i64::MAX) };
                let Some(take) = take else { return Value::Null };
                let take = usize::try_from(take).unwrap_or(0);
                Value::Text(text.chars().skip(skip).take(take).collect())
            }
        }
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// SQL's LIKE: `%` any run of characters, `_` one. At most `text × pattern` steps.
pub(crate) fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where to go on when what follows the last `%` does not match: it takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = text.get(at) {
        match pattern.get(of) {
            Some('%') => {
                retry = Some((at, of));
                of += 1;
            }
            Some(p) if *p == '_' || p == c => {
                at += 1;
                of += 1;
            }
            _ => match retry {
                Some((from, percent)) => {
                    retry = Some((from + 1, percent));
                    (at, of) = (from + 1, percent + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(of).all(|p| *p == '%')
}
