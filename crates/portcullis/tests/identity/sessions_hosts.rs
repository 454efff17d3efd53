//! Browsers at the gate over TLS: a cookie for each host, under a name that no other host can set.

use crate::setup::*;
use crate::visitor::way_back;
use std::process::Command;
use testkit::{Authority, Gate, Person, RawClient, Response, Upstream, parameter};

const COOKIE: &str = "__Host-portcullis-session";

struct It {
    gate: Gate,
    up: Upstream,
    authority: Authority,
    folder: tempfile::TempDir,
    /// Listeners without TLS: one that names a host, and one that names nothing.
    plain: [u16; 2],
}

fn start() -> It {
    let (up, folder, authority) =
        (Upstream::ok(), tempfile::tempdir().expect("a folder"), Authority::new());
    authority.write(folder.path(), "server", &["one.example", "two.example"]);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let tls = format!(
        "tls = {{ cert = {:?}, key = {:?} }}\npublic_url = \"https://one.example:@gateway@\"",
        file("server.pem"),
        file("server.key")
    );
    let plain = [testkit::free_port(), testkit::free_port()];
    let rest = format!(
        "[[listener]]\nname = \"plain\"\nbind = \"127.0.0.1:{}\"\n\
         public_url = \"http://one.example\"\n\
         [[listener]]\nname = \"bare\"\nbind = \"127.0.0.1:{}\"\n",
        plain[0], plain[1]
    ) + &upstream(&up)
        + &route("one", "/x/{**}", "host = \"one.example\"\naccess = { session = {} }")
        + &route("two", "/x/{**}", "host = \"two.example\"\naccess = { session = {} }");
    let gate = Gate::builder().listener(&tls).rest(&rest).start();
    It { gate, up, authority, folder, plain }
}

impl It {
    fn port(&self) -> String {
        self.gate.address().rsplit(':').next().expect("a port").to_owned()
    }

    fn ask(&self, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut client =
            RawClient::connect_tls(&self.gate.address(), host, &self.authority, &["http/1.1"]);
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}:{}\r\nContent-Length: 0\r\n",
            self.port()
        );
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        client.exchange(text + "\r\n")
    }

    /// Signs in at a host; the value of the session's cookie, and the whole header that set it.
    fn sign_in(&self, host: &str, person: &mut Person) -> (String, String) {
        let navigate = ("sec-fetch-mode", "navigate");
        let sent = self.ask("GET", host, "/x/page", &[navigate]);
        assert_eq!(sent.status, 303, "{}", sent.text());
        let visit = sent.header("set-cookie").expect("a visit").to_owned();
        assert!(visit.starts_with("__Host-portcullis-visit-"), "{visit}");
        assert!(
            visit.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"),
            "{visit}"
        );
        let way = sent.header("location").expect("a way").to_owned();
        let callback = format!("https://{host}:{}/.portcullis/callback", self.port());
        assert_eq!(parameter(&way, "redirect_uri").as_deref(), Some(&*callback));
        let back = way_back(person.go(&way));
        let path = back.strip_prefix(&format!("https://{host}:{}", self.port())).expect("a path");
        let visit = visit.split(';').next().expect("a pair").to_owned();
        // At another host the visit is none.
        let other = if host == "one.example" { "two.example" } else { "one.example" };
        assert_eq!(self.ask("GET", other, path, &[("cookie", &visit), navigate]).status, 400);
        let returned = self.ask("GET", host, path, &[("cookie", &visit), navigate]);
        assert_eq!((returned.status, returned.header("location")), (303, Some("/x/page")));
        let lines = returned.values("set-cookie");
        let set = lines.iter().find(|it| it.starts_with(COOKIE)).expect("a session").to_string();
        (set.split([';', '=']).nth(1).expect("a value").to_owned(), set)
    }
}

