//! `/scim/v2`: a directory keeps accounts and groups (RFC 7644).
//!
//! Owns: reading SCIM requests and writing answers; errors in SCIM's shape, also those of who stands before.
//!
//! Never does: judge what a directory may change; [`authority::oauth::scim`] does.
//!
//! Invariants: nothing here is reached but through [`require`] with [`SCIM_SCOPE`]; one handler looks at all paths.

use super::json;
use crate::admission::require;
use crate::api::Api;
use crate::ports::Caller;
use crate::problem::Problem;
use crate::time::rfc3339;
use authority::oauth::OAuth;
use authority::oauth::scim::{self, Place, Query, Refused, SCIM_PATH, SCIM_SCOPE, Written};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query as UriQuery, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use std::time::Duration;

/// Bytes of a body: a group with as many members as one request may name, and room.
const BODY_BYTES: usize = 256 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a query: the longest filter, written as URL.
const QUERY_BYTES: usize = 4 * 1024;
/// Bytes of a refusal that is written anew.
const PROBLEM_BYTES: usize = 64 * 1024;
/// RFC 7644 §8.1.
const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// The routes.
pub(super) fn routes(api: &Api) -> Router<Api> {
    Router::new()
        .route(&format!("{SCIM_PATH}/{{*rest}}"), any(handle))
        .route_layer(from_fn_with_state((api.clone(), SCIM_SCOPE), require))
        .route_layer(from_fn(shaped))
}

/// RFC 7644 §3.12: whatever is refused on the way is said in SCIM's words.
async fn shaped(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let problem = HeaderValue::from_static("application/problem+json");
    if response.headers().get(CONTENT_TYPE) != Some(&problem) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = Limited::new(body, PROBLEM_BYTES).collect().await.map(|it| it.to_bytes());
    let told: Value = body.ok().and_then(|it| serde_json::from_slice(&it).ok()).unwrap_or_default();
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let detail = text("detail").or_else(|| text("title")).unwrap_or("refused");
    let shape = Refused::new(parts.status.as_u16(), detail).body();
    parts.headers.insert(CONTENT_TYPE, SCIM_JSON);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(shape.to_string()))
}

/// What a request comes to.
enum Answer {
    /// A resource.
    Shown(Value),
    /// A list or a description, without a version.
    Plain(Value),
    /// A change, and its status.
    Changed(Written, StatusCode),
}

async fn handle(State(api): State<Api>, by: Caller, request: Request) -> Response {
    match answered(&api, &by, request).await {
        Ok(response) => response,
        Err(Failed::Refused(refused)) => {
            let status = StatusCode::from_u16(refused.status);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            scim_json(status, &refused.body())
        }
        Err(Failed::Problem(problem)) => problem.into_response(),
    }
}

enum Failed {
    Refused(Refused),
    Problem(Problem),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn scim_json(status: StatusCode, value: &Value) -> Response {
    let mut response = json(status, value);
    response.headers_mut().insert(CONTENT_TYPE, SCIM_JSON);
    response
}

/// A request that was read.
struct Ask<'a> {
    oauth: &'a OAuth,
    by: &'a Caller,
    place: Place,
    query: Query,
    if_match: Option<String>,
    body: Value,
}

async fn answered(api: &Api, by: &Caller, request: Request) -> Result<Response, Failed> {
    let (parts, body) = request.into_parts();
    let oauth = api.oauth()?;
    let resource = oauth.settings().admin_resource();
    let origin = resource.strip_suffix("/api").unwrap_or(&resource);
    let place = Place { base: format!("{origin}{SCIM_PATH}"), moment: rfc3339 };
    let path = parts.uri.path().strip_prefix(SCIM_PATH).unwrap_or_default();
    let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let writes = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
    // What takes no body anywhere is told so whatever it comes with.
    let body = match writes && matches!(path.as_slice(), ["Users" | "Groups", ..]) {
        true => read(&parts, body).await?,
        false => Value::Null,
    };
    let query = query(&parts.uri)?;
    let if_match = parts.headers.get(IF_MATCH).map(|it| it.to_str().unwrap_or("").to_owned());
    let ask = Ask { oauth, by, place, query, if_match, body };
    // Where all accounts are looked through: as many at once as queries of the ledger.
    let _slot = match (path.as_slice(), &parts.method) {
        (["Users"], &Method::GET) | (["Users", ".search"] | ["Groups", ..], _) => {
            Some(api.query_slot()?)
        }
        _ => None,
    };
    match ask.route(&parts.method, &path).await? {
        Answer::Plain(value) => Ok(scim_json(StatusCode::OK, &value)),
        Answer::Shown(value) => Ok(shown(&ask, &parts, StatusCode::OK, value)),
        Answer::Changed(written, status) => {
            if let Some(seq) = written.seq {
                api.in_force(seq, "the change is kept").await?;
            }
            match status {
                StatusCode::NO_CONTENT => Ok(status.into_response()),
                _ => Ok(shown(&ask, &parts, status, written.resource)),
            }
        }
    }
}

