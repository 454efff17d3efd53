//! The gate in this process, with ports of the tests' own: what the real binary cannot be made to do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first mistake"
)]

mod possession;

use access::Snapshots;
use access::address::{AddressHeader, TrustedProxies};
use access::issuer::{Issuer, IssuerSettings, KeySource};
use access::limit::Limiter;
use access::policy::{Expr, JwtRule, Policy, Possession, Route, Shadow};
use access::replay::Replays;
use access::schemes::{Tools, api_key::Pepper, session::Sealer};
use access::snapshot::Snapshot;
use access::table::{RouteMatch, RouteTable};
use access::verified::Fingerprints;
use audit::{Ledger, LedgerOptions, Reader};
use base::{BoxFuture, Clock, NodeId, Secret, SystemClock, UnixMs};
use gateway::{
    Act, Gate, GateParts, HeaderRules, HostHeader, ListenerSettings, LookupError, Lookups, Metrics,
    Proxies, ProxyHeader, PublicOrigin, ServerSettings, SignInCode, SignInError, SignInFacts,
    SignInKept, SignInPlace, SignIns, Timeouts, Upstream, UpstreamProtocol, UpstreamSettings,
    UpstreamTls,
};
use protocol::AlgorithmSet;
use protocol::dpop::NonceMaker;
use protocol::jwk::KeySet;
use protocol::oauth::{Introspection, ScopeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A look-up that breaks: it runs inside the connection's task.
#[derive(Debug)]
struct Broken;

impl Lookups for Broken {
    fn refresh(&self, _issuer: Arc<Issuer>) -> BoxFuture<'_, Result<(), LookupError>> {
        panic!("a defect, for the test");
    }

    fn introspect(
        &self,
        _issuer: Arc<Issuer>,
        _token: Secret<String>,
    ) -> BoxFuture<'_, Result<(Introspection, Duration), LookupError>> {
        panic!("a defect, for the test");
    }
}

/// An authority that signs nobody in.
#[derive(Debug)]
struct Nobody(SignInPlace);

impl Nobody {
    fn new() -> Self {
        let text = |text: &str| Box::from(text);
        Self(SignInPlace {
            issuer: text("https://self.example"),
            authorize: text("https://self.example/oauth/authorize"),
            client_id: text("portcullis-gate"),
        })
    }
}

fn no<T: Send + 'static>() -> BoxFuture<'static, Result<T, SignInError>> {
    Box::pin(async { Err(SignInError::Unavailable("nobody is there".to_owned())) })
}

impl SignIns for Nobody {
    fn place(&self) -> &SignInPlace {
        &self.0
    }

    fn redeem(&self, _code: SignInCode) -> BoxFuture<'_, Result<SignInFacts, SignInError>> {
        no()
    }

    fn renew(
        &self,
        _kept: SignInKept,
    ) -> BoxFuture<'_, Result<(SignInFacts, UnixMs), SignInError>> {
        no()
    }

    fn end(&self, _kept: SignInKept) -> BoxFuture<'_, Result<(), SignInError>> {
        no()
    }
}

fn echo() -> Arc<Upstream> {
    let server =
        ServerSettings { tls: false, host: "localhost".to_owned(), port: 0, weight: 1, echo: true };
    let settings = UpstreamSettings {
        name: "echo".into(),
        servers: vec![server],
        protocol: UpstreamProtocol::Http1,
        tls: UpstreamTls::default(),
        assertion: false,
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        retries: 0,
        health: None,
        keep_alive: 4,
        idle: Duration::from_secs(5),
    };
    Arc::new(Upstream::new(settings).unwrap())
}

fn route(name: &str, access: Expr, metrics: &Metrics) -> Arc<Route<Act>> {
    Arc::new(Route {
        name: name.into(),
        access,
        shadowed: None,
        lists: Vec::new(),
        rates: Vec::new(),
        shadow: Shadow::default(),
        strict: false,
        dpop: Possession::Optional,
        scopes_text: None,
        act: Act {
            upstream: echo(),
            strip_prefix: None,
            host_header: HostHeader::Upstream,
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            cors: None,
            max_body: None,
            timeout: None,
            forward_credential: false,
            methods: None,
            by_host: false,
            metadata_url: None,
            metrics: metrics.route(name),
        },
    })
}

