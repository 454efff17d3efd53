use super::*;
use crate::oauth::clients::CreatedClient;
use crate::oauth::fixture::{actor, dpop_call};
use crate::oauth::ports::{CodeCompany, GrantStore as _};
use crate::oauth::records::{CodeRecord, GrantRecord, Pkce, RevocationKind};
use crate::oauth::secrets::Purpose;
use base::Secret;
use protocol::oauth::pkce::challenge_s256;
use protocol::oauth::token_response::TokenType;
use protocol::oidc;
use protocol::sign::SigningKey;
use std::time::Duration;

const REDIRECT: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A world with a person, a client and a code for it.
struct Coded {
    world: World,
    made: CreatedClient,
    code: Secret<String>,
    grant: GrantRecord,
}

async fn coded(
    client: impl FnOnce(&mut crate::oauth::clients::CreateClient),
    change: impl FnOnce(&mut CodeRecord, &mut GrantRecord),
) -> Coded {
    let world = world().await;
    world.user("anna").await;
    let made = world.client(&["authorization_code", "refresh_token"], client).await;
    let (code, grant) = code_for(&world, &made, change).await;
    Coded { world, made, code, grant }
}

async fn code_for(
    world: &World,
    made: &CreatedClient,
    change: impl FnOnce(&mut CodeRecord, &mut GrantRecord),
) -> (Secret<String>, GrantRecord) {
    let text = Purpose::Code.fresh().unwrap();
    let mut grant = world.grant(&made.client, "anna", &["openid", "orders:read", "orders:write"]);
    let mut code = CodeRecord {
        grant: grant.id.clone(),
        client: made.client.id.clone(),
        redirect_uri: Some(REDIRECT.to_owned()),
        challenge: Some(challenge_s256(VERIFIER)),
        expires_at: world.now().plus(Duration::from_secs(60)),
    };
    change(&mut code, &mut grant);
    let mac = Purpose::Code.mac(&world.oauth.parts.pepper, text.expose());
    let company = CodeCompany::default();
    world.store.create_code(grant.clone(), (mac, code), company, world.event()).await.unwrap();
    world.events();
    (text, grant)
}

impl Coded {
    /// The call as it should be, with `changes`; an empty value leaves the parameter out.
    fn call(&self, changes: &[(&str, &str)]) -> crate::oauth::ClientCall {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", self.code.expose()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        pairs.retain(|(name, _)| !changes.iter().any(|(own, _)| own == name));
        pairs.extend_from_slice(changes);
        match &self.made.secret {
            Some(secret) => basic(&self.made.client.id, secret.expose(), &pairs),
            None => {
                pairs.push(("client_id", &self.made.client.id));
                call(&pairs)
            }
        }
    }

    async fn redeem(&self, changes: &[(&str, &str)]) -> Result<TokenResponse, ErrorCode> {
        self.world.oauth.token(&self.call(changes)).await.map_err(|error| error.code())
    }

    async fn refused(&self, changes: &[(&str, &str)], rule: &str) {
        assert_eq!(self.redeem(changes).await.unwrap_err(), ErrorCode::InvalidGrant, "{rule}");
        let told = self.world.refusal();
        assert!(told.contains(rule), "{told} names {rule}");
    }
}

fn nothing(_: &mut CodeRecord, _: &mut GrantRecord) {}

fn public(ask: &mut crate::oauth::clients::CreateClient) {
    ask.metadata.token_endpoint_auth_method = "none".to_owned();
}