#[test]
fn rfc6265bis_s4_1_3_2_each_host_has_a_cookie_of_its_own() {
    let it = start();
    let mut ada = Person::new(&it.gate, "Ada");
    let (one, set) = it.sign_in("one.example", &mut ada);
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    ada.saw();
    let (two, _) = it.sign_in("two.example", &mut ada);
    assert!(ada.saw().is_empty(), "the second host asks nothing");
    let get = |host: &str, cookie: &str| said(&it.ask("GET", host, "/x/y", &[("cookie", cookie)]));
    assert_eq!(get("one.example", &format!("{COOKIE}={one}")), passed());
    assert_eq!(get("two.example", &format!("{COOKIE}={two}")), passed());
    let missing = refused(401, "credential.missing");
    assert_eq!(get("one.example", &format!("{COOKIE}={two}")), missing);
    assert_eq!(get("two.example", &format!("{COOKIE}={one}")), missing);
    // Without the prefix anybody could have set it.
    assert_eq!(get("one.example", &format!("portcullis-session={one}")), missing);
    // The origin has a scheme and a port too.
    let cookie = format!("{COOKIE}={one}");
    let post = |origin: &str| {
        said(&it.ask("POST", "one.example", "/x/y", &[("cookie", &cookie), ("origin", origin)]))
    };
    let port = it.port();
    assert_eq!(post(&format!("https://one.example:{port}")), passed());
    let other = [
        format!("http://one.example:{port}"),
        "https://one.example".to_owned(),
        format!("https://two.example:{port}"),
        format!("https://one.example.evil.example:{port}"),
    ];
    for origin in other {
        assert_eq!(post(&origin), refused(403, "session.cross_site"), "{origin}");
    }
    // Signing out at one host signs out at all.
    let headers = [("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
    assert_eq!(it.ask("POST", "one.example", "/.portcullis/sign-out", &headers).status, 303);
    testkit::wait::until(second(), "the end of the other session", || {
        get("two.example", &format!("{COOKIE}={two}")) == missing
    });
}

#[test]
fn over_plain_http_to_elsewhere_nobody_has_a_session() {
    let it = start();
    let mut ada = Person::new(&it.gate, "Ada");
    let (one, _) = it.sign_in("one.example", &mut ada);
    let ask = |port: u16, headers: &str| {
        let mut client = RawClient::connect(&format!("127.0.0.1:{port}"));
        client.exchange(format!("GET /x/y HTTP/1.1\r\nHost: one.example\r\n{headers}\r\n"))
    };
    for port in it.plain {
        for cookie in [format!("{COOKIE}={one}"), format!("portcullis-session={one}")] {
            let told = ask(port, &format!("Cookie: {cookie}\r\nSec-Fetch-Mode: navigate\r\n"));
            assert_eq!(said(&told), refused(401, "credential.missing"), "{port}");
            assert_eq!((told.header("location"), told.header("set-cookie")), (None, None));
        }
    }
    assert_eq!(it.up.count(), 0);
}

#[test]
fn http2_browsers_are_served_alike() {
    let it = start();
    let mut ada = Person::new(&it.gate, "Ada");
    let (one, _) = it.sign_in("one.example", &mut ada);
    let ca = it.folder.path().join("ca.pem").display().to_string();
    let to = format!("one.example:{}:127.0.0.1", it.port());
    let ask = |args: &[&str]| {
        let url = format!("https://one.example:{}/x/y", it.port());
        let fixed =
            ["-s", "--http2", "-D", "-", "-o", "/dev/null", "--cacert", &ca, "--resolve", &to];
        let out = Command::new("curl").args(fixed).args(args).arg(url).output().expect("curl");
        String::from_utf8(out.stdout).expect("text")
    };
    let cookie = format!("cookie: a=1; {COOKIE}={one}; b=2");
    assert!(ask(&["-H", &cookie]).starts_with("HTTP/2 200"));
    assert_eq!(it.up.last().header("cookie").as_deref(), Some("a=1; b=2"));
    assert!(ask(&["-X", "POST", "-H", &cookie]).starts_with("HTTP/2 403"));
    let sent = ask(&["-H", "sec-fetch-mode: navigate"]);
    assert!(
        sent.starts_with("HTTP/2 303") && sent.contains("set-cookie: __Host-portcullis-visit-"),
        "{sent}"
    );
    let twice = format!("cookie: {COOKIE}={one}");
    assert!(ask(&["-H", &twice, "-H", &twice]).starts_with("HTTP/2 401"));
}
