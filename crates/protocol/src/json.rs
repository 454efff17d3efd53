//! Strict JSON objects.
//!
//! Owns: reading a JSON object whose member names are unique at every level (RFC 7515 §4, RFC 7519 §4),
//! whose size and depth are bounded, and after which nothing follows.
//!
//! Invariant: a value that comes out reads the same in every conforming parser; there is no "last one wins".

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Levels of nesting that are read. Claims of known issuers use fewer than 8.
pub const DEPTH: usize = 16;

/// An object's members.
pub type Object = Map<String, Value>;

/// Why a text is not a JSON object that may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than allowed.
    #[error("the JSON text is too long")]
    TooLong,
    /// More levels than [`DEPTH`].
    #[error("the JSON text is nested too deeply")]
    TooDeep,
    /// A member name stands twice in one object.
    #[error("a member name stands twice")]
    Duplicate,
    /// Not JSON, trailing bytes included.
    #[error("not JSON")]
    Syntax,
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// JSON, but not an array.
    #[error("not a JSON array")]
    NotAnArray,
}

/// Reads one object of at most `max` bytes.
///
/// # Errors
/// See [`JsonError`].
pub fn object(bytes: &[u8], max: usize) -> Result<Object, JsonError> {
    match value(bytes, max)? {
        Value::Object(map) => Ok(map),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Reads one array of at most `max` bytes, as strictly as [`object`].
///
/// # Errors
/// See [`JsonError`].
pub fn array(bytes: &[u8], max: usize) -> Result<Vec<Value>, JsonError> {
    match value(bytes, max)? {
        Value::Array(values) => Ok(values),
        _ => Err(JsonError::NotAnArray),
    }
}

fn value(bytes: &[u8], max: usize) -> Result<Value, JsonError> {
    if bytes.len() > max {
        return Err(JsonError::TooLong);
    }
    let fault = Cell::new(JsonError::Syntax);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value =
        Strict { depth: DEPTH, fault: &fault }.deserialize(&mut reader).map_err(|_| fault.get())?;
    reader.end().map_err(|_| JsonError::Syntax)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict<'f> {
    depth: usize,
    fault: &'f Cell<JsonError>,
}

impl Strict<'_> {
    fn fail<E: serde::de::Error>(self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.fail(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if out.contains_key(&name) {
                // RFC 7515 §4, RFC 7519 §4: names are unique; a parser may reject duplicates, we do.
                return Err(self.fail(JsonError::Duplicate));
            }
            let value = map.next_value_seed(inner)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: Option<JsonError>) {
        assert_eq!(object(text.as_bytes(), 4096).err(), expect, "{text}");
    }

    #[test]
    fn rfc7519_s4_duplicate_names_are_refused() {
        check(r#"{"a":1,"b":{"a":2}}"#, None);
        check(r#"{"a":1,"a":1}"#, Some(JsonError::Duplicate));
        check(r#"{"a":1,"\u0061":2}"#, Some(JsonError::Duplicate));
        check(r#"{"x":[{"a":1,"a":1}]}"#, Some(JsonError::Duplicate));
    }

    #[test]
    fn only_one_object_and_nothing_after_it() {
        check("", Some(JsonError::Syntax));
        check("[]", Some(JsonError::NotAnObject));
        assert_eq!(array(b"[1, {}]", 9).unwrap().len(), 2);
        assert_eq!(array(b"{}", 9), Err(JsonError::NotAnArray));
        assert_eq!(array(b"[{\"a\":1,\"a\":1}]", 99), Err(JsonError::Duplicate));
        assert_eq!(array(b"[] []", 9), Err(JsonError::Syntax));
        check("null", Some(JsonError::NotAnObject));
        check("{} {}", Some(JsonError::Syntax));
        check("{}x", Some(JsonError::Syntax));
        check("{}\0", Some(JsonError::Syntax));
        check("\u{feff}{}", Some(JsonError::Syntax));
        check(r#"{"a":1,}"#, Some(JsonError::Syntax));
        check(r#"{"a":NaN}"#, Some(JsonError::Syntax));
        check(r#"{"a":1e400}"#, Some(JsonError::Syntax));
        check(r#"{"a":"\ud800"}"#, Some(JsonError::Syntax));
        check(" {\"a\"\n:\t1} ", None);
    }

    #[test]
    fn size_and_depth_are_bounded() {
        assert_eq!(object(b"{}", 1), Err(JsonError::TooLong));
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        check(&nested(DEPTH - 1), None);
        check(&nested(DEPTH), Some(JsonError::TooDeep));
        check(&"{\"a\":".repeat(700), Some(JsonError::TooDeep));
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert_eq!(object(b"{\"a\":\"\xff\"}", 100), Err(JsonError::Syntax));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes, 150);
        }

        #[test]
        fn json_like_text_never_panics(text in r#"[\[\]{}:,"a0.e\-+\\u ]{0,60}"#) {
            let _ = object(text.as_bytes(), 100);
        }
    }
}
