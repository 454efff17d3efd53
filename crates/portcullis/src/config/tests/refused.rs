//! One mistake at a time.

use super::*;

#[test]
fn users() {
    let base = "[[user]]\nemail = \"a@example.com\"\n";
    let dear = "$2b$20$aZ1i79Hf8rPCTH0ottk9guaxRlIjgio4PsPGFvCdNbiwcbj6VSRYO";
    let long = format!("name = \"{}\"", "x".repeat(101));
    let hash = |text: &str| format!("password_hash = \"{text}\"");
    for (text, code, path) in [
        ("role = \"ops\"", "unknown_key", "user[0].role"),
        ("name = 7", "type", "user[0].name"),
        (long.as_str(), "value", "user[0].name"),
        ("groups = []", "value", "user[0].groups"),
        ("groups = [\"a b\"]", "value", "user[0].groups"),
        ("groups = \"ops\"", "type", "user[0].groups"),
        ("disabled = \"no\"", "type", "user[0].disabled"),
        (&hash("hunter2"), "value", "user[0].password_hash"),
        (&hash(dear), "value", "user[0].password_hash"),
        ("password_hash = { env = \"NOT_SET\" }", "unreadable", "user[0].password_hash.env"),
        ("[[user]]\nemail = \"A@EXAMPLE.com\"", "duplicate", "user[1].email"),
        ("[[user]]", "missing", "user[1]"),
        ("[[user]]\nemail = \"nobody\"", "value", "user[1].email"),
    ] {
        let report = report(&with("end", &format!("{base}{text}")));
        let found: Vec<_> =
            report.problems.iter().map(|it| (it.code.as_str(), it.path.as_str())).collect();
        assert_eq!(found, [(code, path)], "{text}");
        let shown = report.problems[0].render("file");
        assert!(!shown.contains("hunter2") && !shown.contains("$2b$"), "{shown}");
    }
    // All of one at once.
    let all =
        "[[user]]\nemail = \"nobody\"\ngroups = [\"a b\"]\npassword_hash = \"x\"\ndisabled = 1";
    assert_eq!(report(&with("end", all)).errors(), 4);
}

#[test]
fn server() {
    for (text, code, path) in [
        ("admin = \"8002\"", "value", "server.admin"),
        ("admin = \"127.0.0.1:8001\"", "conflict", "server.admin"),
        ("admin_url = \"http://localhost:8002\"", "conflict", "server.admin_url"),
        ("tls = \"internal-ca\"", "not_available", "server.tls"),
        ("tls = { cert = \"no.pem\", key = \"server.key\" }", "unreadable", "server.tls.cert"),
        ("proxies = { header = \"forwarded\" }", "missing", "server.proxies"),
        (
            "proxies = { trusted = [\"0.0.0.0/0\"], header = \"forwarded\" }",
            "fail_open",
            "server.proxies.trusted[0]",
        ),
        ("admin = \"0.0.0.0:8002\"", "plain_credential", "server"),
        ("shared = \"redis://x\"", "not_available", "server.shared"),
        ("role = \"gate\"", "not_available", "server.role"),
        ("role = \"gaet\"", "value", "server.role"),
        ("control = \"8001\"", "value", "server.control"),
        ("control = \"127.0.0.1:0\"", "value", "server.control"),
        ("control = \"127.0.0.1:8000\"", "conflict", "listener[0].bind"),
        ("control = \"0.0.0.0:8001\"", "plain_credential", "server"),
        ("control = 8001", "type", "server.control"),
        ("public_url = \"localhost:8001\"", "value", "server.public_url"),
        ("public_url = \"http://login.example\"", "plain_credential", "server.public_url"),
        ("public_url = \"http://localhost:8001/x\"", "value", "server.public_url"),
        ("store = \"mysql://x\"", "value", "server.store"),
        ("store = { env = \"NOT_SET\" }", "unreadable", "server.store.env"),
        ("store = { env = \"A\", file = \"b\" }", "conflict", "server.store"),
        ("store = {}", "conflict", "server.store"),
        ("resolver = \"127.0.0.1\"", "value", "server.resolver"),
        ("resolver = \"0.0.0.0:53\"", "value", "server.resolver"),
        ("resolver = \"dns.example:53\"", "value", "server.resolver"),
        ("stale_limit = \"2h\"", "value", "server.stale_limit"),
        ("stale_limit = \"0s\"", "value", "server.stale_limit"),
        ("stale_limit = 30", "type", "server.stale_limit"),
        ("data_dir = \"\"", "value", "server.data_dir"),
        ("[log]\naccess = \"stderr\"", "value", "log.access"),
        ("[log]\naccess = { path = \"x\", file = \"y\" }", "unknown_key", "log.access.path"),
        ("[log]\nlevel = \"trace\"", "value", "log.level"),
    ] {
        check(&with("server", text), code, path);
    }
}

