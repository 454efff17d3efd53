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
use protocol::dpop::{self, Expectation, NonceMaker, Proof};
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
}
