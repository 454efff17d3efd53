use crate::oauth::fixture::{ISSUER, ORDERS, STOCK, World, actor, basic, call, strings, world};
use crate::oauth::records::TokenFormat;
use base::{Code, code};
use protocol::AlgorithmSet;
use protocol::jwt::{Claims, Expectation, Token, TokenTypes};
use protocol::oauth::ErrorCode;
use protocol::oauth::token_response::TokenResponse;

mod client_auth;
mod client_credentials;
mod device;
mod exchange;
mod gate;
mod jwt_bearer;
mod redeem;
mod refresh;

/// The claims of an access token for `audience`, verified as a gate does it.
fn claims(world: &World, answer: &TokenResponse, audience: &str) -> Claims {
    let text = answer.access_token.expose();
    let token = Token::parse(text.as_bytes(), 8192).unwrap();
    let signed = token.verify(&world.oauth.key_set(), AlgorithmSet::DEFAULT).unwrap();
    let expect = Expectation {
        issuer: ISSUER,
        audiences: &[audience.to_owned()],
        types: TokenTypes::AT_JWT,
        now: world.now(),
        skew: base::limits::CLOCK_SKEW,
    };
    signed.claims.validate(&signed.header, &expect).unwrap();
    signed.claims
}

fn codes(world: &World) -> Vec<Code> {
    world.events().into_iter().map(|event| event.code).collect()
}
