//! The description of the API: OpenAPI 3.1, made from the same list as the router.

use crate::routes::{Endpoint, endpoints, scope_of};
use serde_json::{Map, Value, json};

/// What is said of one endpoint. Every endpoint may also answer with a problem.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    tag: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<&'static str>,
    status: u16,
    says: &'static str,
    content: Map<String, Value>,
    open: bool,
}

impl Operation {
    /// An endpoint of the group `tag`.
    pub(crate) fn new(tag: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            summary,
            parameters: Vec::new(),
            body: None,
            status: 200,
            says: "",
            content: Map::new(),
            open: false,
        }
    }

    /// Takes a JSON body of this schema.
    pub(crate) fn takes(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self
    }

    /// Answers with JSON of this schema.
    pub(crate) fn answers(mut self, status: u16, says: &'static str, schema: &'static str) -> Self {
        (self.status, self.says) = (status, says);
        self.content.insert("application/json".to_owned(), json!({ "schema": reference(schema) }));
        self
    }

    /// Answers with plain text.
    pub(crate) fn answers_text(mut self, status: u16, says: &'static str) -> Self {
        (self.status, self.says) = (status, says);
        let text = json!({ "schema": { "type": "string" } });
        self.content.insert("text/plain".to_owned(), text);
        self
    }

    /// May answer with a stream of this media type instead.
    pub(crate) fn or_streams(mut self, media_type: &'static str) -> Self {
        self.content.insert(media_type.to_owned(), json!({ "schema": { "type": "string" } }));
        self
    }

    /// Needs no credential.
    pub(crate) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Has `{id}` in its path.
    pub(crate) fn by_id(self, says: &'static str) -> Self {
        self.by("id", says)
    }

    /// Has a parameter in its path.
    pub(crate) fn by(self, name: &'static str, says: &'static str) -> Self {
        self.parameter(name, "path", ("string", true), says)
    }

    /// Takes an optional query parameter.
    pub(crate) fn asks(self, name: &'static str, of: &'static str, says: &'static str) -> Self {
        self.parameter(name, "query", (of, false), says)
    }

    /// Needs a query parameter.
    pub(crate) fn needs(self, name: &'static str, of: &'static str, says: &'static str) -> Self {
        self.parameter(name, "query", (of, true), says)
    }

    /// Is a listing: takes `limit` and `after`.
    pub(crate) fn paged(self) -> Self {
        self.asks("limit", "integer", "Rows of the page, 1 to 1000; 100 unless said").asks(
            "after",
            "string",
            "Only what comes after this id",
        )
    }

    fn parameter(
        mut self,
        name: &'static str,
        place: &'static str,
        (of, required): (&'static str, bool),
        says: &'static str,
    ) -> Self {
        self.parameters.push(json!({
            "name": name, "in": place, "required": required,
            "description": says, "schema": { "type": of },
        }));
        self
    }

    fn render(&self, id: &str, scope: Option<&str>) -> Value {
        let status = self.status.to_string();
        let mut out = json!({
            "operationId": id,
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": {
                status: { "description": self.says, "content": self.content },
                "default": { "$ref": "#/components/responses/Problem" },
            },
        });
        if let (Some(schema), Some(out)) = (self.body, out.as_object_mut()) {
            let content = json!({ "application/json": { "schema": reference(schema) } });
            out.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        if let Some(out) = out.as_object_mut() {
            let security = match scope {
                Some(scope) if !self.open => json!([{ "bearer": [scope] }]),
                _ => json!([]),
            };
            out.insert("security".to_owned(), security);
        }
        out
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// The whole description.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Spoken over the socket in the data folder, without a credential: the socket \
                asks the operating system who is there. Over the network every path that is not open \
                needs an access token of this gate's own authority, made for this API alone, with the \
                scope that the operation names; its person needs a role that holds the scope.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths(&endpoints()),
        "security": [{ "bearer": [] }],
        "components": {
            "schemas": schemas(),
            "responses": { "Problem": {
                "description": "A refusal (RFC 9457)",
                "content": { "application/problem+json": { "schema": reference("Problem") } },
            } },
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn paths(endpoints: &[Endpoint]) -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints {
        let id = operation_id(endpoint.method, endpoint.path);
        let scope = scope_of(endpoint.method, endpoint.path);
        let entry = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(endpoint.method.to_owned(), endpoint.operation.render(&id, scope));
        }
    }
    Value::Object(paths)
}

/// `post /api/v1/keys/{id}/revoke` becomes `post_keys_id_revoke`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/api/v1").replace(['{', '}'], "");
    format!("{method}{}", path.replace(['/', '.'], "_"))
}

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

fn schemas() -> Value {
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
            "created_at": moment(), "created_by": text(), "expires_at": moment(),
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
        })),
        "Roles": object(&["roles"], json!({ "roles": texts() })),
        "CreatedUser": answer(json!({ "id": text(), "setup_url": maybe("string") })),
        "User": answer(json!({
            "id": text(), "email": text(), "email_verified": { "type": "boolean" },
            "name": maybe("string"), "roles": texts(), "has_password": { "type": "boolean" },
            "created_at": moment(), "created_by": text(), "disabled_at": maybe_moment(),
        })),
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