#[test]
fn sign_in() {
    for (text, code, path) in [
        ("", "fail_open", "sign_in[0]"),
        ("acr = \"aal1\"", "fail_open", "sign_in[0]"),
        ("acr = \"aal4\"", "value", "sign_in[0].acr"),
        ("acr = \"phr\"\nfactors = [\"totp\"]", "conflict", "sign_in[0]"),
        ("acr = \"aal1\"\nfactors = [\"totp\"]", "conflict", "sign_in[0]"),
        ("factors = []", "value", "sign_in[0].factors"),
        ("factors = [\"recovery\"]", "value", "sign_in[0].factors[0]"),
        ("acr = \"aal2\"\ngroups = []", "value", "sign_in[0].groups"),
        ("acr = \"aal2\"\ngroups = [\"a b\"]", "value", "sign_in[0].groups[0]"),
        ("acr = \"aal2\"\nclients = [\"\"]", "value", "sign_in[0].clients[0]"),
        ("max_age = \"1s\"", "value", "sign_in[0].max_age"),
        ("max_age = \"10500ms\"", "value", "sign_in[0].max_age"),
        ("acr = \"aal2\"\nroute = \"x\"", "unknown_key", "sign_in[0].route"),
        (
            "acr = \"aal2\"\n[[sign_in]]\nname = \"a\"\nacr = \"phr\"",
            "duplicate",
            "sign_in[1].name",
        ),
        // What holds together must be met together.
        (
            "factors = [\"totp\"]\n[[sign_in]]\nname = \"b\"\nfactors = [\"passkey\"]",
            "conflict",
            "sign_in[1]",
        ),
        (
            "factors = [\"totp\"]\n[[sign_in]]\nname = \"b\"\ngroups = [\"x\"]\nacr = \"phr\"",
            "conflict",
            "sign_in[1]",
        ),
    ] {
        check(&with("end", &format!("[[sign_in]]\nname = \"a\"\n{text}")), code, path);
    }
    check(&with("end", "[sign_in]\nacr = \"aal2\""), "type", "sign_in");
    // Other people, or other clients: nobody is caught between.
    let apart = "[[sign_in]]\nname = \"a\"\ngroups = [\"x\"]\nfactors = [\"totp\"]\n\
                 [[sign_in]]\nname = \"b\"\ngroups = [\"y\"]\nfactors = [\"passkey\"]";
    assert_eq!(sound(&with("end", apart)).sign_in.len(), 2);
    // All mistakes at once.
    let both = "[[sign_in]]\nacr = \"aal9\"\nfactors = [\"sms\"]";
    assert_eq!(report(&with("end", both)).problems.len(), 3);
}

#[test]
fn provider() {
    let base = "[[provider]]\nname = \"corp\"\nclient_id = \"us\"\n";
    let issuer = "issuer = \"https://id.example\"\n";
    let refused = |text: &str, code: &str, path: &str| {
        check(&with("end", &format!("{base}{text}")), code, &format!("provider[0]{path}"));
    };
    for (text, code, path) in [
        ("", "missing", ""),
        ("issuer = \"http://id.example\"", "value", ".issuer"),
        ("issuer = \"id.example\"", "value", ".issuer"),
        ("preset = \"facebook\"", "value", ".preset"),
        ("preset = \"github\"", "value", ".preset"),
        ("preset = \"google\"\nissuer = \"https://id.example\"", "conflict", ".issuer"),
        ("preset = \"google\"\nrealm = \"x\"", "conflict", ".realm"),
        ("preset = \"microsoft\"", "missing", ""),
        ("preset = \"microsoft\"\ntenant = \"common\"", "value", ".tenant"),
        ("preset = \"okta\"\ndomain = \"https://x.okta.com\"", "value", ".domain"),
        ("preset = \"keycloak\"\nserver = \"https://kc.example\"", "missing", ""),
        (
            "preset = \"keycloak\"\nserver = \"https://kc.example\"\nrealm = \"../master\"",
            "value",
            ".realm",
        ),
        (
            "preset = \"keycloak\"\nserver = \"http://kc.example\"\nrealm = \"main\"",
            "value",
            ".server",
        ),
    ] {
        refused(text, code, path);
    }
    for (text, code, path) in [
        ("client_auth = \"client_secret_post\"", "missing", ""),
        ("client_auth = \"private_key_jwt\"\nclient_secret = \"s\"", "value", ".client_auth"),
        ("client_secret = { env = \"NOT_SET\" }", "unreadable", ".client_secret.env"),
        ("scopes = [\"email\"]", "value", ".scopes"),
        ("scopes = []", "value", ".scopes"),
        ("groups = { Ops = \"our ops\" }", "value", ".groups.Ops"),
        ("acr = { gold = \"aal3\" }", "value", ".acr.gold"),
        ("amr = { mfa = \"high\" }", "value", ".amr.mfa"),
        ("create = \"always\"", "value", ".create"),
        ("create = []", "value", ".create"),
        ("create = [\"*\"]", "value", ".create[0]"),
        ("create = [\"@example.com\"]", "value", ".create[0]"),
        ("link = \"by-email\"", "value", ".link"),
        ("display_name = \" \"", "value", ".display_name"),
        ("nonce = false", "unknown_key", ".nonce"),
        ("tenant = \"x\"", "conflict", ".tenant"),
    ] {
        refused(&format!("{issuer}{text}"), code, path);
    }
    let twice = format!("{base}{issuer}{}", base.replace("corp", "again")) + issuer;
    check(&with("end", &twice), "duplicate", "provider[1]");
}

