//! What SCIM clients are told of this service (RFC 7643 §5 to §7).

use super::{GROUP, Place, SCHEMAS, USER, list};
use serde_json::{Value, json};

const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What is supported (RFC 7643 §5).
#[must_use]
pub fn service_provider_config(place: &Place) -> Value {
    json!({
        "schemas": [CONFIG],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": super::PAGE },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Access tokens of this gate",
            "description": "OAuth 2.0 client credentials with the scope admin:scim",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", place.base),
        },
    })
}

/// The kinds of resources (RFC 7643 §6): one by its name, or all.
#[must_use]
pub fn resource_types(place: &Place, name: Option<&str>) -> Option<Value> {
    let one = |name: &str, schema: &str| {
        json!({
            "schemas": [RESOURCE_TYPE], "id": name, "name": name,
            "endpoint": format!("/{name}s"), "description": format!("{name} accounts of people and their groups"),
            "schema": schema,
            "meta": {
                "resourceType": "ResourceType",
                "location": format!("{}/ResourceTypes/{name}", place.base),
            },
        })
    };
    found(vec![one("User", USER), one("Group", GROUP)], name)
}

/// The schemas (RFC 7643 §7): one by its URN, or all.
#[must_use]
pub fn schemas(place: &Place, id: Option<&str>) -> Option<Value> {
    let one = |id: &str, name: &str, attributes: Value| {
        json!({
            "schemas": [SCHEMA], "id": id, "name": name, "description": name,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{}/Schemas/{id}", place.base) },
        })
    };
    let [user, group] = SCHEMAS;
    found(vec![one(user, "User", user_attributes()), one(group, "Group", group_attributes())], id)
}

fn found(all: Vec<Value>, wanted: Option<&str>) -> Option<Value> {
    match wanted {
        Some(id) => all.into_iter().find(|it| it.get("id").and_then(Value::as_str) == Some(id)),
        None => {
            let total = all.len();
            Some(list(all, (total, 1)))
        }
    }
}

/// An attribute (RFC 7643 §7): name, type, mutability.
fn attribute(name: &str, kind: &str, mutability: &str) -> Value {
    json!({
        "name": name, "type": kind, "multiValued": false, "description": name, "required": false,
        "caseExact": false, "mutability": mutability, "returned": "default", "uniqueness": "none",
    })
}

/// The same, with more said of it.
fn with(mut attribute: Value, more: Value) -> Value {
    if let (Some(attribute), Value::Object(more)) = (attribute.as_object_mut(), more) {
        attribute.extend(more);
    }
    attribute
}

fn user_attributes() -> Value {
    let text = |name: &str| attribute(name, "string", "readWrite");
    let told = |name: &str, kind: &str| attribute(name, kind, "readOnly");
    json!([
        with(
            text("userName"),
            json!({ "required": true, "uniqueness": "server",
            "description": "The e-mail address that the person signs in with" })
        ),
        with(
            attribute("name", "complex", "readWrite"),
            json!({ "subAttributes": [
            told("formatted", "string"), text("familyName"), text("givenName"), text("middleName"),
        ] })
        ),
        text("displayName"),
        text("nickName"),
        text("locale"),
        text("timezone"),
        with(
            attribute("active", "boolean", "readWrite"),
            json!({
            "description": "Whether the account is open; true unless said" })
        ),
        with(
            told("emails", "complex"),
            json!({ "multiValued": true, "subAttributes": [
            told("value", "string"), told("type", "string"), told("primary", "boolean"),
        ] })
        ),
        with(
            told("groups", "complex"),
            json!({ "multiValued": true, "subAttributes": [
            told("value", "string"),
            with(told("$ref", "reference"), json!({ "referenceTypes": ["Group"] })),
            told("type", "string"),
        ] })
        ),
    ])
}

fn group_attributes() -> Value {
    let part = |name: &str, kind: &str| attribute(name, kind, "immutable");
    json!([
        with(attribute("displayName", "string", "readWrite"), json!({ "required": true })),
        with(
            attribute("members", "complex", "readWrite"),
            json!({
                "multiValued": true,
                "subAttributes": [
                    with(part("value", "string"), json!({ "caseExact": true })),
                    with(part("$ref", "reference"), json!({ "referenceTypes": ["User"] })),
                    with(part("type", "string"), json!({ "canonicalValues": ["User"] })),
                    ],
            })
        ),
    ])
}
