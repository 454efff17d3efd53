use super::pattern::Segment;
use super::*;
use crate::path;
use proptest::prelude::*;

fn route(host: &str, path: &str, methods: &str) -> RouteMatch {
    let methods: Vec<&str> = methods.split_whitespace().collect();
    RouteMatch {
        host: (!host.is_empty()).then(|| host.parse().unwrap()),
        path: path.parse().unwrap(),
        methods: (!methods.is_empty()).then(|| MethodSet::new(methods).unwrap()),
    }
}

fn table(paths: &[&str]) -> RouteTable {
    let routes: Vec<_> = paths.iter().map(|path| route("", path, "")).collect();
    RouteTable::build(&routes).unwrap()
}

/// The pattern that a path goes to.
fn check(paths: &[&str], path: &str, expect: Option<&str>) {
    let table = table(paths);
    let got = match table.find("h", path, "GET") {
        Lookup::Found(index) => Some(paths[index]),
        Lookup::NotFound => None,
        Lookup::MethodNotAllowed(_) => unreachable!(),
    };
    assert_eq!(got, expect, "{path} among {paths:?}");
}

#[test]
fn the_most_specific_pattern_wins() {
    let all = ["/{**}", "/a/{**}", "/a/{x}", "/a/b", "/a/{x}/c", "/{y}/b/d", "/a/"];
    check(&all, "/a/b", Some("/a/b"));
    check(&all, "/a/c", Some("/a/{x}"));
    check(&all, "/a/", Some("/a/"));
    check(&all, "/a", Some("/a/{**}"));
    check(&all, "/a/b/c", Some("/a/{x}/c"));
    // A literal first segment is more specific than anything that follows a `{y}`.
    check(&all, "/a/b/d", Some("/a/{**}"));
    check(&all, "/z/b/d", Some("/{y}/b/d"));
    check(&all, "/z", Some("/{**}"));
    check(&all, "/", Some("/{**}"));
}

#[test]
fn a_search_goes_back_to_a_less_specific_segment() {
    check(&["/a/{x}/c", "/{y}/b/d"], "/a/b/d", Some("/{y}/b/d"));
    check(&["/a/{x}/c", "/{y}/b/d"], "/a/b/e", None);
}

#[test]
fn the_rest_may_be_nothing() {
    for path in ["/orders", "/orders/", "/orders/7", "/orders/7/items/"] {
        check(&["/orders/{**}"], path, Some("/orders/{**}"));
    }
    for path in ["/orders7", "/order", "/", "/Orders"] {
        check(&["/orders/{**}"], path, None);
    }
}

#[test]
fn one_segment_is_not_empty() {
    check(&["/a/{x}"], "/a/", None);
    check(&["/a/{x}"], "/a", None);
    check(&["/a/{x}"], "/a/b/", None);
    check(&["/a/{x}/"], "/a/b/", Some("/a/{x}/"));
}

#[test]
fn a_trailing_slash_makes_another_path() {
    check(&["/a", "/a/"], "/a", Some("/a"));
    check(&["/a", "/a/"], "/a/", Some("/a/"));
    check(&["/a"], "/a/", None);
    check(&["/"], "/", Some("/"));
    check(&["/"], "/a", None);
}

#[test]
fn segments_are_compared_decoded() {
    check(&["/@me", "/{x}"], "/%40me", Some("/@me"));
    check(&["/%40me", "/{x}"], "/@me", Some("/%40me"));
    check(&["/café"], "/caf%C3%A9", Some("/café"));
    check(&["/caf%c3%a9"], "/caf%C3%A9", Some("/caf%c3%a9"));
    check(&["/a%25x", "/{x}"], "/ax", Some("/{x}"));
    check(&["/a%25x", "/{x}"], "/a%25x", Some("/a%25x"));
}

#[test]
fn what_is_no_path_matches_nothing() {
    for path in ["", "*", "a", "http://h/"] {
        check(&["/{**}"], path, None);
    }
}