#[test]
fn mail() {
    let sound = "server = \"smtps://m.example\"\nfrom = \"g@example.com\"\n";
    for half in ["server = \"smtps://m.example\"", "from = \"g@example.com\""] {
        check(&with("end", &format!("[mail]\n{half}")), "missing", "mail");
    }
    for (text, code, path) in [
        ("username = \"gate\"", "missing", "mail"),
        ("password = \"hunter2\"", "missing", "mail"),
        ("username = \"a\\nb\"\npassword = \"hunter2\"", "value", "mail.username"),
        ("username = \"a\"\npassword = { env = \"NOT_SET\" }", "unreadable", "mail.password.env"),
        ("ca = \"odd.pem\"", "unreadable", "mail.ca"),
        ("ca = \"no.pem\"", "unreadable", "mail.ca"),
        ("port = 25", "unknown_key", "mail.port"),
    ] {
        check(&with("end", &format!("[mail]\n{sound}{text}")), code, path);
    }
    for server in [
        "mail.example",
        "https://mail.example",
        "smtp://",
        "smtp://mail.example:0",
        "smtp://mail.example:99999",
        "smtp://mail.example/path",
        "smtp://mail.example?x",
        "smtp://gate:hunter2@mail.example",
        "smtp+plain://8.8.8.8:25",
        "smtp+plain://[2001:4860:4860::8888]",
        "smtp+plain://0.0.0.0",
        "smtp+plain://169.254.169.254",
    ] {
        let text = format!("[mail]\nserver = {server:?}\nfrom = \"g@example.com\"");
        check(&with("end", &text), "value", "mail.server");
    }
    for from in [
        "",
        "Gate",
        "Gate <g@example.com",
        "Gate g@example.com>",
        "Gate <g@example.com> <h@example.com>",
        "g@example.com\nBcc: h@example.com",
        "Ga\nte <g@example.com>",
        "gäte@example.com",
        "\"Gate\" \"x\" <g@example.com>",
    ] {
        let text = format!("[mail]\nserver = \"smtps://m.example\"\nfrom = {from:?}");
        check(&with("end", &text), "value", "mail.from");
    }
    let plain = "[mail]\nserver = \"smtp+plain://127.0.0.1\"\nfrom = \"g@example.com\"\n";
    for more in ["username = \"a\"\npassword = \"hunter2\"", "ca = \"server.pem\""] {
        check(&with("end", &format!("{plain}{more}")), "conflict", "mail");
    }
}

#[test]
fn document() {
    check(&BASE.replace("version = 1\n", ""), "missing", "");
    check(&BASE.replace("version = 1\n", "version = 2\n"), "value", "version");
    check(&BASE.replace("version = 1\n", "version = \"1\"\n"), "type", "version");
    let twice =
        BASE.replace("upstream = \"orders\"\n", "upstream = \"orders\"\nupstream = \"orders\"\n");
    check(&twice, "syntax", "");
    let twice = BASE.replace("[[listener]]", "[server]\n[[listener]]");
    assert!(report(&twice).config.is_none());
    check(&with("end", "[[polcy]]"), "unknown_key", "polcy");
    for later in ["policy", "alert", "sink"] {
        check(&with("end", &format!("[[{later}]]\nname = \"x\"")), "not_available", later);
    }
    check(&BASE.replace("[server]", "[[server]]"), "type", "server");
}

