//! Which account somebody comes to.

use super::super::*;
use super::stage::{ISSUER, OTHER, Stage, ask, brings, origin, stage};
use crate::oauth::fixture::{actor, strings};
use crate::oauth::{CreateUser, SignIn};
use crate::people::policy::Missing;
use crate::people::{AuthenticatorData, AuthenticatorRecord, Level};
use base::code;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple";

async fn account(stage: &Stage, email: &str) -> String {
    let ask = CreateUser {
        email: email.to_owned(),
        name: None,
        roles: strings(&["staff"]),
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    stage.oauth.create_user(&actor(), ask).await.unwrap().id
}

async fn signed_in(stage: &Stage, email: &str) -> SignedIn {
    let ask = SignIn {
        email: email.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        session: None,
        browser: None,
    };
    stage.oauth.sign_in(ask, &origin()).await.unwrap().unwrap()
}

/// Goes there from this session, to link.
async fn leave_to_link(stage: &Stage, session: &SessionText) -> Left {
    stage
        .oauth
        .leave_to_link(ask("corp"), Some(session), &origin())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

async fn linked(stage: &Stage, session: &SignedIn) -> Result<Returned, FederationRefused> {
    let left = leave_to_link(stage, &session.text).await;
    stage.says(&left, |_| {});
    stage.arrive(CameBack { session: Some(session.text.clone()), ..brings("corp", &left) }).await
}

async fn comes(
    stage: &Stage,
    change: impl FnOnce(&mut Value),
) -> Result<String, FederationRefused> {
    let left = stage.leave().await;
    stage.says(&left, change);
    match stage.back(&left).await? {
        Returned::SignedIn { signed_in, .. } => Ok(signed_in.session.user),
        Returned::Linked { .. } => panic!("linked"),
    }
}

#[tokio::test]
async fn an_address_takes_nobodys_account() {
    let stage = stage(|_| {}).await;
    let anna = account(&stage, "anna@example.com").await;
    stage.store.state().events.clear();
    // Verified or not: the address is no proof.
    for verified in [json!(true), json!(false), json!("true"), json!(1), Value::Null] {
        let result = comes(&stage, |claims| claims["email_verified"] = verified.clone()).await;
        assert_eq!(result, Err(FederationRefused::NotLinked), "{verified}");
    }
    let state = stage.store.state();
    assert_eq!(state.users.len(), 1);
    assert!(state.sessions.is_empty());
    assert!(state.authenticators.values().all(|it| it.kind() != FactorKind::Federated));
    assert_eq!(state.users[&anna].roles, ["staff"]);
}

#[tokio::test]
async fn an_account_is_made_for_a_verified_address_of_a_named_domain_only() {
    let stage = stage(|_| {}).await;
    let check = async |change: fn(&mut Value), expect: bool| {
        let before = stage.store.state().users.len();
        let result = comes(&stage, change).await;
        assert_eq!(result.is_ok(), expect, "{result:?}");
        assert_eq!(stage.store.state().users.len(), before + usize::from(expect));
    };
    check(|it| it["email_verified"] = false.into(), false).await;
    check(|it| it["email_verified"] = "true".into(), false).await;
    check(|it| drop(it.as_object_mut().unwrap().remove("email_verified")), false).await;
    check(|it| it["email"] = "anna@evil.example".into(), false).await;
    check(|it| it["email"] = "anna@sub.example.com".into(), false).await;
    check(|it| it["email"] = "anna@evil.example@example.com".into(), false).await;
    check(|it| it["email"] = "anna".into(), false).await;
    check(|it| it["email"] = json!(["anna@example.com"]), false).await;
    check(|it| it["email"] = "Anna@EXAMPLE.com".into(), true).await;
    let events = std::mem::take(&mut stage.store.state().events);
    let made: Vec<_> = events.iter().filter(|it| it.code == code::USER_CREATED).collect();
    assert_eq!(made.len(), 1);
    let linked = events.iter().filter(|it| it.code == code::AUTHENTICATOR_ADDED).count();
    assert_eq!(linked, 1);
    // Nobody where the file says so.
    let mut settings = (*stage.oauth.settings()).clone();
    settings.providers[0].create.clear();
    stage.oauth.configure(settings);
    let result = comes(&stage, |it| it["sub"] = "bert".into()).await;
    assert_eq!(result, Err(FederationRefused::NotLinked));
}

#[tokio::test]
async fn google_answers_for_its_own_domains_only() {
    let google = Provider {
        issuer: "https://accounts.google.com".to_owned(),
        ..super::stage::provider("g", ISSUER)
    };
    let google = Provider { create: strings(&["example.com", "gmail.com"]), ..google };
    assert!(google.may_create("a@example.com", Some("example.com")));
    assert!(!google.may_create("a@example.com", None));
    assert!(!google.may_create("a@example.com", Some("evil.example")));
    assert!(google.may_create("a@gmail.com", None));
}

#[tokio::test]
async fn two_people_of_two_providers_with_one_subject_are_two() {
    let stage = stage(|_| {}).await;
    let one = comes(&stage, |_| {}).await.unwrap();
    let left = stage.oauth.leave(ask("other"), &origin()).await.unwrap().unwrap();
    stage.says(&left, |it| {
        it["iss"] = OTHER.into();
        it["email"] = "other@example.com".into();
    });
    let Returned::SignedIn { signed_in, .. } = stage.arrive(brings("other", &left)).await.unwrap()
    else {
        panic!("not signed in")
    };
    assert_ne!(signed_in.session.user, one);
}

#[tokio::test]
async fn what_a_crash_left_half_made_is_made_whole_for_the_same_account_there() {
    let stage = stage(|_| {}).await;
    let anna = comes(&stage, |_| {}).await.unwrap();
    stage.store.state().authenticators.clear();
    assert_eq!(
        comes(&stage, |it| it["sub"] = "eve".into()).await,
        Err(FederationRefused::NotLinked)
    );
    assert_eq!(comes(&stage, |_| {}).await, Ok(anna));
}

#[tokio::test]
async fn an_account_is_linked_by_who_is_signed_in_and_then_signs_in() {
    let stage = stage(|_| {}).await;
    let anna = account(&stage, "a@b.example").await;
    let session = signed_in(&stage, "a@b.example").await;
    let other = signed_in(&stage, "a@b.example").await;
    stage.store.state().events.clear();
    assert!(matches!(linked(&stage, &session).await, Ok(Returned::Linked { .. })));
    let sessions: Vec<_> = stage.store.state().sessions.values().map(|it| it.id.clone()).collect();
    assert_eq!(sessions.len(), 1, "the others have ended: {}", other.session.id);
    assert_eq!(sessions[0], session.session.id);
    let events = std::mem::take(&mut stage.store.state().events);
    assert_eq!(events.iter().filter(|it| it.code == code::AUTHENTICATOR_ADDED).count(), 1);
    assert_eq!(comes(&stage, |_| {}).await, Ok(anna.clone()));
    // Once more is nothing; another person gets it not.
    assert!(linked(&stage, &session).await.is_ok());
    account(&stage, "c@b.example").await;
    let eve = signed_in(&stage, "c@b.example").await;
    assert_eq!(linked(&stage, &eve).await.map(|_| ()), Err(FederationRefused::Taken));
    // Unlinked, it opens nothing.
    let row = stage
        .store
        .state()
        .authenticators
        .values()
        .find(|it| it.kind() == FactorKind::Federated)
        .unwrap()
        .id
        .clone();
    let session = signed_in(&stage, "a@b.example").await;
    stage.oauth.remove_method(Some(&session.text), &row, &origin()).await.unwrap().unwrap();
    assert_eq!(
        comes(&stage, |it| it["email_verified"] = false.into()).await,
        Err(FederationRefused::NotLinked)
    );
}

#[tokio::test]
async fn linking_asks_for_a_fresh_proof_in_this_very_session() {
    let stage = stage(|_| {}).await;
    account(&stage, "a@b.example").await;
    let nobody = stage.oauth.leave_to_link(ask("corp"), None, &origin()).await.unwrap();
    assert!(matches!(nobody, Err(MethodRefused::NotSignedIn)));
    let session = signed_in(&stage, "a@b.example").await;
    let left = leave_to_link(&stage, &session.text).await;
    stage.says(&left, |_| {});
    // The session of another sign-in, of another person, or none.
    account(&stage, "eve@b.example").await;
    let eve = signed_in(&stage, "eve@b.example").await;
    let back = CameBack { session: Some(eve.text), ..brings("corp", &left) };
    assert_eq!(stage.arrive(back).await.map(|_| ()), Err(FederationRefused::NotBegun));
    let left = leave_to_link(&stage, &session.text).await;
    stage.says(&left, |_| {});
    assert_eq!(stage.back(&left).await.map(|_| ()), Err(FederationRefused::NotBegun));
    stage.clock.advance(Duration::from_secs(5 * 60 + 1));
    let late =
        stage.oauth.leave_to_link(ask("corp"), Some(&session.text), &origin()).await.unwrap();
    assert!(matches!(late, Err(MethodRefused::Prove(offers)) if offers.password));
    assert!(
        stage.store.state().authenticators.values().all(|it| it.kind() != FactorKind::Federated)
    );
}

#[tokio::test]
async fn a_second_factor_of_ours_is_asked_for_unless_the_providers_is_believed() {
    let stage =
        stage(|settings| settings.providers[0].acr = vec![("mfa".to_owned(), Level::Aal2)]).await;
    let anna = comes(&stage, |_| {}).await.unwrap();
    let totp = AuthenticatorRecord {
        id: "totp00000000".to_owned(),
        user: anna,
        name: "App".to_owned(),
        handle: None,
        data: AuthenticatorData::Totp {
            sealed: String::new(),
            algorithm: "SHA1".to_owned(),
            last_step: None,
            drift: 0,
        },
        created_at: stage.now(),
        last_used_at: None,
        failures: 0,
        failed: None,
    };
    stage.store.state().authenticators.insert(totp.id.clone(), totp);
    let complete = async |acr: &str| {
        let left = stage.leave().await;
        stage.says(&left, |it| it["acr"] = acr.into());
        let Returned::SignedIn { signed_in, .. } = stage.back(&left).await.unwrap() else {
            panic!()
        };
        let standing = stage.oauth.standing(Some(&signed_in.text)).await.unwrap().unwrap();
        let missing = standing.missing(&stage.oauth.baseline(&standing), stage.now());
        let current = stage.oauth.current(Some(&signed_in.text)).await.unwrap();
        assert_eq!(current.is_some(), missing == Missing::Nothing);
        missing
    };
    assert!(matches!(complete("pwd").await, Missing::Proof(offers) if offers.totp));
    assert_eq!(complete("mfa").await, Missing::Nothing);
}

#[tokio::test]
async fn mapped_groups_are_given_and_taken_and_no_others() {
    let pair = |theirs: &str, ours: &str| (theirs.to_owned(), ours.to_owned());
    let stage = stage(|settings| {
        settings.providers[0].groups =
            vec![pair("Ops Team", "ops"), pair("Devs", "dev"), pair("Leads", "dev")];
    })
    .await;
    let roles = |id: &str| stage.store.state().users[id].roles.clone();
    let groups = |all: &[&str]| json!(all);
    let anna = comes(&stage, |it| it["groups"] = groups(&["Ops Team", "administrator", "ops"]))
        .await
        .unwrap();
    assert_eq!(roles(&anna), ["ops"]);
    // What an administrator gives stays; what the provider takes goes, with its tokens and sessions.
    stage.store.state().users.get_mut(&anna).unwrap().roles = strings(&["ops", "staff"]);
    comes(&stage, |it| it["groups"] = groups(&["Ops Team", "Leads"])).await.unwrap();
    assert_eq!(roles(&anna), ["dev", "ops", "staff"]);
    assert!(stage.store.state().revocations.is_empty(), "what is only wider revokes nothing");
    comes(&stage, |it| it["groups"] = "Devs".into()).await.unwrap();
    assert_eq!(roles(&anna), ["dev", "staff"]);
    assert_eq!(stage.store.state().revocations.len(), 1);
    assert_eq!(stage.store.state().sessions.len(), 1, "the sessions of before have ended");
    // A provider that says nothing (in a token of two pieces, nothing is nothing) gives nothing.
    stage.net.put(&format!("{ISSUER}/me"), 200, &json!({"sub": "anna"}).to_string());
    comes(&stage, |_| {}).await.unwrap();
    assert_eq!(roles(&anna), ["staff"]);
}

#[tokio::test]
async fn groups_that_cannot_be_asked_for_let_nobody_in() {
    let stage = stage(|settings| {
        settings.providers[0].groups = vec![("Ops".to_owned(), "ops".to_owned())];
    })
    .await;
    assert_eq!(comes(&stage, |_| {}).await, Err(FederationRefused::Unavailable));
    assert_eq!(stage.store.state().sessions.len(), 0);
}

#[tokio::test]
async fn a_closed_account_stays_closed() {
    let stage = stage(|_| {}).await;
    let anna = comes(&stage, |_| {}).await.unwrap();
    stage.oauth.disable_user(&actor(), &anna).await.unwrap();
    assert_eq!(comes(&stage, |_| {}).await, Err(FederationRefused::Closed));
    assert_eq!(stage.store.state().sessions.len(), 0);
}

#[tokio::test]
async fn the_only_way_in_is_not_removed() {
    let stage = stage(|_| {}).await;
    let left = stage.leave().await;
    let Returned::SignedIn { signed_in, .. } = stage.home(&left).await.unwrap() else { panic!() };
    let row = stage
        .store
        .state()
        .authenticators
        .values()
        .find(|it| it.kind() == FactorKind::Federated)
        .unwrap()
        .id
        .clone();
    let refused = stage.oauth.remove_method(Some(&signed_in.text), &row, &origin()).await.unwrap();
    assert!(matches!(refused, Err(MethodRefused::Invalid("method", _))), "{refused:?}");
    // Fresh again by signing in there again, which is what is offered later.
    stage.clock.advance(Duration::from_secs(600));
    let refused = stage.oauth.remove_method(Some(&signed_in.text), &row, &origin()).await.unwrap();
    assert!(matches!(refused, Err(MethodRefused::Prove(offers)) if offers.federated));
}
