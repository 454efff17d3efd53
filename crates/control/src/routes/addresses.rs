//! `/api/v1/ip`.

use super::{Endpoint, json, listing};
use crate::api::Api;
use crate::input::{Ask, Body, Id, page};
use crate::openapi::Operation;
use crate::ports::Caller;
use crate::problem::Problem;
use crate::views::NewIpEntry;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde::Deserialize;
use std::net::IpAddr;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/ip/entries",
            handler: post(add),
            operation: Operation::new("ip", "Lets an address or network into a list for a time")
                .takes("NewIpEntry")
                .answers(201, "The entry, once this node's gate heeds it", "IpEntry"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/ip/entries",
            handler: get(list),
            operation: Operation::new("ip", "Lists run-time address entries by id")
                .paged()
                .asks("list", "string", "Only those of this list")
                .answers(200, "A page of entries", "IpEntryList"),
        },
        Endpoint {
            method: "delete",
            path: "/api/v1/ip/entries/{id}",
            handler: delete(remove),
            operation: Operation::new("ip", "Removes a run-time address entry")
                .by_id("The entry's id")
                .answers(200, "The entry as it was", "IpEntry"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/ip/test",
            handler: get(test),
            operation: Operation::new("ip", "Says which rules match an address")
                .needs("address", "string", "An IPv4 or IPv6 address")
                .asks("list", "string", "Only this list")
                .answers(200, "What each list says", "IpTest"),
        },
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesAsk {
    limit: Option<u32>,
    after: Option<String>,
    list: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestAsk {
    address: String,
    list: Option<String>,
}

async fn add(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewIpEntry>,
) -> Result<Response, Problem> {
    known(&api, Some(&ask.list))?;
    let done = api.admin.add_ip(by, ask).await?;
    api.in_force(done.seq, &format!("the entry {} is kept", done.record.id)).await?;
    Ok(json(StatusCode::CREATED, &done.record))
}

async fn list(
    State(api): State<Api>,
    _: Caller,
    Ask(ask): Ask<EntriesAsk>,
) -> Result<Response, Problem> {
    let page = page(ask.limit, ask.after)?;
    let full = page.rows;
    let entries = api.admin.ips(ask.list, page).await?;
    Ok(listing("entries", &entries, full, |entry| &entry.id))
}

async fn remove(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.admin.remove_ip(by, id).await?;
    api.in_force(done.seq, "the entry is removed in the store").await?;
    Ok(json(StatusCode::OK, &done.record))
}

async fn test(
    State(api): State<Api>,
    _: Caller,
    Ask(ask): Ask<TestAsk>,
) -> Result<Response, Problem> {
    let address: IpAddr = ask
        .address
        .parse()
        .map_err(|_| Problem::invalid("address", "is not an IPv4 or IPv6 address"))?;
    known(&api, ask.list.as_deref())?;
    let view = api.ip_test.test(address.to_canonical(), ask.list.as_deref());
    Ok(json(StatusCode::OK, &view))
}

/// A list that no file declares would let nobody in: a slip that must be said.
fn known(api: &Api, list: Option<&str>) -> Result<(), Problem> {
    match list {
        Some(list) if !api.ip_test.lists().iter().any(|it| it == list) => {
            Err(Problem::invalid("list", "no [[ip_list]] has this name"))
        }
        _ => Ok(()),
    }
}
