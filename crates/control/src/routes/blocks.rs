//! `/api/v1/blocks`.

use super::{Endpoint, json, listing};
use crate::api::Api;
use crate::input::{Ask, Body, Id, PageAsk};
use crate::openapi::Operation;
use crate::ports::Caller;
use crate::problem::Problem;
use crate::views::NewBlock;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::StatusCode;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            method: "post",
            path: "/api/v1/blocks",
            handler: post(add),
            operation: Operation::new("blocks", "Blocks a subject, a client or a token")
                .takes("NewBlock")
                .answers(201, "The block, once this node's gate heeds it", "Block"),
        },
        Endpoint {
            method: "get",
            path: "/api/v1/blocks",
            handler: get(list),
            operation: Operation::new("blocks", "Lists blocks by id").paged().answers(
                200,
                "A page of blocks",
                "BlockList",
            ),
        },
        Endpoint {
            method: "delete",
            path: "/api/v1/blocks/{id}",
            handler: delete(remove),
            operation: Operation::new("blocks", "Lifts a block").by_id("The block's id").answers(
                200,
                "The block as it was",
                "Block",
            ),
        },
    ]
}

async fn add(
    State(api): State<Api>,
    by: Caller,
    Body(ask): Body<NewBlock>,
) -> Result<Response, Problem> {
    // A slip in the name would make a block that blocks nobody: it must be said.
    if ask.issuer.as_ref().is_some_and(|name| !api.ip_test.issuers().contains(name)) {
        return Err(Problem::invalid("issuer", "no [[issuer]] has this name"));
    }
    let done = api.admin.add_block(by, ask).await?;
    api.in_force(done.seq, &format!("the block {} is kept", done.record.id)).await?;
    Ok(json(StatusCode::CREATED, &done.record))
}

async fn list(
    State(api): State<Api>,
    _: Caller,
    Ask(ask): Ask<PageAsk>,
) -> Result<Response, Problem> {
    let page = ask.page()?;
    let full = page.rows;
    let blocks = api.admin.blocks(page).await?;
    Ok(listing("blocks", &blocks, full, |block| &block.id))
}

async fn remove(State(api): State<Api>, by: Caller, Id(id): Id) -> Result<Response, Problem> {
    let done = api.admin.remove_block(by, id).await?;
    api.in_force(done.seq, "the block is lifted in the store").await?;
    Ok(json(StatusCode::OK, &done.record))
}
