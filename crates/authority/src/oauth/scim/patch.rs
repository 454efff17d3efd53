//! PATCH (RFC 7644 §3.5.2): operations applied to a resource as JSON.
//!
//! Owns: paths, and what `add`, `replace` and `remove` mean for each shape of attribute.
//!
//! Never does: judge values; whoever takes the result reads it as a replacement.
//!
//! Invariants: an operation that cannot be done refuses all of them; nothing is written outside the attributes that
//! were named as writable.

use super::Refused;
use super::filter::{Filter, member};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Operations of one request.
pub(super) const OPERATIONS: usize = 100;
/// Bytes of a path.
const PATH_BYTES: usize = 512;
/// The message's schema.
pub(super) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What shape an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    One,
    /// Named parts.
    Parts(&'static [&'static str]),
    /// Many complex values, told apart by `value`.
    Many,
    /// Nothing that a client writes.
    ReadOnly,
}

/// An attribute by its name.
pub(super) type Attribute = (&'static str, Shape);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

#[derive(Debug)]
struct Path {
    name: String,
    filter: Option<Filter>,
    sub: Option<String>,
}

/// Applies the operations of a PATCH body.
///
/// # Errors
/// 400 with `invalidSyntax`, `invalidPath`, `invalidValue`, `noTarget` or `mutability` (RFC 7644 Table 9).
pub(super) fn apply(
    resource: &mut Map<String, Value>,
    attributes: &[Attribute],
    body: &Map<String, Value>,
) -> Result<(), Refused> {
    super::schema(body, PATCH_OP)?;
    let Some(Value::Array(operations)) = member(body, "Operations") else {
        return Err(Refused::bad("invalidSyntax", "Operations must be a list"));
    };
    if operations.is_empty() || operations.len() > OPERATIONS {
        let words = format!("Operations must be 1 to {OPERATIONS}");
        return Err(Refused::bad("invalidSyntax", words));
    }
    for operation in operations {
        let Value::Object(operation) = operation else {
            return Err(Refused::bad("invalidSyntax", "an operation must be an object"));
        };
        one(resource, attributes, operation)?;
    }
    Ok(())
}

fn one(
    resource: &mut Map<String, Value>,
    attributes: &[Attribute],
    operation: &Map<String, Value>,
) -> Result<(), Refused> {
    let word = member(operation, "op").and_then(Value::as_str).unwrap_or_default();
    // WHY in any case: the RFC's words are lower case, and a widespread client writes them with a capital.
    let verb = match word.to_ascii_lowercase().as_str() {
        "add" => Verb::Add,
        "replace" => Verb::Replace,
        "remove" => Verb::Remove,
        _ => return Err(Refused::bad("invalidSyntax", "op must be add, replace or remove")),
    };
    let value = member(operation, "value");
    match (member(operation, "path"), verb, value) {
        (Some(Value::String(path)), _, _) => {
            let path = read_path(path)?;
            change(resource, attributes, &path, (verb, value))
        }
        // RFC 7644 §3.5.2.2: to remove, a path must be named.
        (None | Some(Value::Null), Verb::Remove, _) => {
            Err(Refused::bad("noTarget", "remove needs a path"))
        }
        (None | Some(Value::Null), _, Some(Value::Object(members))) => {
            for (name, value) in members {
                let path = read_path(name)?;
                let writable = |(_, shape)| shape != Shape::ReadOnly;
                if find(attributes, &path.name).is_some_and(writable) {
                    change(resource, attributes, &path, (verb, Some(value)))?;
                } else {
                    // RFC 7644 §3.3: what is not ours to write, or not known, is passed over in a whole resource.
                    super::no_password(&path.name)?;
                }
            }
            Ok(())
        }
        (None | Some(Value::Null), _, _) => {
            Err(Refused::bad("invalidValue", "without a path, value must be an object"))
        }
        _ => Err(Refused::bad("invalidPath", "path must be a text")),
    }
}

fn find(attributes: &[Attribute], name: &str) -> Option<Attribute> {
    attributes.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).copied()
}

/// Reads `name`, `name.sub`, `name[filter]` or `name[filter].sub`, with or without the schema before it.
fn read_path(text: &str) -> Result<Path, Refused> {
    let bad = || Refused::bad("invalidPath", "the path cannot be read");
    if text.len() > PATH_BYTES {
        return Err(bad());
    }
    let (head, filter, tail) = match text.split_once('[') {
        None => (text, None, ""),
        Some((head, rest)) => {
            let (filter, tail) = rest.rsplit_once(']').ok_or_else(bad)?;
            let filter = Filter::read(filter)
                .map_err(|refusal| Refused::bad("invalidPath", refusal.detail))?;
            (head, Some(filter), tail)
        }
    };
    // RFC 7644 §3.10: the schema of an attribute may stand before it.
    let head = match super::SCHEMAS.iter().find_map(|schema| own(head, schema)) {
        Some(rest) => rest,
        None => head,
    };
    let (name, sub) = match (head.split_once('.'), tail.strip_prefix('.')) {
        (None, None) if tail.is_empty() => (head, None),
        (None, Some(sub)) => (head, Some(sub)),
        (Some((name, sub)), None) if filter.is_none() => (name, Some(sub)),
        _ => return Err(bad()),
    };
    let good = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "$-_:".contains(c))
    };
    match good(name) && sub.is_none_or(good) {
        true => Ok(Path { name: name.to_owned(), filter, sub: sub.map(str::to_owned) }),
        false => Err(bad()),
    }
}

