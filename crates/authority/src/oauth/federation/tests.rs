//! What comes back from a provider, and what must not.

mod stage;

mod accounts;
mod attacks;
mod tokens;

use super::metadata::Metadata;
use super::*;
use crate::people::{AuthenticatorData, Level};
use stage::{BACK, ISSUER, OTHER, stage, visitor};

#[tokio::test]
async fn a_person_signs_in_elsewhere() {
    let stage = stage(|_| {}).await;
    let left = stage.leave().await;
    let asked = stage::query(&left.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "us"),
        ("redirect_uri", BACK),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
        ("max_age", "43200"),
    ] {
        assert_eq!(asked.get(name), Some(value), "{name}");
    }
    assert_eq!(asked.get("prompt"), None);
    assert!(left.url.starts_with("https://corp.example/authorize?"));
    let Returned::SignedIn { signed_in, proceed } = stage.home(&left).await.unwrap() else {
        panic!("not signed in")
    };
    assert_eq!(proceed, "next:/device");
    let proof = &signed_in.session.proofs[0];
    assert_eq!((proof.kind, proof.at), (FactorKind::Federated, stage.now()));
    assert_eq!(
        (&*signed_in.session.acr, &signed_in.session.amr[..]),
        ("aal1", &["fed".to_owned()][..])
    );
    let user = stage.oauth.user_by_email("anna@example.com").await.unwrap();
    assert_eq!(user.id, signed_in.session.user);
    assert!(user.email_verified && user.password.is_none());
    // The same person the next time, whatever the address is by then.
    let left = stage.leave().await;
    stage.says(&left, |claims| claims["email"] = "other@example.com".into());
    let again = stage.back(&left).await.unwrap();
    let Returned::SignedIn { signed_in, .. } = again else { panic!("not signed in") };
    assert_eq!(signed_in.session.user, user.id);
    assert_eq!(stage.store.state().users.len(), 1);
}

#[tokio::test]
async fn rfc6749_s2_3_1_the_client_proves_itself() {
    let shows = async |change: fn(&mut Provider), metadata: &str| {
        let stage = stage(move |settings| change(&mut settings.providers[0])).await;
        if !metadata.is_empty() {
            stage.metadata(|all| {
                all["token_endpoint_auth_methods_supported"] = vec![metadata].into()
            });
        }
        let left = stage.leave().await;
        stage.home(&left).await.unwrap();
        let asked = stage.net.asked("https://corp.example/token");
        let form = asked.form.unwrap();
        let field = |name: &str| {
            form.iter().find(|(key, _)| key == name).map(|(_, value)| value.expose().clone())
        };
        // RFC 7636 §4.6.
        let challenge = challenge_s256(&field("code_verifier").unwrap());
        assert_eq!(stage::query(&left.url).get("code_challenge"), Some(&*challenge));
        assert_eq!(field("redirect_uri").as_deref(), Some(BACK));
        let basic = asked.basic.map(|(user, secret)| format!("{user} {}", secret.expose()));
        (basic, field("client_id"), field("client_secret"))
    };
    let us = Some("us".to_owned());
    let odd: fn(&mut Provider) = |it| it.client_secret = Some(Secret::new("a b:ä".to_owned()));
    assert_eq!(shows(odd, "").await, (Some("us a+b%3A%C3%A4".to_owned()), None, None));
    let post = (None, us.clone(), Some("shared".to_owned()));
    assert_eq!(shows(|_| {}, "client_secret_post").await, post);
    assert_eq!(shows(|it| it.client_auth = Some(ProviderAuth::Post), "").await, post);
    assert_eq!(shows(|it| it.client_secret = None, "").await, (None, us, None));
}

#[tokio::test]
async fn how_strongly_somebody_signed_in_is_believed_only_where_the_file_says_so() {
    let reached = async |change: fn(&mut Provider)| {
        let stage = stage(move |settings| change(&mut settings.providers[0])).await;
        let left = stage.leave().await;
        stage.says(&left, |claims| {
            claims["acr"] = "gold".into();
            claims["amr"] = vec!["pwd", "hwk"].into();
        });
        let Returned::SignedIn { signed_in, .. } = stage.back(&left).await.unwrap() else {
            panic!("not signed in")
        };
        signed_in.session.acr
    };
    assert_eq!(reached(|_| {}).await, "aal1");
    assert_eq!(reached(|it| it.acr = vec![("silver".to_owned(), Level::Aal2)]).await, "aal1");
    assert_eq!(reached(|it| it.acr = vec![("gold".to_owned(), Level::Aal2)]).await, "aal2");
    assert_eq!(reached(|it| it.amr = vec![("hwk".to_owned(), Level::Phr)]).await, "phr");
    // Whether a key can leave its authenticator, nobody but its maker can say.
    assert_eq!(reached(|it| it.acr = vec![("gold".to_owned(), Level::Aal3)]).await, "phr");
}

