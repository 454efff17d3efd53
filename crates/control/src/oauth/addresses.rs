//! The page on which people let the network address that they come from into a list of the gate, for some hours.
//!
//! Never does: read an address from a form. What counts is where the request came from, as the control address knows it
//! (`serve::door`).

use super::Issuer;
use super::account::moment;
use super::answer::see_other;
use super::methods::refuse;
use super::person::{Visit, forged, message, own_login};
use super::second::{self, METHODS, broken};
use crate::pages::addresses::{Addresses, EntryView, ListView};
use crate::pages::forms::{Message, page};
use authority::oauth::{
    AllowRefused, MethodRefused, OWN_ADDRESSES_MOST, OwnAddress, OwnAddresses, Reach, SelfService,
};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use std::net::IpAddr;
use std::time::Duration;

/// Where it is.
pub(super) const ADDRESSES: &str = "/account/addresses";
/// The name of the page's forms, for their CSRF token.
const FORM: &str = "addresses";
/// How long the answer to a form waits for the gate: it is there within milliseconds, or something is wrong elsewhere.
const IN_FORCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<Issuer> {
    Router::new()
        .route(ADDRESSES, get(addresses))
        .route("/account/addresses/allow", post(allow))
        .route("/account/addresses/end", post(end))
}

async fn addresses(State(issuer): State<Issuer>, visit: Visit) -> Response {
    let session = visit.session();
    let Some(text) = &session else { return own_login(&issuer, &visit, None) };
    if let Some(step) = second::own_step(&issuer, &visit, text, None).await {
        return step;
    }
    match issuer.oauth().own_addresses(session.as_ref(), &visit.origin).await {
        Ok(Some(own)) => list(&issuer, &visit, own),
        Ok(None) => own_login(&issuer, &visit, None),
        Err(_) => broken(&issuer, &visit),
    }
}

fn list(issuer: &Issuer, visit: &Visit, own: OwnAddresses) -> Response {
    let said = match visit.param("done") {
        "allowed" => Some("Your address is let in."),
        "ended" => Some("That is ended."),
        _ => None,
    };
    let csrf = visit.session().map(|text| issuer.oauth().csrf(&text, FORM)).unwrap_or_default();
    let reach = own.address.map(Reach::of);
    let lists = own.lists.iter().filter_map(|it| Some(list_view(issuer, it, &own, own.address?)));
    let template = Addresses {
        brand: issuer.brand(),
        csrf,
        account: own.current.user.email.clone(),
        said: said.map(str::to_owned),
        note: reach.and_then(note),
        lists: lists.collect(),
        entries: own.entries.iter().map(entry_view).collect(),
        address: own.address.map(|it| it.to_string()),
    };
    page(StatusCode::OK, &template, None).into_response()
}

/// What a person should know of such an address before they let it in.
fn note(reach: Reach) -> Option<&'static str> {
    match reach {
        Reach::Public => None,
        Reach::Loopback => Some(
            "That is this machine itself: only programs that run on it come from there. If you are somewhere else, a \
             proxy stands between, and an administrator has to declare it.",
        ),
        Reach::Private => Some(
            "That is an address of a private network. It helps only where the gate sees the same address; if you come \
             from outside, a proxy stands between, and an administrator has to declare it.",
        ),
        Reach::Shared => Some(
            "Your provider shares this address among many of its customers, and may give you another one at any time.",
        ),
        Reach::Nowhere => Some("Nobody can come to the gate from such an address."),
    }
}

/// `8 hours`, `90 minutes`.
fn span(span: Duration) -> String {
    let minutes = span.as_secs().div_ceil(60).max(1);
    match (minutes, minutes.is_multiple_of(60)) {
        (1, _) => "a minute".to_owned(),
        (60, _) => "an hour".to_owned(),
        (_, true) => format!("{} hours", minutes / 60),
        _ => format!("{minutes} minutes"),
    }
}

fn list_view(issuer: &Issuer, it: &SelfService, own: &OwnAddresses, from: IpAddr) -> ListView {
    let hours = span(it.longest);
    let reach = Reach::of(from);
    let mine = own
        .entries
        .iter()
        .any(|had| had.this && had.entry.list == it.list && had.entry.net.contains(&from));
    let verdict = issuer.gate().map(|gate| gate.ip_test.test(from, Some(&it.list)));
    let verdict = verdict.and_then(|it| it.lists.into_iter().next());
    let (word, source) = match &verdict {
        Some(it) => (it.verdict, it.source),
        None => ("none", None),
    };
    let (words, button) = match (word, source) {
        _ if reach == Reach::Nowhere || (reach != Reach::Public && !it.private) => (
            "Addresses of this kind are not let in here: many people may stand behind one."
                .to_owned(),
            None,
        ),
        ("deny", _) => ("This list refuses your address, whoever lets it in.".to_owned(), None),
        ("allow", Some("file" | "dns")) => {
            ("Your address is on this list anyway.".to_owned(), None)
        }
        _ if mine => ("Your address is let in.".to_owned(), Some(format!("Once more for {hours}"))),
        ("allow", _) => (
            "Somebody else has let your address in for now.".to_owned(),
            Some(format!("Let me in for {hours}")),
        ),
        _ => {
            ("Your address is not on this list.".to_owned(), Some(format!("Let me in for {hours}")))
        }
    };
    ListView { name: it.list.clone(), words, button }
}

