//! What to change when an OAuth request was refused, for `explain`.
//!
//! Never does: tell it to the client; whoever reads this may read the record.

/// Errors by their registered names, and what to change.
const FIXES: [(&[&str], &str); 15] = [
    (
        &["invalid_request"],
        "Change the parameter that the reason names, as the section that it names asks; each parameter may \
             stand once.",
    ),
    (
        &["invalid_client"],
        "Look at `portcullis client show CLIENT_ID`: its id, how it proves itself, and whether it is disabled. \
             `portcullis client rotate-secret CLIENT_ID` makes a new secret.",
    ),
    (
        &["invalid_grant"],
        "Start the flow again: a code, a device code or a refresh token counts once, for the client, redirect \
             URI and verifier that it was made with, and for a time.",
    ),
    (
        &["unauthorized_client", "unsupported_grant_type", "unsupported_response_type"],
        "Use a grant that the client is registered for (`portcullis client show CLIENT_ID` lists them), or make \
             a client with `--grant`.",
    ),
    (
        &["invalid_scope"],
        "Ask for scopes that the client may have (`portcullis client show CLIENT_ID` lists them), or make a \
             client with `--scope`.",
    ),
    (
        &["insufficient_scope"],
        "Ask for a token with the scope that the reason names; for `admin:*` the account needs a role that \
             holds it: `portcullis user roles ID --role ROLE`.",
    ),
    (
        &["invalid_target"],
        "Ask for a `resource` that a route of this gate has and the client may use, exactly as it is spelled at \
             `/.well-known/oauth-protected-resource`.",
    ),
    (
        &["invalid_token"],
        "Ask for a new access token, and send it once, to the resource that it was made for.",
    ),
    (
        &["invalid_dpop_proof", "use_dpop_nonce"],
        "Make a new proof for each request: its method, its address without query, a fresh `jti`, and the nonce \
             of the last answer.",
    ),
    (
        &["access_denied", "login_required", "consent_required", "interaction_required"],
        "Send the person to the authorization page again; the answer is theirs to give.",
    ),
    (
        &["invalid_request_object", "invalid_request_uri", "request_not_supported"],
        "Sign the request with a registered key of the client, for this issuer as audience, and push it once \
             for each attempt.",
    ),
    (
        &["authorization_pending", "slow_down"],
        "Nothing to do: the device asks again after the interval.",
    ),
    (&["expired_token"], "Start again at the device: its code has expired or was used."),
    (&["invalid_redirect_uri"], "Register the redirect URI exactly as it is sent."),
    (&["invalid_client_metadata"], "Change the member of the metadata that the reason names."),
];
/// Where no table can say more than the rule itself.
const REST: &str = "Change what the reason names, and try again.";

/// The rule that a refused request broke, and what to change. The record holds `error: rule`.
pub(crate) fn refusal(detail: &str) -> Option<(&str, &'static str)> {
    let (error, rule) = detail.split_once(": ")?;
    let found = FIXES.iter().find(|(names, _)| names.contains(&error));
    Some((rule, found.map_or(REST, |(_, fix)| *fix)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::oauth::ErrorCode;

    #[test]
    fn the_rule_is_the_reason() {
        let (rule, fix) = refusal("invalid_grant: RFC 6749 §4.1.3: the code was used").unwrap();
        assert_eq!(rule, "RFC 6749 §4.1.3: the code was used");
        assert!(fix.contains("Start the flow again"));
        assert_eq!(refusal("some_error: a rule"), Some(("a rule", REST)));
        assert_eq!(refusal("nothing"), None);
    }

    #[test]
    fn each_error_stands_once_and_is_a_registered_one() {
        let all: Vec<&str> = FIXES.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        for name in &all {
            assert!(ErrorCode::ALL.iter().any(|it| it.as_str() == *name), "{name}");
            assert_eq!(all.iter().filter(|it| *it == name).count(), 1, "{name}");
        }
    }
}