/// What follows a schema and its colon.
fn own<'a>(text: &'a str, schema: &str) -> Option<&'a str> {
    let before = text.get(..schema.len())?;
    let rest = text.get(schema.len()..)?.strip_prefix(':')?;
    before.eq_ignore_ascii_case(schema).then_some(rest)
}

fn change(
    resource: &mut Map<String, Value>,
    attributes: &[Attribute],
    path: &Path,
    (verb, value): (Verb, Option<&Value>),
) -> Result<(), Refused> {
    super::no_password(&path.name)?;
    let Some((name, shape)) = find(attributes, &path.name) else {
        return Err(Refused::bad("invalidPath", "there is no such attribute"));
    };
    if verb != Verb::Remove && value.is_none() {
        return Err(Refused::bad("invalidValue", "add and replace need a value"));
    }
    // RFC 7643 §2.5: null is no value.
    let value = value.filter(|it| !it.is_null());
    match (shape, &path.filter, &path.sub) {
        (Shape::ReadOnly, ..) => {
            Err(Refused::bad("mutability", format!("{name} cannot be changed")))
        }
        (Shape::One, None, None) => {
            set(resource, name, value.filter(|_| verb != Verb::Remove));
            Ok(())
        }
        (Shape::Parts(parts), None, sub) => {
            change_parts(resource, (name, parts), sub.as_deref(), (verb, value))
        }
        (Shape::Many, filter, None) => change_many(resource, name, filter.as_ref(), (verb, value)),
        _ => Err(Refused::bad("invalidPath", format!("{name} has no such part"))),
    }
}

fn set(object: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    match value {
        Some(value) => object.insert(name.to_owned(), value.clone()),
        None => object.remove(name),
    };
}

fn change_parts(
    resource: &mut Map<String, Value>,
    (name, parts): (&str, &[&str]),
    sub: Option<&str>,
    (verb, value): (Verb, Option<&Value>),
) -> Result<(), Refused> {
    let mut object = match resource.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let canonical = |asked: &str| parts.iter().find(|it| it.eq_ignore_ascii_case(asked)).copied();
    match (sub, verb, value) {
        (Some(sub), _, value) => {
            let Some(part) = canonical(sub) else {
                return Err(match sub.eq_ignore_ascii_case("formatted") {
                    true => {
                        Refused::bad("mutability", format!("{name}.formatted cannot be changed"))
                    }
                    false => Refused::bad("invalidPath", format!("{name} has no such part")),
                });
            };
            set(&mut object, part, value.filter(|_| verb != Verb::Remove));
        }
        (None, Verb::Remove, _) | (None, _, None) => object.clear(),
        (None, _, Some(Value::Object(given))) => {
            for (key, value) in given {
                if let Some(part) = canonical(key) {
                    set(&mut object, part, Some(value).filter(|it| !it.is_null()));
                }
            }
        }
        _ => return Err(Refused::bad("invalidValue", format!("{name} must be an object"))),
    }
    if !object.is_empty() {
        resource.insert(name.to_owned(), Value::Object(object));
    }
    Ok(())
}

fn change_many(
    resource: &mut Map<String, Value>,
    name: &str,
    filter: Option<&Filter>,
    (verb, value): (Verb, Option<&Value>),
) -> Result<(), Refused> {
    let mut items = match resource.remove(name) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let given = match value {
        None => Vec::new(),
        Some(Value::Array(given)) => given.clone(),
        Some(given @ Value::Object(_)) => vec![given.clone()],
        Some(_) => return Err(Refused::bad("invalidValue", format!("{name} must be a list"))),
    };
    if given.len() > super::MEMBERS {
        return Err(super::too_many_members());
    }
    let values: BTreeSet<String> = given.iter().filter_map(value_of).map(str::to_owned).collect();
    let named = |item: &Value| value_of(item).is_some_and(|it| values.contains(it));
    match (verb, filter) {
        (Verb::Add, None) => {
            items.retain(|it| !named(it));
            items.extend(given);
        }
        (Verb::Replace, None) => items = given,
        // WHY: a widespread client names those to remove as a value. Without any, all go (RFC 7644 §3.5.2.2).
        (Verb::Remove, None) if value.is_some() => items.retain(|it| !named(it)),
        (Verb::Remove, None) => items.clear(),
        (Verb::Remove, Some(filter)) => {
            items.retain(|it| !it.as_object().is_some_and(|it| filter.holds(it)));
        }
        (_, Some(_)) => {
            let words = format!("one of {name} can be added or removed, and not changed");
            return Err(Refused::bad("invalidPath", words));
        }
    }
    resource.insert(name.to_owned(), Value::Array(items));
    Ok(())
}

fn value_of(item: &Value) -> Option<&str> {
    member(item.as_object()?, "value")?.as_str()
}
