//! Which claims a client gets (OpenID Connect Core §5.1, §5.4, §5.5).

use crate::json::Object;
use crate::oauth::claim::ExtraClaims;
use crate::oauth::{ClaimWish, ClaimsRequest, ScopeSet};
use serde_json::Value;
use std::collections::BTreeMap;

const PROFILE: &[&str] = &[
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
];
const EMAIL: &[&str] = &["email", "email_verified"];
const ADDRESS: &[&str] = &["address"];
const GROUPS: &[&str] = &["groups"];
const PHONE: &[&str] = &["phone_number", "phone_number_verified"];

/// The standard claims of a person (§5.1), `sub` aside.
pub const STANDARD_CLAIMS: [&str; 19] = [
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "email",
    "email_verified",
    "address",
    "phone_number",
    "phone_number_verified",
];

/// The claims that a scope stands for (§5.4); none for other scopes.
pub fn scope_claims(scope: &str) -> &'static [&'static str] {
    match scope {
        "profile" => PROFILE,
        "email" => EMAIL,
        "address" => ADDRESS,
        "phone" => PHONE,
        // No scope of the standard, and widely known.
        "groups" => GROUPS,
        _ => &[],
    }
}

/// The answer of `userinfo` (§5.3.2): `sub`, and of what `person` says the claims that the scopes stand for
/// or the `claims` parameter asks for. `groups` and the like come through the parameter, or by a scope of
/// the claim's own name.
pub fn userinfo(
    subject: &str,
    person: &Object,
    scopes: &ScopeSet,
    asked: &ClaimsRequest,
) -> Object {
    let mut out = wanted(person, &asked.userinfo);
    for name in scopes.iter().flat_map(scope_claims) {
        if let Some(value) = present(person, name) {
            out.insert((*name).to_owned(), value.clone());
        }
    }
    // §5.3.2: always there, and the same as in the ID token.
    out.insert("sub".to_owned(), Value::from(subject));
    out
}

/// The claims of a signed answer of `userinfo` to `client_id` (§5.3.2). Without times, so that it is never
/// taken for an ID token.
pub fn signed_userinfo(mut userinfo: Object, issuer: &str, client_id: &str) -> Object {
    for time in ["iat", "exp", "nbf", "nonce"] {
        userinfo.remove(time);
    }
    userinfo.insert("iss".to_owned(), Value::from(issuer));
    userinfo.insert("aud".to_owned(), Value::from(client_id));
    userinfo
}

/// What of a person's data stands in the ID token: only what the `claims` parameter asks for there, since
/// with the code flow the scopes' claims are for `userinfo` (§5.4).
pub fn id_token_claims(person: &Object, asked: &ClaimsRequest) -> ExtraClaims {
    ExtraClaims::of(wanted(person, &asked.id_token))
}

/// §5.5.1: a claim that is asked for with values is given if it has one of them.
fn wanted(person: &Object, asked: &BTreeMap<Box<str>, ClaimWish>) -> Object {
    let given = asked.iter().filter_map(|(name, wish)| {
        let value = present(person, name).filter(|value| wish.takes(value))?;
        Some((name.to_string(), value.clone()))
    });
    given.collect()
}

/// §5.3.2: a claim without value is left out, neither null nor empty.
fn present<'a>(person: &'a Object, name: &str) -> Option<&'a Value> {
    let value = person.get(name)?;
    (!value.is_null() && value.as_str() != Some("")).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person() -> Object {
        let Value::Object(person) = json!({
            "name": "Anna", "email": "anna@example.com", "email_verified": true, "nickname": "",
            "gender": null, "groups": ["ops"], "phone_number": "+41", "sub": "internal",
        }) else {
            panic!()
        };
        person
    }

    fn answer(scopes: &str, claims: &Value) -> Value {
        let (scopes, asked) = (ScopeSet::parse(scopes), ClaimsRequest::parse(&claims.to_string()));
        Value::Object(userinfo("anna", &person(), &scopes.unwrap(), &asked.unwrap()))
    }

    #[test]
    fn oidc_core_s5_4_scopes_stand_for_claims() {
        assert_eq!(answer("openid", &json!({})), json!({"sub": "anna"}));
        let expect = json!({"sub": "anna", "name": "Anna"});
        assert_eq!(answer("openid profile", &json!({})), expect);
        let expect = json!({"sub": "anna", "email": "anna@example.com", "email_verified": true});
        assert_eq!(answer("openid email", &json!({})), expect);
        let mut all: Vec<_> = ["profile", "email", "address", "phone"]
            .into_iter()
            .flat_map(scope_claims)
            .copied()
            .collect();
        let mut standard = STANDARD_CLAIMS.to_vec();
        all.sort_unstable();
        standard.sort_unstable();
        assert_eq!(all, standard);
    }

    #[test]
    fn oidc_core_s5_5_claims_are_given_one_by_one() {
        let asked = json!({"userinfo": {"groups": null, "phone_number": {"value": "+49"},
            "email": {"essential": true}, "unknown": null, "sub": null}});
        let expect = json!({"sub": "anna", "groups": ["ops"], "email": "anna@example.com"});
        assert_eq!(answer("openid", &asked), expect);
    }

    #[test]
    fn oidc_core_s5_3_2_a_signed_answer_has_issuer_and_audience() {
        let Value::Object(person) = json!({"sub": "anna", "iat": 1, "aud": "x"}) else { panic!() };
        let signed = Value::Object(signed_userinfo(person, "https://login.example", "app"));
        assert_eq!(signed, json!({"sub": "anna", "iss": "https://login.example", "aud": "app"}));
    }

    #[test]
    fn oidc_core_s5_5_the_id_token_has_only_what_is_asked_there() {
        let asked = json!({"id_token": {"name": null, "sub": null, "acr": null}, "userinfo": {"email": null}});
        let asked = ClaimsRequest::parse(&asked.to_string()).unwrap();
        let given = Value::Object(id_token_claims(&person(), &asked).members().clone());
        assert_eq!(given, json!({"name": "Anna"}));
    }
}
