//! An authenticator and a browser in software, for tests: it answers as told, and lies as told.

use super::data::sha256;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use protocol::b64;
use serde_json::{Value, json};

/// Flags of authenticator data (WebAuthn L3 §6.1).
pub(crate) const PRESENT: u8 = 1;
pub(crate) const VERIFIED: u8 = 4;
pub(crate) const ELIGIBLE: u8 = 8;
pub(crate) const BACKED_UP: u8 = 16;
const ATTESTED: u8 = 64;

pub(crate) fn head(major: u8, n: usize) -> Vec<u8> {
    match n {
        0..24 => vec![major << 5 | u8::try_from(n).unwrap()],
        24..256 => vec![major << 5 | 24, u8::try_from(n).unwrap()],
        _ => [&[major << 5 | 25][..], &u16::try_from(n).unwrap().to_be_bytes()].concat(),
    }
}

pub(crate) fn int(n: i64) -> Vec<u8> {
    match n {
        0.. => head(0, usize::try_from(n).unwrap()),
        _ => head(1, usize::try_from(-1 - n).unwrap()),
    }
}

pub(crate) fn bytes(it: &[u8]) -> Vec<u8> {
    [head(2, it.len()), it.to_vec()].concat()
}

pub(crate) fn text(it: &str) -> Vec<u8> {
    [head(3, it.len()), it.as_bytes().to_vec()].concat()
}

pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len()), items.concat()].concat()
}

pub(crate) fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let inner: Vec<u8> = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()].concat()).collect();
    [head(5, pairs.len()), inner].concat()
}

/// One credential in its authenticator, and the page that asks for it.
pub(crate) struct Soft {
    pub(crate) key: EcdsaKeyPair,
    pub(crate) id: Vec<u8>,
    pub(crate) user: Option<String>,
    pub(crate) aaguid: [u8; 16],
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    pub(crate) rp: String,
    pub(crate) origin: String,
    /// More members of the client data, and other values of the known ones.
    pub(crate) client: Value,
}

impl Soft {
    pub(crate) fn new() -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id: base::random_array::<32>().unwrap().to_vec(),
            user: None,
            aaguid: [0; 16],
            flags: PRESENT | VERIFIED,
            counter: 1,
            rp: "example.com".to_owned(),
            origin: "https://example.com".to_owned(),
            client: json!({ "crossOrigin": false }),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    pub(crate) fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let mut data = json!({
            "type": kind, "challenge": options["challenge"], "origin": self.origin,
        });
        for (name, value) in self.client.as_object().unwrap() {
            data[name] = value.clone();
        }
        data.to_string().into_bytes()
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        [&sha256(self.rp.as_bytes())[..], &[flags], &self.counter.to_be_bytes()].concat()
    }

    pub(crate) fn cose(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        map(&[
            (int(1), int(2)),
            (int(3), int(-7)),
            (int(-1), int(1)),
            (int(-2), bytes(&point[1..33])),
            (int(-3), bytes(&point[33..65])),
        ])
    }

    pub(crate) fn new_data(&self) -> Vec<u8> {
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let head = self.head(self.flags | ATTESTED);
        [&head[..], &self.aaguid, &length, &self.id, &self.cose()].concat()
    }

    /// Answers `create()` without an attestation.
    pub(crate) fn create(&mut self, options: &Value) -> String {
        self.create_as(options, "none", |_, _| map(&[]))
    }

    /// Answers `create()` with the statement that is made of what is signed.
    pub(crate) fn create_as(
        &mut self,
        options: &Value,
        format: &str,
        statement: impl FnOnce(&Self, &[u8]) -> Vec<u8>,
    ) -> String {
        let user = b64::decode(options["user"]["id"].as_str().unwrap().as_bytes()).unwrap();
        self.user = Some(String::from_utf8(user).unwrap());
        let client = self.client_data("webauthn.create", options);
        let data = self.new_data();
        let signed = [data.as_slice(), &sha256(&client)].concat();
        let object = map(&[
            (text("fmt"), text(format)),
            (text("attStmt"), statement(self, &signed)),
            (text("authData"), bytes(&data)),
        ]);
        json!({
            "id": b64::encode(&self.id),
            "rawId": b64::encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": b64::encode(client),
                "attestationObject": b64::encode(object),
                "transports": ["internal", "hybrid", "Not A Transport"],
            },
            "clientExtensionResults": { "credProps": { "rk": true } },
        })
        .to_string()
    }

    /// Answers `get()`. The counter grows before.
    pub(crate) fn get(&mut self, options: &Value) -> String {
        self.counter += u32::from(self.counter > 0);
        let client = self.client_data("webauthn.get", options);
        let data = self.head(self.flags);
        let signature = self.sign(&[data.as_slice(), &sha256(&client)].concat());
        json!({
            "id": b64::encode(&self.id),
            "rawId": b64::encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": b64::encode(client),
                "authenticatorData": b64::encode(data),
                "signature": b64::encode(signature),
                "userHandle": self.user.as_ref().map(b64::encode),
            },
            "clientExtensionResults": {},
        })
        .to_string()
    }
}
