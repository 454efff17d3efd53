//! `route.access`: who may use a route.
//!
//! Invariant: an expression that was read is never empty at any level, so none is met by nobody's credential.

use super::mfa::{Mfa, read_mfa};
use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::session::{SessionRule, read_session};
use super::text::is_name;
use toml::de::DeValue;

/// How deep `any` and `all` may nest; more is not readable and would be recursion without a bound.
const DEPTH: usize = 8;
/// Alternatives of one `any` or `all`.
const ALTERNATIVES: usize = 32;
/// Claim rules of one `jwt`, and values of one claim.
const CLAIMS: usize = 32;

/// The name of the built-in authority among issuers.
pub const SELF: &str = "self";

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a credential.
    Public,
    /// Who meets the rule.
    Rule(Rule),
}

/// A condition on the credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// One of them; never empty.
    Any(Vec<Rule>),
    /// All of them; never empty.
    All(Vec<Rule>),
    /// A token of an external issuer, signed or (where the issuer has `introspection`) opaque.
    Jwt(JwtRule),
    /// An API key of this installation.
    ApiKey(ApiKeyRule),
    /// A browser in which somebody has signed in.
    Session(SessionRule),
}

/// What a token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtRule {
    /// `issuer`: the name of an `[[issuer]]`.
    pub issuer: String,
    /// `scopes`: all of them; sorted.
    pub scopes: Vec<String>,
    /// `audience`: one of them, beside the audience of the issuer. Empty asks nothing more.
    pub audience: Vec<String>,
    /// `claims`: each of them; sorted by name.
    pub claims: Vec<ClaimRule>,
    /// `mfa`: how the person must have signed in.
    pub mfa: Option<Mfa>,
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    /// The claim's name, at the top level of the token.
    pub name: String,
    /// One of these; never empty. A claim that is a list must hold one of them.
    pub any_of: Vec<ClaimValue>,
}

/// A claim's value. Types are never converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
}

/// What a key must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRule {
    /// `scopes`: all of them; sorted.
    pub scopes: Vec<String>,
}

impl Access {
    /// Whether a request without a credential can pass.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Public)
    }
}

impl Rule {
    /// Every leaf of the expression, from left to right.
    pub fn leaves(&self) -> Vec<&Rule> {
        match self {
            Self::Any(rules) | Self::All(rules) => rules.iter().flat_map(Self::leaves).collect(),
            Self::Jwt(_) | Self::ApiKey(_) | Self::Session(_) => vec![self],
        }
    }
}

