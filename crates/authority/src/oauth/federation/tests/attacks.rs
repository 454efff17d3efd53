//! Answers that were stolen, swapped, repeated or planted.

use super::super::*;
use super::stage::{ISSUER, OTHER, ask, brings, origin, query, stage, visitor};

#[tokio::test]
async fn rfc9700_s4_7_the_answer_belongs_to_the_browser_that_was_sent_away() {
    let stage = stage(|_| {}).await;
    let (own, evil) = (stage.leave().await, stage.leave().await);
    stage.says(&evil, |_| {});
    let check = async |change: &dyn Fn(&mut CameBack), expect: &str| {
        let mut back = brings("corp", &evil);
        change(&mut back);
        let result = stage.arrive(back).await.map(|_| ());
        assert_eq!(result, Err(FederationRefused::NotBegun), "{expect}");
        let why = stage.recorded();
        assert!(why.contains(expect), "{why}");
    };
    // Login CSRF: somebody's answer is given to a browser that was not sent away, or for something else.
    check(&|it| it.away = None, "not sent away").await;
    check(&|it| it.away = Some(own.away.clone()), "state").await;
    check(&|it| it.visitor = Some(Secret::new("another".to_owned())), "another browser").await;
    check(&|it| it.visitor = None, "another browser").await;
    check(&|it| it.params = Params::default(), "state").await;
    check(&|it| it.away = Some(Secret::new("AAAA".to_owned())), "not sent away").await;
    check(&|it| it.away = Some(Secret::new("?".to_owned())), "not sent away").await;
    // What was sealed for something else is nothing here.
    let foreign = stage.oauth.parts.sealer.seal("totp", b"{}").unwrap();
    check(&|it| it.away = Some(Secret::new(b64::encode(&foreign))), "not sent away").await;
    assert_eq!(stage.net.times(&format!("{ISSUER}/token")), 0);
    assert!(stage.back(&evil).await.is_ok());
}

#[tokio::test]
async fn an_answer_is_taken_once() {
    let stage = stage(|_| {}).await;
    let left = stage.leave().await;
    stage.home(&left).await.unwrap();
    let again = stage.back(&left).await.map(|_| ());
    assert_eq!(again, Err(FederationRefused::NotBegun));
    assert!(stage.recorded().contains("before"));
    assert_eq!(stage.net.times(&format!("{ISSUER}/token")), 1);
    assert_eq!(stage.store.state().sessions.len(), 1);
}

#[tokio::test]
async fn an_answer_comes_in_time() {
    let stage = stage(|_| {}).await;
    let left = stage.leave().await;
    stage.clock.advance(PATIENCE);
    assert_eq!(stage.home(&left).await.map(|_| ()), Err(FederationRefused::NotBegun));
}

#[tokio::test]
async fn rfc9207_s2_4_mix_up() {
    let stage = stage(|_| {}).await;
    let with_issuer = |left: &Left, issuer: &str| {
        let mut back = brings("corp", left);
        back.params.push("iss", issuer).unwrap();
        back
    };
    // The answer of one provider at the address of another.
    let left = stage.leave().await;
    stage.says(&left, |_| {});
    let result = stage.arrive(brings("other", &left)).await.map(|_| ());
    assert_eq!(result, Err(FederationRefused::NotBegun));
    assert!(stage.recorded().contains("of another"));
    // The right address, and an answer that says it is of the other one: with a code, and with an error.
    let left = stage.leave().await;
    stage.says(&left, |_| {});
    let result = stage.arrive(with_issuer(&left, OTHER)).await.map(|_| ());
    assert_eq!(result, Err(FederationRefused::Wrong));
    assert!(stage.recorded().contains("iss"));
    for url in [ISSUER, OTHER].map(|it| format!("{it}/token")) {
        assert_eq!(stage.net.times(&url), 0, "the code went to nobody");
    }
    let left = stage.leave().await;
    stage.says(&left, |_| {});
    assert!(stage.arrive(with_issuer(&left, ISSUER)).await.is_ok());
    // Who always says it has not sent what does not.
    stage.metadata(|all| all["authorization_response_iss_parameter_supported"] = true.into());
    stage.clock.advance(Duration::from_secs(3700));
    let left = stage.leave().await;
    assert_eq!(stage.home(&left).await.map(|_| ()), Err(FederationRefused::Wrong));
}

#[tokio::test]
async fn a_provider_that_has_moved_takes_nobody_back() {
    let stage = stage(|_| {}).await;
    let left = stage.leave().await;
    stage.says(&left, |_| {});
    let mut settings = (*stage.oauth.settings()).clone();
    settings.providers[0].issuer = OTHER.to_owned();
    stage.oauth.configure(settings);
    assert_eq!(stage.back(&left).await.map(|_| ()), Err(FederationRefused::NotBegun));
}

#[tokio::test]
async fn where_a_person_was_on_the_way_to_comes_back_as_it_went() {
    let stage = stage(|_| {}).await;
    let sent = async |proceed: String| {
        stage.oauth.leave(Leave { proceed, ..ask("corp") }, &origin()).await.unwrap()
    };
    // Whatever it is: it is judged where it is used.
    let left = sent("next://evil.example/x".to_owned()).await.unwrap();
    assert!(!left.url.contains("evil"));
    let Returned::SignedIn { proceed, .. } = stage.home(&left).await.unwrap() else {
        panic!("not signed in")
    };
    assert_eq!(proceed, "next://evil.example/x");
    let longest = sent("x".repeat(PROCEED_CHARS)).await.unwrap();
    // RFC 6265 §6.1: name, value and attributes in 4096 bytes.
    assert!(longest.away.expose().len() < 3900, "{}", longest.away.expose().len());
    let refused = sent("x".repeat(PROCEED_CHARS + 1)).await.unwrap_err();
    assert_eq!(refused.why, FederationRefused::TooLong);
}

#[tokio::test]
async fn the_way_there_gives_nothing_away() {
    let stage = stage(|_| {}).await;
    let left = stage.leave().await;
    let asked = query(&left.url);
    assert!(asked.get("code_verifier").is_none());
    for secret in ["this browser", "shared"] {
        assert!(!left.url.contains(secret) && !left.away.expose().contains(secret));
    }
    assert!(!format!("{left:?}").contains(left.away.expose()));
    let _ = visitor();
    let unknown = stage.oauth.leave(ask("nobody"), &origin()).await.unwrap();
    assert_eq!(unknown.unwrap_err().why, FederationRefused::Unknown);
}

#[tokio::test]
async fn trips_of_one_network_are_bounded() {
    let stage = stage(|_| {}).await;
    let mut refused = 0;
    for _ in 0..100 {
        let left = stage.oauth.leave(ask("corp"), &origin()).await.unwrap();
        refused +=
            usize::from(matches!(left.map_err(|it| it.why), Err(FederationRefused::TooEarly(_))));
    }
    // After as many as are free, the next one is let through and brings the delay.
    assert_eq!(refused, 39);
}
