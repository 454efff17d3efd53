//! A query to a plan: names resolved, types checked, aggregates and groups given their slots.

use super::columns::{Column, read_time};
use super::error::QueryError;
use super::parse::{Aggregate, Comparison, Expr, Item, Query, Slot};
use super::value::Value;

/// What is done with each row, and at the end.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) condition: Option<Expr>,
    pub(crate) items: Vec<Item>,
    pub(crate) having: Option<Expr>,
    pub(crate) order: Vec<(Expr, bool)>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    /// Present when rows are grouped; then `items`, `having` and `order` refer to slots only.
    pub(crate) grouping: Option<Grouping>,
    /// No row outside this span (milliseconds) can meet the condition.
    pub(crate) times: (i64, i64),
}

/// How rows are grouped.
#[derive(Debug)]
pub(crate) struct Grouping {
    pub(crate) keys: Vec<Expr>,
    pub(crate) aggregates: Vec<Aggregate>,
}

/// Makes the plan.
pub(crate) fn plan(query: Query) -> Result<Plan, QueryError> {
    let Query { distinct, mut items, mut condition, groups, mut having, order, limit, offset } =
        query;
    for item in &mut items {
        check(&mut item.expr)?;
    }
    for expr in condition.iter_mut().chain(&mut having) {
        check(expr)?;
    }
    if condition.as_ref().is_some_and(has_aggregate) {
        return meaning("WHERE judges single rows: conditions on aggregates stand in HAVING");
    }
    let mut keys: Vec<Expr> =
        groups.into_iter().map(|it| resolve(it, &items)).collect::<Result<_, _>>()?;
    let mut order: Vec<(Expr, bool)> = order
        .into_iter()
        .map(|(expr, descending)| Ok((resolve(expr, &items)?, descending)))
        .collect::<Result<_, QueryError>>()?;
    let all = || items.iter().map(|it| &it.expr).chain(&having).chain(order.iter().map(|it| &it.0));
    let aggregated = all().any(has_aggregate);
    if distinct {
        if aggregated || !keys.is_empty() {
            return meaning("DISTINCT stands alone: without GROUP BY and aggregates");
        }
        keys = items.iter().map(|it| it.expr.clone()).collect();
    }
    let times = condition.as_ref().map_or((i64::MIN, i64::MAX), time_range);
    if !aggregated && keys.is_empty() {
        if having.is_some() {
            return meaning("HAVING needs GROUP BY or an aggregate");
        }
        let grouping = None;
        return Ok(Plan { condition, items, having, order, limit, offset, grouping, times });
    }
    if keys.iter().any(has_aggregate) {
        return meaning("an aggregate cannot be grouped by");
    }
    let mut grouping = Grouping { keys, aggregates: Vec::new() };
    for item in &mut items {
        grouping.place(&mut item.expr)?;
    }
    for expr in having.iter_mut().chain(order.iter_mut().map(|it| &mut it.0)) {
        grouping.place(expr)?;
    }
    let grouping = Some(grouping);
    Ok(Plan { condition, items, having, order, limit, offset, grouping, times })
}

fn meaning<T>(what: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Meaning(what.into()))
}

/// Puts the item in the place of its name or number.
fn resolve(expr: Expr, items: &[Item]) -> Result<Expr, QueryError> {
    let mut expr = match expr {
        Expr::Named(name) => {
            let found = items.iter().find(|item| item.name.eq_ignore_ascii_case(&name));
            match found {
                Some(item) => item.expr.clone(),
                None => {
                    return meaning(format!("`{name}` is neither a column nor an item of SELECT"));
                }
            }
        }
        Expr::Literal(Value::Int(number)) => {
            let at = usize::try_from(number).ok().and_then(|it| it.checked_sub(1));
            match at.and_then(|at| items.get(at)) {
                Some(item) => item.expr.clone(),
                None => return meaning(format!("there is no item number {number} in SELECT")),
            }
        }
        other => other,
    };
    check(&mut expr)?;
    Ok(expr)
}

impl Grouping {
    /// Replaces what is grouped by and what is aggregated by slots.
    fn place(&mut self, expr: &mut Expr) -> Result<(), QueryError> {
        if let Some(at) = self.keys.iter().position(|key| key == expr) {
            *expr = Expr::Slot(Slot::Group(at));
            return Ok(());
        }
        match expr {
            Expr::Aggregate(aggregate) => {
                if aggregate.of.as_deref().is_some_and(has_aggregate) {
                    return meaning("an aggregate of an aggregate has no meaning");
                }
                let known = self.aggregates.iter().position(|it| it == aggregate);
                let at = known.unwrap_or_else(|| {
                    self.aggregates.push(aggregate.clone());
                    self.aggregates.len() - 1
                });
                *expr = Expr::Slot(Slot::Aggregate(at));
                Ok(())
            }
            Expr::Column(column) => meaning(format!(
                "`{}` must stand in GROUP BY, or inside an aggregate such as max({0})",
                column.name()
            )),
            _ => children(expr).into_iter().try_for_each(|child| self.place(child)),
        }
    }
}