#[tokio::test]
async fn rfc6749_s4_1_3_a_code_is_redeemed_for_what_was_granted() {
    let it = coded(|_| (), nothing).await;
    let answer = it.redeem(&[]).await.unwrap();
    let claims = claims(&it.world, &answer, ORDERS);
    assert_eq!(claims.subject.as_deref(), Some("anna"));
    assert_eq!(claims.other["gid"], it.grant.id.as_str());
    assert_eq!(claims.scopes.to_string(), "openid orders:read orders:write");
    assert_eq!(claims.session_id.as_deref(), Some("session1"));
    assert_eq!(claims.acr.as_deref(), Some("aal1"));
    assert_eq!((answer.token_type, answer.expires_in), (TokenType::Bearer, 300));
    assert!(answer.refresh_token.unwrap().expose().starts_with("pcr_"));
    let id_token = answer.id_token.unwrap();
    let token = Token::parse(id_token.expose().as_bytes(), 8192).unwrap();
    let signed = token.verify(&it.world.oauth.key_set(), AlgorithmSet::DEFAULT).unwrap().claims;
    assert_eq!(signed.audiences, [it.made.client.id.as_str().into()]);
    assert_eq!(signed.other["nonce"], "n-1");
    let hash = oidc::token_hash(protocol::Algorithm::Es256, answer.access_token.expose());
    assert_eq!(signed.other["at_hash"], hash);
    assert_eq!(signed.authenticated_at, it.grant.auth_time);
    assert_eq!(codes(&it.world), [code::TOKEN_ISSUED]);
}

