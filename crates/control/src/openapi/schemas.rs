//! The shapes of the API as JSON schemas.

use super::reference;
use serde_json::{Map, Value, json};

fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object", "required": required,
        "properties": properties, "additionalProperties": false,
    })
}

/// An answer's object: every property is always there.
fn answer(properties: Value) -> Value {
    let required: Vec<String> =
        properties.as_object().map(|it| it.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn list(name: &str, of: &str) -> Value {
    answer(json!({ name: { "type": "array", "items": reference(of) }, "next": maybe("string") }))
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn maybe(of: &str) -> Value {
    json!({ "type": [of, "null"] })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn maybe_moment() -> Value {
    json!({ "type": ["string", "null"], "format": "date-time" })
}

fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// Every schema by its name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for part in [
        node_schemas(),
        key_schemas(),
        rule_schemas(),
        client_schemas(),
        user_schemas(),
        authority_schemas(),
        ledger_schemas(),
    ] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

fn node_schemas() -> Value {
    json!({
        "Anything": { "type": "object" },
        "Live": answer(json!({ "live": { "const": true } })),
        "Up": {
            "type": "object", "required": ["gateway", "control", "setup_url"],
            "properties": {
                "gateway": texts(), "control": text(), "admin": text(),
                "setup_url": maybe("string"),
            },
        },
        "Problem": {
            "type": "object", "required": ["type", "title", "status", "code"],
            "properties": {
                "type": text(), "title": text(), "status": number(), "code": text(),
                "detail": text(), "request_id": text(),
            },
        },
    })
}

fn key_schemas() -> Value {
    json!({
        "NewKey": object(&["name", "scopes"], json!({
            "name": text(), "scopes": texts(),
            "expires_in_seconds": { "type": ["integer", "null"], "minimum": 1 },
            "env": maybe("string"),
            "routes": { "type": ["array", "null"], "items": text() },
        })),
        "CreatedKey": answer(json!({
            "id": text(), "key": text(), "scopes": texts(), "expires_at": maybe_moment(),
        })),
        "Revocation": object(&[], json!({ "reason": maybe("string") })),
        "Key": answer(json!({
            "id": text(), "name": text(), "env": text(), "scopes": texts(),
            "routes": { "type": ["array", "null"], "items": text() },
            "created_at": moment(), "created_by": text(), "expires_at": maybe_moment(),
            "revoked_at": maybe_moment(), "revoked_reason": maybe("string"),
        })),
        "KeyList": list("keys", "Key"),
    })
}

fn rule_schemas() -> Value {
    json!({
        "NewBlock": object(&["kind", "value"], json!({
            "kind": word(&["subject", "client", "token"]), "value": text(),
            "issuer": maybe("string"), "reason": maybe("string"),
            "expires_in_seconds": { "type": ["integer", "null"], "minimum": 1 },
        })),
        "Block": answer(json!({
            "id": text(), "kind": word(&["subject", "client", "token"]), "value": text(),
            "issuer": maybe("string"), "reason": maybe("string"), "created_at": moment(),
            "created_by": text(), "expires_at": maybe_moment(),
        })),
        "BlockList": list("blocks", "Block"),
        "NewIpEntry": object(&["address", "list", "expires_in_seconds"], json!({
            "address": text(), "list": text(),
            "expires_in_seconds": { "type": "integer", "minimum": 1 },
            "note": maybe("string"),
        })),
        "IpEntry": answer(json!({
            "id": text(), "address": text(), "list": text(), "note": maybe("string"),
            "created_at": moment(), "created_by": text(), "owner": maybe("string"),
            "expires_at": moment(),
        })),
        "IpEntryList": list("entries", "IpEntry"),
        "IpTest": answer(json!({
            "address": text(), "lists": { "type": "array", "items": reference("IpVerdict") },
        })),
        "IpVerdict": answer(json!({
            "list": text(), "verdict": word(&["allow", "deny", "none"]),
            "rule": maybe("string"), "source": maybe("string"),
        })),
    })
}

fn client_schemas() -> Value {
    let profile = || word(&["standard", "fapi2-security", "fapi2-message-signing"]);
    json!({
        "NewClient": object(&["name"], json!({
            "name": text(), "grants": texts(), "redirect_uris": texts(),
            "post_logout_redirect_uris": texts(), "scopes": texts(), "resources": texts(),
            "auth": maybe("string"), "profile": profile(),
            "pkce": word(&["required", "optional"]), "token_format": word(&["jwt", "opaque"]),
            "refresh": { "type": ["string", "null"], "enum": ["rotate", "keep", null] },
            "access_token_seconds": { "type": ["integer", "null"], "minimum": 10 },
            "consent": maybe("boolean"), "jwks": maybe("object"), "jwks_uri": maybe("string"),
            "application_type": maybe("string"), "dpop": { "type": "boolean" },
            "backchannel_logout_uri": maybe("string"),
        })),
        "CreatedClient": answer(json!({ "client_id": text(), "client_secret": maybe("string") })),
        "SecretRotation": object(&[], json!({
            "overlap_seconds": { "type": ["integer", "null"], "minimum": 0 },
        })),
        "Client": answer(json!({
            "client_id": text(), "name": text(), "profile": profile(),
            "origin": word(&["admin", "file", "dynamic", "document"]), "auth": text(),
            "grants": texts(), "redirect_uris": texts(), "scopes": texts(), "resources": texts(),
            "pkce": word(&["required", "optional"]), "token_format": word(&["jwt", "opaque"]),
            "refresh": word(&["rotate", "keep"]), "consent": { "type": "boolean" },
            "secrets": number(), "created_at": moment(), "created_by": text(),
            "disabled_at": maybe_moment(),
        })),
        "ClientList": list("clients", "Client"),
        "Grade": answer(json!({
            "client_id": text(), "rules": { "type": "array", "items": reference("GradeRule") },
        })),
        "GradeRule": answer(json!({
            "source": text(), "section": text(), "text": text(),
            "met": word(&["yes", "no", "not-applicable"]),
        })),
    })
}

fn user_schemas() -> Value {
    json!({
        "NewUser": object(&["email"], json!({
            "email": text(), "name": maybe("string"), "roles": texts(),
            "mail": { "type": "boolean" },
        })),
        "ImportedPerson": object(&["email"], json!({
            "id": maybe("string"), "email": text(), "email_verified": maybe("boolean"),
            "name": maybe("string"), "groups": { "type": ["array", "null"], "items": text() },
            "claims": maybe("object"), "disabled": maybe("boolean"),
            "external_id": maybe("string"), "password_hash": maybe("string"),
            "password_beside": maybe("boolean"), "second_factor": maybe("boolean"),
            "totp": { "type": ["array", "null"], "maxItems": 5, "items": object(&["secret"], json!({
                "secret": text(), "algorithm": maybe("string"), "digits": maybe("integer"),
                "period": maybe("integer"), "name": maybe("string"),
            })) },
        })),
        "Import": object(&["people"], json!({
            "people": {
                "type": "array", "maxItems": authority::oauth::LINES_MOST,
                "items": reference("ImportedPerson"),
            },
            "dry_run": { "type": "boolean" }, "update": { "type": "boolean" },
            "with_roles": { "type": "boolean" }, "invite": { "type": "boolean" },
        })),
        "ImportResult": answer(json!({ "results": { "type": "array", "items": answer(json!({
            "outcome": word(&["created", "changed", "unchanged", "kept", "refused"]),
            "id": maybe("string"), "differs": texts(), "field": maybe("string"),
            "problem": maybe("string"), "mailed": { "type": "boolean" },
        })) } })),
        "Export": object(&[], json!({
            "limit": { "type": ["integer", "null"], "minimum": 1, "maximum": 1000 },
            "after": maybe("string"), "with_hashes": { "type": "boolean" },
        })),
        "ExportResult": list("people", "ImportedPerson"),
        "Roles": object(&["roles"], json!({ "roles": texts() })),
        "CreatedUser": answer(json!({
            "id": text(), "setup_url": maybe("string"), "mailed": { "type": "boolean" },
        })),
        "ResetUser": answer(json!({
            "user": reference("User"), "removed": number(), "setup_url": text(),
        })),
        "EndedSessions": answer(json!({ "id": text(), "ended": number() })),
        "Authenticator": answer(json!({
            "id": text(),
            "kind": word(&["password", "totp", "passkey", "recovery", "device", "federated"]),
            "name": maybe("string"), "created_at": moment(), "last_used_at": maybe_moment(),
            "failures": number(), "shut": { "type": "boolean" },
            "codes_left": maybe("integer"), "second_factor": { "type": "boolean" },
        })),
        "UserDetail": { "allOf": [reference("User"), answer(json!({
            "authenticators": { "type": "array", "items": reference("Authenticator") },
        }))] },
        "User": answer(json!({
            "id": text(), "email": text(), "email_verified": { "type": "boolean" },
            "name": maybe("string"), "roles": texts(), "has_password": { "type": "boolean" },
            "origin": word(&["file", "admin"]),
            "created_at": moment(), "created_by": text(), "disabled_at": maybe_moment(),
        })),
        "NewGroup": object(&["name"], json!({
            "name": text(), "description": text(), "scopes": texts(),
        })),
        "Group": answer(json!({
            "name": text(), "description": text(), "scopes": texts(),
            "created_at": moment(), "created_by": text(),
        })),
        "GroupList": list("groups", "Group"),
        "RemovedGroup": answer(json!({ "name": text(), "opened": texts() })),
        "UserList": list("users", "User"),
    })
}

fn authority_schemas() -> Value {
    json!({
        "NewTrust": object(&["name", "issuer", "subject", "client"], json!({
            "name": text(), "issuer": text(), "jwks_uri": maybe("string"), "subject": text(),
            "audience": maybe("string"), "claims": { "type": "object" }, "client": text(),
            "scopes": texts(),
        })),
        "Trust": answer(json!({
            "id": text(), "name": text(), "issuer": text(), "jwks_uri": maybe("string"),
            "subject": text(), "audience": maybe("string"), "claims": { "type": "object" },
            "client": text(), "scopes": texts(), "created_at": moment(), "created_by": text(),
        })),
        "TrustList": list("rules", "Trust"),
        "RemovedTrust": answer(json!({ "id": text() })),
        "NewScope": object(&["name", "description"], json!({
            "name": text(), "description": text(),
        })),
        "Scope": answer(json!({
            "name": text(), "description": text(), "origin": word(&["admin", "file"]),
        })),
        "ScopeList": list("scopes", "Scope"),
        "RemovedScope": answer(json!({ "name": text() })),
        "SigningKeyList": list("keys", "SigningKey"),
        "SigningKey": answer(json!({
            "kid": text(), "algorithm": text(),
            "stage": word(&["published", "signing", "retired"]), "since": moment(),
            "public": { "type": "object" },
        })),
        "MailList": answer(json!({
            "messages": { "type": "array", "items": answer(mail_line()) },
            "kept": { "type": "boolean" }, "next": { "type": "null" },
        })),
        "Mail": answer(mail_whole()),
    })
}

/// All of a message.
fn mail_whole() -> Value {
    let mut whole = mail_line();
    if let Some(whole) = whole.as_object_mut() {
        whole.extend([("text".to_owned(), text()), ("html".to_owned(), text())]);
    }
    whole
}

/// What is shown of a message in a list.
fn mail_line() -> Value {
    json!({
        "number": { "type": "integer" }, "at": moment(), "kind": text(), "to": text(),
        "subject": text(),
    })
}

fn ledger_schemas() -> Value {
    json!({
        "Query": object(&["sql"], json!({ "sql": text() })),
        "Rows": { "type": "array", "items": { "type": "object" } },
        "Explanation": answer(json!({
            "request_id": text(), "time": moment(), "route": maybe("string"),
            "outcome": word(&["allow", "deny", "error"]), "phase": maybe("string"),
            "code": text(), "reason": text(), "fix": text(), "detail": maybe("string"),
            "principal": maybe("string"), "client_ip": maybe("string"),
            "method": maybe("string"), "path": maybe("string"),
            "status": number(), "count": number(),
        })),
        "EventList": { "type": "array", "items": reference("Event") },
        "Event": answer(json!({
            "time": moment(), "request_id": maybe("string"), "node": text(), "kind": text(),
            "outcome": word(&["allow", "deny", "error"]), "code": text(),
            "phase": maybe("string"), "route": maybe("string"), "method": maybe("string"),
            "host": maybe("string"), "path": maybe("string"), "client_ip": maybe("string"),
            "principal": maybe("string"), "client_id": maybe("string"),
            "credential_id": maybe("string"), "issuer": maybe("string"),
            "scheme": maybe("string"), "status": number(), "latency_us": number(),
            "upstream_us": number(), "bytes_in": number(), "bytes_out": number(),
            "count": number(), "detail": maybe("string"),
        })),
    })
}
