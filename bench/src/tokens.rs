//! `bench-tokens FOLDER COUNT`: the keys and tokens that peers and gate are measured with.
//!
//! Writes `es.pub` and `rs.pub` (PEM), `jwks.json`, one token each (`es.token`, `rs.token`) and `cold.tokens`:
//! COUNT different ES256 tokens of one length, one a line, for requests that never bring the same token twice.

use anyhow::{Context, Result, bail};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use testkit::{Algorithm, Key, jose};

/// How long the tokens are valid; longer than any run takes.
const VALID_SECONDS: i64 = 24 * 3600;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(count)) = (args.next(), args.next()) else {
        bail!("usage: bench-tokens FOLDER COUNT");
    };
    let count: u32 = count.parse().context("COUNT is a number")?;
    write(Path::new(&folder), count)
}

fn write(folder: &Path, count: u32) -> Result<()> {
    let es = Key::generate(Algorithm::Es256, "es");
    let rs = Key::generate(Algorithm::Rs256, "rs");
    let file = |name: &str, text: String| {
        std::fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
    };
    file("es.pub", es.public_pem())?;
    file("rs.pub", rs.public_pem())?;
    file("jwks.json", jose::key_set([&es, &rs]).to_string())?;
    let now = SystemClock::new().now().seconds();
    file("es.token", es.token(&claims(now, 0)))?;
    file("rs.token", rs.token(&claims(now, 0)))?;
    let mut cold = BufWriter::new(File::create(folder.join("cold.tokens"))?);
    let mut length = None;
    for number in 1..=count {
        let token = es.token(&claims(now, number));
        // The load seeks to a token by its number.
        if *length.get_or_insert(token.len()) != token.len() {
            bail!("the tokens differ in length");
        }
        writeln!(cold, "{token}")?;
    }
    cold.flush().context("cannot write cold.tokens")
}

/// The claims of a plain access token (RFC 9068 §2.2); the number keeps its width.
fn claims(now: i64, number: u32) -> Value {
    json!({
        "iss": "https://idp.test",
        "aud": "api",
        "sub": "service-orders",
        "client_id": "orders",
        "scope": "read",
        "iat": now,
        "exp": now + VALID_SECONDS,
        "jti": format!("{number:016x}"),
    })
}
