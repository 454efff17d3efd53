//! Proof of possession at the authority's own endpoints (RFC 9449 §5, §8).
//!
//! Invariant: a proof is used once, on all nodes together, and carries a nonce of ours.

use super::OAuth;
use super::client_auth::ClientCall;
use super::records::{ClientRecord, Profile};
use super::refusal::Failed;
use super::secrets::Purpose;
use base::Secret;
use protocol::Algorithm;
use protocol::AlgorithmSet;
use protocol::bearer;
use protocol::dpop::{self, Expectation, NonceMaker, Proof};
use protocol::jwt::Claims;
use protocol::oauth::claim::Cnf;
use protocol::oauth::{ErrorCode, OAuthError};
use std::time::Duration;

/// How long a nonce is handed out; it is taken for as long again.
const STEP: Duration = Duration::from_secs(150);
/// The algorithms of proofs.
const PROOFS: AlgorithmSet = AlgorithmSet::DEFAULT;
/// FAPI 2.0 Security Profile §5.4.1.
const FAPI_PROOFS: AlgorithmSet =
    AlgorithmSet::of(&[Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa]);

/// How an access token was presented.
pub(crate) struct Presented {
    pub(crate) token: Secret<String>,
    /// With the scheme `DPoP`.
    pub(crate) dpop: bool,
}

/// The request that a proof must be for.
pub(crate) struct ProvedAt<'a> {
    pub(crate) method: &'a str,
    /// The address without query.
    pub(crate) uri: &'a str,
    /// The values of all `DPoP` headers.
    pub(crate) dpop: &'a [Vec<u8>],
}

impl OAuth {
    /// The nonce that the next proof must carry: the value of `DPoP-Nonce` in answers to who sent a proof, and to
    /// whom `use_dpop_nonce` is said.
    pub fn dpop_nonce(&self) -> Option<String> {
        Some(self.nonces().ok()?.current(self.parts.clock.now()))
    }

    fn nonces(&self) -> Result<NonceMaker, Failed> {
        // WHY from the pepper: all nodes share it, so that each takes the others' nonces.
        let key = Secret::new(self.parts.pepper.mac(b"oauth\0dpop-nonce"));
        NonceMaker::new(&key, STEP).map_err(|_| Failed::Busy("no nonce can be made"))
    }

    /// The proof that came with a call to the endpoint at `path` below the issuer, if one did.
    pub(crate) async fn proof_at(
        &self,
        call: &ClientCall,
        client: &ClientRecord,
        path: &str,
    ) -> Result<Option<Proof>, Failed> {
        if call.dpop.is_empty() {
            return Ok(None);
        }
        let nonces = self.nonces()?;
        let headers: Vec<&[u8]> = call.dpop.iter().map(Vec::as_slice).collect();
        let expect = Expectation {
            method: "POST",
            uri: &self.settings().url(path),
            access_token: None,
            algorithms: match client.profile {
                Profile::Standard => PROOFS,
                _ => FAPI_PROOFS,
            },
            nonces: Some(&nonces),
            now: self.parts.clock.now(),
        };
        let proof = dpop::verify(&headers, &expect).map_err(|error| {
            let rule = format!("RFC 9449 §4.3: {error}");
            Failed::Refused { error: OAuthError::from(error), rule: rule.into() }
        })?;
        // RFC 9449 §11.1: a proof that was seen is a replay.
        let what = format!("dpop\0{}\0{}", proof.jkt, proof.jti);
        let mac = Purpose::Once.mac(&self.parts.pepper, &what);
        match self.parts.store.once(mac, proof.until).await? {
            true => Ok(Some(proof)),
            false => Err(Failed::refused(
                ErrorCode::InvalidDpopProof,
                "the proof was used before",
                "RFC 9449 §11.1: the jti of the proof was seen before",
            )),
        }
    }