#[test]
fn listener() {
    let base = BASE.replace("bind = \"127.0.0.1:8000\"\n", "");
    check(&base, "missing", "listener[0]");
    for (text, code, path) in [
        ("tls = \"internal-ca\"", "not_available", "listener[0].tls"),
        ("tls = { acme = \"x\" }", "not_available", "listener[0].tls"),
        ("tls = { cert = \"server.pem\" }", "missing", "listener[0].tls"),
        ("tls = { cert = \"no.pem\", key = \"server.key\" }", "unreadable", "listener[0].tls.cert"),
        ("tls = { cert = \"server.pem\", key = \"other.key\" }", "unreadable", "listener[0].tls"),
        ("tls = { cert = \"odd.pem\", key = \"server.key\" }", "unreadable", "listener[0].tls"),
        (
            "tls = { cert = \"server.pem\", key = \"server.pem\" }",
            "unreadable",
            "listener[0].tls.key",
        ),
        (
            "tls = { cert = \"server.key\", key = \"server.key\" }",
            "unreadable",
            "listener[0].tls.cert",
        ),
        ("client_certificates = \"require\"", "not_available", "listener[0].client_certificates"),
        ("client_ca = [\"internal\"]", "not_available", "listener[0].client_ca"),
        ("max_connections = 0", "value", "listener[0].max_connections"),
        ("max_connections = 99999999999999999999", "value", "listener[0].max_connections"),
        ("timeouts = { head = \"1ms\" }", "value", "listener[0].timeouts.head"),
        ("timeouts = { heads = \"1s\" }", "unknown_key", "listener[0].timeouts.heads"),
        ("http2 = \"yes\"", "type", "listener[0].http2"),
        (
            "tls = { cert = \"server.pem\", key = \"server.key\" }\nh2c = true",
            "conflict",
            "listener[0].h2c",
        ),
        (
            "[[listener]]\nname = \"b\"\nbind = \"0.0.0.0:8000\"\ntls = { cert = \"server.pem\", key = \"server.key\" }",
            "conflict",
            "listener[1].bind",
        ),
        (
            "[[listener]]\nname = \"api\"\nbind = \"127.0.0.1:8080\"",
            "duplicate",
            "listener[1].name",
        ),
        ("[[listener]]\nname = \"a b\"\nbind = \"127.0.0.1:8080\"", "value", "listener[1].name"),
    ] {
        check(&with("listener", text), code, path);
    }
    for (trusted, header, code, place) in [
        ("[\"0.0.0.0/0\"]", "forwarded", "fail_open", "trusted[0]"),
        ("[\"::/0\"]", "forwarded", "fail_open", "trusted[0]"),
        ("[\"10.0.0.1/8\"]", "forwarded", "value", "trusted[0]"),
        ("[\"10.0.0.0/8\"]", "x-real-ip", "value", "header"),
        ("\"10.0.0.0/8\"", "forwarded", "type", "trusted"),
    ] {
        let text = format!("proxies = {{ trusted = {trusted}, header = \"{header}\" }}");
        check(&with("listener", &text), code, &format!("listener[0].proxies.{place}"));
    }
    let none = BASE.replace("[[listener]]\nname = \"api\"\nbind = \"127.0.0.1:8000\"\n", "");
    check(&none, "missing", "");
    let broken = with("listener", "tls = { cert = \"no.pem\", key = \"server.key\" }");
    check(&broken.replace("127.0.0.1:8000", "0.0.0.0:8000"), "unreadable", "listener[0].tls.cert");
    check(
        &BASE.replace("bind = \"127.0.0.1:8000\"", "bind = \"0.0.0.0:8000\""),
        "plain_credential",
        "listener[0]",
    );
}

#[test]
fn issuer() {
    let audience = "audience = [\"orders-api\"]\n";
    check(&BASE.replace(audience, ""), "fail_open", "issuer[0]");
    check(&BASE.replace(audience, "audience = []\n"), "fail_open", "issuer[0].audience");
    check(&BASE.replace("\"corp\"", "\"self\""), "value", "issuer[0]");
    for (text, code, path) in [
        ("algorithms = []", "value", "algorithms"),
        ("algorithms = [\"HS256\"]", "fail_open", "algorithms[0]"),
        ("algorithms = [\"none\"]", "fail_open", "algorithms[0]"),
        ("algorithms = [\"es256\"]", "value", "algorithms[0]"),
        ("jwks_file = \"no.json\"", "unreadable", "jwks_file"),
        ("jwks_file = \"empty.json\"", "unreadable", "jwks_file"),
        ("jwks_file = \"odd.json\"", "unreadable", "jwks_file"),
        ("jwks_file = \"secret.txt\"", "unreadable", "jwks_file"),
        ("jwks_uri = \"https://x/k\"\njwks_file = \"jwks.json\"", "conflict", "jwks_file"),
        ("jwks_uri = \"http://x.example/k\"", "plain_credential", "jwks_uri"),
        ("jwks_uri = \"x\"", "value", "jwks_uri"),
        ("clock_skew = \"5m\"", "unknown_key", "clock_skew"),
        ("introspection = {}", "missing", "introspection"),
    ] {
        let path = format!("issuer[0].{path}");
        let report = report(&with("issuer", text));
        let first = &report.problems[0];
        assert_eq!((first.code.as_str(), first.path.as_str()), (code, path.as_str()), "{text}");
        assert!(report.problems.len() == 1 || text.starts_with("introspection"), "{text}");
    }
    check(
        &with(
            "issuer",
            "introspection = { url = \"https://x\", client_id = \"g\", client_secret = { file = \"blank.txt\" } }",
        ),
        "unreadable",
        "issuer[0].introspection.client_secret.file",
    );
    check(
        &with(
            "issuer",
            "introspection = { url = \"https://x\", client_id = \"g\", client_secret = \"s\", cache = \"1h\" }",
        ),
        "value",
        "issuer[0].introspection.cache",
    );
    check(
        &with(
            "issuer",
            "[[issuer]]\nname = \"b\"\nissuer = \"https://login.corp.example\"\naudience = [\"x\"]",
        ),
        "duplicate",
        "issuer[1].issuer",
    );
}

