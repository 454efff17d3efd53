use super::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn rfc6749_s4_4_a_confidential_client_gets_a_token_for_itself() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let secret = made.secret.unwrap();
    let id = &made.client.id;
    let answer = world.oauth.token(&basic(id, secret.expose(), &[GRANT])).await.unwrap();
    let claims = claims(&world, &answer, ORDERS);
    assert_eq!(claims.subject.as_deref(), Some(&**id));
    assert_eq!(claims.client_id.as_deref(), Some(&**id));
    assert_eq!(claims.scopes.to_string(), "orders:read orders:write");
    assert_eq!(claims.jti.as_ref().unwrap().len(), 22, "128 bits");
    assert!(claims.other.contains_key("gid"));
    assert_eq!(claims.expires_at, Some(world.now().plus(world.oauth.settings().access_token)));
    assert_eq!((answer.expires_in, answer.refresh_token.is_none()), (300, true));
    assert_eq!(codes(&world), [code::TOKEN_ISSUED]);
    let form = [GRANT, ("client_id", id), ("client_secret", secret.expose())];
    let post = world.oauth.token(&call(&form)).await.unwrap_err();
    assert_eq!(post.code(), ErrorCode::InvalidClient, "RFC 6749 §2.3: the registered method only");
}

#[tokio::test]
async fn rfc6749_s5_2_who_or_what_was_wrong_is_not_told() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let secret = made.secret.unwrap();
    let public = world
        .client(&["authorization_code"], |it| {
            it.metadata.token_endpoint_auth_method = "none".to_owned()
        })
        .await;
    let mut told = Vec::new();
    for call in [
        basic("nobody", secret.expose(), &[GRANT]),
        basic(&made.client.id, "wrong", &[GRANT]),
        basic(&made.client.id, "", &[GRANT]),
        basic(&public.client.id, "x", &[GRANT]),
        call(&[GRANT, ("client_id", &made.client.id)]),
        call(&[GRANT, ("client_id", &made.client.id), ("client_secret", secret.expose())]),
    ] {
        told.push(world.oauth.token(&call).await.unwrap_err());
        world.refusal();
    }
    assert!(told.iter().all(|it| it == &told[0] && it.status() == 401), "{told:?}");
}

#[tokio::test]
async fn rfc6749_s3_3_no_scope_beyond_the_client_s() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    let ask = async |scope: &str| {
        let answer =
            world.oauth.token(&basic(&id, secret.expose(), &[GRANT, ("scope", scope)])).await;
        answer.map(|it| it.scope.to_string()).map_err(|error| error.code())
    };
    assert_eq!(ask("orders:read").await, Ok("orders:read".to_owned()));
    for bad in ["stock:read", "orders:read admin:*", "orders", "openid", "a  b"] {
        assert_eq!(ask(bad).await, Err(ErrorCode::InvalidScope), "{bad}");
    }
}

#[tokio::test]
async fn rfc8707_s2_the_resource_decides_the_audience_and_is_the_client_s() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |it| {
        it.scopes = strings(&["orders:read", "stock:read"]);
        it.resources = strings(&[ORDERS]);
    });
    let made = made.await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    let ask = async |resource: &str| {
        let answer =
            world.oauth.token(&basic(&id, secret.expose(), &[GRANT, ("resource", resource)])).await;
        answer.map(|it| claims(&world, &it, ORDERS).audiences).map_err(|error| error.code())
    };
    assert_eq!(ask(ORDERS).await, Ok(vec![ORDERS.into()]));
    assert_eq!(ask("").await, Ok(vec![ORDERS.into()]), "stock is not the client's");
    assert_eq!(
        ask("HTTPS://API.example:443/orders").await,
        Ok(vec![ORDERS.into()]),
        "RFC 3986 §6.2"
    );
    for bad in [STOCK, "https://evil.example/", "https://api.example/orders/", "orders"] {
        assert_eq!(ask(bad).await, Err(ErrorCode::InvalidTarget), "{bad}");
    }
}

#[tokio::test]
async fn rfc6749_s5_2_unknown_and_foreign_grants() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    for (grant, code) in [
        ("password", ErrorCode::UnsupportedGrantType),
        ("implicit", ErrorCode::UnsupportedGrantType),
        ("", ErrorCode::InvalidRequest),
        ("authorization_code", ErrorCode::UnauthorizedClient),
        ("refresh_token", ErrorCode::UnauthorizedClient),
    ] {
        let error = world.oauth.token(&basic(&id, secret.expose(), &[("grant_type", grant)])).await;
        assert_eq!(error.unwrap_err().code(), code, "{grant}");
        world.refusal();
    }
}

#[tokio::test]
async fn nothing_is_issued_that_is_not_recorded() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    world.ledger.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = world.oauth.token(&basic(&id, secret.expose(), &[GRANT])).await;
    assert_eq!(answer.unwrap_err().code(), ErrorCode::TemporarilyUnavailable);
    // Denials never wait.
    let refused = world.oauth.token(&basic(&id, "wrong", &[GRANT])).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidClient);
}

#[tokio::test]
async fn who_has_not_heard_of_the_store_gives_nothing_that_it_could_not_end() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    let ask = async || world.oauth.token(&basic(&id, secret.expose(), &[GRANT])).await;
    world.oauth.heard(crate::oauth::SILENCE);
    assert!(ask().await.is_ok());
    world.oauth.heard(crate::oauth::SILENCE * 2);
    assert_eq!(ask().await.unwrap_err().code(), ErrorCode::TemporarilyUnavailable);
    world.oauth.heard(std::time::Duration::ZERO);
    assert!(ask().await.is_ok());
}

#[tokio::test]
async fn an_opaque_token_is_kept_by_its_mac() {
    let world = world().await;
    let made =
        world.client(&["client_credentials"], |it| it.token_format = TokenFormat::Opaque).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    let answer = world.oauth.token(&basic(&id, secret.expose(), &[GRANT])).await.unwrap();
    assert!(answer.access_token.expose().starts_with("pca_"));
    assert_eq!(codes(&world), [code::TOKEN_ISSUED]);
}

#[tokio::test]
async fn a_jwt_for_client_credentials_touches_no_table_and_waits_for_the_ledger() {
    let world = world().await;
    let made = world.client(&["client_credentials"], |_| ()).await;
    let (id, secret) = (made.client.id, made.secret.unwrap());
    *world.ledger.apart.lock().unwrap() = Some(Vec::new());
    // From here on whoever touches the store panics.
    let store = std::sync::Arc::clone(&world.store);
    let poisoned = std::thread::spawn(move || {
        let _held = store.state();
        panic!("on purpose");
    });
    assert!(poisoned.join().is_err());
    let answer = world.oauth.token(&basic(&id, secret.expose(), &[GRANT])).await.unwrap();
    assert_eq!(claims(&world, &answer, ORDERS).subject.as_deref(), Some(&*id));
    let events = world.ledger.apart.lock().unwrap().take().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].code, code::TOKEN_ISSUED);
    assert_eq!(events[0].client_id.as_deref(), Some(&*id));
}