/// Reads `access`.
pub(super) fn read_access(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Access> {
    match field.value {
        DeValue::String(text) if text == "public" => Some(Access::Public),
        DeValue::String(_) | DeValue::Boolean(_) => {
            let hint = "write access = \"public\", or a table with `any` or `all`";
            let message = "the only word that can stand here is \"public\"";
            reader.hinted(ProblemCode::Value, &field.at, message, hint);
            None
        }
        _ => read_rule(reader, field, 0).map(Access::Rule),
    }
}

fn read_rule(reader: &mut Reader<'_>, field: &Field<'_>, depth: usize) -> Option<Rule> {
    if depth > DEPTH {
        let message = format!("nested deeper than {DEPTH}");
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    if matches!(field.value, DeValue::String(text) if text == "public") {
        let message = "\"public\" cannot stand beside other conditions";
        let hint = "write access = \"public\" to open the route to everybody";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, hint);
        return None;
    }
    let mut table = reader.table(field)?;
    let any = table.field("any");
    let all = table.field("all");
    let jwt = table.field("jwt");
    let api_key = table.field("api_key");
    let session = table.field("session");
    let present = [&any, &all, &jwt, &api_key, &session].into_iter().flatten().count();
    let later = table.field("mtls").is_some();
    table.not_available(reader, &[("mtls", "client certificates are not checked")]);
    let at = table.at.clone();
    table.finish(reader);
    if present + usize::from(later) != 1 {
        let message = match present {
            0 => "no condition stands here, which everybody would meet",
            _ => "several conditions stand here side by side",
        };
        let hint = "write exactly one of any, all, jwt, api_key, session";
        reader.hinted(ProblemCode::FailOpen, &at, message, hint);
    }
    let any = any.and_then(|field| read_rules(reader, &field, depth)).map(Rule::Any);
    let all = all.and_then(|field| read_rules(reader, &field, depth)).map(Rule::All);
    let jwt = jwt.and_then(|field| read_jwt(reader, &field)).map(Rule::Jwt);
    let api_key = api_key.and_then(|field| read_api_key(reader, &field)).map(Rule::ApiKey);
    let session = session.and_then(|field| read_session(reader, &field)).map(Rule::Session);
    any.or(all).or(jwt).or(api_key).or(session)
}

fn read_rules(reader: &mut Reader<'_>, field: &Field<'_>, depth: usize) -> Option<Vec<Rule>> {
    let items = reader.list(field)?;
    if items.is_empty() {
        let message = "an empty list of conditions";
        let hint = "name at least one condition, or write access = \"public\"";
        reader.hinted(ProblemCode::FailOpen, &field.at, message, hint);
        return None;
    }
    if items.len() > ALTERNATIVES {
        let message = format!("more than {ALTERNATIVES} conditions");
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    let read: Vec<_> = items.iter().map(|item| read_rule(reader, item, depth + 1)).collect();
    // INVARIANT: a rule that lost a part is not a rule; it could only be weaker.
    read.into_iter().collect()
}

fn read_jwt(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<JwtRule> {
    let mut table = reader.table(field)?;
    let issuer = table.require(reader, "issuer", |reader, field| {
        let name = reader.text(field)?;
        if name != SELF {
            reader.refer(Named::Issuer, &name, &field.at);
        }
        Some(name)
    });
    let scopes = read_scopes(reader, &mut table);
    let audience = table.read(reader, "audience", |reader, field| {
        reader.some(field, |reader, item| reader.text(item))
    });
    let claims = table.read(reader, "claims", read_claims).unwrap_or_default();
    let mfa = table.field("mfa");
    let asks = mfa.is_some();
    let mfa = mfa.and_then(|field| read_mfa(reader, &field));
    let at = table.at.clone();
    table.finish(reader);
    let scopes = scopes?;
    let issuer = issuer?;
    if scopes.is_empty() && claims.is_empty() {
        let name = &issuer;
        let message =
            format!("every token of {name:?} passes: no scopes and no claims are asked for");
        reader.hinted(ProblemCode::NoScopes, &at, message, "add scopes = [\"…\"]");
    }
    // INVARIANT: a rule that lost a part is not a rule; it could only be weaker.
    if asks && mfa.is_none() {
        return None;
    }
    Some(JwtRule { issuer, scopes, audience: audience.unwrap_or_default(), claims, mfa })
}

/// The scopes of a rule, empty when the key is absent; `None` when it cannot be read.
fn read_scopes(reader: &mut Reader<'_>, table: &mut Section<'_>) -> Option<Vec<String>> {
    match table.field("scopes") {
        Some(field) => reader.scopes(&field),
        None => Some(Vec::new()),
    }
}

fn read_api_key(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ApiKeyRule> {
    let mut table = reader.table(field)?;
    let scopes = read_scopes(reader, &mut table);
    let at = table.at.clone();
    table.finish(reader);
    let scopes = scopes?;
    if scopes.is_empty() {
        let message = "every API key passes: no scopes are asked for";
        reader.hinted(ProblemCode::NoScopes, &at, message, "add scopes = [\"…\"]");
    }
    Some(ApiKeyRule { scopes })
}

fn read_claims(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<ClaimRule>> {
    let table = reader.table(field)?;
    let entries = table.entries();
    if entries.is_empty() || entries.len() > CLAIMS {
        let message = format!("between 1 and {CLAIMS} claims can be asked for");
        reader.problem(ProblemCode::Value, &field.at, message);
        return None;
    }
    let mut claims = Vec::new();
    for (name, field) in entries {
        if !is_name(name) && !name.starts_with("https://") && !name.starts_with("urn:") {
            reader.problem(
                ProblemCode::Value,
                &field.at,
                format!("{name:?} is not a claim's name"),
            );
        }
        let any_of = match field.value {
            DeValue::Array(_) => reader.some(&field, read_claim_value),
            _ => read_claim_value(reader, &field).map(|value| vec![value]),
        };
        if let Some(any_of) = any_of {
            if any_of.len() > CLAIMS {
                reader.problem(ProblemCode::Value, &field.at, format!("more than {CLAIMS} values"));
            }
            claims.push(ClaimRule { name: name.to_owned(), any_of });
        }
    }
    Some(claims)
}

fn read_claim_value(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ClaimValue> {
    match field.value {
        DeValue::String(text) => Some(ClaimValue::Text(text.clone().into_owned())),
        DeValue::Boolean(value) => Some(ClaimValue::Boolean(*value)),
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
            if value.is_none() {
                reader.problem(ProblemCode::Value, &field.at, "the number is too large");
            }
            value.map(ClaimValue::Integer)
        }
        _ => {
            reader.wrong_type(field, "a string, an integer, a boolean or a list of them");
            None
        }
    }
}
