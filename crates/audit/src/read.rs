//! Reads the ledger: one request, the newest events, what comes, and small queries.

use crate::disk::{Disk, RealDisk};
use crate::error::ReadError;
use crate::fold;
use crate::query;
use crate::scan::{self, Found, SegmentReader, Tail};
use base::{Event, Kind, Outcome, RequestId, UnixMs};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How far a record's time may lie from the time in its request's id, milliseconds: clocks are stepped.
const TOLERANCE_MS: i64 = 2000;
/// How much later than its request's id says a record is looked for, milliseconds.
const LATE_MS: i64 = 600_000;
/// Events that are looked at for the newest ones that a filter wants; at about 1 µs each this is a second.
const RECENT_SCANNED: usize = 1_000_000;
/// Completions that are held while a query joins them; at about 150 bytes each this is 150 MB.
const JOINED: usize = 1_000_000;

/// What there is about a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Its own record; where it was completed later, with what the completion says.
    Own(Event),
    /// The counted record that names it, or the only one that can stand for it.
    Folded(Event),
    /// Counted records one of which stands for it; it is not known which.
    OneOf(Vec<Event>),
}

/// Reads a ledger's files; it may be open in this or another process.
#[derive(Debug, Clone)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Reader {
    /// A reader of the ledger in `dir` (`DIR/ledger`).
    pub fn new(dir: PathBuf) -> Self {
        Self::on(Arc::new(RealDisk), dir)
    }

    /// A reader on any disk.
    pub fn on(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// The record of a request.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn find(&self, id: RequestId) -> Result<Option<Record>, ReadError> {
        let time = id.time().0;
        let near = |found: &Found| {
            let (from, to) = found.header.times;
            from.saturating_sub(TOLERANCE_MS) <= time && time <= to.saturating_add(TOLERANCE_MS)
        };
        let mut hits = self.about(id, near)?;
        if hits.iter().all(|it| it.request_id != Some(id)) {
            // It may be recorded under a later time than the request came in.
            let later = |found: &Found| {
                let (from, to) = found.header.times;
                to >= time && from <= time.saturating_add(LATE_MS) && !near(found)
            };
            hits.extend(self.about(id, later)?);
        }
        let own = |event: &&Event| event.request_id == Some(id);
        let completion = hits.iter().filter(own).find(|it| it.kind == Kind::Completion);
        // What the gate decided stands before what came of it elsewhere, such as at the authority.
        let decision = hits.iter().filter(own).find(|it| it.kind == Kind::Decision);
        let other = hits.iter().filter(own).find(|it| it.kind != Kind::Completion);
        let decision = decision.or(other);
        Ok(match (decision, completion) {
            (Some(decision), Some(completion)) => {
                Some(Record::Own(join(decision.clone(), completion)))
            }
            (Some(one), None) | (None, Some(one)) => Some(Record::Own(one.clone())),
            (None, None) => folded(id, hits),
        })
    }

    /// Events of this request, and folded records of its time.
    fn about(
        &self,
        id: RequestId,
        wanted: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Event>, ReadError> {
        let time = id.time().0.saturating_sub(TOLERANCE_MS);
        let mut segments = scan::segments(&self.disk, &self.dir)?;
        let began: Vec<i64> = segments.iter().skip(1).map(SegmentReader::began_ms).collect();
        let mut hits = Vec::new();
        for (at, segment) in segments.iter_mut().enumerate() {
            // Nothing of this request can have been written before it came in.
            if began.get(at).is_some_and(|next| *next < time) {
                continue;
            }
            while let Some(found) = segment.next()? {
                if wanted(&found) {
                    let events = segment.events(&found)?.into_iter();
                    hits.extend(events.filter(|it| it.request_id == Some(id) || may_cover(it, id)));
                }
            }
        }
        Ok(hits)
    }

    /// The newest `limit` events that `wants` takes, oldest first, and a tail that goes on behind them. A
    /// filter that takes few is given up after a million events.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn recent(
        &self,
        limit: usize,
        wants: impl Fn(&Event) -> bool,
    ) -> Result<(Vec<Event>, Tail), ReadError> {
        let mut segments = scan::segments(&self.disk, &self.dir)?;
        let mut newest = Vec::new();
        let (mut scanned, mut last) = (0usize, None);
        while let Some(mut segment) = segments.pop() {
            let mut frames = Vec::new();
            while let Some(found) = segment.next()? {
                frames.push(found);
            }
            for found in frames.iter().rev() {
                if newest.len() >= limit || scanned >= RECENT_SCANNED {
                    break;
                }
                let events = segment.events(found)?;
                scanned += events.len();
                newest.extend(events.into_iter().rev().filter(|it| wants(it)));
            }
            if last.is_none() {
                last = Some(segment);
            }
            if newest.len() >= limit || scanned >= RECENT_SCANNED {
                break;
            }
        }
        newest.truncate(limit);
        newest.reverse();
        Ok((newest, Tail::new(Arc::clone(&self.disk), self.dir.clone(), last)))
    }

    /// Answers `SELECT … FROM events …`. Completions are joined to their decisions: one row a request.
    ///
    /// # Errors
    /// [`ReadError::Query`] when the text is not a query that can be answered, or would take too much.
    pub fn query(&self, sql: &str) -> Result<Vec<Map<String, Value>>, ReadError> {
        self.query_while(sql, &|| true)
    }

    /// As [`Reader::query`], for as long as `go_on` says so.
    ///
    /// # Errors
    /// As there, and [`ReadError::Stopped`].
    pub fn query_while(
        &self,
        sql: &str,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Map<String, Value>>, ReadError> {
        let mut run = query::Run::new(query::parse(sql)?);
        let (from, to) = run.time_range();
        let mut completions = self.completions(from, go_on)?;
        for mut segment in scan::segments(&self.disk, &self.dir)? {
            while let Some(found) = segment.next()? {
                let (first, last) = found.header.times;
                if last < from || first > to {
                    continue;
                }
                if !go_on() {
                    return Err(ReadError::Stopped);
                }
                for event in segment.events(&found)? {
                    if let Some(row) = joined(event, &mut completions) {
                        run.row(&row)?;
                    }
                }
            }
        }
        // Completions whose decision lies before the time that was asked for.
        let mut rest: Vec<Event> = completions.into_values().collect();
        rest.sort_by_key(|event| (event.time, event.id));
        rest.iter().try_for_each(|event| run.row(event))?;
        Ok(run.finish()?)
    }

    fn completions(
        &self,
        from: i64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<HashMap<RequestId, Event>, ReadError> {
        let mut all = HashMap::new();
        for mut segment in scan::segments(&self.disk, &self.dir)? {
            while let Some(found) = segment.next()? {
                if !found.header.completions || found.header.times.1 < from {
                    continue;
                }
                if !go_on() {
                    return Err(ReadError::Stopped);
                }
                let events = segment.events(&found)?.into_iter();
                for event in events.filter(|it| it.kind == Kind::Completion) {
                    if let Some(id) = event.request_id {
                        all.insert(id, event);
                    }
                }
                if all.len() > JOINED {
                    return Err(query::QueryError::TooMuch("completions").into());
                }
            }
        }
        Ok(all)
    }
}

/// A decision with its completion; nothing for a completion that a decision has or will have taken.
fn joined(event: Event, completions: &mut HashMap<RequestId, Event>) -> Option<Event> {
    match event.kind {
        // The rest is given out at the end. One without a request stands alone.
        Kind::Completion => event.request_id.is_none().then_some(event),
        Kind::Decision => match event.request_id.and_then(|id| completions.remove(&id)) {
            Some(completion) => Some(join(event, &completion)),
            None => Some(event),
        },
        _ => Some(event),
    }
}

/// What is known of a request once it is over.
fn join(decision: Event, completion: &Event) -> Event {
    let mut event = Event {
        status: completion.status,
        latency_us: completion.latency_us,
        upstream_us: completion.upstream_us,
        bytes_in: completion.bytes_in,
        bytes_out: completion.bytes_out,
        ..decision
    };
    if completion.outcome != Outcome::Allow {
        event.outcome = completion.outcome;
        event.code = completion.code.clone();
        event.phase = completion.phase;
    }
    if completion.detail.is_some() {
        event.detail = completion.detail.clone();
    }
    event
}

fn may_cover(event: &Event, id: RequestId) -> bool {
    let within = |(first, last): (UnixMs, UnixMs)| {
        let time = id.time().0;
        first.0.saturating_sub(TOLERANCE_MS) <= time && time <= last.0.saturating_add(TOLERANCE_MS)
    };
    event.node == id.node() && event.request_id.is_none() && fold::span(event).is_some_and(within)
}

fn folded(id: RequestId, hits: Vec<Event>) -> Option<Record> {
    if let Some(named) = hits.iter().find(|it| fold::names(it, id)) {
        return Some(Record::Folded(named.clone()));
    }
    // Within the very second of the fold, if there is one; else whatever is near.
    let time = id.time();
    let exact = |it: &&Event| fold::span(it).is_some_and(|(from, to)| from <= time && time <= to);
    let mut sure: Vec<Event> = hits.iter().filter(exact).cloned().collect();
    if sure.is_empty() {
        sure = hits;
    }
    match (sure.pop(), sure.is_empty()) {
        (None, _) => None,
        (Some(only), true) => Some(Record::Folded(only)),
        (Some(last), false) => {
            sure.push(last);
            Some(Record::OneOf(sure))
        }
    }
}
