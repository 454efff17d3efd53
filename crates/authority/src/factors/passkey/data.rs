//! What the browser and the authenticator say: client data, authenticator data, and the response that carries them.

use super::Refused;
use super::cbor::{self, Item};
use aws_lc_rs::digest::{SHA256, digest};
use protocol::b64;
use protocol::json::{self, Object};
use serde_json::Value;

/// Bytes of a response, as JSON: a TPM's attestation with its certificates has some 8 KB. It fits a field of a form.
pub const RESPONSE_BYTES: usize = 32 * 1024;
/// Bytes of the client data: type, challenge and origin, and what browsers may add.
const CLIENT_DATA_BYTES: usize = 4 * 1024;
/// Bytes of a credential id (WebAuthn L3 §4).
const ID_BYTES: usize = 1023;
/// Bytes of a user handle (WebAuthn L3 §5.4.3).
const USER_BYTES: usize = 64;
/// Transports that are kept of one credential; six are registered.
const TRANSPORTS: usize = 8;
/// Bytes of a transport's name.
const TRANSPORT_BYTES: usize = 32;

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// A `PublicKeyCredential` as `toJSON()` writes it (WebAuthn L3 §5.1).
#[derive(Debug)]
pub(super) struct Response {
    /// The credential's id, base64url.
    pub(super) handle: String,
    inner: Object,
    outer: Object,
}

impl Response {
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let mut outer = json::object(text.as_bytes(), RESPONSE_BYTES)
            .map_err(|_| Refused::Malformed("response"))?;
        if outer.get("type").and_then(Value::as_str) != Some("public-key") {
            return Err(Refused::Malformed("type"));
        }
        let id = outer.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let raw = outer.get("rawId").and_then(Value::as_str);
        let bytes = b64::decode(id.as_bytes()).map_err(|_| Refused::Malformed("id"))?;
        if bytes.is_empty() || bytes.len() > ID_BYTES || raw.is_some_and(|raw| raw != id) {
            return Err(Refused::Malformed("id"));
        }
        let Some(Value::Object(inner)) = outer.remove("response") else {
            return Err(Refused::Malformed("response"));
        };
        Ok(Self { handle: id, inner, outer })
    }

    /// A member that holds bytes.
    pub(super) fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Refused> {
        let text = self.inner.get(name).and_then(Value::as_str).ok_or(Refused::Malformed(name))?;
        b64::decode(text.as_bytes()).map_err(|_| Refused::Malformed(name))
    }

    /// The user handle, which is absent where the authenticator keeps none.
    pub(super) fn user(&self) -> Result<Option<String>, Refused> {
        if self.inner.get("userHandle").is_none_or(Value::is_null) {
            return Ok(None);
        }
        let bytes = self.bytes("userHandle")?;
        match bytes.len() {
            0 => Ok(None),
            1..=USER_BYTES => {
                String::from_utf8(bytes).map(Some).map_err(|_| Refused::Malformed("userHandle"))
            }
            _ => Err(Refused::Malformed("userHandle")),
        }
    }

    /// How the authenticator can be reached, as the browser believes. Only a hint.
    pub(super) fn transports(&self) -> Vec<String> {
        let names = self.inner.get("transports").and_then(Value::as_array);
        let plain = |name: &&str| {
            (1..=TRANSPORT_BYTES).contains(&name.len())
                && name
                    .bytes()
                    .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
        };
        names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(plain)
            .take(TRANSPORTS)
            .map(str::to_owned)
            .collect()
    }

    /// Whether the browser says that the credential can be found without its id (`credProps`). Only a hint.
    pub(super) fn discoverable(&self) -> Option<bool> {
        self.outer.get("clientExtensionResults")?.get("credProps")?.get("rk")?.as_bool()
    }
}

/// What the client data must say.
pub(super) struct Expected<'a> {
    /// `webauthn.create` or `webauthn.get`.
    pub(super) kind: &'static str,
    /// The challenge, base64url.
    pub(super) challenge: &'a str,
    /// The one origin.
    pub(super) origin: &'a str,
}

