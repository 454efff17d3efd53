use super::*;
use crate::algorithm::Algorithm;
use crate::oauth::client_auth::AuthMethod;
use crate::oauth::error::ErrorCode;
use crate::sign::SigningKey;
use serde_json::{Value, json};

fn read(value: Value) -> Result<ClientMetadata, ErrorCode> {
    let Value::Object(object) = value else { panic!("{value}") };
    ClientMetadata::read(object).map_err(|error| error.code())
}

fn with(name: &str, value: Value) -> Result<ClientMetadata, ErrorCode> {
    let mut metadata = json!({"redirect_uris": ["https://app.example/cb"]});
    metadata[name] = value;
    read(metadata)
}

fn refused(name: &str, value: Value) {
    assert_eq!(with(name, value.clone()), Err(ErrorCode::InvalidClientMetadata), "{name} {value}");
}

fn jwks() -> Value {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    json!({"keys": [key.public().to_json()]})
}

#[test]
fn rfc7591_s2_defaults() {
    let metadata =
        read(json!({"redirect_uris": ["https://app.example/cb"], "x": 1, "tos_uri": null}))
            .unwrap();
    assert_eq!(metadata.auth_method(), Some(AuthMethod::ClientSecretBasic));
    assert!(metadata.may(GrantType::AuthorizationCode) && !metadata.may(GrantType::RefreshToken));
    assert_eq!(metadata.grant_types.len(), 1);
    assert_eq!(metadata.response_types, ["code"]);
    assert_eq!((&*metadata.application_type, &*metadata.subject_type), ("web", "public"));
    let kept = serde_json::to_value(&metadata).unwrap();
    assert!(kept.get("x").is_none());
    assert_eq!(serde_json::from_value::<ClientMetadata>(kept).unwrap(), metadata);
}

#[test]
fn a_full_registration_is_read_and_can_be_kept() {
    let full = json!({
        "redirect_uris": ["https://app.example/cb", "http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "grant_types": ["refresh_token", "authorization_code", "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": ["code"],
        "client_name": "Übungs-App", "client_uri": "https://app.example",
        "logo_uri": "https://app.example/logo.png", "policy_uri": "https://app.example/p",
        "tos_uri": "https://app.example/t", "scope": "openid orders:read",
        "contacts": ["ops@app.example"], "jwks": jwks(), "application_type": "web",
        "subject_type": "pairwise", "sector_identifier_uri": "https://app.example/s.json",
        "id_token_signed_response_alg": "EdDSA", "userinfo_signed_response_alg": "PS256",
        "authorization_signed_response_alg": "ES256", "introspection_signed_response_alg": "ES256",
        "request_object_signing_alg": "PS256", "require_signed_request_object": true,
        "require_pushed_authorization_requests": true, "dpop_bound_access_tokens": true,
        "tls_client_certificate_bound_access_tokens": false,
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "backchannel_logout_uri": "https://app.example/logout",
        "backchannel_logout_session_required": true, "default_max_age": 3600,
        "require_auth_time": true, "default_acr_values": ["aal2"],
        "authorization_details_types": ["payment"], "software_id": "s", "software_version": "1",
    });
    let metadata = read(full.clone()).unwrap();
    assert_eq!(metadata.grant_types.len(), 6);
    assert!(metadata.has_redirect_uri("http://127.0.0.1:5/cb"));
    let kept = serde_json::to_value(&metadata).unwrap();
    assert_eq!(serde_json::from_value::<ClientMetadata>(kept.clone()).unwrap(), metadata);
    assert_eq!(kept, full);
}

#[test]
fn rfc9700_s2_implicit_and_password_are_not_offered() {
    refused("grant_types", json!(["implicit", "authorization_code"]));
    refused("grant_types", json!(["password"]));
    refused("response_types", json!(["code", "id_token"]));
    refused("response_types", json!(["token"]));
}

#[test]
fn rfc7591_s2_1_grants_and_response_types_fit() {
    refused("grant_types", json!([]));
    refused("response_types", json!([]));
    let service = read(json!({"grant_types": ["client_credentials"]})).unwrap();
    assert!(service.response_types.is_empty());
    let mismatch = json!({"grant_types": ["client_credentials"], "response_types": ["code"]});
    assert_eq!(read(mismatch), Err(ErrorCode::InvalidClientMetadata));
    assert_eq!(read(json!({})), Err(ErrorCode::InvalidRedirectUri));
    let public =
        json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"});
    assert_eq!(read(public), Err(ErrorCode::InvalidClientMetadata));
}

#[test]
fn rfc7591_s2_a_member_of_the_wrong_type_is_named() {
    let Value::Object(object) = json!({"redirect_uris": ["https://a/cb"], "contacts": "me"}) else {
        panic!()
    };
    let error = ClientMetadata::read(object).unwrap_err();
    assert!(error.description().contains("contacts"), "{error}");
    for (name, value) in [
        ("id_token_signed_response_alg", json!("none")),
        ("id_token_signed_response_alg", json!("HS256")),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("subject_type", json!("x")),
        ("default_max_age", json!(-1)),
        ("dpop_bound_access_tokens", json!("true")),
        ("scope", json!("a  b")),
    ] {
        refused(name, value);
    }
}

#[test]
fn rfc7591_s2_redirect_uris_are_judged() {
    let many = vec!["https://app.example/cb"; REDIRECT_URIS + 1];
    assert_eq!(with("redirect_uris", json!(many)), Err(ErrorCode::InvalidClientMetadata));
    for bad in ["http://app.example/cb", "javascript:alert(1)", "https://*/cb", "https://a/#f"] {
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            assert_eq!(with(name, json!([bad])), Err(ErrorCode::InvalidRedirectUri), "{bad}");
        }
    }
}