#[test]
fn addresses() {
    let allow = "allow = [\"192.0.2.0/24\"]";
    for (entry, code) in [
        ("192.0.2.7/24", "value"),
        ("192.0.2.0/33", "value"),
        ("dns:", "value"),
        ("dns:a b", "value"),
        ("vpn.example.com", "value"),
        ("", "value"),
    ] {
        let text = BASE.replace(allow, &format!("allow = [\"{entry}\"]"));
        check(&text, code, "ip_list[0].allow[0]");
    }
    let report = report(&BASE.replace(allow, "allow = [\"192.0.2.7/24\"]"));
    assert!(report.problems[0].message.contains("192.0.2.0/24"));
    for (text, code, path) in [
        ("{}", "missing", ""),
        ("{ groups = [] }", "value", ".groups"),
        ("{ groups = [\"a b\"] }", "value", ".groups[0]"),
        ("{ groups = \"ops\" }", "type", ".groups"),
        ("{ groups = [\"ops\"], for = \"25h\" }", "value", ".for"),
        ("{ groups = [\"ops\"], for = \"5s\" }", "value", ".for"),
        ("{ groups = [\"ops\"], for = 8 }", "type", ".for"),
        ("{ groups = [\"ops\"], private = 1 }", "type", ".private"),
        ("{ groups = [\"ops\"], max = \"8h\" }", "unknown_key", ".max"),
        ("true", "type", ""),
    ] {
        let path = format!("ip_list[0].self_service{path}");
        check(&with("ip_list", &format!("self_service = {text}")), code, &path);
    }
    // A list that is open to everybody but the denied needs nobody to be added.
    let open = "deny = []\nself_service = { groups = [\"ops\"] }";
    check(&BASE.replace(allow, open), "conflict", "ip_list[0].self_service");
    check(&BASE.replace(allow, ""), "missing", "ip_list[0]");
    check(&BASE.replace(allow, "deny = []\nalow = []"), "unknown_key", "ip_list[0].alow");
}

#[test]
fn upstream() {
    let servers = "servers = [\"http://127.0.0.1:9000\"]";
    for (text, code, path) in [
        ("servers = []", "value", "servers"),
        ("servers = [\"127.0.0.1:9000\"]", "value", "servers[0]"),
        ("servers = [\"http://x/y\"]", "value", "servers[0]"),
        ("servers = [\"builtin:echo\"]", "value", "servers[0]"),
        ("servers = [{ url = \"http://x\", weight = 0 }]", "value", "servers[0].weight"),
        ("servers = [{ weight = 1 }]", "missing", "servers[0]"),
        ("servers = [9000]", "type", "servers[0]"),
        ("servers = \"http://x\"", "type", "servers"),
    ] {
        check(&BASE.replace(servers, text), code, &format!("upstream[0].{path}"));
    }
    check(&BASE.replace(servers, ""), "missing", "upstream[0]");
    let secure = "servers = [\"https://x.example\"]\ntls = { ca = \"odd.pem\" }";
    check(&BASE.replace(servers, secure), "unreadable", "upstream[0].tls.ca");
    for (text, code, path) in [
        ("protocol = \"http2\"", "value", "protocol"),
        ("tls = { server_name = \"x.example\" }", "conflict", "tls"),
        ("retries = 6", "value", "retries"),
        ("retries = -1", "value", "retries"),
        ("health = { every = \"5s\" }", "missing", "health"),
        ("health = { path = \"healthz\" }", "value", "health.path"),
        ("timeout = \"2h\"", "value", "timeout"),
        ("assertion = 1", "type", "assertion"),
    ] {
        check(&with("upstream", text), code, &format!("upstream[0].{path}"));
    }
}