#[test]
fn a_pattern_owns_its_paths() {
    let routes =
        [route("", "/a/{**}", ""), route("", "/a/b", "GET"), route("", "/a/b", "PUT DELETE")];
    let table = RouteTable::build(&routes).unwrap();
    assert_eq!(table.find("h", "/a/b", "GET"), Lookup::Found(1));
    assert_eq!(table.find("h", "/a/b", "DELETE"), Lookup::Found(2));
    let Lookup::MethodNotAllowed(allowed) = table.find("h", "/a/b", "POST") else { panic!() };
    assert_eq!(allowed.to_string(), "GET, PUT, DELETE");
    for method in ["get", "HEAD", "", "PROPFIND"] {
        assert!(matches!(table.find("h", "/a/b", method), Lookup::MethodNotAllowed(_)), "{method}");
    }
    assert_eq!(table.find("h", "/a/c", "POST"), Lookup::Found(0));
}

#[test]
fn a_named_method_comes_before_any() {
    let routes = [route("", "/a/{x}", ""), route("", "/a/{y}", "GET PROPFIND")];
    let table = RouteTable::build(&routes).unwrap();
    assert_eq!(table.find("h", "/a/1", "GET"), Lookup::Found(1));
    assert_eq!(table.find("h", "/a/1", "PROPFIND"), Lookup::Found(1));
    assert_eq!(table.find("h", "/a/1", "POST"), Lookup::Found(0));
}

#[test]
fn hosts_fall_back_to_routes_without_a_host_only() {
    let routes = [
        route("", "/{**}", ""),
        route("*.example.com", "/{**}", ""),
        route("API.example.com", "/a", "GET"),
        route("[::1]", "/a", ""),
    ];
    let table = RouteTable::build(&routes).unwrap();
    for host in
        ["api.example.com", "Api.Example.COM:8000", "api.example.com.", "api.example.com.:1"]
    {
        assert_eq!(table.find(host, "/a", "GET"), Lookup::Found(2), "{host}");
        assert_eq!(table.find(host, "/b", "GET"), Lookup::Found(0), "{host}");
        assert!(matches!(table.find(host, "/a", "PUT"), Lookup::MethodNotAllowed(_)), "{host}");
    }
    assert_eq!(table.find("x.example.com", "/a", "GET"), Lookup::Found(1));
    for host in ["x.y.example.com", "example.com", ".example.com", "xexample.com", ""] {
        assert_eq!(table.find(host, "/a", "GET"), Lookup::Found(0), "{host}");
    }
    assert_eq!(table.find("[::1]:80", "/a", "GET"), Lookup::Found(3));
}

#[test]
fn conflicts_name_both_routes() {
    let routes = [
        route("h.example", "/a/{x}", "GET PUT"),
        route("", "/a/{x}", "PUT"),
        route("h.example", "/a/{y}", "PUT POST"),
        route("", "/b", ""),
        route("", "/b", ""),
    ];
    let errors = RouteTable::build(&routes).unwrap_err();
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        ["routes 0 and 2 both take PUT h.example/a/{y}", "routes 3 and 4 both take any method /b"]
    );
}

#[test]
fn mistaken_patterns_are_refused() {
    use PatternError as E;
    let check =
        |text: &str, expect: E| assert_eq!(text.parse::<PathPattern>(), Err(expect), "{text}");
    check("orders", E::NoSlash);
    check("", E::NoSlash);
    check("/{**}/a", E::RestNotLast);
    check("/{**}/", E::RestNotLast);
    check("/a{b}", E::Partial("a{b}".into()));
    check("/{a}{b}", E::Name("{a}{b}".into()));
    check("/{}", E::Name("{}".into()));
    check("/{*}", E::Name("{*}".into()));
    check("/{1a}", E::Name("{1a}".into()));
    check("/{a}/{a}", E::Repeated("a".into()));
    check("/a/*", E::Star("*".into()));
    check("/a//b", E::Doubt(path::PathDoubt::DoubleSlash));
    check("/a/../b", E::Doubt(path::PathDoubt::DotSegment));
    check("/a?b", E::Doubt(path::PathDoubt::Query));
    check("/a%2fb", E::Doubt(path::PathDoubt::EncodedSlash));
    check(&"/a".repeat(65), E::TooDeep);
    assert_eq!("/orders/{id}/x".parse::<PathPattern>().unwrap().literal_prefix(), "/orders/");
}