#[tokio::test]
async fn oidc_core_s2_a_sign_in_is_as_old_as_the_provider_says() {
    let at = async |age: Option<i64>| {
        let stage = stage(|_| {}).await;
        let left = stage.leave().await;
        let now = stage.now().seconds();
        stage.says(&left, |claims| match age {
            Some(age) => claims["auth_time"] = (now - age).into(),
            None => drop(claims.as_object_mut().unwrap().remove("auth_time")),
        });
        let Returned::SignedIn { signed_in, .. } = stage.back(&left).await.unwrap() else {
            panic!("not signed in")
        };
        stage.now().since(signed_in.session.auth_time).as_secs()
    };
    assert_eq!(at(Some(0)).await, 0);
    assert_eq!(at(Some(-20)).await, 0);
    assert_eq!(at(Some(3600)).await, 3600);
    assert_eq!(at(None).await, 86_400);
}

#[tokio::test]
async fn who_shall_prove_themselves_anew_is_sent_so() {
    let stage = stage(|_| {}).await;
    let fresh = Leave { fresh: true, ..stage::ask("corp") };
    let left = stage.oauth.leave(fresh.clone(), &stage::origin()).await.unwrap().unwrap();
    assert_eq!(stage::query(&left.url).get("max_age"), Some("0"));
    stage.metadata(|all| all["prompt_values_supported"] = vec!["none", "login"].into());
    stage.clock.advance(Duration::from_secs(3700));
    let left = stage.oauth.leave(fresh, &stage::origin()).await.unwrap().unwrap();
    assert_eq!(stage::query(&left.url).get("prompt"), Some("login"));
}

#[test]
fn oidc_discovery_s3_endpoints_are_reached_over_tls_or_on_this_machine() {
    let check = |issuer: &str, token: &str, expect: bool| {
        let document = serde_json::json!({
            "issuer": issuer, "authorization_endpoint": "https://a.example/authorize",
            "token_endpoint": token, "jwks_uri": "https://a.example/keys",
        });
        let read = Metadata::read(document.to_string().as_bytes(), "https://a.example");
        assert_eq!(read.is_ok(), expect, "{issuer} {token} {read:?}");
    };
    check("https://a.example", "https://b.example/token", true);
    check("https://a.example", "http://127.0.0.1:9000/token", true);
    check("https://a.example", "http://localhost/token", true);
    check("https://a.example", "http://a.example/token", false);
    check("https://a.example", "http://127.0.0.1.evil.example/token", false);
    check("https://a.example", "http://10.0.0.1/token", false);
    check("https://a.example", "https://u@a.example/token", false);
    check("https://a.example", "file:///etc/passwd", false);
    check("https://a.example", "javascript:alert(1)", false);
    check("https://a.example", "", false);
    check("https://a.example/", "https://a.example/token", false);
    check("https://evil.example", "https://a.example/token", false);
}

#[tokio::test]
async fn only_the_providers_own_place_may_be_private() {
    let stage = stage(|_| {}).await;
    stage.metadata(|all| all["jwks_uri"] = "https://keys.example/keys".into());
    stage.net.put("https://keys.example/keys", 200, &stage.keys());
    stage.home(&stage.leave().await).await.unwrap();
    let own = |url: &str| stage.net.asked(url).operator;
    assert!(own("https://corp.example/.well-known/openid-configuration"));
    assert!(own("https://corp.example/token"));
    assert!(!own("https://keys.example/keys"));
    let provider = stage::provider("corp", ISSUER);
    for (url, expect) in [
        ("https://CORP.example:443/x", true),
        ("https://corp.example.evil.example/x", false),
        ("https://corp.example:8443/x", false),
        ("http://corp.example/x", false),
        ("https://corp.example@evil.example/x", false),
    ] {
        assert_eq!(provider.is_own(url), expect, "{url}");
    }
}

#[tokio::test]
async fn metadata_and_keys_are_not_asked_for_again_and_again() {
    let stage = stage(|_| {}).await;
    for _ in 0..5 {
        stage.home(&stage.leave().await).await.unwrap();
    }
    let times = |url: &str| stage.net.times(url);
    assert_eq!(times("https://corp.example/.well-known/openid-configuration"), 1);
    assert_eq!(times("https://corp.example/keys"), 1);
    // While it is down, what is known goes on for a day; what is not known is tried once in half a minute.
    stage.net.put("https://corp.example/.well-known/openid-configuration", 503, "");
    stage.clock.advance(Duration::from_secs(4000));
    for _ in 0..5 {
        stage.leave().await;
    }
    assert_eq!(times("https://corp.example/.well-known/openid-configuration"), 2);
    stage.clock.advance(STALE_DAY);
    for _ in 0..5 {
        let refused = stage.oauth.leave(stage::ask("corp"), &stage::origin()).await.unwrap();
        assert_eq!(refused.unwrap_err().why, FederationRefused::Unavailable);
    }
    assert_eq!(times("https://corp.example/.well-known/openid-configuration"), 3);
}

const STALE_DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn nothing_secret_is_shown() {
    let provider = stage::provider("corp", ISSUER);
    let shown = format!("{provider:?}");
    assert!(!shown.contains("shared"), "{shown}");
    let _ = (OTHER, visitor());
    assert!(matches!(
        AuthenticatorData::Federated { issuer: String::new(), subject: String::new() }.kind(),
        FactorKind::Federated
    ));
}
