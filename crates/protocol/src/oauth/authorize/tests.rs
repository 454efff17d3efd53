use super::*;
use crate::oauth::params::encode;
use proptest::prelude::*;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn params(pairs: &[(&str, &str)]) -> Params {
    Params::parse(encode(pairs.iter().copied()).as_bytes()).unwrap()
}

fn with(extra: &[(&str, &str)]) -> Result<AuthorizationRequest, RequestFault> {
    let mut pairs = vec![
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", "https://app.example/cb"),
    ];
    pairs.retain(|(name, _)| !extra.iter().any(|(own, _)| own == name));
    pairs.extend_from_slice(extra);
    AuthorizationRequest::read(&params(&pairs))
}

fn refused(name: &str, value: &str, code: ErrorCode) {
    let fault = with(&[(name, value)]).unwrap_err();
    assert_eq!((fault.parameter, fault.error.code()), (name, code), "{value}");
}

#[test]
fn a_full_request_is_read_and_can_be_kept() {
    let request = with(&[
        ("scope", "openid profile"),
        ("state", "s 1"),
        ("nonce", "n"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("response_mode", "form_post"),
        ("prompt", "login consent"),
        ("max_age", "0"),
        ("acr_values", "aal2 aal3"),
        ("login_hint", "anna@example.com"),
        ("id_token_hint", "ey.a.b"),
        ("ui_locales", "de-CH en"),
        ("claims", r#"{"id_token":{"acr":{"essential":true}}}"#),
        ("resource", "https://api.example/a"),
        ("resource", "https://api.example/b"),
        ("resource", "https://api.example/a"),
        ("authorization_details", r#"[{"type":"payment","amount":"1.00"}]"#),
        ("dpop_jkt", CHALLENGE),
        ("display", "popup"),
        ("unknown", "ignored"),
    ])
    .unwrap();
    assert!(request.is_openid());
    assert_eq!(request.response_mode, ResponseMode::FormPost);
    assert_eq!(request.prompt, Prompts { login: true, consent: true, ..Prompts::default() });
    assert_eq!(request.max_age, Some(0));
    assert_eq!(request.resource.len(), 2);
    assert_eq!(request.authorization_details.types().collect::<Vec<_>>(), ["payment"]);
    let kept = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<AuthorizationRequest>(&kept).unwrap(), request);
    let bare = with(&[]).unwrap();
    let kept = serde_json::to_string(&bare).unwrap();
    assert_eq!(serde_json::from_str::<AuthorizationRequest>(&kept).unwrap(), bare);
}

#[test]
fn rfc9700_s2_1_2_only_the_code_flow() {
    for other in ["token", "id_token", "code id_token", "code token", "none", "CODE"] {
        refused("response_type", other, ErrorCode::UnsupportedResponseType);
    }
    refused("response_type", "", ErrorCode::InvalidRequest);
}

#[test]
fn rfc9700_s2_1_1_plain_is_refused() {
    for pairs in [
        [("code_challenge", CHALLENGE), ("code_challenge_method", "plain")],
        [("code_challenge", CHALLENGE), ("code_challenge_method", "")],
        [("code_challenge", CHALLENGE), ("code_challenge_method", "s256")],
    ] {
        assert_eq!(with(&pairs).unwrap_err().parameter, "code_challenge_method");
    }
    for pairs in [
        [("code_challenge", "short"), ("code_challenge_method", "S256")],
        [("code_challenge", ""), ("code_challenge_method", "S256")],
    ] {
        assert_eq!(with(&pairs).unwrap_err().parameter, "code_challenge");
    }
}

#[test]
fn rfc6749_s4_1_2_1_no_redirect_when_client_or_uri_are_in_doubt() {
    for (name, value) in [
        ("client_id", ""),
        ("client_id", "a\u{e4}"),
        ("redirect_uri", "/cb"),
        ("redirect_uri", "https://app.example/cb#f"),
        ("redirect_uri", "https://app.example\\@evil.example"),
    ] {
        let fault = with(&[(name, value)]).unwrap_err();
        assert_eq!((fault.parameter, fault.may_redirect()), (name, false));
    }
    assert!(with(&[("scope", "a  b")]).unwrap_err().may_redirect());
}

#[test]
fn oidc_core_s3_1_2_1_prompt_none_stands_alone() {
    assert!(with(&[("prompt", "none")]).unwrap().prompt.none);
    for bad in ["none login", "login none", "create", "Login"] {
        refused("prompt", bad, ErrorCode::InvalidRequest);
    }
}

#[test]
fn oidc_core_s3_1_2_1_max_age_is_a_number() {
    for bad in ["-1", "+1", "1.5", "1e3", "99999999999", " 1", "x"] {
        refused("max_age", bad, ErrorCode::InvalidRequest);
    }
}

#[test]
fn jarm_s2_3_response_modes() {
    for (name, mode) in
        [("jwt", ResponseMode::QueryJwt), ("form_post.jwt", ResponseMode::FormPostJwt)]
    {
        assert_eq!(with(&[("response_mode", name)]).unwrap().response_mode, mode);
        assert!(mode.is_signed());
    }
    refused("response_mode", "fragment", ErrorCode::InvalidRequest);
    refused("response_mode", "fragment.jwt", ErrorCode::InvalidRequest);
}

#[test]
fn rfc8707_s2_resource_is_absolute_without_fragment() {
    for bad in ["api", "/api", "https://api.example/#f"] {
        refused("resource", bad, ErrorCode::InvalidTarget);
    }
    assert!(with(&[("resource", "urn:example:orders")]).is_ok());
}

#[test]
fn rfc9396_s2_details_are_objects_with_a_type() {
    for bad in ["", "{}", "[]", "[1]", "[{}]", r#"[{"type":1}]"#, r#"[{"type":""}]"#, "[{]"] {
        let outcome = with(&[("authorization_details", bad)]);
        match bad {
            "" => assert!(outcome.unwrap().authorization_details.is_empty()),
            _ => refused("authorization_details", bad, ErrorCode::InvalidAuthorizationDetails),
        }
    }
    let of = |text| AuthorizationDetails::parse(text).unwrap();
    let both = of(r#"[{"type":"a"},{"type":"b","x":1}]"#);
    assert!(both.contains_all(&of(r#"[{"type":"b","x":1}]"#)));
    assert!(!both.contains_all(&of(r#"[{"type":"b","x":2}]"#)));
}

#[test]
fn every_other_value_is_bounded() {
    for (name, long) in [
        ("state", STATE_BYTES),
        ("nonce", NONCE_BYTES),
        ("login_hint", LOGIN_HINT_BYTES),
        ("acr_values", ENTRY_BYTES),
    ] {
        assert!(with(&[(name, &"a".repeat(long))]).is_ok());
        refused(name, &"a".repeat(long + 1), ErrorCode::InvalidRequest);
        refused(name, "a\tb", ErrorCode::InvalidRequest);
    }
    refused("acr_values", &"a ".repeat(VALUES + 1), ErrorCode::InvalidRequest);
    refused("dpop_jkt", "a", ErrorCode::InvalidRequest);
    refused("registration", "{}", ErrorCode::RegistrationNotSupported);
}

#[test]
fn oidc_core_s3_1_2_1_locales_are_no_reason_to_fail() {
    let long = "a".repeat(ENTRY_BYTES + 1);
    let request = with(&[("ui_locales", &format!("de_CH \u{e4} {long} fr-CA"))]).unwrap();
    assert_eq!(request.ui_locales, ["fr-CA".into()]);
    let many = with(&[("ui_locales", &"de ".repeat(VALUES + 1))]).unwrap();
    assert_eq!(many.ui_locales.len(), VALUES);
}

#[test]
fn rfc9101_s5_object_and_reference_exclude_each_other() {
    refused("request", "ey", ErrorCode::InvalidRequest);
    refused("request_uri", "urn:x", ErrorCode::InvalidRequest);
    let both = params(&[("client_id", "a"), ("request", "x"), ("request_uri", "urn:x")]);
    assert_eq!(Arrival::of(&both).unwrap_err().parameter, "request");
    let alone = params(&[("request", "x")]);
    assert_eq!(Arrival::of(&alone).unwrap_err().parameter, "client_id");
    let pushed = format!("{PUSHED}abc");
    let pushed = params(&[("client_id", "a"), ("request_uri", &pushed)]);
    let Ok(Arrival::Reference { client_id: "a", request_uri }) = Arrival::of(&pushed) else {
        panic!("{pushed:?}");
    };
    assert!(request_uri.starts_with(PUSHED));
    let odd = params(&[("client_id", "a"), ("request_uri", "x y")]);
    assert_eq!(Arrival::of(&odd).unwrap_err().error.code(), ErrorCode::InvalidRequestUri);
    assert_eq!(Arrival::of(&params(&[])), Ok(Arrival::Plain));
}

#[test]
fn an_answer_knows_where_to_go_though_the_request_is_wrong() {
    let reply = ReplyTo::read(&params(&[
        ("client_id", "app"),
        ("redirect_uri", "https://app.example/cb"),
        ("state", "s"),
        ("response_mode", "fragment"),
        ("response_type", "token"),
    ]))
    .unwrap();
    assert_eq!(reply.state.as_deref(), Some("s"));
    assert_eq!(reply.response_mode, ResponseMode::Query);
}

proptest! {
    #[test]
    fn nothing_panics(
        pairs in proptest::collection::vec(("(client_id|scope|prompt|claims|max_age|state)", any::<String>()), 0..6)
    ) {
        let mut params = Params::default();
        for (name, value) in pairs {
            let _ = params.push(name, value);
        }
        let _ = (AuthorizationRequest::read(&params), ReplyTo::read(&params), Arrival::of(&params));
    }
}
