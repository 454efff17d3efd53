//! What one ES256 verification costs: with the library alone, and with the key's table.
//!
//! `cargo run --release -p protocol --example verify_cost`. The figures are wall time of one thread: the least
//! of several rounds, so that other work on the machine counts little.

use base::{Clock as _, SystemClock};
use protocol::jwk::{KeySet, VerifyingKey};
use protocol::sign::SigningKey;
use protocol::{Algorithm, AlgorithmSet, b64, jws::Compact};
use std::hint::black_box;

const ROUNDS: usize = 300;
const SIGNATURES: usize = 50;

/// The least µs that one call took, over all rounds.
fn least(clock: &SystemClock, mut call: impl FnMut(usize)) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = clock.monotonic();
        (0..SIGNATURES).for_each(&mut call);
        clock.monotonic().since(start).as_secs_f64() * 1e6 / SIGNATURES as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = SystemClock::new();
    let signer = SigningKey::generate(Algorithm::Es256)?;
    let set = KeySet::new(vec![signer.public().clone()]);
    let header = b64::encode(r#"{"alg":"ES256","typ":"at+jwt"}"#);
    let tokens = (0..SIGNATURES)
        .map(|n| {
            let claims = format!(
                r#"{{"iss":"https://login.example","sub":"u{n}","aud":"orders-api","exp":1764000300,"iat":1764000000,"jti":"{n}","client_id":"c1","scope":"orders:read orders:write"}}"#
            );
            let input = format!("{header}.{}", b64::encode(claims));
            let signature = signer.sign(input.as_bytes())?;
            Ok((input, signature))
        })
        .collect::<Result<Vec<_>, protocol::sign::SignError>>()?;

    // A key that was never used before has no table, and gets it after 64 signatures: a new one each time.
    let jwk = signer.public().to_json();
    let fresh = || protocol::jwk::Key::read(&jwk).map_err(|_| "the key does not read back");
    let (mut key, mut left) = (fresh()?, 0);
    let library = least(&clock, |n| {
        if left == 0 {
            if let Ok(next) = fresh() {
                key = next;
            }
            left = SIGNATURES;
        }
        left -= 1;
        let Some((input, signature)) = tokens.get(n) else { return };
        assert!(key.material().verifies(Algorithm::Es256, input.as_bytes(), signature));
    });
    println!("library alone          {library:6.2} µs");

    let start = clock.monotonic();
    let key: &VerifyingKey = signer.public().material();
    let Some((input, signature)) = tokens.first() else { return Ok(()) };
    assert_eq!(key.accepted_by_table(input.as_bytes(), signature), Some(true));
    println!(
        "two tables, once       {:6.0} µs",
        clock.monotonic().since(start).as_secs_f64() * 1e6
    );

    let table = least(&clock, |n| {
        let Some((input, signature)) = tokens.get(n) else { return };
        assert!(black_box(key).verifies(Algorithm::Es256, input.as_bytes(), signature));
    });
    println!("with the key's table   {table:6.2} µs");
    let whole: Vec<_> =
        tokens.iter().map(|(input, it)| format!("{input}.{}", b64::encode(it))).collect();
    let all = least(&clock, |n| {
        let Some(token) = whole.get(n) else { return };
        let read = Compact::parse(token.as_bytes(), 4096);
        let read = read.and_then(|jws| {
            jws.unverified_issuer()?;
            jws.verify(&set, AlgorithmSet::DEFAULT)?;
            protocol::jwt::Claims::parse(jws.payload())
        });
        assert!(black_box(read).is_ok());
    });
    println!("a token, read included {all:6.2} µs");
    Ok(())
}
