//! Key sets: what is read can be published and read again as the same set.

#![no_main]

use base::limits::KEY_SET_KEYS;
use libfuzzer_sys::fuzz_target;
use protocol::Algorithm;
use protocol::jwk::{KeySet, SAME_KID_KEYS};

fuzz_target!(|data: &[u8]| {
    let Ok(set) = KeySet::parse(data) else { return };
    assert!(set.keys().len() <= KEY_SET_KEYS);
    for key in set.keys() {
        for algorithm in Algorithm::ALL {
            assert!(set.find(key.id(), algorithm).count() <= SAME_KID_KEYS);
            assert!(!key.material().verifies(algorithm, b"message", &[0; 64]));
        }
    }
    let published = serde_json::to_vec(&set.to_json()).expect("an object is JSON");
    // A set read from its bound may be longer when it is written with all members.
    if let Ok(again) = KeySet::parse(&published) {
        assert_eq!(again.fingerprint(), set.fingerprint());
        assert!(again.skipped().is_empty());
    }
});