    /// To what the tokens of a call to the token endpoint are bound.
    pub(crate) async fn binding(
        &self,
        call: &ClientCall,
        client: &ClientRecord,
    ) -> Result<Option<Cnf>, Failed> {
        if let Some(proof) = self.proof_at(call, client, super::settings::TOKEN_PATH).await? {
            return Ok(Some(Cnf::key(proof.jkt)));
        }
        // RFC 9449 §5.2; FAPI 2.0 Security Profile §5.3.2.1: only bound tokens.
        let bound = client.metadata.dpop_bound_access_tokens
            || client.metadata.tls_client_certificate_bound_access_tokens
            || client.profile != Profile::Standard;
        match bound {
            false => Ok(None),
            true => Err(Failed::refused(
                ErrorCode::InvalidDpopProof,
                "the client gets bound tokens only, and sent no DPoP proof",
                "RFC 9449 §5.2: the client is registered for bound tokens",
            )),
        }
    }

    /// RFC 9449 §7.1, §7.2: what is bound comes with a proof; what is not, without.
    pub(crate) async fn bound(
        &self,
        at: &ProvedAt<'_>,
        presented: &Presented,
        claims: &Claims,
    ) -> Result<(), Failed> {
        let Some(confirmation) = &claims.confirmation else {
            return match presented.dpop {
                false => Ok(()),
                true => Err(invalid("RFC 9449 §7.1: the token is not bound, and came as DPoP")),
            };
        };
        let jkt = confirmation.jkt.as_deref();
        let Some(jkt) = jkt.filter(|_| confirmation.x5t_s256.is_none() && !confirmation.other)
        else {
            return Err(invalid("RFC 7800 §3.1: the token is bound to what cannot be proved here"));
        };
        if !presented.dpop {
            return Err(invalid("RFC 9449 §7.2: the token is bound to a key, and came as Bearer"));
        }
        let headers: Vec<&[u8]> = at.dpop.iter().map(Vec::as_slice).collect();
        let expect = Expectation {
            method: at.method,
            uri: at.uri,
            access_token: Some(presented.token.expose().as_bytes()),
            algorithms: AlgorithmSet::DEFAULT,
            nonces: None,
            now: self.parts.clock.now(),
        };
        let proof = dpop::verify(&headers, &expect).map_err(|error| {
            let rule = format!("RFC 9449 §4.3: {error}");
            Failed::Refused { error: OAuthError::from(error), rule: rule.into() }
        })?;
        if *proof.jkt != *jkt {
            return Err(invalid("RFC 9449 §7.1: the proof is of another key"));
        }
        let what = format!("dpop\0{}\0{}", proof.jkt, proof.jti);
        let mac = Purpose::Once.mac(&self.parts.pepper, &what);
        match self.parts.store.once(mac, proof.until).await? {
            true => Ok(()),
            false => Err(Failed::refused(
                ErrorCode::InvalidDpopProof,
                "the proof was used before",
                "RFC 9449 §11.1: the jti of the proof was seen before",
            )),
        }
    }
}

/// RFC 6750 §2: one token, by one method.
pub(crate) fn presented(
    authorization: &[Vec<u8>],
    form_token: Option<&Secret<String>>,
) -> Result<Presented, Failed> {
    let several = || {
        let rule = "RFC 6750 §2: the token came by more than one method";
        Failed::request("there must be one access token, sent once", rule)
    };
    match (authorization, form_token) {
        ([], Some(token)) => Ok(Presented { token: token.clone(), dpop: false }),
        ([], None) => Err(invalid("RFC 6750 §3: there is no token")),
        ([header], None) => {
            let malformed = |_| invalid("RFC 6750 §2.1: the Authorization header is malformed");
            let bearer = bearer::parse(header).map_err(malformed)?;
            let dpop = bearer::parse_as("DPoP", header).map_err(malformed)?;
            let token = bearer.or(dpop).ok_or_else(|| invalid("RFC 6750 §2.1: another scheme"))?;
            Ok(Presented { token: Secret::new(token.as_str().to_owned()), dpop: dpop.is_some() })
        }
        _ => Err(several()),
    }
}

/// RFC 6750 §3.1: always with the same words.
pub(crate) fn invalid(rule: impl Into<std::borrow::Cow<'static, str>>) -> Failed {
    Failed::refused(ErrorCode::InvalidToken, "the access token is missing or not valid", rule)
}
