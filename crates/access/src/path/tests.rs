use super::*;
use proptest::prelude::*;

fn accepted(path: &str, expect: &str) {
    assert_eq!(canonical(path.as_bytes()).as_deref(), Ok(expect), "{path}");
}

fn refused(path: &[u8], expect: PathDoubt) {
    assert_eq!(canonical(path), Err(expect), "{}", String::from_utf8_lossy(path));
}

#[test]
fn canonical_paths_are_borrowed() {
    for path in
        ["/", "/a", "/a/", "/a.b/..c/d../.e/...", "/a:b@c/!$&'()*+,=", "/%20a/%C3%A9/%40%25"]
    {
        accepted(path, path);
        assert!(matches!(canonical(path.as_bytes()), Ok(Cow::Borrowed(_))), "{path}");
    }
}

#[test]
fn rfc3986_s6_2_2_escapes_are_normalised() {
    accepted("/%61%7e%2D%5f", "/a~-_");
    accepted("/%c3%a9%2a", "/%C3%A9%2A");
    accepted("/a%25x1", "/a%25x1");
    accepted("/a%20b/%20c./100%25", "/a%20b/%20c./100%25");
    accepted("/a[0]|{b}", "/a%5B0%5D%7C%7Bb%7D");
    accepted("/.%61", "/.a");
}

#[test]
fn doubtful_paths_are_refused() {
    refused(b"", PathDoubt::NoSlash);
    refused(b"*", PathDoubt::NoSlash);
    refused(b"http://a/", PathDoubt::NoSlash);
    for path in ["/.", "/..", "/./a", "/a/..", "/a/../b", "/a/./b", "/%61/.."] {
        refused(path.as_bytes(), PathDoubt::DotSegment);
    }
    for path in ["/%2e", "/a%2Eb", "/.%2e/", "/%2e%2e/"] {
        refused(path.as_bytes(), PathDoubt::EncodedDot);
    }
    refused(b"/a%2fb", PathDoubt::EncodedSlash);
    refused(b"/a%5Cb", PathDoubt::EncodedBackslash);
    refused(b"/a\\b", PathDoubt::Backslash);
    for path in [&b"/a%00"[..], b"/\0", b"/a%0d%0a", b"/a\x7f", b"/%7F"] {
        refused(path, PathDoubt::Control);
    }
    refused(b"/a;b", PathDoubt::Semicolon);
    refused(b"/a/%3bb", PathDoubt::Semicolon);
    for path in ["//", "//a", "/a//b", "/a//", "/%61//"] {
        refused(path.as_bytes(), PathDoubt::DoubleSlash);
    }
    for path in [&b"/\xc3\xa9"[..], b"/%ff", b"/%C0%AE", b"/%C3/%A9", b"/%ED%A0%80"] {
        refused(path, PathDoubt::NotUtf8);
    }
    for path in ["/%", "/%4", "/%zz", "/%4x", "/a%"] {
        refused(path.as_bytes(), PathDoubt::Escape);
    }
    refused(b"/a b", PathDoubt::Space);
    refused(b"/a#b", PathDoubt::Fragment);
    refused(b"/a?b", PathDoubt::Query);
}

#[test]
fn what_a_server_trims_or_decodes_again_is_refused() {
    for path in ["/%20", "/..%20/", "/a/.%20", "/%20..", "/.%20./b", "/%20%20/b", "/...%20"] {
        refused(path.as_bytes(), PathDoubt::DotSegment);
    }
    for path in ["/admin%20", "/admin%20/x", "/a/b%20%20/c", "/%61dmin%20", "/admin.%20"] {
        refused(path.as_bytes(), PathDoubt::TrailingSpace);
    }
    for path in [
        "/%252e%252e/a",
        "/a%252fb",
        "/%2561dmin",
        "/a%2500",
        "/a%252541",
        "/%25%32%65",
        "/%25%34%31",
    ] {
        refused(path.as_bytes(), PathDoubt::DoubleEscape);
    }
}