#[test]
fn links_and_names_on_the_consent_page_are_harmless() {
    for name in ["client_uri", "logo_uri", "policy_uri", "tos_uri"] {
        refused(name, json!("javascript:alert(1)"));
        refused(name, json!("data:text/html,x"));
        refused(name, json!("https://a.example/<script>"));
    }
    for bad in ["", " ", "a\nb", "Bank\u{202e}knaB", "a\u{200b}b", &"x".repeat(NAME_CHARS + 1)] {
        refused("client_name", json!(bad));
    }
    refused("jwks_uri", json!("http://app.example/k"));
    refused("sector_identifier_uri", json!("http://app.example/s"));
    refused("backchannel_logout_uri", json!("http://app.example/l"));
    refused("backchannel_logout_uri", json!("https://app.example/l#f"));
    assert!(with("backchannel_logout_uri", json!("http://localhost:9/l")).is_ok());
    refused("contacts", json!(vec!["a"; LIST_ENTRIES + 1]));
    refused("software_id", json!("x".repeat(TEXT_BYTES + 1)));
}

#[test]
fn rfc7591_s2_keys() {
    assert!(with("jwks", jwks()).is_ok());
    let both =
        json!({"redirect_uris": ["https://a/cb"], "jwks": jwks(), "jwks_uri": "https://a/k"});
    assert_eq!(read(both), Err(ErrorCode::InvalidClientMetadata));
    refused("jwks", json!({"keys": []}));
    refused("jwks", json!({}));
    let mut private = jwks();
    private["keys"][0]["d"] = json!("AA");
    refused("jwks", private);
    let mut beside = jwks();
    beside["keys"].as_array_mut().unwrap().push(json!({"kty": "oct", "k": "AA"}));
    refused("jwks", beside);
    refused("token_endpoint_auth_method", json!("private_key_jwt"));
    refused("require_signed_request_object", json!(true));
}