/// A resource with its version and place (RFC 7644 §3.1, §3.14).
fn shown(ask: &Ask<'_>, parts: &Parts, status: StatusCode, mut resource: Value) -> Response {
    let meta = |name: &str| {
        let text = resource.pointer(&format!("/meta/{name}"))?.as_str()?;
        HeaderValue::try_from(text).ok()
    };
    let (version, place) = (meta("version"), meta("location"));
    let known = parts.headers.get(IF_NONE_MATCH);
    if parts.method == Method::GET && known.is_some() && known == version.as_ref() {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ask.query.project(&mut resource);
    let mut response = scim_json(status, &resource);
    for (name, value) in [(ETAG, version), (LOCATION, place)] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn read(parts: &Parts, body: Body) -> Result<Value, Failed> {
    let media_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    let known = ["application/scim+json", "application/json"];
    // WHY: a browser sends these across origins only after a preflight, which nobody answers here.
    if !known.iter().any(|it| essence.eq_ignore_ascii_case(it)) {
        return Err(Refused::new(415, "the body must be application/scim+json").into());
    }
    let reading = Limited::new(body, BODY_BYTES).collect();
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Refused::new(413, "the body may have at most 256 KiB").into());
        }
        Ok(Err(_)) => return Err(Refused::new(400, "the body cannot be read").into()),
        Err(_) => return Err(Refused::new(408, "the body did not arrive in time").into()),
    };
    serde_json::from_slice(&bytes).map_err(|_| {
        let detail = "the body is not JSON".to_owned();
        Refused { status: 400, scim_type: Some("invalidSyntax"), detail }.into()
    })
}

/// RFC 7644 Table 3; what is not known is passed over, as other services do with what clients add.
fn query(uri: &Uri) -> Result<Query, Refused> {
    let bad = |name: &str| Refused {
        status: 400,
        scim_type: Some("invalidValue"),
        detail: format!("{name} cannot be read"),
    };
    if uri.query().is_some_and(|text| text.len() > QUERY_BYTES) {
        return Err(Refused::new(414, "the query is too long"));
    }
    let mut query = Query::default();
    let names = |value: &str| -> Vec<String> {
        value.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
    };
    let pairs = UriQuery::<Vec<(String, String)>>::try_from_uri(uri);
    let UriQuery(pairs) = pairs.map_err(|_| bad("the query"))?;
    for (name, value) in pairs {
        match name.as_str() {
            "filter" => query.filter = Some(value),
            "startIndex" => query.start_index = Some(value.parse().map_err(|_| bad(&name))?),
            "count" => query.count = Some(value.parse().map_err(|_| bad(&name))?),
            "attributes" => query.attributes = names(&value),
            "excludedAttributes" => query.excluded = names(&value),
            _ => {}
        }
    }
    Ok(query)
}