fn has_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Aggregate(_) => true,
        Expr::Column(_) | Expr::Literal(_) | Expr::Named(_) | Expr::Slot(_) => false,
        Expr::Call(_, arguments) => arguments.iter().any(has_aggregate),
        Expr::In(inner, list) => has_aggregate(inner) || list.iter().any(has_aggregate),
        Expr::Not(inner) | Expr::Like(inner, _) | Expr::IsNull(inner) => has_aggregate(inner),
        Expr::Both(a, b) | Expr::Either(a, b) | Expr::Compare(_, a, b) => {
            has_aggregate(a) || has_aggregate(b)
        }
    }
}

fn children(expr: &mut Expr) -> Vec<&mut Expr> {
    match expr {
        Expr::Column(_) | Expr::Literal(_) | Expr::Named(_) | Expr::Slot(_) => Vec::new(),
        Expr::Aggregate(aggregate) => aggregate.of.iter_mut().map(|it| &mut **it).collect(),
        Expr::Call(_, arguments) => arguments.iter_mut().collect(),
        Expr::In(inner, list) => std::iter::once(&mut **inner).chain(list).collect(),
        Expr::Not(inner) | Expr::Like(inner, _) | Expr::IsNull(inner) => vec![inner],
        Expr::Both(a, b) | Expr::Either(a, b) | Expr::Compare(_, a, b) => vec![a, b],
    }
}

/// Checks that what is compared can be compared, and brings literals into the column's form.
fn check(expr: &mut Expr) -> Result<(), QueryError> {
    match expr {
        Expr::Named(name) => return meaning(format!("there is no column `{name}`")),
        Expr::Compare(_, a, b) => match (&**a, &mut **b) {
            (Expr::Column(column), Expr::Literal(literal)) => fit(*column, literal)?,
            _ => {
                if let (Expr::Literal(literal), Expr::Column(column)) = (&mut **a, &**b) {
                    fit(*column, literal)?;
                }
            }
        },
        Expr::In(inner, list) => {
            if let Expr::Column(column) = **inner {
                for literal in list.iter_mut() {
                    if let Expr::Literal(literal) = literal {
                        fit(column, literal)?;
                    }
                }
            }
        }
        _ => {}
    }
    children(expr).into_iter().try_for_each(check)
}

fn fit(column: Column, literal: &mut Value) -> Result<(), QueryError> {
    let name = column.name();
    match literal {
        Value::Text(text) if column.is_number() => match text.parse() {
            Ok(number) => *literal = Value::Int(number),
            Err(_) => return meaning(format!("`{name}` is a number, and '{text}' is not")),
        },
        Value::Int(_) | Value::Float(_) if !column.is_number() => {
            let hint = if column.is_time() { " such as '2025-11-24T16:00'" } else { "" };
            return meaning(format!(
                "`{name}` is text: compare it with text in single quotes{hint}"
            ));
        }
        Value::Text(text) if column.is_time() => {
            // A space between day and hour is common, and would order before any T.
            let iso = text.trim().replacen(' ', "T", 1);
            if read_time(&iso).is_none() {
                return meaning(format!(
                    "'{text}' is no time; times are UTC and look like '2025-11-24T16:00:00.000Z', or the \
                     front of that"
                ));
            }
            *text = iso;
        }
        Value::Text(text) => {
            let words: &[&str] = match name {
                "outcome" => &["allow", "deny", "error"],
                "kind" => &["decision", "completion", "admin", "system", "gap"],
                _ => return Ok(()),
            };
            if !words.contains(&text.as_str()) {
                return meaning(format!(
                    "`{name}` is never '{text}'; it is one of {}",
                    words.join(", ")
                ));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The span outside which no row can meet the condition; inclusive.
fn time_range(condition: &Expr) -> (i64, i64) {
    const ALL: (i64, i64) = (i64::MIN, i64::MAX);
    match condition {
        Expr::Both(a, b) => {
            let (a, b) = (time_range(a), time_range(b));
            (a.0.max(b.0), a.1.min(b.1))
        }
        Expr::Compare(comparison, a, b) => {
            let (Expr::Column(column), Expr::Literal(Value::Text(text))) = (&**a, &**b) else {
                return ALL;
            };
            let Some(time) = read_time(text).filter(|_| column.is_time()) else { return ALL };
            match comparison {
                Comparison::Equal => (time.0, time.0),
                Comparison::Unequal => ALL,
                Comparison::Less | Comparison::LessOrEqual => (i64::MIN, time.0),
                Comparison::Greater | Comparison::GreaterOrEqual => (time.0, i64::MAX),
            }
        }
        _ => ALL,
    }
}