#[test]
fn route() {
    for (text, code, path) in [
        ("upstrem = \"x\"", "unknown_key", "upstrem"),
        ("host = \"https://x\"", "value", "host"),
        ("strip_prefix = \"/order\"", "conflict", "strip_prefix"),
        ("strip_prefix = \"/{a}\"", "value", "strip_prefix"),
        ("host_header = \"forward\"", "value", "host_header"),
        ("headers = { set = { connection = \"x\" } }", "value", "headers.set.connection"),
        (
            "headers = { set = { Portcullis_Subject = \"x\" } }",
            "value",
            "headers.set.Portcullis_Subject",
        ),
        ("headers = { set = { x-a = \"a\\r\\nb: c\" } }", "value", "headers.set.x-a"),
        ("headers = { set = { x-a = \"a\", X-A = \"b\" } }", "duplicate", "headers.set.x-a"),
        ("headers = { remove = [\"host\"] }", "value", "headers.remove[0]"),
        ("headers = { add = {} }", "unknown_key", "headers.add"),
        ("cors = { origins = [] }", "value", "cors.origins"),
        ("cors = { origins = [\"*\"], credentials = true }", "fail_open", "cors"),
        ("cors = { origins = [\"https://a.example/\"] }", "ok", ""),
        ("cors = { origins = [\"https://A.example\"] }", "value", "cors.origins[0]"),
        ("cors = { origins = [\"https://a.example:443\"] }", "value", "cors.origins[0]"),
        ("cors = { origins = [\"null\"] }", "value", "cors.origins[0]"),
        ("ip = []", "value", "ip"),
        ("ip = [\"offise\"]", "reference", "ip[0]"),
        ("rate = { limit = 0, per = \"1m\" }", "value", "rate.limit"),
        ("rate = { limit = 5 }", "missing", "rate"),
        ("rate = { limit = 5, per = \"1 minute\" }", "value", "rate.per"),
        ("rate = [{ limit = 5, per = \"1m\", by = \"user\" }]", "value", "rate[0].by"),
        ("rate = []", "value", "rate"),
        ("audit = \"off\"", "value", "audit"),
        ("policy = [\"x.cedar\"]", "not_available", "policy"),
        ("mfa = {}", "fail_open", "mfa"),
        ("mfa = \"aal2\"", "type", "mfa"),
        ("mfa = { acr = \"\" }", "value", "mfa.acr"),
        ("mfa = { acr = \"aal1 aal2\" }", "value", "mfa.acr"),
        ("mfa = { acr = [\"aal2\"] }", "type", "mfa.acr"),
        ("mfa = { max_age = \"0s\" }", "value", "mfa.max_age"),
        ("mfa = { max_age = \"9s\" }", "value", "mfa.max_age"),
        ("mfa = { max_age = 300 }", "type", "mfa.max_age"),
        ("mfa = { max_age = \"10500ms\" }", "value", "mfa.max_age"),
        ("shadow = [\"mfa\"]", "no_effect", "shadow[0]"),
        ("shadow = [\"policy\"]", "not_available", "shadow[0]"),
        ("shadow = [\"access\"]", "value", "shadow[0]"),
        ("shadow = [\"ip\"]", "no_effect", "shadow[0]"),
        ("max_body = 10", "type", "max_body"),
        ("max_body = \"10mb\"", "value", "max_body"),
        ("resource = \"orders\"", "value", "resource"),
    ] {
        if code == "ok" {
            sound(&with("route", text));
        } else {
            check(&with("route", text), code, &format!("route[0].{path}"));
        }
    }
    check(
        &BASE.replace("upstream = \"orders\"", "upstream = \"order\""),
        "reference",
        "route[0].upstream",
    );
    check(&BASE.replace("\"/orders/{**}\"", "\"/orders/../x\""), "value", "route[0].path");
    check(&BASE.replace("[\"GET\"]", "[\"get\"]"), "value", "route[0].methods[0]");
    check(&BASE.replace("[\"GET\"]", "[]"), "value", "route[0].methods");
}

#[test]
fn rfc9728_s3_routes_where_the_gate_answers_itself() {
    let route = |path: &str, access: &str| {
        let text = format!(
            "[[route]]\nname = \"two\"\npath = \"{path}\"\nupstream = \"orders\"\nmethods = [\"GET\"]\naccess = {access}"
        );
        with("end", &text)
    };
    let tokens = "{ jwt = { issuer = \"self\", scopes = [\"x\"] } }";
    let path = "/.well-known/oauth-protected-resource";
    check(&route(path, tokens), "conflict", "route[1]");
    check(&route(&format!("{path}/{{**}}"), tokens), "conflict", "route[1]");
    sound(&route(&format!("{path}s"), tokens));
    sound(&route("/.well-known/{**}", tokens));
}

#[test]
fn routes_that_take_the_same_requests() {
    let second = |path: &str, methods: &str| {
        let text = format!(
            "[[route]]\nname = \"two\"\npath = \"{path}\"\nupstream = \"orders\"\n{methods}access = {{ api_key = {{ scopes = [\"x\"] }} }}"
        );
        with("end", &text)
    };
    check(&second("/orders/{**}", "methods = [\"GET\", \"PUT\"]\n"), "duplicate", "route[1]");
    sound(&second("/orders/{**}", "methods = [\"PUT\"]\n"));
    sound(&second("/orders/{id}", ""));
}

