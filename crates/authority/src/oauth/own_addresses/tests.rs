//! Letting one's own address in: what is asked before, whose address it is, and how far it reaches.

use super::*;
use crate::oauth::fixture::{World, origin, world_with};
use crate::oauth::prove::tests::{App, PASSWORD, account, enrol, prove, sign_in};
use crate::oauth::settings::Settings;
use crate::oauth::{Presented, SignedIn};
use base::{Outcome, UnixMs};

fn service(list: &str, groups: &[&str], private: bool) -> SelfService {
    SelfService {
        list: list.to_owned(),
        groups: groups.iter().map(|it| (*it).to_owned()).collect(),
        longest: SELF_SERVICE,
        private,
    }
}

/// A person in the group `ops` who has just shown two factors.
async fn stage() -> (World, String, App, SignedIn) {
    let mut settings = Settings::new("https://login.example");
    settings.self_service = vec![
        service("office", &["ops", "dev"], false),
        service("lab", &["ops"], true),
        service("vault", &["admins"], true),
    ];
    settings.session_idle = Duration::from_secs(24 * 3600);
    stage_with(settings).await
}

async fn stage_with(settings: Settings) -> (World, String, App, SignedIn) {
    let world = world_with(settings).await;
    let id = account(&world).await;
    world.store.state().users.get_mut(&id).unwrap().roles = vec!["ops".to_owned()];
    let first = sign_in(&world, PASSWORD, None).await.unwrap();
    let (app, changed) = enrol(&world, &first.text).await;
    world.events();
    (world, id, app, changed.session.unwrap())
}

fn from(address: &str) -> Origin {
    Origin { client_ip: Some(address.parse().unwrap()), ..origin() }
}

async fn allow(
    world: &World,
    session: &SignedIn,
    list: &str,
    address: &str,
) -> Result<IpEntry, AllowRefused> {
    let origin = from(address);
    let done = world.oauth.allow_own_address(Some(&session.text), list, &origin).await.unwrap();
    done.map(|(entry, _)| entry)
}

fn kept(world: &World) -> usize {
    world.store.state().own_addresses.len()
}

#[tokio::test]
async fn exactly_the_address_that_the_request_came_from_is_let_in() {
    let (world, id, _, session) = stage().await;
    for (address, net) in [
        ("198.51.100.7", "198.51.100.7/32"),
        ("::ffff:198.51.100.8", "198.51.100.8/32"),
        ("2001:db8::7", "2001:db8::7/128"),
    ] {
        let entry = allow(&world, &session, "office", address).await.unwrap();
        assert_eq!(entry.net.to_string(), net);
        assert_eq!(entry.expires_at, world.now().plus(SELF_SERVICE));
        let owner = entry.owner.unwrap();
        assert_eq!((&*owner.user, &*owner.group), (&*id, "ops"));
        assert_eq!(owner.session, session.session.id);
    }
    let events = world.events();
    assert_eq!(events.len(), 3);
    for event in &events {
        assert_eq!((event.code.as_str(), event.outcome), ("ip.allowed", Outcome::Allow));
        assert_eq!(event.principal.as_deref(), Some(&*id));
        let detail = event.detail.as_deref().unwrap();
        // The address stands in the personal field, which can be erased, and nowhere else.
        assert!(detail.contains("office") && !detail.contains("198.51"), "{detail}");
    }
    assert_eq!(events[0].client_ip, Some("198.51.100.7".parse().unwrap()));
    let state = world.store.state();
    let letter = state.posted.iter().rfind(|it| it.kind() == "address_allowed").unwrap();
    let text = letter.text().expose();
    assert!(text.contains("2001:db8::7") && text.contains("office"), "{text}");
}