/// The rules once more, slowly: refuse by searching the decoded text, then normalise.
fn model(path: &[u8]) -> Option<String> {
    let mut decoded: Vec<(u8, bool)> = Vec::new();
    let mut i = 0;
    while i < path.len() {
        if path[i] == b'%' {
            let digits = std::str::from_utf8(path.get(i + 1..i + 3)?).ok()?;
            if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            decoded.push((u8::from_str_radix(digits, 16).unwrap(), true));
            i += 3;
        } else {
            decoded.push((path[i], false));
            i += 1;
        }
    }
    let bytes: Vec<u8> = decoded.iter().map(|(b, _)| *b).collect();
    let text = String::from_utf8(bytes).ok()?;
    let dots = text.split('/').any(|s| s == "." || s == "..");
    let empty = text.contains("//");
    let bad = text.contains(['\\', ';']) || text.bytes().any(|b| b.is_ascii_control());
    let trimmed =
        |s: &str| s.ends_with(' ') || (s.contains(' ') && s.trim_matches([' ', '.']).is_empty());
    let trims = text.split('/').any(trimmed);
    let hex = |at: Option<&u8>| at.is_some_and(u8::is_ascii_hexdigit);
    let twice = text.bytes().enumerate().any(|(at, b)| {
        b == b'%' && hex(text.as_bytes().get(at + 1)) && hex(text.as_bytes().get(at + 2))
    });
    let raw = decoded.iter().any(|(b, e)| !e && (*b >= 0x80 || b" #?".contains(b)));
    let encoded = decoded.iter().any(|(b, e)| *e && b"./".contains(b));
    if path.first() != Some(&b'/') || dots || empty || bad || trims || twice || raw || encoded {
        return None;
    }
    let mut out = String::new();
    for (b, escaped) in decoded {
        let unreserved = b.is_ascii_alphanumeric() || b"-_~.".contains(&b);
        let reserved = b"/!$&'()*+,=:@".contains(&b);
        if unreserved || (reserved && !escaped) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    Some(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_model(tail in r"(/|\.|%2e|%2F|%41|%c3%a9|%C3|%20|%|;|a|Z|~|@|4|1|\[|%5b|%25|%0a|\\| |#|é){0,12}") {
        let path = format!("/{tail}");
        let got = canonical(path.as_bytes()).ok().map(Cow::into_owned);
        prop_assert_eq!(got, model(path.as_bytes()), "{}", path);
    }

    #[test]
    fn canonical_is_a_fixed_point(path in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut path = path;
        path.insert(0, b'/');
        prop_assert_eq!(canonical(&path).ok().map(Cow::into_owned), model(&path));
        if let Ok(once) = canonical(&path) {
            let twice = canonical(once.as_bytes());
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
        }
    }

    #[test]
    fn a_key_is_found_wherever_it_stands(before in "[a-z_/=&p]{0,20}", env in "[a-z]{1,8}", body in "[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", after in ".{0,8}") {
        let text = format!("{before}pcl_{env}_{body}{after}");
        prop_assert!(contains_key(text.as_bytes()));
        prop_assert!(query_names_a_credential(text.as_bytes()));
    }

    #[test]
    fn searching_never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = contains_key(&text);
        let _ = query_names_a_credential(&text);
    }
}

#[test]
fn credentials_in_a_query_are_seen() {
    for query in [
        "access_token=x",
        "a=b&ACCESS_TOKEN=",
        "a=b;api_key=1",
        "api%5Fkey=1",
        "%61pikey",
        "X-API-Key=1",
        "q=pcl_live",
        "q=%70cl_live",
        "pcl_live_x",
        "q=%70cl%5Flive",
        "q=x%20pcl%5Flive%5F0123456789ab_0123456789abcdefghijklmnopqrstuvwxyzAB",
    ] {
        assert!(query_names_a_credential(query.as_bytes()), "{query}");
    }
    for query in [
        "",
        "a=b",
        "token=x",
        "my_api_key=x",
        "api_keys=1",
        "q=xpcl_",
        "a=access_token",
        "&&=",
        "%",
    ] {
        assert!(!query_names_a_credential(query.as_bytes()), "{query}");
    }
}

#[test]
fn a_key_needs_its_full_form() {
    let key = "pcl_live_0123456789ab_0123456789abcdefghijklmnopqrstuvwxyzAB";
    assert!(contains_key(key.as_bytes()));
    assert!(contains_key(format!("/x/pcl_pcl_{key}").as_bytes()));
    assert!(!contains_key(&key.as_bytes()[..key.len() - 1]));
    assert!(!contains_key(b"/docs/pcl_live_keys"));
    assert!(!contains_key(b"pcl__0123456789ab_0123456789abcdefghijklmnopqrstuvwxyzAB"));
}

#[test]
fn tokens_are_masked_in_records() {
    let check = |path: &str, expect: &str| assert_eq!(without_tokens(path), expect, "{path}");
    check("/a/b", "/a/b");
    check("/verify/eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_x", "/verify/[token]");
    check("/verify/eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln/next", "/verify/[token]/next");
    check("/eyJa.eyJb.c/eyJd.eyJe.f", "/[token]/[token]");
    check("/xeyJa.eyJb.c", "/x[token]");
    check("/eyJhbGciOiJub25lIn0.e30.", "/[token]");
    check("/eyJ/eyJwithoutdots", "/eyJ/eyJwithoutdots");
    check("/monkeyJam", "/monkeyJam");
    check("/eyJeyJ/eyJeyJ.eyJ/eyJ-", "/eyJeyJ/[token]/eyJ-");
    let many = format!("/{}", "eyJ".repeat(2700));
    check(&many, &many);
    assert!(matches!(without_tokens("/a/b"), std::borrow::Cow::Borrowed(_)));
}