#[tokio::test]
async fn rfc6749_s4_1_2_a_code_that_comes_twice_ends_what_it_gave() {
    let it = coded(|_| (), nothing).await;
    let first = it.redeem(&[]).await.unwrap();
    it.refused(&[], "RFC 6749 §4.1.2").await;
    let revoked =
        it.world.store.revocation(RevocationKind::Grant, it.grant.id.clone(), it.world.now());
    assert!(revoked.await.unwrap().is_some());
    let refresh = first.refresh_token.unwrap();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
    let secret = it.made.secret.as_ref().unwrap();
    let again = it.world.oauth.token(&basic(&it.made.client.id, secret.expose(), &pairs)).await;
    assert_eq!(again.unwrap_err().code(), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn rfc7636_s4_6_verifier_must_match() {
    let it = coded(|_| (), nothing).await;
    it.refused(&[("code_verifier", &VERIFIER.replace('d', "e"))], "RFC 7636 §4.6").await;
    it.refused(&[("code_verifier", "")], "RFC 7636 §4.6").await;
    it.refused(&[("code_verifier", &challenge_s256(VERIFIER))], "RFC 7636 §4.6").await;
    assert!(it.redeem(&[]).await.is_ok(), "a wrong guess does not spend the code");
}

#[tokio::test]
async fn rfc9700_s4_8_2_a_verifier_without_challenge_is_a_downgrade() {
    let optional = |ask: &mut crate::oauth::clients::CreateClient| ask.pkce = Pkce::Optional;
    let it = coded(optional, |code, _| code.challenge = None).await;
    it.refused(&[], "RFC 9700 §4.8.2").await;
    assert!(it.redeem(&[("code_verifier", "")]).await.is_ok());
}

#[tokio::test]
async fn oauth21_s4_1_1_no_code_without_challenge_unless_the_client_may() {
    let it = coded(|_| (), |code, _| code.challenge = None).await;
    it.refused(&[("code_verifier", "")], "OAuth 2.1 §4.1.1").await;
}

#[tokio::test]
async fn rfc6749_s4_1_3_the_redirect_uri_is_the_one_of_the_request() {
    let it = coded(|_| (), nothing).await;
    for other in ["", "https://app.example/cb/", "https://evil.example/cb"] {
        it.refused(&[("redirect_uri", other)], "RFC 6749 §4.1.3").await;
    }
    assert!(it.redeem(&[]).await.is_ok());
}

#[tokio::test]
async fn rfc6749_s5_2_a_code_of_another_client_is_no_code() {
    let it = coded(|_| (), nothing).await;
    let other = it.world.client(&["authorization_code"], |_| ()).await;
    let thief = Coded { made: other, ..it };
    thief.refused(&[], "another client").await;
}

#[tokio::test]
async fn rfc6749_s4_1_2_a_code_expires_within_a_minute() {
    let it = coded(|_| (), nothing).await;
    it.world.after(60);
    it.refused(&[], "expired").await;
}

#[tokio::test]
async fn a_closed_account_gets_nothing() {
    use crate::oauth::ports::PeopleStore as _;
    let it = coded(|_| (), nothing).await;
    let before = it.world.store.user("anna".to_owned()).await.unwrap().unwrap();
    let mut after = before.clone();
    after.disabled_at = Some(it.world.now());
    it.world.store.replace_user(before, after, None, it.world.event()).await.unwrap();
    it.world.events();
    it.refused(&[], "account").await;
}

#[tokio::test]
async fn rfc8707_s2_2_a_token_request_only_narrows() {
    let it = coded(|_| (), |_, grant| grant.resources = strings(&[ORDERS, STOCK])).await;
    let elsewhere = it.world.oauth.settings().admin_resource();
    assert_eq!(it.redeem(&[("resource", &elsewhere)]).await.unwrap_err(), ErrorCode::InvalidTarget);
    assert_eq!(
        it.redeem(&[("scope", "orders:read admin:write")]).await.unwrap_err(),
        ErrorCode::InvalidScope
    );
    let answer = it.redeem(&[("resource", STOCK), ("scope", "orders:read")]).await.unwrap();
    assert_eq!(claims(&it.world, &answer, STOCK).audiences, [STOCK.into()]);
    assert_eq!(answer.scope.to_string(), "orders:read");
    assert!(answer.id_token.is_none());
}

#[tokio::test]
async fn a_scope_that_was_taken_from_the_client_is_not_issued_on_an_old_grant() {
    let it = coded(|_| (), nothing).await;
    let narrow = |client: &mut crate::oauth::records::ClientRecord| {
        client.scopes = strings(&["orders:read"]);
        Ok(None)
    };
    it.world.oauth.change_client(&actor(), &it.made.client.id, "", narrow).await.unwrap();
    let answer = it.redeem(&[]).await.unwrap();
    assert_eq!(answer.scope.to_string(), "openid orders:read");
}

#[tokio::test]
async fn rfc9449_s10_a_code_bound_to_a_key_needs_that_key() {
    let key = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let jkt = key.id().to_owned();
    let it = coded(public, |_, grant| grant.dpop_jkt = Some(jkt.clone())).await;
    it.refused(&[], "RFC 9449 §10").await;
    let other = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let thief = it.world.oauth.token(&dpop_call(&it.world, it.call(&[]), &other, "j1")).await;
    assert_eq!(thief.unwrap_err().code(), ErrorCode::InvalidGrant);
    let answer =
        it.world.oauth.token(&dpop_call(&it.world, it.call(&[]), &key, "j2")).await.unwrap();
    assert_eq!(answer.token_type, TokenType::DPoP);
    let bound = claims(&it.world, &answer, ORDERS).confirmation.unwrap();
    assert_eq!(bound.jkt.as_deref(), Some(&*jkt));
    // RFC 9449 §5: the refresh token of a public client is bound to the key, too.
    let refresh = answer.refresh_token.unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.expose()),
        ("client_id", &it.made.client.id),
    ];
    it.world.events();
    for stolen in [call(&pairs), dpop_call(&it.world, call(&pairs), &other, "j3")] {
        let refused = it.world.oauth.token(&stolen).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidGrant);
        assert!(it.world.refusal().contains("RFC 9449 §5"));
    }
    let cut = refresh.expose().split('.').next().unwrap();
    let pairs_cut = [
        ("grant_type", "refresh_token"),
        ("refresh_token", cut),
        ("client_id", &it.made.client.id),
    ];
    assert!(
        it.world.oauth.token(&call(&pairs_cut)).await.is_err(),
        "the binding cannot be cut off"
    );
    let again =
        it.world.oauth.token(&dpop_call(&it.world, call(&pairs), &key, "j4")).await.unwrap();
    assert_eq!(again.token_type, TokenType::DPoP);
}

