//! The schemes through all phases that judge: tokens of the authority, proofs of possession.

use super::dpop::Shown;
use super::{
    Asking, Kind, Learnt, Lookup, Presented, Tools, api_key::Pepper, is_dpop, opaque, token_of,
};
use crate::Denial;
use crate::issuer::{Issuer, IssuerSettings, KeySource};
use crate::judge::{Judge, Step};
use crate::limit::{By, Limiter, Rate};
use crate::policy::{ApiKeyRule, Expr, JwtRule, Policy, Possession, Route, Shadow};
use crate::replay::Replays;
use crate::revoked::{Revoked, RevokedKind};
use crate::snapshot::Snapshot;
use crate::table::{RouteMatch, RouteTable};
use crate::verified::{Fingerprints, VerifiedCache};
use aws_lc_rs::digest::{SHA256, digest};
use base::{Code, Monotonic, Scheme, Secret, UnixMs, code};
use protocol::dpop::NonceMaker;
use protocol::jwk::KeySet;
use protocol::oauth::{Introspection, ScopeSet};
use protocol::sign::{Signer, SigningKey};
use protocol::{Algorithm, AlgorithmSet, b64};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

const NOW: UnixMs = UnixMs(1_764_000_000_000);
const URI: &str = "https://api.example/echo/hello";
const RESOURCE: &str = "https://api.example/echo/";

/// The world of one test.
struct World {
    snapshot: Snapshot<()>,
    tools: Tools,
    cache: VerifiedCache,
    limiter: Limiter,
    authority: Arc<SigningKey>,
    corp: Arc<SigningKey>,
    client: SigningKey,
    now: UnixMs,
}

fn issuer(name: &str, source: KeySource, key: &SigningKey) -> Arc<Issuer> {
    let issuer = Issuer::new(IssuerSettings {
        name: name.into(),
        issuer: format!("https://{name}.example"),
        audiences: vec![RESOURCE.to_owned()],
        algorithms: AlgorithmSet::DEFAULT,
        source,
        introspection: (name == "corp").then(|| "https://corp.example/introspect".to_owned()),
        claim_rules: false,
    });
    issuer.replace_keys(KeySet::new(vec![key.public().clone()]));
    Arc::new(issuer)
}

fn route(name: &str, issuers: &[&str]) -> Arc<Route<()>> {
    let scopes = || ScopeSet::parse("echo:read").unwrap();
    let mut any = vec![Expr::ApiKey(ApiKeyRule { scopes: scopes(), mfa: None })];
    any.extend(issuers.iter().map(|name| {
        Expr::Jwt(JwtRule {
            issuer: (*name).into(),
            scopes: scopes(),
            audiences: vec![RESOURCE.into()],
            claims: Vec::new(),
            mfa: None,
        })
    }));
    Arc::new(Route {
        name: name.into(),
        access: Expr::Any(any),
        shadowed: None,
        lists: Vec::new(),
        rates: vec![Rate::new(3, Duration::from_secs(60), By::Principal).unwrap()],
        shadow: Shadow::default(),
        strict: false,
        dpop: Possession::Optional,
        scopes_text: Some("echo:read".into()),
        act: (),
    })
}