fn entry_view(own: &OwnAddress) -> EntryView {
    let it = &own.entry;
    EntryView {
        id: it.id.to_string(),
        list: it.list.clone(),
        address: it.net.addr().to_string(),
        since: moment(it.created_at),
        until: match it.owner.as_ref().filter(|owner| it.expires_at < owner.latest) {
            Some(owner) => format!(
                "{}, if you come back here before {}",
                moment(owner.latest),
                moment(it.expires_at)
            ),
            None => moment(it.expires_at),
        },
        this: own.this,
    }
}

async fn allow(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let (session, list) = (visit.session(), visit.param("list"));
    match issuer.oauth().allow_own_address(session.as_ref(), list, &visit.origin).await {
        Ok(Ok((_, seq))) => went(&issuer, Some(seq), "allowed").await,
        Ok(Err(refused)) => refused_page(&issuer, &visit, refused).await,
        Err(_) => broken(&issuer, &visit),
    }
}

async fn end(State(issuer): State<Issuer>, visit: Visit) -> Response {
    if !visit.is_of_session(&issuer, FORM) {
        return forged(&issuer, &visit);
    }
    let (session, id) = (visit.session(), visit.param("id"));
    match issuer.oauth().end_own_address(session.as_ref(), id, &visit.origin).await {
        // What was not there is gone all the same.
        Ok(Some(seq)) => went(&issuer, seq, "ended").await,
        Ok(None) => own_login(&issuer, &visit, None),
        Err(_) => broken(&issuer, &visit),
    }
}

/// Back to the page, once this node's gate heeds the change.
async fn went(issuer: &Issuer, seq: Option<i64>, what: &str) -> Response {
    if let (Some(seq), Some(gate)) = (seq, issuer.gate()) {
        // A gate that is late says so by its own alarms; what was changed stays changed.
        drop(tokio::time::timeout(IN_FORCE, gate.applied.applied(seq)).await);
    }
    see_other(&issuer.oauth().settings().url(&format!("{ADDRESSES}?done={what}")))
}

async fn refused_page(issuer: &Issuer, visit: &Visit, refused: AllowRefused) -> Response {
    let too_many =
        format!("You have let in {OWN_ADDRESSES_MOST} addresses, as many as there may be.");
    let (title, text, fix) = match refused {
        AllowRefused::NotSignedIn => return own_login(issuer, visit, None),
        AllowRefused::Prove(offers) => {
            return refuse(issuer, visit, MethodRefused::Prove(offers)).await;
        }
        AllowRefused::Unreachable => return second::unreachable(issuer, visit),
        AllowRefused::Enrol => return enrol(issuer),
        AllowRefused::NoList => (
            "That is not for you to let in",
            "There is no such list, or you may not add yourself to it.",
            "Load the page again, or ask an administrator.",
        ),
        AllowRefused::Address(_) => (
            "This address is not let in",
            "It is not known where you come from, or many people may stand behind such an address.",
            "Come from another network, or ask an administrator.",
        ),
        AllowRefused::TooMany => {
            ("That is one too many", too_many.as_str(), "End one that you do not need.")
        }
        AllowRefused::Full => (
            "The list is full",
            "Too many people have let their addresses in.",
            "Try again later, or ask an administrator.",
        ),
    };
    let status = match refused {
        AllowRefused::TooMany | AllowRefused::Full => StatusCode::CONFLICT,
        _ => StatusCode::FORBIDDEN,
    };
    let id = Some(visit.origin.request_id.to_string());
    message(issuer, status, (title, text, Some(fix)), id)
}

/// Leads a person to the page where a second factor is added.
fn enrol(issuer: &Issuer) -> Response {
    let template = Message {
        brand: issuer.brand(),
        title: "A second step is needed".to_owned(),
        text: "Letting an address in asks for more than your password.".to_owned(),
        fix: Some("Add a second step to your account, then come back.".to_owned()),
        link: Some((METHODS.to_owned(), "Add a second step".to_owned())),
        request_id: None,
    };
    page(StatusCode::FORBIDDEN, &template, None).into_response()
}
