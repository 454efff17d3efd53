//! `/api/v1/audit` and `/api/v1/explain`.

use super::{Endpoint, json};
use crate::admission::{Lease, Leased};
use crate::api::Api;
use crate::input::{Ask, Body, Id};
use crate::openapi::Operation;
use crate::ports::{Caller, EventFilter, Tail};
use crate::problem::Problem;
use crate::views::{EventView, ExplainView};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::{Outcome, RequestId, code};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Events of one answer unless said.
const EVENTS_DEFAULT: usize = 100;
/// Events of one answer at most: some 500 KB of JSON.
const EVENTS_LARGEST: usize = 1000;
/// Bytes of an SQL text.
const SQL_BYTES: usize = 16 * 1024;
/// How long a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: "get",
            path: "/api/v1/audit/events",
            handler: get(events),
            operation: Operation::new("audit", "The newest events of this node, oldest first")
                .asks("limit", "integer", "How many, 1 to 1000; 100 unless said")
                .asks("follow", "boolean", "Go on with what comes, one JSON object a line")
                .asks("outcome", "string", "`allow`, `deny` or `error`")
                .asks("route", "string", "Only of this route")
                .asks("code", "string", "Only with this code")
                .answers(200, "The events", "EventList")
                .or_streams("application/x-ndjson"),
        },
        Endpoint {
            method: "post",
            path: "/api/v1/audit/query",
            handler: post(query),
            operation: Operation::new("audit", "Answers an SQL query over the table `events`")
                .takes("Query")
                .answers(200, "The rows", "Rows"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/explain/{request_id}",
            handler: get(explain),
            operation: Operation::new("audit", "What happened to a request, why, and what to do")
                .by("request_id", "The request's id, as its answer's X-Request-Id named it")
                .answers(200, "The explanation", "Explanation"),
        },
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsAsk {
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
    outcome: Option<OutcomeAsk>,
    route: Option<String>,
    code: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeAsk {
    Allow,
    Deny,
    Error,
}

impl From<OutcomeAsk> for Outcome {
    fn from(ask: OutcomeAsk) -> Self {
        match ask {
            OutcomeAsk::Allow => Self::Allow,
            OutcomeAsk::Deny => Self::Deny,
            OutcomeAsk::Error => Self::Error,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryAsk {
    sql: String,
}

async fn events(
    State(api): State<Api>,
    Leased(lease): Leased,
    Ask(ask): Ask<EventsAsk>,
) -> Result<Response, Problem> {
    let limit = ask.limit.unwrap_or(EVENTS_DEFAULT);
    if !(1..=EVENTS_LARGEST).contains(&limit) {
        return Err(Problem::invalid("limit", "must lie between 1 and 1000"));
    }
    let filter =
        EventFilter { outcome: ask.outcome.map(Outcome::from), route: ask.route, code: ask.code };
    if ask.follow {
        let slot = api.follower_slot()?;
        let tail = api.ledger.follow(filter, limit).await?;
        return Ok(lines(tail, slot, lease));
    }
    let found = api.ledger.recent(filter, limit).await?;
    let views: Vec<_> = found.iter().map(EventView::from).collect();
    Ok(json(StatusCode::OK, &views))
}

/// One JSON object a line, as events come. The slot is held until the caller goes, or may no longer listen.
fn lines(tail: Box<dyn Tail>, slot: OwnedSemaphorePermit, lease: Option<Lease>) -> Response {
    let stream = stream::unfold((tail, slot), |(mut tail, slot)| async move {
        let event = tail.next().await?;
        let mut line = serde_json::to_vec(&EventView::from(&event)).unwrap_or_default();
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), (tail, slot)))
    });
    let over = async move {
        match lease {
            Some(lease) => lease.over().await,
            None => std::future::pending().await,
        }
    };
    let body = axum::body::Body::from_stream(stream.take_until(Box::pin(over)));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

async fn query(
    State(api): State<Api>,
    _: Caller,
    Body(ask): Body<QueryAsk>,
) -> Result<Response, Problem> {
    if ask.sql.len() > SQL_BYTES {
        return Err(Problem::invalid("sql", "is longer than 16 KiB"));
    }
    let _slot = api.query_slot()?;
    match tokio::time::timeout(QUERY_TIMEOUT, api.ledger.query(ask.sql)).await {
        Ok(rows) => Ok(json(StatusCode::OK, &rows?)),
        Err(_) => Err(Problem::with(code::QUERY_INVALID, "the query took longer than 60 s")),
    }
}

async fn explain(State(api): State<Api>, _: Caller, Id(id): Id) -> Result<Response, Problem> {
    let request: RequestId =
        id.parse().map_err(|_| Problem::invalid("request_id", "is not a request id"))?;
    match api.ledger.explain(request).await? {
        Some(event) => Ok(json(StatusCode::OK, &ExplainView::of(request.to_string(), &event))),
        None => Err(Problem::with(
            code::API_NOT_FOUND,
            format!("no record of {request} here; node {} took it", request.node()),
        )),
    }
}