impl World {
    fn new() -> Self {
        let key = || SigningKey::generate(Algorithm::Es256).unwrap();
        let (authority, corp) = (Arc::new(key()), Arc::new(key()));
        let routes =
            vec![route("both", &["self", "corp"]), route("corp", &["corp"]), route("keys", &[])];
        let matches = routes.iter().map(|route| RouteMatch {
            host: None,
            path: format!("/{}", route.name).parse().unwrap(),
            methods: None,
        });
        let table = RouteTable::build(&matches.collect::<Vec<_>>()).unwrap();
        let issuers = vec![
            issuer("corp", KeySource::Discovery, &corp),
            issuer("self", KeySource::Own, &authority),
        ];
        let policy = Policy {
            issuers,
            routes,
            table,
            resources: Default::default(),
            sessions: Default::default(),
        };
        Self {
            snapshot: Snapshot {
                version: 0,
                policy: Arc::new(policy),
                keys: Default::default(),
                blocks: Default::default(),
                revoked: Default::default(),
                lists: Vec::new().into(),
                stale: false,
            },
            tools: Tools {
                fingerprints: Fingerprints::new().unwrap(),
                pepper: Pepper::new(&Secret::new([1; 32])),
                replays: Arc::new(Replays::new()),
                nonces: Arc::new(
                    NonceMaker::new(&Secret::new([1; 32]), Duration::from_secs(60)).unwrap(),
                ),
                sessions: super::session::Sealer::new(&Secret::new([1; 32])).unwrap(),
            },
            cache: VerifiedCache::default(),
            limiter: Limiter::new(),
            authority,
            corp,
            client: key(),
            now: NOW,
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": "https://self.example", "sub": "ada", "aud": RESOURCE, "client_id": "app",
            "iat": NOW.seconds(), "exp": NOW.seconds() + 300, "jti": "j1", "gid": "g1",
            "scope": "echo:read",
        })
    }

    fn token(&self, claims: &Value) -> String {
        Signer::new(self.authority.clone(), "at+jwt").sign(claims).unwrap()
    }

    /// A token that is bound to the client's key.
    fn bound(&self) -> String {
        let mut claims = self.claims();
        claims["cnf"] = json!({"jkt": self.client.id()});
        self.token(&claims)
    }

    fn proof(&self, token: &str, jti: &str) -> String {
        proof(&self.client, &self.proof_claims(token, jti))
    }

    fn proof_claims(&self, token: &str, jti: &str) -> Value {
        let ath = b64::encode(digest(&SHA256, token.as_bytes()));
        json!({"jti": jti, "htm": "GET", "htu": URI, "iat": self.now.seconds(), "ath": ath})
    }

    /// All phases; the look-up where one is needed.
    fn judge(
        &self,
        route: &str,
        authorization: &str,
        proofs: &[&str],
        learnt: Option<&Learnt>,
    ) -> Result<Arc<crate::Credential>, Refused> {
        let judge = Judge {
            snapshot: &self.snapshot,
            tools: &self.tools,
            cache: &self.cache,
            now: self.now,
            monotonic: Monotonic(u64::try_from(self.now.0 - NOW.0).unwrap() * 1_000_000 + 1),
        };
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let routed = judge.route("api.example", &format!("/{route}"), "GET").unwrap();
        let admitted = judge.admit(routed, ip, &self.limiter).unwrap();
        let proofs: Vec<&[u8]> = proofs.iter().map(|it| it.as_bytes()).collect();
        let presented = Presented {
            authorization: Some(authorization.as_bytes()),
            api_key: None,
            dpop: Shown { proofs: &proofs, method: "GET", uri: URI },
            session: None,
        };
        let asking = Asking { may_ask: learnt.is_none(), learnt };
        let authenticated = match judge.authenticate(admitted, presented, asking)? {
            Step::Done(authenticated) => authenticated,
            Step::Need(_, lookup) => return Err(Refused::Need(lookup)),
        };
        let decided = judge.decide(authenticated, ip)?;
        let permit = judge.spend(decided, ip, &self.limiter)?;
        Ok(permit.principal().unwrap().clone())
    }

    fn code(&self, authorization: &str, proofs: &[&str]) -> Code {
        match self.judge("both", authorization, proofs, None) {
            Ok(_) => code::OK,
            Err(Refused::Denied(denial)) => denial.code,
            Err(Refused::Need(lookup)) => panic!("{lookup:?}"),
        }
    }
}

#[derive(Debug)]
enum Refused {
    Denied(Box<Denial>),
    Need(Lookup),
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self::Denied(Box::new(denial))
    }
}

fn proof(key: &SigningKey, claims: &Value) -> String {
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.public().to_json()});
    let input = format!("{}.{}", b64::encode(header.to_string()), b64::encode(claims.to_string()));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", b64::encode(signature))
}

