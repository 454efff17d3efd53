//! What `explain` says of OAuth requests that were refused.

use crate::setup::ROUTE;
use testkit::{Gate, request};

#[test]
fn a_refused_oauth_request_is_explained_by_its_rule() {
    let gate = Gate::start(ROUTE);
    let method = "client_secret_post";
    let words = ["client", "create", "--name", "Job", "--scope", "orders:read", "--auth", method];
    let made = gate.done(&words);
    let (id, secret) = (&made["client_id"], &made["client_secret"]);
    let (id, secret) = (id.as_str().expect("an id"), secret.as_str().expect("a secret"));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let check = |method: &str, path: &str, body: &str, status: u16, reason: &str, fix: &str| {
        let url = gate.control() + path;
        let headers = if method == "POST" { &form[..] } else { &[] };
        let answer = request(method, &url, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let request_id = answer.header("x-request-id").expect("an id").to_owned();
        let said = gate.done(&["explain", &request_id]);
        assert_eq!(said["request_id"], request_id.as_str(), "{said}");
        assert_eq!(said["code"], "oauth.refused", "{said}");
        assert_eq!(said["outcome"], "deny", "{said}");
        assert!(said["reason"].as_str().is_some_and(|it| it.contains(reason)), "{said}");
        assert!(said["fix"].as_str().is_some_and(|it| it.contains(fix)), "{said}");
    };
    let token = "/oauth/token";
    check(
        "POST",
        token,
        &format!("grant_type=client_credentials&client_id={id}&client_secret=wrong"),
        401,
        "secret",
        "rotate-secret",
    );
    check(
        "POST",
        token,
        &format!(
            "grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=admin:write"
        ),
        400,
        "RFC 6749 §3.3",
        "portcullis client show",
    );
    let authorize = format!("/oauth/authorize?client_id={id}&response_type=code&redirect_uri=x");
    check("GET", &authorize, "", 400, "redirect_uri", "");
    // What cannot even be read as a request to the authority.
    check("POST", token, "grant_type=a&grant_type=b", 400, "more than once", "");
    check("POST", token, &"a=b&".repeat(40_000), 400, "128 KiB", "");
    check("POST", "/oauth/token?client_secret=x", "a=b", 400, "not into the address", "");
    check("POST", "/oauth/par", "%zz=1", 400, "", "");
    check("POST", "/oauth/introspect", "a=1&a=2", 400, "more than once", "");
    check("POST", "/oauth/userinfo", "a=1&a=2", 400, "more than once", "");
    check("POST", "/login", "email=a&email=b", 400, "more than once", "");
    check("GET", "/oauth/authorize?client_id=a&client_id=b", "", 400, "more than once", "");
    check("GET", "/oauth/logout?state=a&state=b", "", 400, "more than once", "");
    let json = [("content-type", "application/json")];
    for (path, headers, reason) in [
        ("/oauth/token", &json[..], "application/x-www-form-urlencoded"),
        ("/oauth/token", &[], "application/x-www-form-urlencoded"),
        ("/device", &json, "application/x-www-form-urlencoded"),
        ("/oauth/register", &form, "application/json"),
    ] {
        let answer = request("POST", &(gate.control() + path), headers, b"{}");
        assert_eq!(answer.status, 400, "{path}");
        let id = answer.header("x-request-id").expect("an id").to_owned();
        let said = gate.done(&["explain", &id]);
        assert_eq!((&said["code"], &said["outcome"]), (&"oauth.refused".into(), &"deny".into()));
        assert!(said["reason"].as_str().is_some_and(|it| it.contains(reason)), "{said}");
    }
    let wrong =
        request("GET", &(gate.control() + "/api/v1/keys"), &[("authorization", "Bearer x")], b"");
    let id = wrong.header("x-request-id").expect("an id").to_owned();
    let said = gate.done(&["explain", &id]);
    assert!(said["fix"].as_str().is_some_and(|it| it.contains("new access token")), "{said}");
}
