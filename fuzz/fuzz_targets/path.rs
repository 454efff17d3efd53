//! Paths and queries: what is judged is what is forwarded.

#![no_main]

use access::path::{canonical, contains_key, query_names_a_credential, without_tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = query_names_a_credential(data);
    let _ = contains_key(data);
    let Ok(path) = canonical(data) else { return };
    // Judging what was judged changes nothing.
    assert_eq!(canonical(path.as_bytes()).as_deref(), Ok(&*path));
    assert!(path.starts_with('/') && path.is_ascii());
    assert!(!path.contains("//") && !path.contains(['\\', ';', '\0', ' ', '?', '#']));
    let lower = path.to_ascii_lowercase();
    for bad in ["%2f", "%5c", "%2e", "%00", "%3b"] {
        assert!(!lower.contains(bad), "{path}");
    }
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    // A record keeps the path, but no token.
    let kept = without_tokens(&path);
    assert_eq!(without_tokens(&kept), kept);
    let is_part = |byte: char| byte.is_ascii_alphanumeric() || "-_.".contains(byte);
    for (at, _) in kept.match_indices("eyJ") {
        assert!(!kept[at..].split(|byte| !is_part(byte)).next().unwrap_or_default().contains('.'));
    }
});
