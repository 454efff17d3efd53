//! The description of the API: OpenAPI 3.1, made from the same list as the router.

mod schemas;

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
            "schemas": schemas::all(),
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