impl Ask<'_> {
    async fn route(&self, method: &Method, path: &[&str]) -> Result<Answer, Refused> {
        let place = &self.place;
        let nothing = || Refused::new(404, "there is nothing at this path");
        match (method.as_str(), path) {
            ("GET", ["ServiceProviderConfig"]) => {
                Ok(Answer::Plain(scim::service_provider_config(place)))
            }
            ("GET", ["ResourceTypes"]) => {
                scim::resource_types(place, None).map(Answer::Plain).ok_or_else(nothing)
            }
            ("GET", ["ResourceTypes", name]) => {
                scim::resource_types(place, Some(name)).map(Answer::Plain).ok_or_else(nothing)
            }
            ("GET", ["Schemas"]) => {
                scim::schemas(place, None).map(Answer::Plain).ok_or_else(nothing)
            }
            ("GET", ["Schemas", id]) => {
                scim::schemas(place, Some(id)).map(Answer::Plain).ok_or_else(nothing)
            }
            (_, ["Users", rest @ ..]) => self.users(method, rest).await,
            (_, ["Groups", rest @ ..]) => self.groups(method, rest).await,
            // RFC 7644 §3.4.3, §3.7, §3.11: across kinds, in bulk, oneself.
            ("POST", [".search"] | ["Bulk"]) | (_, ["Me"]) => {
                Err(Refused::new(501, "this is not offered here"))
            }
            (_, ["ServiceProviderConfig"] | ["ResourceTypes" | "Schemas", ..]) => Err(no_method()),
            _ => Err(nothing()),
        }
    }

    async fn users(&self, method: &Method, path: &[&str]) -> Result<Answer, Refused> {
        let (oauth, place, body) = (self.oauth, &self.place, &self.body);
        let actor = self.by.actor();
        let seen = self.if_match.as_deref();
        let written = match (method.as_str(), path) {
            ("GET", []) => return oauth.scim_users(place, &self.query).await.map(Answer::Plain),
            ("POST", [".search"]) => {
                let query = Query::of_search(body)?;
                return oauth.scim_users(place, &query).await.map(Answer::Plain);
            }
            ("POST", []) => {
                let written = oauth.scim_create_user(&actor, place, body).await?;
                return Ok(Answer::Changed(written, StatusCode::CREATED));
            }
            ("GET", [id]) => return oauth.scim_user(place, id).await.map(Answer::Shown),
            ("PUT", [id]) => oauth.scim_replace_user(&actor, place, (id, seen), body).await?,
            ("PATCH", [id]) => oauth.scim_patch_user(&actor, place, (id, seen), body).await?,
            ("DELETE", [id]) => {
                let written = oauth.scim_delete_user(&actor, place, (id, seen)).await?;
                return Ok(Answer::Changed(written, StatusCode::NO_CONTENT));
            }
            (_, [] | [_]) => return Err(no_method()),
            _ => return Err(Refused::new(404, "there is nothing at this path")),
        };
        Ok(Answer::Changed(written, StatusCode::OK))
    }

    async fn groups(&self, method: &Method, path: &[&str]) -> Result<Answer, Refused> {
        let (oauth, place, body) = (self.oauth, &self.place, &self.body);
        let actor = self.by.actor();
        let seen = self.if_match.as_deref();
        let written = match (method.as_str(), path) {
            ("GET", []) => return oauth.scim_groups(place, &self.query).await.map(Answer::Plain),
            ("POST", [".search"]) => {
                let query = Query::of_search(body)?;
                return oauth.scim_groups(place, &query).await.map(Answer::Plain);
            }
            ("POST", []) => {
                let written = oauth.scim_create_group(&actor, place, body).await?;
                return Ok(Answer::Changed(written, StatusCode::CREATED));
            }
            ("GET", [id]) => {
                return oauth.scim_group(place, id, &self.query).await.map(Answer::Shown);
            }
            ("PUT", [id]) => oauth.scim_replace_group(&actor, place, (id, seen), body).await?,
            ("PATCH", [id]) => oauth.scim_patch_group(&actor, place, (id, seen), body).await?,
            ("DELETE", [id]) => {
                let written = oauth.scim_delete_group(&actor, place, (id, seen)).await?;
                return Ok(Answer::Changed(written, StatusCode::NO_CONTENT));
            }
            (_, [] | [_]) => return Err(no_method()),
            _ => return Err(Refused::new(404, "there is nothing at this path")),
        };
        Ok(Answer::Changed(written, StatusCode::OK))
    }
}

fn no_method() -> Refused {
    Refused::new(405, "this method is not offered here")
}
