//! Runs a plan over rows, within bounds.

use super::error::QueryError;
use super::evaluate::Source;
use super::parse::{Aggregate, AggregateKind, Query};
use super::plan::{Plan, plan};
use super::value::Value;
use base::Event;
use serde_json::{Map, Value as Json};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// Rows that are looked at: at about 1.5 µs each this is half a minute.
const SCANNED: u64 = 20_000_000;
/// Groups, and distinct values in all of them together; at about 200 bytes each this is 20 MB.
const GROUPS: usize = 100_000;
/// Rows of an answer, with LIMIT or without.
const ANSWER: usize = 10_000;

/// A query on its way.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Result<Plan, QueryError>,
    scanned: u64,
    /// Without groups: the rows so far, each with what it is ordered by.
    rows: Vec<Row>,
    groups: HashMap<Vec<Value>, Vec<Accumulator>>,
    distinct: usize,
}

#[derive(Debug)]
struct Row {
    order: Vec<Value>,
    values: Vec<Value>,
}

impl Run {
    pub(crate) fn new(query: Query) -> Self {
        let plan = plan(query);
        Self { plan, scanned: 0, rows: Vec::new(), groups: HashMap::new(), distinct: 0 }
    }

    /// The span of times outside which no row is wanted; milliseconds, inclusive.
    pub(crate) fn time_range(&self) -> (i64, i64) {
        self.plan.as_ref().map_or((i64::MAX, i64::MIN), |plan| plan.times)
    }

    /// Takes a row.
    pub(crate) fn row(&mut self, event: &Event) -> Result<(), QueryError> {
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        self.scanned += 1;
        if self.scanned > SCANNED {
            return Err(QueryError::TooMuch("rows to look at"));
        }
        let source = Source::Row(event);
        if plan.condition.as_ref().is_some_and(|it| source.truth(it) != Some(true)) {
            return Ok(());
        }
        let Some(grouping) = &plan.grouping else {
            let values = plan.items.iter().map(|item| source.value(&item.expr)).collect();
            let order = plan.order.iter().map(|(expr, _)| source.value(expr)).collect();
            self.rows.push(Row { order, values });
            return trim(plan, &mut self.rows);
        };
        let key: Vec<Value> = grouping.keys.iter().map(|it| source.value(it)).collect();
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&key) {
            return Err(QueryError::TooMuch("groups"));
        }
        let new = || grouping.aggregates.iter().map(Accumulator::new).collect();
        let accumulators = self.groups.entry(key).or_insert_with(new);
        for (accumulator, aggregate) in accumulators.iter_mut().zip(&grouping.aggregates) {
            let value = aggregate.of.as_ref().map(|it| source.value(it));
            self.distinct += usize::from(accumulator.take(value));
        }
        if self.distinct > GROUPS {
            return Err(QueryError::TooMuch("distinct values"));
        }
        Ok(())
    }

    /// The answer.
    pub(crate) fn finish(self) -> Result<Vec<Map<String, Json>>, QueryError> {
        let (plan, mut rows, mut groups) = (self.plan?, self.rows, self.groups);
        if let Some(grouping) = &plan.grouping {
            if grouping.keys.is_empty() && groups.is_empty() {
                // Aggregates over no rows are one row.
                groups
                    .insert(Vec::new(), grouping.aggregates.iter().map(Accumulator::new).collect());
            }
            for (keys, accumulators) in groups {
                let aggregates: Vec<Value> =
                    accumulators.into_iter().map(Accumulator::finish).collect();
                let source = Source::Group { keys: &keys, aggregates: &aggregates };
                if plan.having.as_ref().is_some_and(|it| source.truth(it) != Some(true)) {
                    continue;
                }
                let values = plan.items.iter().map(|item| source.value(&item.expr)).collect();
                let mut order: Vec<Value> =
                    plan.order.iter().map(|(expr, _)| source.value(expr)).collect();
                // Without an order of its own the answer still has the same one each time.
                order.extend(keys.iter().cloned());
                rows.push(Row { order, values });
            }
        }
        sort(&plan, &mut rows);
        let limit = plan.limit.unwrap_or(usize::MAX);
        let wanted: Vec<Row> = rows.into_iter().skip(plan.offset).take(limit).collect();
        if wanted.len() > ANSWER {
            return Err(QueryError::TooMuch("rows in the answer"));
        }
        let object = |row: Row| {
            let names = plan.items.iter().map(|item| item.name.clone());
            names.zip(row.values.into_iter().map(Value::json)).collect()
        };
        Ok(wanted.into_iter().map(object).collect())
    }
}