#[test]
fn access() {
    for (access, code, path) in [
        ("\"open\"", "value", "access"),
        ("true", "value", "access"),
        ("{}", "fail_open", "access"),
        ("[]", "type", "access"),
        ("{ any = [] }", "fail_open", "access.any"),
        ("{ all = [] }", "fail_open", "access.all"),
        ("{ any = [\"public\"] }", "fail_open", "access.any[0]"),
        ("{ any = [{}] }", "fail_open", "access.any[0]"),
        (
            "{ api_key = { scopes = [\"a\"] }, jwt = { issuer = \"corp\", scopes = [\"a\"] } }",
            "fail_open",
            "access",
        ),
        ("{ jwt = { issuer = \"crop\", scopes = [\"a\"] } }", "reference", "access.jwt.issuer"),
        (
            "{ jwt = { issuer = \"corp\", scopes = [\"a\"], mfa = {} } }",
            "fail_open",
            "access.jwt.mfa",
        ),
        (
            "{ jwt = { issuer = \"corp\", scopes = [\"a\"], mfa = { amr = [\"otp\"], acr = \"x\" } } }",
            "unknown_key",
            "access.jwt.mfa.amr",
        ),
        (
            "{ jwt = { issuer = \"corp\", scopes = [\"a\"], audience = [] } }",
            "value",
            "access.jwt.audience",
        ),
        (
            "{ jwt = { issuer = \"corp\", claims = {} , scopes = [\"a\"] } }",
            "value",
            "access.jwt.claims",
        ),
        (
            "{ jwt = { issuer = \"corp\", claims = { a = [] }, scopes = [\"a\"] } }",
            "value",
            "access.jwt.claims.a",
        ),
        (
            "{ jwt = { issuer = \"corp\", claims = { a = 1.5 }, scopes = [\"a\"] } }",
            "type",
            "access.jwt.claims.a",
        ),
        ("{ jwt = { scopes = [\"a\"] } }", "missing", "access.jwt"),
        ("{ mtls = {} }", "not_available", "access.mtls"),
        ("{ api_key = { scopes = [\"a b\"] } }", "value", "access.api_key.scopes[0]"),
        (
            "{ api_key = { scope = [\"a\"], scopes = [\"a\"] } }",
            "unknown_key",
            "access.api_key.scope",
        ),
        ("{ api_key = {} }", "no_scopes", "access.api_key"),
        ("{ jwt = { issuer = \"corp\" } }", "no_scopes", "access.jwt"),
    ] {
        check(&with_access(access), code, &format!("route[0].{path}"));
    }
    let deep = format!(
        "{}{{ api_key = {{ scopes = [\"a\"] }} }}{}",
        "{ any = [".repeat(12),
        "] }".repeat(12)
    );
    assert!(report(&with_access(&deep)).config.is_none());
    check(&BASE[..BASE.find("[route.access]").unwrap()], "fail_open", "route[0]");
}

#[test]
fn sessions() {
    for (access, code, path) in [
        ("{ any = [{ session = {} }] }", "no_scopes", "access.any[0].session"),
        ("{ session = { groups = [] } }", "value", "access.session.groups"),
        ("{ session = { groups = [\"a b\"] } }", "value", "access.session.groups[0]"),
        ("{ session = { groups = [\"ops\"], idle = \"4m\" } }", "value", "access.session.idle"),
        (
            "{ session = { groups = [\"ops\"], absolute = \"1s\" } }",
            "value",
            "access.session.absolute",
        ),
        (
            "{ session = { groups = [\"ops\"], absolute = \"31d\" } }",
            "value",
            "access.session.absolute",
        ),
        (
            "{ session = { groups = [\"ops\"], idle = \"2h\", absolute = \"1h\" } }",
            "no_effect",
            "access.session.idle",
        ),
        ("{ session = { groups = [\"ops\"], mfa = {} } }", "fail_open", "access.session.mfa"),
        ("{ session = { groups = [\"ops\"], mfa = { acr = \"gold\" } } }", "reference", ""),
        (
            "{ session = { groups = [\"ops\"], group = [\"x\"] } }",
            "unknown_key",
            "access.session.group",
        ),
    ] {
        let path = if path.is_empty() { String::new() } else { format!(".{path}") };
        check(&with_access(access), code, &format!("route[0]{path}"));
    }
    let route =
        |lines: &str| format!("{}\n{lines}", with_access("{ session = { groups = [\"ops\"] } }"));
    let more = "upstream = \"orders\"\naccess = { session = { groups = [\"ops\"] } }\n";
    let second = |lines: &str| route(&format!("[[route]]\nname = \"b\"\n{lines}\n{more}"));
    check(&second("path = \"/b\"\nhost = \"*.example.com\""), "conflict", "route[1]");
    check(&second("path = \"/.portcullis/x\""), "conflict", "route[1]");
    check(&second("path = \"/.portcullis\""), "conflict", "route[1]");
    assert!(report(&second("path = \"/.portcullis-x\"")).config.is_some());
}

