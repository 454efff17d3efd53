//! The few pages that the gate itself shows to people, and all their words.
//!
//! INVARIANT: nothing of what was sent stands in them; they run no script, load nothing from elsewhere, and cannot be
//! framed.

use super::{Request, SIGN_OUT};
use crate::problem::Answer;
use crate::record::Draft;
use access::Denial;
use base::{Code, Outcome, Phase, code};
use bytes::Bytes;
use std::fmt::Write;

/// Where the pages' style lies.
pub(super) const STYLE_PATH: &str = "/.portcullis/page.css";
const STYLE: &str = include_str!("page.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// What a page says.
struct Words {
    title: &'static str,
    text: &'static str,
    /// A way on: the words and where they lead; a form where that changes something.
    way: Option<Way>,
}

enum Way {
    Link(&'static str, &'static str),
    Form(&'static str, &'static str),
}

const HOME: Way = Way::Link("Go to the start page", "/");

/// Asks whether somebody wants to sign out.
pub(super) fn ask() -> Answer {
    let text = "You are signed in here. Signing out ends your session at this site and at the sign-in service, \
                and so at every other site that you reached with it.";
    let way = Some(Way::Form("Sign out", SIGN_OUT));
    page(200, &Words { title: "Sign out?", text, way })
}

/// Says that nobody is signed in.
pub(super) fn signed_out() -> Answer {
    let text = "You are signed out at this site.";
    page(200, &Words { title: "Signed out", text, way: Some(HOME) })
}

/// Records a refusal, and shows it.
pub(super) fn refused(draft: &mut Draft, denial: &Denial) -> Answer {
    draft.denial(denial);
    let (title, text) = words(&denial.code);
    page(denial.code.status(), &Words { title, text, way: Some(HOME) })
}

fn words(code: &Code) -> (&'static str, &'static str) {
    match code {
        it if *it == code::SESSION_RETURN => (
            "Signing in was not completed",
            "This answer belongs to no sign-in that this browser has begun, or to one that is too old or was \
             completed before. Open the page again that you were going to.",
        ),
        it if *it == code::SESSION_REFUSED => (
            "You were not signed in",
            "The sign-in was broken off or refused. Open the page again that you were going to, or ask whoever \
             runs this site.",
        ),
        it if *it == code::SESSION_CROSS_SITE => (
            "That came from another site",
            "For your safety this is done from a page of this site only.",
        ),
        _ => (
            "This does not work at the moment",
            "The sign-in service does not answer. Try again in a minute.",
        ),
    }
}

/// There is nothing at this address.
pub(super) fn nothing(_: &Request<'_>, draft: &mut Draft) -> Answer {
    draft.denial(&Denial::new(code::ROUTE_NOT_FOUND, Phase::Route));
    page(404, &Words { title: "Nothing is here", text: "There is no such page.", way: Some(HOME) })
}

/// There is something, and not with this method.
pub(super) fn wrong_method(request: &Request<'_>, draft: &mut Draft) -> Answer {
    draft.denial(&Denial::new(code::METHOD_NOT_ALLOWED, Phase::Route));
    let text = "This address cannot be used like that.";
    let mut answer = page(405, &Words { title: "That does not work", text, way: Some(HOME) });
    let allow = if request.path == SIGN_OUT { "GET, HEAD, POST" } else { "GET" };
    answer.headers.push(("allow", allow.to_owned()));
    answer
}

/// The style of the pages.
pub(super) fn style(draft: &mut Draft) -> Answer {
    done(draft, Phase::Route);
    let headers = vec![
        ("content-type", "text/css; charset=utf-8".to_owned()),
        ("cache-control", "public, max-age=300".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ];
    Answer { status: 200, headers, body: Bytes::from_static(STYLE.as_bytes()) }
}

/// Records that all went well.
pub(super) fn done(draft: &mut Draft, phase: Phase) {
    draft.event.code = code::OK;
    draft.event.outcome = Outcome::Allow;
    draft.event.phase = Some(phase);
}

fn page(status: u16, words: &Words) -> Answer {
    let Words { title, text, way } = words;
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n<p>{text}</p>\n"
    );
    // Writing to a string cannot fail.
    let _ = match way {
        None => Ok(()),
        Some(Way::Link(words, to)) => writeln!(html, "<p><a href=\"{to}\">{words}</a></p>"),
        Some(Way::Form(words, to)) => writeln!(
            html,
            "<form method=\"post\" action=\"{to}\"><button type=\"submit\">{words}</button></form>"
        ),
    };
    html.push_str("</main>\n</body>\n</html>\n");
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("content-security-policy", POLICY.to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("referrer-policy", "same-origin".to_owned()),
    ];
    Answer { status, headers, body: Bytes::from(html) }
}