#[test]
fn rfc8705_s2_1_2_exactly_one_subject() {
    refused("token_endpoint_auth_method", json!("tls_client_auth"));
    refused("tls_client_auth_san_dns", json!("app.example"));
    let mut metadata = json!({"redirect_uris": ["https://a/cb"],
        "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a"});
    assert!(read(metadata.clone()).is_ok());
    metadata["tls_client_auth_san_uri"] = json!("spiffe://a");
    assert_eq!(read(metadata), Err(ErrorCode::InvalidClientMetadata));
}

#[test]
fn oidc_core_s8_1_pairwise_needs_a_sector() {
    let mut metadata = json!({"redirect_uris": ["https://a.example/", "https://b.example/"],
        "subject_type": "pairwise"});
    assert_eq!(read(metadata.clone()), Err(ErrorCode::InvalidClientMetadata));
    metadata["sector_identifier_uri"] = json!("https://c.example/s.json");
    assert_eq!(read(metadata).unwrap().sector().as_deref(), Some("c.example"));
}

#[test]
fn client_id_document_s3_the_url() {
    for (url, expect) in [
        ("https://app.example/client.json", Ok(())),
        ("https://app.example:8443/a?b", Ok(())),
        ("http://app.example/a", Err(ClientIdUrlFault::NotHttps)),
        ("HTTPS://app.example/a", Err(ClientIdUrlFault::NotHttps)),
        ("https://app.example", Err(ClientIdUrlFault::NoPath)),
        ("https://app.example/", Err(ClientIdUrlFault::NoPath)),
        ("https://app.example/a#b", Err(ClientIdUrlFault::Fragment)),
        ("https://u@app.example/a", Err(ClientIdUrlFault::User)),
        ("https://app.example/a/../b", Err(ClientIdUrlFault::DotSegments)),
        ("https://app.example/%2E/b", Err(ClientIdUrlFault::DotSegments)),
        ("https:///a", Err(ClientIdUrlFault::Syntax)),
        ("app", Err(ClientIdUrlFault::Syntax)),
    ] {
        assert_eq!(client_id_url(url), expect, "{url}");
    }
}

#[test]
fn client_id_document_s4_1_the_document_is_its_url_s() {
    const URL: &str = "https://app.example/client.json";
    let good = json!({"client_id": URL, "redirect_uris": ["http://127.0.0.1/cb"]});
    let document = |value: &Value| read_document(value.to_string().as_bytes(), URL);
    let metadata = document(&good).unwrap();
    assert_eq!(metadata.auth_method(), Some(AuthMethod::None));
    for (name, value) in [
        ("client_id", json!("https://app.example/client.json/")),
        ("client_secret", json!("x")),
        ("client_secret_expires_at", json!(0)),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("client_name", json!("\u{202e}")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert_eq!(document(&bad).unwrap_err().code(), ErrorCode::InvalidClientMetadata, "{bad}");
    }
    assert!(read_document(b"<html>", URL).is_err());
    assert!(read_document(br#"{"client_id":"a","client_id":"b"}"#, "a").is_err());
}

#[test]
fn rfc9728_s3_1_where_the_metadata_of_a_resource_lies() {
    for (resource, expect) in [
        ("https://api.example", Some("https://api.example/.well-known/oauth-protected-resource")),
        ("https://api.example/", Some("https://api.example/.well-known/oauth-protected-resource")),
        (
            "http://localhost:8000/mcp",
            Some("http://localhost:8000/.well-known/oauth-protected-resource/mcp"),
        ),
        ("https://api.example/a?b", None),
        ("urn:example:orders", None),
    ] {
        assert_eq!(resource_metadata_url(resource).as_deref(), expect);
    }
}

#[test]
fn rfc8414_s2_the_server_says_what_is_required() {
    let metadata = ServerMetadata { issuer: "https://a".to_owned(), ..ServerMetadata::default() };
    let value = serde_json::to_value(&metadata).unwrap();
    assert_eq!(value["request_uri_parameter_supported"], false);
    assert!(value.get("userinfo_endpoint").is_none() && value.get("scopes_supported").is_none());
}