#[test]
fn mistaken_hosts_and_methods_are_refused() {
    for host in
        ["", "http://a", "a:80", "a..b", "*", "*.", "a.*", "*a.b", "é.example", "[::1", "*.[::1]"]
    {
        assert!(host.parse::<HostPattern>().is_err(), "{host}");
    }
    for methods in [&["get"][..], &["GET", ""], &["G T"], &[]] {
        assert!(MethodSet::new(methods.iter().copied()).is_err(), "{methods:?}");
    }
}

/// How specific a pattern is for a path that it matches: one digit a segment, less is more specific.
fn rank(pattern: &PathPattern, path: &str) -> Option<Vec<u8>> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut ranks = Vec::new();
    let mut given = segments.iter();
    for wanted in &pattern.segments {
        match (wanted, given.next()) {
            (Segment::Rest, _) => {
                ranks.push(2);
                return Some(ranks);
            }
            (Segment::One, Some(have)) if !have.is_empty() => ranks.push(1),
            (Segment::Literal(text), Some(have)) if **text == *path::decode(have.as_bytes()) => {
                ranks.push(0);
            }
            _ => return None,
        }
    }
    given.next().is_none().then_some(ranks)
}

/// The rules as a search through all routes.
fn model(routes: &[RouteMatch], host: &str, path: &str, method: &str) -> Result<usize, bool> {
    let wild = |h: &HostPattern| h.to_string().starts_with("*.");
    let own = |exact: bool| {
        routes.iter().any(|r| r.host.as_ref().is_some_and(|h| h.matches(host) && wild(h) != exact))
    };
    let exact = own(true);
    let eligible = |r: &RouteMatch| match &r.host {
        None => Some(1),
        Some(h) if h.matches(host) && wild(h) != exact => Some(0),
        Some(_) => None,
    };
    let best = routes.iter().filter_map(|r| Some((eligible(r)?, rank(&r.path, path)?))).min();
    let Some(best) = best else { return Err(false) };
    let owners = || {
        routes.iter().enumerate().filter(|(_, r)| {
            eligible(r) == Some(best.0) && rank(&r.path, path).as_ref() == Some(&best.1)
        })
    };
    let named = owners().find(|(_, r)| r.methods.as_ref().is_some_and(|m| m.contains(method)));
    let any = || owners().find(|(_, r)| r.methods.is_none());
    named.or_else(any).map(|(i, _)| i).ok_or(true)
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![4 => "[ab]", 1 => Just("@".to_owned()), 2 => Just("{}".to_owned())];
    (prop::collection::vec(segment, 0..4), prop_oneof![Just(""), Just("/"), Just("/{**}")])
        .prop_map(|(segments, end)| {
            let mut path = String::new();
            for (i, segment) in segments.iter().enumerate() {
                path.push('/');
                path.push_str(&segment.replace("{}", &format!("{{p{i}}}")));
            }
            path.push_str(end);
            if path.is_empty() { "/".to_owned() } else { path }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_model(
        specs in prop::collection::vec(
            (
                prop::sample::select(vec!["", "", "h.x", "*.x", "g.x"]),
                pattern(),
                prop::sample::select(vec!["", "GET", "PUT GET", "FOO", "POST"]),
            ),
            1..14,
        ),
        requests in prop::collection::vec(
            ("[hHgi]\\.x(:1)?", "(/[ab@]|/%40){0,5}/?", prop::sample::select(vec!["GET", "POST", "FOO"])),
            1..20,
        ),
    ) {
        // Routes that conflict with an earlier one are left out.
        let mut routes: Vec<RouteMatch> = Vec::new();
        for (host, path, methods) in &specs {
            routes.push(route(host, path, methods));
            if RouteTable::build(&routes).is_err() {
                routes.pop();
            }
        }
        let table = RouteTable::build(&routes).unwrap();
        for (host, path, method) in &requests {
            let got = match table.find(host, path, method) {
                Lookup::Found(index) => Ok(index),
                Lookup::NotFound => Err(false),
                Lookup::MethodNotAllowed(_) => Err(true),
            };
            prop_assert_eq!(got, model(&routes, host, path, method), "{} {} {}", host, path, method);
        }
    }

    #[test]
    fn parsing_never_panics(text in ".{0,40}", host in ".{0,20}") {
        let _ = text.parse::<PathPattern>();
        let _ = host.parse::<HostPattern>();
        let _ = RouteTable::default().find(&host, &text, &host);
    }
}