#[test]
fn a_token_goes_to_the_scheme_that_its_syntax_names() {
    for (token, kind) in [
        ("pcl_a", Kind::ApiKey),
        ("eyJa.b.c", Kind::Jwt),
        ("pca_a", Kind::Opaque),
        ("eyJa.b", Kind::Opaque),
    ] {
        assert_eq!(Kind::of(token), kind, "{token}");
    }
    assert_eq!(token_of(b"Bearer a"), Some("a"));
    assert_eq!(token_of(b"dpop a"), Some("a"));
    assert_eq!(token_of(b"Basic a"), None);
    assert_eq!(token_of(b"DPoP a b"), None);
    assert!(
        is_dpop(b"DPoP a") && is_dpop(b"dpop") && !is_dpop(b"Bearer a") && !is_dpop(b"DPoPx a")
    );
}

#[test]
fn rfc9068_s4_tokens_of_the_authority_are_typed_and_whole() {
    let world = World::new();
    assert_eq!(world.code(&format!("Bearer {}", world.token(&world.claims())), &[]), code::OK);
    for typ in ["JWT", "dpop+jwt", "logout+jwt"] {
        let token = Signer::new(world.authority.clone(), typ).sign(&world.claims()).unwrap();
        assert_eq!(world.code(&format!("Bearer {token}"), &[]), code::TOKEN_WRONG_TYPE, "{typ}");
    }
    for missing in ["sub", "client_id", "iat", "jti"] {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().remove(missing);
        let token = world.token(&claims);
        assert_eq!(world.code(&format!("Bearer {token}"), &[]), code::TOKEN_CLAIM, "{missing}");
    }
    // Others may leave out what only our revocations need.
    let mut claims = world.claims();
    claims["iss"] = json!("https://corp.example");
    claims.as_object_mut().unwrap().remove("jti");
    let token = Signer::new(world.corp.clone(), "JWT").sign(&claims).unwrap();
    assert_eq!(world.code(&format!("Bearer {token}"), &[]), code::OK);
}

#[test]
fn rfc9449_s7_1_a_bound_token_passes_with_its_proof_and_only_so() {
    let world = World::new();
    let token = world.bound();
    // Twice: the first is verified, the second comes from the cache.
    for round in ["1", "2"] {
        let who = world
            .judge("both", &format!("DPoP {token}"), &[&world.proof(&token, round)], None)
            .unwrap();
        assert_eq!(who.key.as_deref(), Some(world.client.id()));
        assert_eq!(world.code(&format!("DPoP {token}"), &[]), code::DPOP_MISSING);
        // §7.2: not as a bearer token, with or without the proof.
        assert_eq!(world.code(&format!("Bearer {token}"), &[]), code::TOKEN_PROOF_MISSING);
        let proof = world.proof(&token, "b");
        assert_eq!(world.code(&format!("Bearer {token}"), &[&proof]), code::TOKEN_PROOF_MISSING);
    }
}

#[test]
fn rfc9449_s7_1_the_scheme_takes_only_bound_credentials() {
    let world = World::new();
    let token = world.token(&world.claims());
    let proof = world.proof(&token, "1");
    assert_eq!(world.code(&format!("DPoP {token}"), &[&proof]), code::DPOP_NOT_BOUND);
    assert_eq!(world.code(&format!("DPoP {token}"), &[]), code::DPOP_NOT_BOUND);
    // Where the server did not bind it, a client sends it as a bearer token, perhaps with proofs all the same.
    assert_eq!(world.code(&format!("Bearer {token}"), &[&proof]), code::OK);
    assert_eq!(world.code("DPoP", &[]), code::CREDENTIAL_MALFORMED);
    assert_eq!(world.code(&format!("DPoP {token}, DPoP {token}"), &[]), code::CREDENTIAL_MALFORMED);
}

