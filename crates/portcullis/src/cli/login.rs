//! `portcullis login`: the device flow (RFC 8628) against the authority of a gate, and the token that other commands
//! send to that gate.
//!
//! Invariants: a token is asked for the gate that was named and goes to no other; the authority is the one that the
//! gate names, and its endpoints lie at it (RFC 8414 §3.3, RFC 9728 §3.3).

use super::credentials::{Credentials, Entry, Tokens};
use super::error::CliError;
use super::print::{Printer, plain};
use super::web::Origin;
use authority::oauth::{ADMIN_SCOPES, CLI_CLIENT};
use base::{Clock as _, Secret, SystemClock};
use control::rfc3339;
use http::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// An access token that ends sooner is exchanged before it is used.
const NEARLY: Duration = Duration::from_secs(30);
/// Seconds between polls unless said (RFC 8628 §3.2), what `slow_down` adds (§3.5), and at most.
const INTERVAL: (u64, u64, u64) = (5, 5, 60);
/// The longest that a person may take, whatever the authority says.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A gate's authority, as far as signing in needs it.
struct Found {
    issuer: Origin,
    resource: String,
    device: String,
    token: String,
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, CliError> {
    let found = value.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    found.ok_or_else(|| CliError::Broken(format!("the answer has no `{name}`")))
}

async fn document(origin: &Origin, path: &str) -> Result<Value, CliError> {
    match origin.json(path, None).await? {
        (StatusCode::OK, document) => Ok(document),
        (status, _) => {
            let place = format!("{}{path}", origin.text());
            Err(CliError::Broken(format!("{place} answers with status {status}")))
        }
    }
}

async fn find(gate: &Origin) -> Result<Found, CliError> {
    let said = document(gate, "/.well-known/oauth-protected-resource/api").await?;
    let resource = text(&said, "resource")?.to_owned();
    // RFC 9728 §3.3: the resource is the one that was asked. Else a gate could have tokens made for another.
    if gate.path_of(&resource) != Some("/api") {
        let own = resource.strip_suffix("/api").unwrap_or(&resource);
        let gate = gate.text();
        return Err(CliError::Usage(format!(
            "the gate at {gate} goes by the name {own}: use --url {own}"
        )));
    }
    let servers = said.get("authorization_servers").and_then(Value::as_array);
    let server = servers.and_then(|all| all.first()).and_then(Value::as_str);
    let server =
        server.ok_or_else(|| CliError::Broken("the gate names no authority".to_owned()))?;
    let issuer = Origin::parse(server)?;
    let said = document(&issuer, "/.well-known/oauth-authorization-server").await?;
    // RFC 8414 §3.3: the metadata is the issuer's own.
    if text(&said, "issuer")? != server {
        return Err(CliError::Broken(format!("{server} says that it is somebody else")));
    }
    let endpoint = |name| {
        let url = text(&said, name)?;
        let own = issuer
            .path_of(url)
            .ok_or_else(|| CliError::Broken(format!("the {name} of {server} lies elsewhere")));
        own.map(str::to_owned)
    };
    Ok(Found {
        device: endpoint("device_authorization_endpoint")?,
        token: endpoint("token_endpoint")?,
        resource,
        issuer,
    })
}

/// Signs in, and keeps what it brings.
pub(super) async fn run(
    url: &str,
    forget: bool,
    printer: &mut Printer<'_>,
    err: &mut (dyn Write + Send),
) -> Result<(), CliError> {
    let gate = Origin::parse(url)?;
    if forget {
        return self::forget(&gate, printer).await;
    }
    let found = find(&gate).await?;
    let scopes: Vec<&str> = ADMIN_SCOPES.iter().map(|(name, ..)| *name).collect();
    let scopes = scopes.join(" ");
    let form =
        [("client_id", CLI_CLIENT), ("scope", scopes.as_str()), ("resource", &found.resource)];
    let (status, device) = found.issuer.json(&found.device, Some(&form)).await?;
    if status != StatusCode::OK {
        return Err(refused(&device, status));
    }
    prompt(&device, printer.wants_json(), err)?;
    let tokens = poll(&found, &device).await?;
    let token_endpoint = format!("{}{}", found.issuer.text(), found.token);
    let places = (found.issuer.text().to_owned(), token_endpoint, found.resource);
    let entry = Entry::new(places, tokens, None, SystemClock::new().now())?;
    let (scope, until) = (entry.scope.clone(), entry.expires_at);
    Credentials::open().await?.put(gate.text(), Some(entry))?;
    let said = json!({ "url": gate.text(), "scope": scope, "expires_at": rfc3339(until) });
    let words = match scope.is_empty() {
        true => format!(
            "signed in to {}, but the account has no role: `portcullis user roles ID --role auditor` gives one",
            gate.text()
        ),
        false => format!("signed in to {} with {}", gate.text(), plain(&scope)),
    };
    Ok(printer.result(&said, &words)?)
}

/// Tells the person what to do. WHY not among the results: standard output may go into a file.
fn prompt(device: &Value, json: bool, err: &mut (dyn Write + Send)) -> Result<(), CliError> {
    let (page, code) = (text(device, "verification_uri")?, text(device, "user_code")?);
    let whole = device.get("verification_uri_complete").and_then(Value::as_str);
    if json {
        let said = json!({
            "verification_uri": page, "verification_uri_complete": whole, "user_code": code,
            "expires_in": device.get("expires_in"),
        });
        writeln!(err, "{said}")?;
    } else {
        let whole = plain(whole.unwrap_or(page));
        let (page, code) = (plain(page), plain(code));
        writeln!(
            err,
            "Open this page in a browser and compare the code:\n\n  {whole}\n  {code}\n"
        )?;
        writeln!(err, "Or type the code at {page}. Waiting …")?;
    }
    Ok(err.flush()?)
}

async fn poll(found: &Found, device: &Value) -> Result<Tokens, CliError> {
    let code = Secret::new(text(device, "device_code")?.to_owned());
    let said = device.get("interval").and_then(Value::as_u64);
    let mut interval = said.unwrap_or(INTERVAL.0).clamp(1, INTERVAL.2);
    let waiting = async {
        loop {
            tokio::time::sleep(Duration::from_secs(interval)).await;
            let form = [
                ("grant_type", DEVICE),
                ("device_code", code.expose().as_str()),
                ("client_id", CLI_CLIENT),
                ("resource", &found.resource),
            ];
            let (status, answer) = found.issuer.json(&found.token, Some(&form)).await?;
            if status == StatusCode::OK {
                return tokens(answer);
            }
            match answer.get("error").and_then(Value::as_str) {
                Some("authorization_pending") => {}
                // RFC 8628 §3.5: five seconds more from now on.
                Some("slow_down") => interval = (interval + INTERVAL.1).min(INTERVAL.2),
                _ => return Err(refused(&answer, status)),
            }
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(done) => done,
        Err(_) => Err(CliError::Broken("nobody has answered at the page".to_owned())),
    }
}

fn tokens(answer: Value) -> Result<Tokens, CliError> {
    serde_json::from_value(answer)
        .map_err(|_| CliError::Broken("the answer holds no token".to_owned()))
}

/// What the authority says (RFC 6749 §5.2).
fn refused(answer: &Value, status: StatusCode) -> CliError {
    match answer.get("error").and_then(Value::as_str) {
        Some("access_denied") => CliError::Denied("the request was refused at the page".to_owned()),
        Some("expired_token") => CliError::Denied("the code has expired: start again".to_owned()),
        Some(error) => {
            let words = answer.get("error_description").and_then(Value::as_str).unwrap_or_default();
            CliError::Denied(format!("{error}: {words}"))
        }
        None => CliError::Broken(format!("status {status}")),
    }
}

/// The access token for this gate; exchanged for a new one where it is about to end.
///
/// # Errors
/// [`CliError::SignIn`] when there is none, or it cannot be had any more.
pub(super) async fn token(gate: &Origin) -> Result<Secret<String>, CliError> {
    let sign_in = || CliError::SignIn(gate.text().to_owned());
    let mut kept = Credentials::open().await?;
    let entry = kept.get(gate.text()).ok_or_else(sign_in)?.clone();
    let now = SystemClock::new().now();
    if now.plus(NEARLY) < entry.expires_at {
        return Ok(entry.access_token());
    }
    let refresh = entry.refresh_token().ok_or_else(sign_in)?;
    let issuer = Origin::parse(&entry.issuer)?;
    let path = issuer.path_of(&entry.token_endpoint).ok_or_else(sign_in)?;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.expose().as_str()),
        ("client_id", CLI_CLIENT),
        ("resource", &entry.resource),
    ];
    let (status, answer) = issuer.json(path, Some(&form)).await?;
    if status != StatusCode::OK {
        // RFC 6749 §5.2: the grant is gone; what is kept of it is worth nothing.
        if answer.get("error").and_then(Value::as_str) == Some("invalid_grant") {
            kept.put(gate.text(), None)?;
            return Err(sign_in());
        }
        return Err(refused(&answer, status));
    }
    let places = (entry.issuer.clone(), entry.token_endpoint.clone(), entry.resource.clone());
    let fresh = Entry::new(places, tokens(answer)?, Some(&entry), SystemClock::new().now())?;
    let token = fresh.access_token();
    kept.put(gate.text(), Some(fresh))?;
    Ok(token)
}

/// Ends the sign-in: its grant at the authority, then what is kept here.
async fn forget(gate: &Origin, printer: &mut Printer<'_>) -> Result<(), CliError> {
    let mut kept = Credentials::open().await?;
    let entry = kept.get(gate.text()).cloned();
    let entry = entry.ok_or_else(|| CliError::SignIn(gate.text().to_owned()))?;
    kept.put(gate.text(), None)?;
    if let Some(refresh) = entry.refresh_token() {
        let issuer = Origin::parse(&entry.issuer)?;
        let said = document(&issuer, "/.well-known/oauth-authorization-server").await?;
        let path = issuer.path_of(text(&said, "revocation_endpoint")?);
        let path = path.ok_or_else(|| CliError::Broken("it revokes elsewhere".to_owned()))?;
        let form = [("token", refresh.expose().as_str()), ("client_id", CLI_CLIENT)];
        let (status, answer) = issuer.json(path, Some(&form)).await?;
        if !status.is_success() {
            return Err(refused(&answer, status));
        }
    }
    let said = json!({ "url": gate.text(), "signed_in": false });
    Ok(printer.result(&said, &format!("signed out of {}", gate.text()))?)
}
