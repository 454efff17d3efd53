//! Registration (WebAuthn L3 §7.1).

use super::attest::{self, Anchors, Statement};
use super::config::{NAME_CHARS, PATIENCE, Relying, Verification};
use super::data::{AuthData, Expected, Response, client_data};
use super::verify::{Kept, digests};
use super::{CREDENTIALS_MOST, Refused, cbor, key};
use base::UnixMs;
use protocol::b64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// Whose credential it shall be.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The account's id, which the authenticator keeps and shows to nobody (WebAuthn L3 §14.6.1: no address, no name).
    pub id: &'a str,
    /// What the person signs in with; the authenticator shows it.
    pub name: &'a str,
}

/// Whether the authenticator shall say who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attestation {
    /// No. It would only tell people's devices apart.
    None,
    /// Yes, and who vouches for it is judged.
    Direct,
}

/// A registration that has begun.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registering {
    /// So that no other state can be put in its place.
    kind: Kind,
    challenge: String,
    user: String,
    verification: Verification,
    attestation: Attestation,
    exclude: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "passkey-create")]
    Create,
}

impl fmt::Debug for Registering {
    /// Not the challenge, which whoever reads a log could answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registering").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A new credential.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// What is kept: a [`Kept`].
    pub credential: Value,
    /// The credential's id, base64url: by this it is found.
    pub handle: String,
    /// The authenticator's model, as it says; zeros where it does not. Vouched for only where `attested`.
    pub aaguid: String,
    /// Whether the person was verified.
    pub user_verified: bool,
    /// Whether the key may be copied to other devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// How the browser reached it: a hint.
    pub transports: Vec<String>,
    /// Whether the browser says that it can be found without its id: a hint.
    pub discoverable: Option<bool>,
    /// Whether a maker whom we trust vouches for it.
    pub attested: bool,
}

impl Registered {
    /// Whether its maker vouches that the key never leaves it.
    pub fn is_hardware(&self) -> bool {
        self.attested && !self.backup_eligible
    }
}

pub(super) fn challenge() -> Result<String, Refused> {
    // WebAuthn L3 §13.4.3: at least 16 bytes, random.
    Ok(b64::encode(base::random_array::<32>().map_err(|_| Refused::NotMade)?))
}

pub(super) fn descriptors(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "type": "public-key", "id": id })).collect()
}

impl Relying {
    /// Begins: the options for `navigator.credentials.create()` as JSON (WebAuthn L3 §5.1.8), and what
    /// [`Self::finish_registration`] must get back. `exclude`: the credentials that the person has.
    ///
    /// # Errors
    /// [`Refused::NotMade`].
    pub fn start_registration(
        &self,
        person: Person<'_>,
        exclude: &[String],
        verification: Verification,
        attestation: Attestation,
    ) -> Result<(Value, Registering), Refused> {
        // WebAuthn L3 §5.4.3: 1 to 64 bytes.
        if !(1..=64).contains(&person.id.len()) || exclude.len() > CREDENTIALS_MOST {
            return Err(Refused::NotMade);
        }
        let challenge = challenge()?;
        let name: String = person.name.chars().take(NAME_CHARS).collect();
        let parameters: Vec<Value> =
            key::ALGORITHMS.iter().map(|alg| json!({ "type": "public-key", "alg": alg })).collect();
        let options = json!({
            "rp": { "id": self.id, "name": self.name },
            "user": { "id": b64::encode(person.id), "name": name, "displayName": name },
            "challenge": challenge,
            "pubKeyCredParams": parameters,
            "timeout": u64::try_from(PATIENCE.as_millis()).unwrap_or_default(),
            "excludeCredentials": descriptors(exclude),
            // WHY not required: an old security key that keeps no names is still a good second factor.
            "authenticatorSelection": {
                "residentKey": "preferred",
                "requireResidentKey": false,
                "userVerification": verification.as_str(),
            },
            "attestation": if attestation == Attestation::Direct { "direct" } else { "none" },
            "extensions": { "credProps": true },
        });
        let state = Registering {
            kind: Kind::Create,
            challenge,
            user: person.id.to_owned(),
            verification,
            attestation,
            exclude: digests(exclude),
        };
        Ok((options, state))
    }

    /// Judges the answer. `anchors`: the makers who are trusted; `now`: for the validity of their certificates.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn finish_registration(
        &self,
        state: Registering,
        response: &str,
        anchors: &Anchors,
        now: UnixMs,
    ) -> Result<Registered, Refused> {
        let response = Response::read(response)?;
        let expected =
            Expected { kind: "webauthn.create", challenge: &state.challenge, origin: &self.origin };
        let client_hash = client_data(&response.bytes("clientDataJSON")?, &expected)?;
        let object = response.bytes("attestationObject")?;
        let object = cbor::only(&object)?;
        let auth_bytes = object
            .named("authData")
            .and_then(cbor::Item::bytes)
            .ok_or(Refused::Malformed("authData"))?;
        let data = AuthData::read(auth_bytes)?;
        data.judge(&self.id_hash, state.verification == Verification::Required)?;
        let new = data.attested.as_ref().ok_or(Refused::Malformed("authData"))?;
        // What the browser calls it is what the authenticator calls it.
        if b64::encode(new.id) != response.handle {
            return Err(Refused::Malformed("id"));
        }
        // WebAuthn L3 §7.1 step 20: one of the algorithms that were asked for.
        let jwk = key::jwk(&new.key)?;
        // WebAuthn L3 §7.1 step 26 is the keeper's: no other person has it either.
        if digests(std::slice::from_ref(&response.handle))
            .iter()
            .any(|it| state.exclude.contains(it))
        {
            return Err(Refused::Registered);
        }
        let attested = match state.attestation {
            Attestation::None => false,
            Attestation::Direct => {
                let said = Statement { object: &object, auth_bytes, new, client_hash, jwk: &jwk };
                attest::judge(&said, &self.id_hash, anchors, now)?
            }
        };
        let (transports, aaguid) = (response.transports(), hex::encode(new.aaguid));
        let kept = Kept {
            version: 1,
            id: response.handle.clone(),
            user: state.user,
            key: jwk,
            counter: data.counter,
            backup_eligible: data.backup_eligible,
            backed_up: data.backed_up,
            transports: transports.clone(),
            aaguid: aaguid.clone(),
        };
        Ok(Registered {
            credential: kept.to_value()?,
            aaguid,
            user_verified: data.verified,
            backup_eligible: data.backup_eligible,
            backed_up: data.backed_up,
            transports,
            discoverable: response.discoverable(),
            attested,
            handle: response.handle,
        })
    }
}