#[test]
fn rfc9449_s4_3_each_check_of_the_proof() {
    let world = World::new();
    let token = world.bound();
    let check = |name: &str, value: Value, expect: Code| {
        let mut claims = world.proof_claims(&token, name);
        claims[name] = value;
        let proof = proof(&world.client, &claims);
        assert_eq!(world.code(&format!("DPoP {token}"), &[&proof]), expect, "{name}");
    };
    check("htm", json!("POST"), code::DPOP_WRONG_REQUEST);
    check("htu", json!("https://api.example/echo/other"), code::DPOP_WRONG_REQUEST);
    check("htu", json!("http://api.example/echo/hello"), code::DPOP_WRONG_REQUEST);
    check("htu", json!("https://evil.example/echo/hello"), code::DPOP_WRONG_REQUEST);
    check("ath", json!(b64::encode(digest(&SHA256, b"other"))), code::DPOP_WRONG_TOKEN);
    check("ath", json!(null), code::DPOP_WRONG_TOKEN);
    check("iat", json!(NOW.seconds() - 91), code::DPOP_STALE);
    check("iat", json!(NOW.seconds() + 31), code::DPOP_STALE);
    check("jti", json!(""), code::DPOP_INVALID);
    check("htu", json!(format!("{URI}?page=2#top")), code::OK);
    let (one, two) = (world.proof(&token, "a"), world.proof(&token, "b"));
    assert_eq!(world.code(&format!("DPoP {token}"), &[&one, &two]), code::DPOP_INVALID);
    assert_eq!(world.code(&format!("DPoP {token}"), &["x"]), code::DPOP_INVALID);
    // A proof in order, by whoever stole the token.
    let thief = SigningKey::generate(Algorithm::Es256).unwrap();
    let stolen = proof(&thief, &world.proof_claims(&token, "c"));
    assert_eq!(world.code(&format!("DPoP {token}"), &[&stolen]), code::DPOP_WRONG_KEY);
}

#[test]
fn rfc9449_s11_1_a_proof_is_taken_once() {
    let mut world = World::new();
    let token = world.bound();
    let header = format!("DPoP {token}");
    let proof = world.proof(&token, "1");
    assert_eq!(world.code(&header, &[&proof]), code::OK);
    // However often it is sent, it uses up nothing of the owner's limit, which is three.
    for _ in 0..5 {
        assert_eq!(world.code(&header, &[&proof]), code::DPOP_REPLAYED);
    }
    assert_eq!(world.code(&header, &[&world.proof(&token, "2")]), code::OK);
    assert_eq!(world.code(&header, &[&world.proof(&token, "3")]), code::OK);
    assert_eq!(world.code(&header, &[&world.proof(&token, "4")]), code::RATE_EXCEEDED);
    // To its last moment.
    world.now = NOW.plus(Duration::from_millis(89_999));
    assert_eq!(world.code(&header, &[&proof]), code::DPOP_REPLAYED);
    world.now = NOW.plus(Duration::from_secs(90));
    assert_eq!(world.code(&header, &[&proof]), code::DPOP_STALE);
}

#[test]
fn a_request_that_is_refused_otherwise_leaves_its_proof_unused() {
    let world = World::new();
    let mut claims = world.claims();
    claims["cnf"] = json!({"jkt": world.client.id()});
    claims["scope"] = json!("other");
    let token = world.token(&claims);
    let proof = world.proof(&token, "1");
    for _ in 0..2 {
        assert_eq!(world.code(&format!("DPoP {token}"), &[&proof]), code::SCOPE_MISSING);
    }
}

#[test]
fn rfc7800_s3_1_other_bindings_are_refused() {
    let world = World::new();
    let jkt = world.client.id();
    for cnf in [
        json!({"x5t#S256": "a"}),
        json!({"jkt": jkt, "x5t#S256": "a"}),
        json!({"jkt": jkt, "kid": "a"}),
        json!({"kid": "a"}),
        json!({}),
    ] {
        let mut claims = world.claims();
        claims["cnf"] = cnf.clone();
        let token = world.token(&claims);
        let proof = world.proof(&token, "1");
        for header in [format!("Bearer {token}"), format!("DPoP {token}")] {
            assert_eq!(world.code(&header, &[&proof]), code::TOKEN_PROOF_MISSING, "{cnf}");
        }
    }
}