/// Judges the client data and gives its hash.
pub(super) fn client_data(bytes: &[u8], expected: &Expected<'_>) -> Result<[u8; 32], Refused> {
    let data =
        json::object(bytes, CLIENT_DATA_BYTES).map_err(|_| Refused::Malformed("clientDataJSON"))?;
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    // WebAuthn L3 §7.1 step 7, §7.2 step 11: what was signed was signed for this purpose.
    if text("type") != Some(expected.kind) {
        return Err(Refused::Purpose);
    }
    // WebAuthn L3 §7.1 step 8, §7.2 step 12: the challenge of this ceremony.
    if text("challenge") != Some(expected.challenge) {
        return Err(Refused::Challenge);
    }
    // WebAuthn L3 §7.1 step 9, §7.2 step 13, §13.4.9: the one origin, to the letter.
    if text("origin") != Some(expected.origin) {
        return Err(Refused::Origin);
    }
    // WebAuthn L3 §7.1 step 10 and 11, §7.2 step 14 and 15: none of our pages is framed by another site.
    let framed = !matches!(data.get("crossOrigin"), None | Some(Value::Bool(false) | Value::Null));
    if framed || data.get("topOrigin").is_some_and(|it| !it.is_null()) {
        return Err(Refused::Framed);
    }
    Ok(sha256(bytes))
}

/// Authenticator data (WebAuthn L3 §6.1).
#[derive(Debug)]
pub(super) struct AuthData<'a> {
    pub(super) rp_hash: &'a [u8],
    pub(super) present: bool,
    pub(super) verified: bool,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) counter: u32,
    pub(super) attested: Option<Attested<'a>>,
}

/// A new credential within it (WebAuthn L3 §6.5.1).
#[derive(Debug)]
pub(super) struct Attested<'a> {
    pub(super) aaguid: [u8; 16],
    pub(super) id: &'a [u8],
    pub(super) key: Item<'a>,
}

impl<'a> AuthData<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        const WRONG: Refused = Refused::Malformed("authenticatorData");
        let (rp_hash, rest) = bytes.split_at_checked(32).ok_or(WRONG)?;
        let (flags, rest) = rest.split_first().ok_or(WRONG)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(WRONG)?;
        let set = |bit: u8| flags & (1 << bit) != 0;
        let mut attested = None;
        if set(6) {
            let (aaguid, after) = rest.split_first_chunk::<16>().ok_or(WRONG)?;
            let (length, after) = after.split_first_chunk::<2>().ok_or(WRONG)?;
            let length = usize::from(u16::from_be_bytes(*length));
            // WebAuthn L3 §7.1 step 25: at most 1023 bytes.
            if length == 0 || length > ID_BYTES {
                return Err(WRONG);
            }
            let (id, after) = after.split_at_checked(length).ok_or(WRONG)?;
            let (key, after) = cbor::read(after)?;
            attested = Some(Attested { aaguid: *aaguid, id, key });
            rest = after;
        }
        if set(7) {
            let (extensions, after) = cbor::read(rest)?;
            if !matches!(extensions, Item::Map(_)) {
                return Err(WRONG);
            }
            rest = after;
        }
        // WebAuthn L3 §6.1: nothing follows; what nobody names is not signed for.
        if !rest.is_empty() {
            return Err(WRONG);
        }
        Ok(Self {
            rp_hash,
            present: set(0),
            verified: set(2),
            backup_eligible: set(3),
            backed_up: set(4),
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }

    /// What both ceremonies ask for.
    pub(super) fn judge(&self, rp_hash: &[u8; 32], verification: bool) -> Result<(), Refused> {
        // WebAuthn L3 §7.1 step 14, §7.2 step 16: made for this relying party.
        if self.rp_hash != rp_hash {
            return Err(Refused::RelyingParty);
        }
        // WebAuthn L3 §7.1 step 15, §7.2 step 17: somebody touched it.
        if !self.present {
            return Err(Refused::NotPresent);
        }
        // WebAuthn L3 §7.1 step 16, §7.2 step 18: somebody showed a finger, a face or a PIN where that must count.
        if verification && !self.verified {
            return Err(Refused::NotVerified);
        }
        // WebAuthn L3 §7.1 step 17, §7.2 step 19: what cannot be backed up is not.
        if self.backed_up && !self.backup_eligible {
            return Err(Refused::Backup);
        }
        Ok(())
    }
}