fn snapshot(metrics: &Metrics) -> Snapshot<Act> {
    let issuer = Issuer::new(IssuerSettings {
        name: "corp".into(),
        issuer: "https://login.example".to_owned(),
        audiences: vec!["api".to_owned()],
        algorithms: AlgorithmSet::DEFAULT,
        source: KeySource::Discovery,
        introspection: None,
        claim_rules: false,
    });
    let token = Expr::Jwt(JwtRule {
        issuer: "corp".into(),
        scopes: ScopeSet::default(),
        audiences: Vec::new(),
        claims: Vec::new(),
        mfa: None,
    });
    let routes = vec![
        route("open", Expr::Public, metrics),
        route("closed", Expr::Any(vec![token]), metrics),
    ];
    let paths = ["/open", "/closed"];
    let matches: Vec<RouteMatch> = paths
        .iter()
        .map(|path| RouteMatch { host: None, path: path.parse().unwrap(), methods: None })
        .collect();
    let table = RouteTable::build(&matches).unwrap();
    Snapshot {
        version: 0,
        policy: Arc::new(Policy {
            issuers: vec![Arc::new(issuer)],
            routes,
            table,
            resources: Default::default(),
            sessions: Default::default(),
        }),
        keys: Default::default(),
        blocks: Default::default(),
        lists: Vec::new().into(),
        revoked: Default::default(),
        stale: false,
    }
}

fn listener() -> ListenerSettings {
    ListenerSettings {
        name: "test".into(),
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        public: PublicOrigin { https: false, host: "localhost".into(), port: None },
        tls: None,
        proxies: Proxies {
            trusted: TrustedProxies::new([]),
            header: ProxyHeader::Header(AddressHeader::XForwardedFor),
        },
        max_connections: 100,
        max_per_address: 100,
        timeouts: Timeouts::default(),
        http2: false,
        h2c: false,
    }
}

fn ask(to: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A gate in this process, with a ledger of its own.
struct Running {
    gate: Gate,
    ledger: Arc<Ledger>,
    folder: tempfile::TempDir,
    control: tokio::runtime::Runtime,
}

fn start(snapshot: Snapshot<Act>, metrics: Arc<Metrics>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = NodeId(7);
    let dir = folder.path().join("ledger");
    let options = LedgerOptions::new(dir, node, Secret::new([7; 32]), clock.clone());
    let (ledger, recorders) = Ledger::open(options, 1).unwrap();
    let ledger = Arc::new(ledger);
    let control =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let parts = GateParts {
        snapshots: Arc::new(Snapshots::new(snapshot)),
        tools: Tools {
            fingerprints: Fingerprints::new().unwrap(),
            pepper: Pepper::new(&Secret::new([1; 32])),
            replays: Arc::new(Replays::new()),
            nonces: Arc::new(
                NonceMaker::new(&Secret::new([1; 32]), Duration::from_secs(60)).unwrap(),
            ),
            sessions: Sealer::new(&Secret::new([1; 32])).unwrap(),
        },
        counters: Arc::new(Limiter::new()),
        lookups: Arc::new(Broken),
        sign_ins: Arc::new(Nobody::new()),
        clock,
        metrics,
        log: None,
        node,
        assertions: None,
        assertion_issuer: "https://gate.example".to_owned(),
        control: control.handle().clone(),
        ledger: ledger.clone(),
        recorders,
    };
    let gate = Gate::start(parts, &[listener()]).unwrap();
    Running { gate, ledger, folder, control }
}

impl Running {
    fn address(&self) -> SocketAddr {
        self.gate.bound()[0].address
    }

    /// Stops the gate; the codes of all that was recorded.
    fn codes(self) -> Vec<String> {
        self.control.block_on(self.gate.drain(Duration::from_secs(5)));
        self.ledger.close().unwrap();
        let reader = Reader::new(self.folder.path().join("ledger"));
        let (events, _) = reader.recent(100, |_| true).unwrap();
        events.iter().map(|event| event.code.as_str().to_owned()).collect()
    }
}

#[test]
fn a_panic_in_one_connection_harms_no_other_and_is_recorded() {
    let metrics = Arc::new(Metrics::new());
    let running = start(snapshot(&metrics), metrics.clone());
    let address = running.address();

    // One connection is in the middle of its head when the other breaks.
    let mut halfway = TcpStream::connect(address).unwrap();
    halfway.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    halfway.write_all(b"GET /open HTTP/1.1\r\nHost: x\r\n").unwrap();

    // {"alg":"ES256","kid":"unknown"} . {"iss":"https://login.example"} . 64 zero bytes
    let token = format!(
        "{}.{}.{}",
        protocol::b64::encode(r#"{"alg":"ES256","kid":"unknown"}"#),
        protocol::b64::encode(r#"{"iss":"https://login.example"}"#),
        protocol::b64::encode([0u8; 64]),
    );
    let answer = ask(
        address,
        &format!("GET /closed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"),
    );
    assert_eq!(answer, "", "the broken connection ends without an answer");

    halfway.write_all(b"Connection: close\r\n\r\n").unwrap();
    let mut other = String::new();
    halfway.read_to_string(&mut other).unwrap();
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    let again = ask(address, "GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(again.starts_with("HTTP/1.1 200 "), "{again}");

    assert_eq!(metrics.panics.get(), 1);
    let codes = running.codes();
    // The request's own record, and the connection's.
    assert_eq!(codes.iter().filter(|code| **code == "gate.panic").count(), 2, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "ok").count(), 2, "{codes:?}");
}