#[tokio::test]
async fn what_a_person_sees_is_their_own() {
    let (world, _, _, session) = stage().await;
    allow(&world, &session, "office", "198.51.100.7").await.unwrap();
    allow(&world, &session, "lab", "10.0.0.7").await.unwrap();
    let own = |text| world.oauth.own_addresses(text, &ORIGIN);
    static ORIGIN: std::sync::LazyLock<Origin> =
        std::sync::LazyLock::new(|| from("::ffff:198.51.100.7"));
    let seen = own(Some(&session.text)).await.unwrap().unwrap();
    let lists: Vec<_> = seen.lists.iter().map(|it| it.list.as_str()).collect();
    assert_eq!(lists, ["office", "lab"]);
    assert_eq!(seen.address, Some("198.51.100.7".parse().unwrap()));
    let listed: Vec<_> = seen.entries.iter().map(|it| (&*it.entry.list, it.this)).collect();
    assert_eq!(listed, [("lab", true), ("office", true)]);
    assert!(own(None).await.unwrap().is_none());
    // One entry ends, once.
    let id = seen.entries[0].entry.id.to_string();
    let end = |id: String| {
        let (oauth, text) = (&world.oauth, &session.text);
        async move { oauth.end_own_address(Some(text), &id, &origin()).await.unwrap().unwrap() }
    };
    assert!(end(id.clone()).await.is_some());
    assert!(end(id).await.is_none());
    assert!(end("x".to_owned()).await.is_none());
    assert_eq!(kept(&world), 1);
}