#[test]
fn foreign_issuers_may_bind_their_tokens_too() {
    let world = World::new();
    let mut claims = world.claims();
    claims["iss"] = json!("https://corp.example");
    claims["cnf"] = json!({"jkt": world.client.id()});
    let token = Signer::new(world.corp.clone(), "JWT").sign(&claims).unwrap();
    assert_eq!(world.code(&format!("Bearer {token}"), &[]), code::TOKEN_PROOF_MISSING);
    let proof = world.proof(&token, "1");
    assert_eq!(world.code(&format!("DPoP {token}"), &[&proof]), code::OK);
    assert_eq!(world.code(&format!("DPoP {token}"), &[&proof]), code::DPOP_REPLAYED);
}

/// What the authority says of an opaque token, or an issuer.
fn said(claims: &Value) -> Introspection {
    let mut answer = claims.clone();
    answer["active"] = json!(true);
    Introspection::parse(answer.to_string().as_bytes()).unwrap()
}

#[test]
fn an_opaque_token_of_our_own_is_shown_to_nobody_else() {
    let world = World::new();
    let asked = |route: &str, token: &str| match world.judge(
        route,
        &format!("Bearer {token}"),
        &[],
        None,
    ) {
        Err(Refused::Need(Lookup::Introspection { issuer, .. })) => {
            Ok(issuer.settings.name.to_string())
        }
        Err(Refused::Denied(denial)) => Err(denial.code),
        other => panic!("{other:?}"),
    };
    assert_eq!(asked("both", "pca_secret"), Ok("self".to_owned()));
    assert_eq!(asked("both", "other"), Ok("corp".to_owned()));
    assert_eq!(asked("corp", "pca_secret"), Err(code::TOKEN_WRONG_ISSUER));
    assert_eq!(asked("keys", "pca_secret"), Err(code::CREDENTIAL_WRONG_KIND));
}

#[test]
fn an_opaque_token_of_our_own_is_judged_as_a_jwt_is() {
    let mut world = World::new();
    let learn = |world: &World, claims: &Value| {
        let need = world.judge("both", "Bearer pca_secret", &[], None);
        let Err(Refused::Need(Lookup::Introspection { issuer, fingerprint })) = need else {
            panic!("{need:?}")
        };
        let keep = (world.now, Duration::from_secs(60));
        opaque::learn(&world.cache, &issuer, fingerprint, said(claims), keep)
    };
    let mut incomplete = world.claims();
    incomplete.as_object_mut().unwrap().remove("jti");
    assert_eq!(learn(&world, &incomplete).unwrap_err().code, code::TOKEN_CLAIM);
    let mut claims = world.claims();
    claims["cnf"] = json!({"jkt": world.client.id()});
    let learnt = Learnt::Token(learn(&world, &claims).unwrap().unwrap());
    let header = "DPoP pca_secret";
    let proof = world.proof("pca_secret", "1");
    let who = world.judge("both", header, &[&proof], Some(&learnt)).unwrap();
    assert_eq!((who.scheme, &*who.subject), (Scheme::Opaque, "ada"));
    // From the cache now, and a proof is needed all the same.
    assert_eq!(world.code(header, &[]), code::DPOP_MISSING);
    assert_eq!(world.code(header, &[&proof]), code::DPOP_REPLAYED);
    assert_eq!(world.code("Bearer pca_secret", &[]), code::TOKEN_PROOF_MISSING);
    for (kind, value) in [
        (RevokedKind::Grant, "g1"),
        (RevokedKind::Token, "j1"),
        (RevokedKind::Subject, "ada"),
        (RevokedKind::Client, "app"),
    ] {
        let revoked = Revoked { not_before: NOW, until: NOW.plus(Duration::from_secs(600)) };
        world.snapshot.revoked =
            crate::revoked::Revocations::default().with([(kind, Arc::from(value), revoked)]);
        let proof = world.proof("pca_secret", value);
        assert_eq!(world.code(header, &[&proof]), code::TOKEN_REVOKED, "{kind:?}");
    }
}