/// Keeps only the rows that can still be part of the answer.
fn trim(plan: &Plan, rows: &mut Vec<Row>) -> Result<(), QueryError> {
    let keep = plan.limit.map(|limit| limit.saturating_add(plan.offset));
    match keep {
        Some(keep) if keep <= ANSWER => {
            if plan.order.is_empty() {
                rows.truncate(keep);
            } else if rows.len() >= 2 * keep + 1000 {
                sort(plan, rows);
                rows.truncate(keep);
            }
            Ok(())
        }
        _ if rows.len() > 2 * ANSWER => Err(QueryError::TooMuch("rows in the answer")),
        _ => Ok(()),
    }
}

fn sort(plan: &Plan, rows: &mut [Row]) {
    let descending = |at: usize| plan.order.get(at).is_some_and(|(_, descending)| *descending);
    rows.sort_by(|a, b| {
        let columns = a.order.iter().zip(&b.order).enumerate();
        let orders = columns.map(|(at, (a, b))| {
            let order = a.order(b);
            if descending(at) { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
}

/// An aggregate on its way.
#[derive(Debug)]
struct Accumulator {
    kind: AggregateKind,
    seen: Option<HashSet<Value>>,
    count: i64,
    whole: i128,
    fraction: f64,
    is_fraction: bool,
    extreme: Value,
}

impl Accumulator {
    fn new(aggregate: &Aggregate) -> Self {
        Self {
            kind: aggregate.kind,
            seen: aggregate.distinct.then(HashSet::new),
            count: 0,
            whole: 0,
            fraction: 0.0,
            is_fraction: false,
            extreme: Value::Null,
        }
    }

    /// Takes a value (nothing for `count(*)`); says whether it was kept as a new distinct one.
    fn take(&mut self, value: Option<Value>) -> bool {
        let Some(value) = value else {
            self.count += 1;
            return false;
        };
        if matches!(value, Value::Null) {
            return false;
        }
        let mut kept = false;
        if let Some(seen) = &mut self.seen {
            if !seen.insert(value.clone()) {
                return false;
            }
            kept = true;
        }
        self.count += 1;
        match &value {
            Value::Int(number) => self.whole += i128::from(*number),
            Value::Float(number) => {
                self.fraction += number;
                self.is_fraction = true;
            }
            _ => {}
        }
        let better = match (self.kind, value.compare(&self.extreme)) {
            (AggregateKind::Min, Some(order)) => order.is_lt(),
            (AggregateKind::Max, Some(order)) => order.is_gt(),
            (AggregateKind::Min | AggregateKind::Max, None) => matches!(self.extreme, Value::Null),
            _ => false,
        };
        if better {
            self.extreme = value;
        }
        kept
    }

    fn finish(self) -> Value {
        let sum = self.whole as f64 + self.fraction;
        match self.kind {
            AggregateKind::Count => Value::Int(self.count),
            AggregateKind::Min | AggregateKind::Max => self.extreme,
            _ if self.count == 0 => Value::Null,
            AggregateKind::Avg => Value::Float(sum / self.count as f64),
            AggregateKind::Sum => match i64::try_from(self.whole) {
                Ok(whole) if !self.is_fraction => Value::Int(whole),
                _ => Value::Float(sum),
            },
        }
    }
}