#[tokio::test]
async fn attack_half_a_sign_in_lets_nothing_in() {
    let (world, _, app, session) = stage().await;
    let half = sign_in(&world, PASSWORD, None).await.unwrap();
    let refused = allow(&world, &half, "office", "198.51.100.7").await.unwrap_err();
    assert!(matches!(refused, AllowRefused::Prove(it) if it.totp && !it.password));
    // Nor does it see or end anything.
    let entry = allow(&world, &session, "office", "198.51.100.7").await.unwrap();
    let (text, id) = (Some(&half.text), entry.id.to_string());
    assert!(world.oauth.own_addresses(text, &origin()).await.unwrap().is_none());
    assert!(world.oauth.end_own_address(text, &id, &origin()).await.unwrap().is_none());
    assert_eq!(kept(&world), 1);
    world.after(30);
    let whole = prove(&world, &half.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert!(allow(&world, &whole, "office", "198.51.100.7").await.is_ok());
}

#[tokio::test]
async fn attack_a_proof_of_a_while_ago_lets_nothing_in() {
    let (world, _, app, session) = stage().await;
    world.after(FRESH.as_secs() + 1);
    let refused = allow(&world, &session, "office", "198.51.100.7").await.unwrap_err();
    assert!(matches!(refused, AllowRefused::Prove(it) if it.totp), "the second step once more");
    assert_eq!(kept(&world), 0);
    let fresh = prove(&world, &session.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert!(allow(&world, &fresh, "office", "198.51.100.7").await.is_ok());
    // The text of before the proof is worth nothing any more.
    let refused = allow(&world, &session, "office", "198.51.100.8").await.unwrap_err();
    assert_eq!(refused, AllowRefused::NotSignedIn);
}

#[tokio::test]
async fn attack_a_password_typed_anew_is_no_second_factor() {
    let (world, _, _, session) = stage().await;
    world.after(FRESH.as_secs() + 1);
    let again = sign_in(&world, PASSWORD, Some(&session)).await.unwrap();
    let refused = allow(&world, &again, "office", "198.51.100.7").await.unwrap_err();
    assert!(matches!(refused, AllowRefused::Prove(it) if it.totp));
    assert_eq!(kept(&world), 0);
}

#[tokio::test]
async fn who_has_one_factor_must_add_another() {
    let (world, id, _, _) = stage().await;
    world.store.state().authenticators.retain(|_, it| it.user != id);
    let alone = sign_in(&world, PASSWORD, None).await.unwrap();
    let refused = allow(&world, &alone, "office", "198.51.100.7").await.unwrap_err();
    assert_eq!(refused, AllowRefused::Enrol);
}

#[tokio::test]
async fn attack_another_groups_list_and_one_that_is_not_there_are_the_same() {
    let (world, id, _, session) = stage().await;
    for list in ["vault", "nowhere", ""] {
        let refused = allow(&world, &session, list, "198.51.100.7").await.unwrap_err();
        assert_eq!(refused, AllowRefused::NoList, "{list}");
    }
    let events = world.events();
    assert_eq!(events.len(), 3, "each is recorded");
    for event in events {
        assert_eq!((event.code.as_str(), event.outcome), ("act.refused", Outcome::Deny));
        assert_eq!(event.principal.as_deref(), Some(&*id));
    }
    world.store.state().users.get_mut(&id).unwrap().roles.clear();
    let refused = allow(&world, &session, "office", "198.51.100.7").await.unwrap_err();
    assert_eq!(refused, AllowRefused::NoList);
    assert_eq!(kept(&world), 0);
}

#[tokio::test]
async fn attack_an_address_of_many_is_let_in_only_where_the_file_says_so() {
    let (world, _, _, session) = stage().await;
    for (address, reach) in [
        ("127.0.0.1", Reach::Loopback),
        ("::1", Reach::Loopback),
        ("10.1.2.3", Reach::Private),
        ("192.168.0.1", Reach::Private),
        ("169.254.1.1", Reach::Private),
        ("fd00::1", Reach::Private),
        ("fe80::1", Reach::Private),
        ("100.64.0.1", Reach::Shared),
        ("100.127.255.255", Reach::Shared),
    ] {
        let refused = allow(&world, &session, "office", address).await.unwrap_err();
        assert_eq!(refused, AllowRefused::Address(Some(reach)), "{address}");
        assert!(allow(&world, &session, "lab", address).await.is_ok(), "{address}");
    }
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
        let refused = allow(&world, &session, "lab", address).await.unwrap_err();
        assert_eq!(refused, AllowRefused::Address(Some(Reach::Nowhere)), "{address}");
    }
    for address in ["100.63.255.255", "100.128.0.0", "172.32.0.1", "2001:db8::1"] {
        assert_eq!(Reach::of(address.parse().unwrap()), Reach::Public, "{address}");
    }
    // Who comes from nowhere that is known lets nothing in.
    let unknown = Origin { client_ip: None, ..origin() };
    let done = world.oauth.allow_own_address(Some(&session.text), "lab", &unknown).await.unwrap();
    assert_eq!(done.unwrap_err(), AllowRefused::Address(None));
}

#[tokio::test]
async fn an_entry_holds_no_longer_than_its_session() {
    let (world, _, app, session) = stage().await;
    let end = session.session.expires_at;
    for _used in 0..8 {
        world.after(45 * 60);
        assert!(world.oauth.standing(Some(&session.text)).await.unwrap().is_some());
    }
    let fresh = prove(&world, &session.text, Presented::Totp(app.code(&world))).await.unwrap();
    assert_eq!(fresh.session.expires_at, end, "a step more makes the session no longer");
    let entry = allow(&world, &fresh, "office", "198.51.100.7").await.unwrap();
    assert_eq!(entry.expires_at, end);
    assert!(end < UnixMs(world.now().0).plus(SELF_SERVICE));
}

#[tokio::test]
async fn attack_nobody_lets_in_more_than_a_few() {
    let (world, _, _, session) = stage().await;
    for last in 0..OWN_ADDRESSES_MOST {
        let address = format!("198.51.100.{last}");
        assert!(allow(&world, &session, "office", &address).await.is_ok(), "{address}");
    }
    let refused = allow(&world, &session, "lab", "198.51.100.99").await.unwrap_err();
    assert_eq!(refused, AllowRefused::TooMany);
    assert!(allow(&world, &session, "office", "198.51.100.0").await.is_ok(), "one that is there");
}

#[tokio::test]
async fn an_entry_outlives_an_hour_away_from_the_pages() {
    let mut settings = Settings::new("https://login.example");
    settings.self_service = vec![service("office", &["ops"], false)];
    let (world, _, _, session) = stage_with(settings).await;
    let entry = allow(&world, &session, "office", "198.51.100.7").await.unwrap();
    let end = world.now().plus(SELF_SERVICE);
    assert_eq!((entry.expires_at, entry.owner.unwrap().latest), (end, end));
    world.after(7 * 3600);
    // Nothing can be done on the session any more, and an end of all sessions still ends the entry.
    assert!(world.oauth.current(Some(&session.text)).await.unwrap().is_none());
    assert!(allow(&world, &session, "office", "198.51.100.8").await.is_err());
}