#[test]
fn what_would_let_too_much_through_is_said() {
    let open = with_access("\"public\"");
    check(&open.replace("methods = [\"GET\"]\n", ""), "public_write", "route[0]");
    check(&open.replace("[\"GET\"]", "[\"GET\", \"POST\"]"), "public_write", "route[0]");
    let limited = open
        .replace("access = ", "rate = { limit = 1, per = \"1s\", by = \"principal\" }\naccess = ");
    check(&limited, "fail_open", "route[0].rate.by");
    let remote = BASE.replace("http://127.0.0.1:9000", "http://orders.example:9000");
    check(&remote.replace("#route", "forward_credential = true"), "plain_credential", "route[0]");
}

#[test]
fn an_opaque_token_is_shown_to_one_issuer_only() {
    let asking = "introspection = { url = \"https://x.example/i\", client_id = \"g\", client_secret = \"s\" }";
    let second = format!(
        "{asking}\n[[issuer]]\nname = \"b\"\nissuer = \"https://b.example\"\naudience = [\"x\"]\n{asking}"
    );
    let both = "{ any = [{ jwt = { issuer = \"corp\", scopes = [\"a\"] } }, { jwt = { issuer = \"b\", scopes = [\"a\"] } }] }";
    check(&with_access(both).replace("#issuer", &second), "conflict", "route[0]");
}

#[test]
fn rfc9470_s3_an_mfa_that_nobody_can_meet() {
    let route = |access: &str, mfa: &str| {
        with_access(access).replace("access = ", &format!("mfa = {{ acr = \"{mfa}\" }}\naccess = "))
    };
    let key = "{ api_key = { scopes = [\"a\"] } }";
    let own = "{ jwt = { issuer = \"self\", scopes = [\"a\"] } }";
    let corp = "{ jwt = { issuer = \"corp\", scopes = [\"a\"] } }";
    let gold = "{ jwt = { issuer = \"corp\", scopes = [\"a\"], mfa = { acr = \"gold\" } } }";
    check(&route("\"public\"", "aal2"), "conflict", "route[0]");
    check(&route(key, "aal2"), "conflict", "route[0]");
    check(&route(&format!("{{ any = [{key}, {key}] }}"), "aal2"), "conflict", "route[0]");
    // Every part binds the caller, and a key can never meet it.
    check(&route(&format!("{{ all = [{own}, {key}] }}"), "aal2"), "conflict", "route[0]");
    // Of two words whose order is not known, no token bears both.
    check(&route(gold, "silver"), "conflict", "route[0]");
    sound(&route(gold, "gold"));
    sound(&route(&format!("{{ any = [{own}, {key}] }}"), "aal2"));
    sound(&route(corp, "gold"));
}

#[test]
fn words_that_an_issuer_does_not_have() {
    let own = "{ jwt = { issuer = \"self\", scopes = [\"a\"], mfa = { acr = \"aal4\" } } }";
    check(&with_access(own), "reference", "route[0]");
    sound(&with_access(&own.replace("aal4", "phrh")));
    let corp = "{ jwt = { issuer = \"corp\", scopes = [\"a\"], mfa = { acr = \"gold\" } } }";
    let ordered = |order: &str| with_access(corp).replace("#issuer", &format!("acr = {order}"));
    sound(&ordered("[\"silver\", \"gold\"]"));
    check(&ordered("[\"low\", \"high\"]"), "reference", "route[0]");
    check(&ordered("[\"gold\", \"gold\"]"), "duplicate", "issuer[0].acr");
    check(&ordered("[]"), "value", "issuer[0].acr");
    check(&ordered("\"gold\""), "type", "issuer[0].acr");
    check(&ordered("[\"gold plated\"]"), "value", "issuer[0].acr[0]");
}

#[test]
fn levels_are_those_of_the_authority() {
    use ::authority::people::Level;
    let order = access::mfa::OWN_LEVELS;
    assert_eq!(order.len(), Level::ALL.len());
    for (words, level) in order.iter().zip(Level::ALL) {
        for word in *words {
            assert_eq!(Level::read(word), Some(level), "{word}");
        }
    }
}

#[test]
fn makers_of_security_keys_have_certificates() {
    let file = |name: &str| with("end", &format!("[authority]\npasskey_makers = \"{name}\""));
    check(&file("secret.txt"), "unreadable", "authority.passkey_makers");
    check(&file("nowhere.pem"), "unreadable", "authority.passkey_makers");
}