#[tokio::test]
async fn rfc9449_s8_and_s11_1_a_proof_has_our_nonce_and_is_used_once() {
    let key = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let it = coded(|_| (), nothing).await;
    let bare = crate::oauth::fixture::proof(&it.world, &key, "j1", None);
    let call = crate::oauth::ClientCall { dpop: vec![bare.into_bytes()], ..it.call(&[]) };
    assert_eq!(it.world.oauth.token(&call).await.unwrap_err().code(), ErrorCode::UseDpopNonce);
    let good = dpop_call(&it.world, it.call(&[("code_verifier", "x")]), &key, "j2");
    assert_eq!(it.world.oauth.token(&good).await.unwrap_err().code(), ErrorCode::InvalidGrant);
    assert_eq!(it.world.oauth.token(&good).await.unwrap_err().code(), ErrorCode::InvalidDpopProof);
    let mut twice = dpop_call(&it.world, it.call(&[]), &key, "j3");
    twice.dpop.push(twice.dpop[0].clone());
    assert_eq!(it.world.oauth.token(&twice).await.unwrap_err().code(), ErrorCode::InvalidDpopProof);
}

#[tokio::test]
async fn rfc9449_s5_2_a_client_of_bound_tokens_gets_no_other() {
    let it = coded(|ask| ask.metadata.dpop_bound_access_tokens = true, nothing).await;
    assert_eq!(it.redeem(&[]).await.unwrap_err(), ErrorCode::InvalidDpopProof);
    assert!(it.world.refusal().contains("RFC 9449 §5.2"));
}

#[tokio::test]
async fn an_opaque_token_of_a_code_is_kept() {
    let it = coded(|ask| ask.token_format = TokenFormat::Opaque, nothing).await;
    let answer = it.redeem(&[]).await.unwrap();
    let mac = Purpose::Access.mac(&it.world.oauth.parts.pepper, answer.access_token.expose());
    let kept = it.world.store.access(mac, it.world.now()).await.unwrap().unwrap();
    assert_eq!(kept.claims["gid"], it.grant.id.as_str());
}

#[tokio::test]
async fn fapi2_s5_3_2_a_client_of_the_profile_gets_bound_tokens_that_are_not_rotated() {
    use crate::oauth::records::Profile;
    use protocol::oauth::client_auth::JWT_BEARER;
    use protocol::sign::Signer;
    use std::sync::Arc;
    let own = Arc::new(SigningKey::generate(protocol::Algorithm::Es256).unwrap());
    let jwks = serde_json::json!({"keys": [own.public().to_json()]});
    let it = coded(
        |ask| {
            ask.profile = Profile::Fapi2Security;
            ask.metadata.jwks = Some(jwks);
        },
        nothing,
    )
    .await;
    let id = it.made.client.id.as_str();
    let assertion = |jti: &str| {
        let now = it.world.now().seconds();
        let claims = serde_json::json!({
            "iss": id, "sub": id, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": jti,
        });
        Signer::new(Arc::clone(&own), "JWT").sign(&claims).unwrap()
    };
    let ask = |pairs: &[(&str, &str)], jti: &str| {
        let assertion = assertion(jti);
        let mut pairs = pairs.to_vec();
        pairs.extend([
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion.as_str()),
        ]);
        call(&pairs)
    };
    let code = [
        ("grant_type", "authorization_code"),
        ("code", it.code.expose().as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let bare = it.world.oauth.token(&ask(&code, "a1")).await.unwrap_err();
    assert_eq!(bare.code(), ErrorCode::InvalidDpopProof, "bound tokens only");
    let answer =
        it.world.oauth.token(&dpop_call(&it.world, ask(&code, "a2"), &own, "p1")).await.unwrap();
    assert_eq!(answer.token_type, TokenType::DPoP);
    let refresh = answer.refresh_token.unwrap();
    // RFC 9449 §5: of a confidential client the refresh token is bound to the client, not to the key.
    let other = SigningKey::generate(protocol::Algorithm::Es256).unwrap();
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose().as_str())];
    let answer =
        it.world.oauth.token(&dpop_call(&it.world, ask(&again, "a3"), &other, "p2")).await.unwrap();
    assert_eq!(answer.refresh_token.as_ref(), Some(&refresh));
    let bound = claims(&it.world, &answer, ORDERS).confirmation.unwrap();
    assert_eq!(bound.jkt.as_deref(), Some(other.id()));
}
