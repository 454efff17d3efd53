//! Authentication (WebAuthn L3 §7.2).

use super::config::{PATIENCE, Relying, Verification};
use super::data::{AuthData, Expected, Response, client_data, sha256};
use super::register::{challenge, descriptors};
use super::{CREDENTIALS_MOST, Refused, key};
use protocol::b64;
use protocol::json::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// A credential as it is kept. Its public key is a JWK, so that no library's format outlives the library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Of this form: 1.
    pub version: u8,
    /// The credential's id, base64url.
    pub id: String,
    /// The account's id.
    pub user: String,
    /// The public key.
    pub key: Object,
    /// The counter of the last proof; 0 for those that have none.
    pub counter: u32,
    /// Whether the key may be copied to other devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// How the browser reached it.
    pub transports: Vec<String>,
    /// The authenticator's model, as it said; hexadecimal.
    pub aaguid: String,
}

impl Kept {
    /// Reads what was kept.
    ///
    /// # Errors
    /// When it is not a credential.
    pub fn read(value: &Value) -> Result<Self, Refused> {
        let kept = Self::deserialize(value).map_err(|_| Refused::Malformed("kept credential"))?;
        if kept.version != 1 {
            return Err(Refused::Malformed("kept credential"));
        }
        Ok(kept)
    }

    pub(super) fn to_value(&self) -> Result<Value, Refused> {
        serde_json::to_value(self).map_err(|_| Refused::NotMade)
    }
}

/// An authentication that has begun.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticating {
    /// So that no other state can be put in its place.
    kind: Kind,
    challenge: String,
    verification: Verification,
    /// Digests of the credentials that may answer; `None`: any, and the authenticator says whose it is.
    allow: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "passkey-get")]
    Get,
}

impl fmt::Debug for Authenticating {
    /// Not the challenge, which whoever reads a log could answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticating")
            .field("verification", &self.verification)
            .finish_non_exhaustive()
    }
}

/// What an answer says of itself, before anything of it is judged: enough to look the credential up, and for nothing
/// else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The credential's id, base64url.
    pub handle: String,
    /// Whose it is, as the authenticator says.
    pub user: Option<String>,
}

/// A proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Authenticated {
    /// Whether the person was verified.
    pub user_verified: bool,
    /// The authenticator's counter now.
    pub counter: u32,
    /// Whether the key is kept elsewhere too, by now.
    pub backed_up: bool,
    /// What is to be kept instead; `None`: nothing changed.
    pub credential: Option<Value>,
}

/// SHA-256 of each id: a state stays small, however long the ids are.
pub(super) fn digests(ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| b64::encode(sha256(id.as_bytes()))).collect()
}

/// What the answer says of itself.
///
/// # Errors
/// When it cannot be read.
pub fn handle_of(response: &str) -> Result<Claimed, Refused> {
    let response = Response::read(response)?;
    Ok(Claimed { user: response.user()?, handle: response.handle })
}

impl Relying {
    /// Begins: the options for `navigator.credentials.get()` as JSON (WebAuthn L3 §5.1.8), and what
    /// [`Self::finish_authentication`] must get back. `allow`: the credentials of the person who signs in; `None` where
    /// nobody has said who that is (discoverable credentials, conditional UI).
    ///
    /// # Errors
    /// [`Refused::NotMade`]; also when `allow` is empty, which browsers would take for "any".
    pub fn start_authentication(
        &self,
        allow: Option<&[Kept]>,
        verification: Verification,
    ) -> Result<(Value, Authenticating), Refused> {
        if allow.is_some_and(|all| all.is_empty() || all.len() > CREDENTIALS_MOST) {
            return Err(Refused::NotMade);
        }
        let challenge = challenge()?;
        let ids: Option<Vec<String>> =
            allow.map(|all| all.iter().map(|it| it.id.clone()).collect());
        let mut listed = descriptors(ids.as_deref().unwrap_or_default());
        for (entry, kept) in
            listed.as_array_mut().into_iter().flatten().zip(allow.unwrap_or_default())
        {
            if let (Value::Object(entry), false) = (entry, kept.transports.is_empty()) {
                entry.insert("transports".to_owned(), json!(kept.transports));
            }
        }
        let options = json!({
            "rpId": self.id,
            "challenge": challenge,
            "timeout": u64::try_from(PATIENCE.as_millis()).unwrap_or_default(),
            "allowCredentials": listed,
            "userVerification": verification.as_str(),
        });
        let allow = ids.as_deref().map(digests);
        Ok((options, Authenticating { kind: Kind::Get, challenge, verification, allow }))
    }

    /// Judges the answer against the credential that [`handle_of`] names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn finish_authentication(
        &self,
        state: Authenticating,
        response: &str,
        kept: &Value,
    ) -> Result<Authenticated, Refused> {
        let kept = Kept::read(kept)?;
        let response = Response::read(response)?;
        // WebAuthn L3 §7.2 step 5: one of those that were asked for.
        if response.handle != kept.id {
            return Err(Refused::Unknown);
        }
        if let Some(allow) = &state.allow
            && !digests(std::slice::from_ref(&kept.id)).iter().all(|it| allow.contains(it))
        {
            return Err(Refused::Unknown);
        }
        // WebAuthn L3 §7.2 step 6: who says nothing is only believed where it was known before.
        match response.user()? {
            Some(user) if user == kept.user => {}
            None if state.allow.is_some() => {}
            _ => return Err(Refused::OtherPerson),
        }
        let expected =
            Expected { kind: "webauthn.get", challenge: &state.challenge, origin: &self.origin };
        let client_hash = client_data(&response.bytes("clientDataJSON")?, &expected)?;
        let auth_bytes = response.bytes("authenticatorData")?;
        let data = AuthData::read(&auth_bytes)?;
        data.judge(&self.id_hash, state.verification == Verification::Required)?;
        // WebAuthn L3 §7.2 step 20: whether it can be copied does not change.
        if data.backup_eligible != kept.backup_eligible {
            return Err(Refused::Backup);
        }
        // WebAuthn L3 §7.2 step 22: signed over both.
        let signed = [auth_bytes.as_slice(), &client_hash].concat();
        if !key::verifies(&kept.key, &signed, &response.bytes("signature")?) {
            return Err(Refused::Signature);
        }
        // WebAuthn L3 §7.2 step 23, §6.1.1: a counter grows. What does not is taken for a copy.
        if (data.counter != 0 || kept.counter != 0) && data.counter <= kept.counter {
            return Err(Refused::Cloned { kept: kept.counter, said: data.counter });
        }
        let next = Kept { counter: data.counter, backed_up: data.backed_up, ..kept.clone() };
        Ok(Authenticated {
            user_verified: data.verified,
            counter: data.counter,
            backed_up: data.backed_up,
            credential: (next != kept).then(|| next.to_value()).transpose()?,
        })
    }
}
