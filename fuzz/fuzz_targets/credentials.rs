//! The `Authorization` header, API keys, scopes, challenges.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::apikey::ApiKey;
use protocol::bearer;
use protocol::challenge::Challenge;
use protocol::oauth::ScopeSet;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(token)) = bearer::parse(data) {
        assert!(data.ends_with(token.as_str().as_bytes()));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = ApiKey::parse(text) {
        assert_eq!(key.to_text().expose(), text);
        assert!(!format!("{key:?}").contains(key.secret().expose().as_str()));
    }
    if let Ok(scopes) = ScopeSet::parse(text) {
        assert_eq!(ScopeSet::parse(&scopes.to_string()).as_ref(), Ok(&scopes));
    }
    let value = Challenge::bearer().realm(text).description(text).into_value();
    assert!(value.bytes().all(|c| (0x20..0x7f).contains(&c)) && value.matches('"').count() == 4);
});
