//! The `claims` parameter (OpenID Connect Core §5.5).

use super::error::{ErrorCode, OAuthError};
use crate::json::{self, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of the parameter.
pub const CLAIMS_BYTES: usize = 8 * 1024;
/// Claims that one request may name. There are 20 standard ones.
pub const CLAIMS: usize = 64;
/// Values that one claim may be asked to have.
pub const CLAIM_VALUES: usize = 32;

/// Claims that were asked for one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// Those for the ID token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<Box<str>, ClaimWish>,
    /// Those for the answer of `userinfo`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<Box<str>, ClaimWish>,
}

/// How a claim is wanted (OpenID Connect Core §5.5.1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimWish {
    /// Whether the client cannot do without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The values that would do; empty when any does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimWish {
    /// Whether `value` is one that was asked for.
    pub fn takes(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
}

impl ClaimsRequest {
    /// Reads the parameter. Members that are not understood are ignored (§5.5).
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut object = json::object(text.as_bytes(), CLAIMS_BYTES)
            .map_err(|error| fault(format!("the parameter claims cannot be read: {error}")))?;
        Ok(Self {
            id_token: wishes(&mut object, "id_token")?,
            userinfo: wishes(&mut object, "userinfo")?,
        })
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }

    /// The `acr` values that the login must reach: those of an essential claim (§5.5.1.1).
    pub fn essential_acr(&self) -> Option<&[Value]> {
        let wish = self.id_token.get("acr").filter(|wish| wish.essential)?;
        Some(&wish.values)
    }

    /// The `sub` that must be the one who logs in (§5.5.1): `id_token` first.
    pub fn subject(&self) -> Option<&str> {
        let wish = self.id_token.get("sub").or_else(|| self.userinfo.get("sub"))?;
        wish.values.first().and_then(Value::as_str)
    }
}

fn wishes(from: &mut Object, name: &str) -> Result<BTreeMap<Box<str>, ClaimWish>, OAuthError> {
    let entries = match from.remove(name) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(entries)) if entries.len() <= CLAIMS => entries,
        Some(Value::Object(_)) => return Err(fault("the parameter claims names too many claims")),
        Some(_) => return Err(fault("a member of the parameter claims is not an object")),
    };
    entries.into_iter().map(|(name, value)| Ok((name.into(), wish(value)?))).collect()
}

fn wish(value: Value) -> Result<ClaimWish, OAuthError> {
    let mut members = match value {
        Value::Null => return Ok(ClaimWish::default()),
        Value::Object(members) => members,
        _ => return Err(fault("a claim of the parameter claims is neither null nor an object")),
    };
    let essential = match members.remove("essential") {
        None => false,
        Some(Value::Bool(essential)) => essential,
        Some(_) => return Err(fault("essential in the parameter claims is not a boolean")),
    };
    let values = match (members.remove("value"), members.remove("values")) {
        (None, None) => Vec::new(),
        (Some(value), None) => vec![value],
        (None, Some(Value::Array(values)))
            if !values.is_empty() && values.len() <= CLAIM_VALUES =>
        {
            values
        }
        _ => return Err(fault("value and values in the parameter claims do not fit")),
    };
    Ok(ClaimWish { essential, values })
}

fn fault(text: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn oidc_core_s5_5_claims_parameter() {
        let text = json!({
            "userinfo": {"given_name": {"essential": true}, "nickname": null, "http://x/y": {"a": 1}},
            "id_token": {"acr": {"essential": true, "values": ["aal2", "aal3"]}, "sub": {"value": "s"}},
            "other": 1,
        });
        let claims = ClaimsRequest::parse(&text.to_string()).unwrap();
        assert_eq!(claims.userinfo.len(), 3);
        assert!(claims.userinfo.get("given_name").unwrap().essential);
        assert_eq!(claims.essential_acr(), Some([json!("aal2"), json!("aal3")].as_slice()));
        assert_eq!(claims.subject(), Some("s"));
        let kept = serde_json::to_string(&claims).unwrap();
        assert_eq!(serde_json::from_str::<ClaimsRequest>(&kept).unwrap(), claims);
        let wish = claims.id_token.get("acr").unwrap();
        assert!(wish.takes(&json!("aal2")) && !wish.takes(&json!("aal1")));
    }

    #[test]
    fn oidc_core_s5_5_what_does_not_fit_is_refused() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"id_token":1}"#,
            r#"{"id_token":{"a":1}}"#,
            r#"{"id_token":{"a":{"essential":"true"}}}"#,
            r#"{"id_token":{"a":{"values":"x"}}}"#,
            r#"{"id_token":{"a":{"values":[]}}}"#,
            r#"{"id_token":{"a":{"value":1,"values":[1]}}}"#,
            r#"{"id_token":{"a":null,"a":null}}"#,
        ] {
            let error = ClaimsRequest::parse(bad).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidRequest, "{bad}");
        }
        let many: Object = (0..=CLAIMS).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(ClaimsRequest::parse(&json!({"id_token": many}).to_string()).is_err());
    }
}
