//! ES256 signatures: the tables and the library.
//!
//! The first byte chooses a key, and whether the 64 bytes that follow are the signature, or are laid over one
//! that the key made of the rest. No pair is kept that only one of the two verifiers accepts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::Algorithm;
use protocol::jwk::VerifyingKey;
use protocol::sign::SigningKey;
use std::sync::LazyLock;

struct Pair {
    signer: SigningKey,
    prepared: VerifyingKey,
}

/// Drawn anew in each run: what is checked holds for all keys.
static KEYS: LazyLock<[Pair; 4]> = LazyLock::new(|| {
    std::array::from_fn(|_| {
        let signer = SigningKey::generate(Algorithm::Es256).expect("the system has randomness");
        Pair { prepared: signer.public().material().clone(), signer }
    })
});

fuzz_target!(|data: &[u8]| {
    let Some(([choice, laid @ ..], message)) = data.split_first_chunk::<65>() else { return };
    let Pair { signer, prepared } = &KEYS[usize::from(choice % 4)];
    let mut signature = laid.to_vec();
    let own = choice & 4 != 0;
    if own {
        let made = signer.sign(message).expect("a signature");
        signature.iter_mut().zip(made).for_each(|(to, from)| *to ^= from);
    }
    let table = prepared.accepted_by_table(message, &signature);
    // Read again, the key has no table.
    let jwk = signer.public().to_json();
    let bare = protocol::jwk::Key::read(&jwk).expect("our own key");
    let library = bare.material().verifies(Algorithm::Es256, message, &signature);
    assert_eq!(table, Some(library), "{jwk:?} {message:02x?} {signature:02x?}");
    assert_eq!(prepared.verifies(Algorithm::Es256, message, &signature), library);
    if own && *laid == [0; 64] {
        assert!(library, "a signature of our own is refused");
    } else {
        assert!(!library || own, "a signature was forged");
    }
});
