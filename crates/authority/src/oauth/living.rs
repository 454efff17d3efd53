//! Access tokens of ours that come back: to introspection, revocation, exchange and userinfo.
//!
//! Invariant: a token is alive only if it is ours, has not expired, and neither it nor its grant, subject, client or a
//! client that it was exchanged from was revoked. What the store cannot say, nobody guesses.

use super::OAuth;
use super::ports::TokenNames;
use super::records::RevocationKind;
use super::secrets::Purpose;
use crate::error::{Error, PortError};
use base::limits::CREDENTIAL_BYTES;
use base::{Secret, UnixMs};
use protocol::AlgorithmSet;
use protocol::jwt::{Claims, Expectation, JwtError, Token, TokenTypes};
use protocol::oauth::access_token::exchanged_from;
use serde_json::Value;
use std::time::Duration;

/// What a text turned out to be.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A token of ours that is good now.
    Alive(Box<Claims>),
    /// Not one, or no longer; the record may say why.
    Dead(String),
}

/// The grant that a token belongs to.
pub(crate) fn grant_of(claims: &Claims) -> Option<&str> {
    claims.other.get("gid").and_then(Value::as_str)
}

impl OAuth {
    /// For the gate in this process, which judges audience and binding itself: the claims of an access token of ours
    /// that is alive.
    ///
    /// # Errors
    /// As the store says; then nothing is known of the token.
    pub async fn introspect_own(&self, token: &Secret<String>) -> Result<Option<Claims>, Error> {
        Ok(match self.see(token.expose()).await? {
            Seen::Alive(claims) => Some(*claims),
            Seen::Dead(_) => None,
        })
    }

    /// Looks at an access token, whatever its audience.
    pub(crate) async fn see(&self, text: &str) -> Result<Seen, Error> {
        let read = match Token::looks_like(text.as_bytes()) {
            true => self.signed(text).map_err(|error| error.to_string()),
            false => self.kept(text).await?,
        };
        let claims = match read {
            Ok(claims) => claims,
            Err(why) => return Ok(Seen::Dead(why)),
        };
        Ok(match self.revoked(&claims).await? {
            Some(kind) => Seen::Dead(format!("it was revoked by its {}", kind.as_str())),
            None => Seen::Alive(Box::new(claims)),
        })
    }

    fn signed(&self, text: &str) -> Result<Claims, JwtError> {
        let token = Token::parse(text.as_bytes(), CREDENTIAL_BYTES)?;
        let signed = token.verify(&self.key_set(), AlgorithmSet::DEFAULT)?;
        let settings = self.settings();
        // Whether the audience is right is for whoever asks to say, so each token is held against its own.
        let own: Vec<String> = signed.claims.audiences.iter().map(ToString::to_string).collect();
        signed.claims.validate(
            &signed.header,
            &Expectation {
                issuer: &settings.issuer,
                audiences: &own,
                types: TokenTypes::AT_JWT,
                now: self.parts.clock.now(),
                // Our own clock has no skew against itself, and nodes are within it.
                skew: Duration::ZERO,
            },
        )?;
        Ok(signed.claims)
    }

    async fn kept(&self, text: &str) -> Result<Result<Claims, String>, Error> {
        let mac = Purpose::Access.mac(&self.parts.pepper, text);
        let found = self.parts.store.access(mac, self.parts.clock.now()).await?;
        let Some(record) = found else {
            return Ok(Err("no access token of this server, or it has expired".to_owned()));
        };
        let claims = Claims::parse(record.claims.to_string().as_bytes());
        let corrupt = |_| PortError::Corrupt("an access token cannot be read".to_owned());
        Ok(Ok(claims.map_err(corrupt)?))
    }

    /// By what a token was revoked, if it was. Asked of the store at each use: what was acknowledged counts at once.
    async fn revoked(&self, claims: &Claims) -> Result<Option<RevocationKind>, Error> {
        let name = |it: Option<&str>| it.map(str::to_owned);
        let names = TokenNames {
            token: name(claims.jti.as_deref()),
            grant: name(grant_of(claims)),
            client: name(claims.client_id.as_deref()),
            subject: name(claims.subject.as_deref()),
            issued_at: claims.issued_at.unwrap_or(UnixMs(0)),
        };
        let (now, issued_at) = (self.parts.clock.now(), names.issued_at);
        if let Some(kind) = self.parts.store.revoked(names, now).await? {
            return Ok(Some(kind));
        }
        // What it was exchanged from; a token whose lineage cannot be read is nobody's.
        let Some(lineage) = exchanged_from(claims) else {
            return Ok(Some(RevocationKind::Client));
        };
        for client in lineage {
            let client = Some(client.into());
            let names = TokenNames { client, issued_at, ..TokenNames::default() };
            if let Some(kind) = self.parts.store.revoked(names, now).await? {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }
}
