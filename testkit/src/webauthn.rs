//! Authenticators in the browser's software (WebAuthn L3 §11): passkeys and security keys that tests can hold.
//!
//! Owns: the WebDriver commands for them. Never does: judge what they answer.

use crate::jose::sha256;
use crate::webdriver::WebDriver;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What an authenticator can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it keeps credentials so that they are found without their ids.
    pub resident_keys: bool,
    /// Whether it can check a PIN or biometric.
    pub verification: bool,
    /// Whether the check will succeed.
    pub verified: bool,
    /// Whether it is a key in a port, and not the device itself.
    pub roaming: bool,
    /// Whether its credentials are copied to other devices.
    pub backed_up: bool,
}

impl Abilities {
    /// A phone or a laptop: keeps credentials, and recognises its owner.
    pub const PASSKEY: Self = Self {
        resident_keys: true,
        verification: true,
        verified: true,
        roaming: false,
        backed_up: false,
    };
    /// An old key in a port, which is touched and knows nobody.
    pub const SECURITY_KEY: Self = Self {
        resident_keys: false,
        verification: false,
        verified: false,
        roaming: true,
        backed_up: false,
    };
}

/// An authenticator of a browser.
#[derive(Debug)]
pub struct Authenticator<'b> {
    browser: &'b WebDriver,
    id: String,
}

/// A credential in an authenticator.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential(Value);

impl Credential {
    /// Its id, base64url.
    ///
    /// # Panics
    /// When the browser names none.
    pub fn id(&self) -> &str {
        self.0["credentialId"].as_str().expect("an id")
    }

    /// Its counter.
    ///
    /// # Panics
    /// When the browser names none.
    pub fn counter(&self) -> u64 {
        self.0["signCount"].as_u64().expect("a counter")
    }

    /// Whether it is found without its id.
    pub fn is_resident(&self) -> bool {
        self.0["isResidentCredential"] == json!(true)
    }

    /// The account that it names, where it does.
    pub fn user(&self) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(self.0["userHandle"].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Answers a page as no browser would: the client's data as they are, and the authenticator's for `rp`, with these
    /// flags and this counter (WebAuthn L3 §6.1); signed with the true key. What `navigator.credentials.get` gives, as
    /// JSON.
    ///
    /// # Panics
    /// When the browser tells no key of the kind that it makes, ECDSA on P-256.
    pub fn answer(&self, client: &Value, (rp, flags, counter): (&str, u8, u32)) -> String {
        let key = URL_SAFE_NO_PAD.decode(self.0["privateKey"].as_str().expect("a key"));
        let key = key.expect("a key in Base64");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key);
        let client = client.to_string();
        let data = [sha256(rp.as_bytes()), vec![flags], counter.to_be_bytes().to_vec()].concat();
        let signed = [data.clone(), sha256(client.as_bytes())].concat();
        let signature = key.expect("a P-256 key").sign(&SystemRandom::new(), &signed);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "id": self.id(),
            "rawId": self.id(),
            "type": "public-key",
            "response": {
                "clientDataJSON": text(client.as_bytes()),
                "authenticatorData": text(&data),
                "signature": text(signature.expect("a signature").as_ref()),
                "userHandle": self.0["userHandle"],
            },
            "clientExtensionResults": {},
        })
        .to_string()
    }

    /// A copy of it with this counter.
    #[must_use]
    pub fn with_counter(mut self, counter: u64) -> Self {
        self.0["signCount"] = json!(counter);
        self
    }
}

impl WebDriver {
    /// Plugs an authenticator in. Whoever is asked to touch it does.
    ///
    /// # Panics
    /// When the browser has none to give.
    pub fn authenticator(&self, can: Abilities) -> Authenticator<'_> {
        let made = self.post(
            "/webauthn/authenticator",
            &json!({
                "protocol": "ctap2",
                "transport": if can.roaming { "usb" } else { "internal" },
                "hasResidentKey": can.resident_keys,
                "hasUserVerification": can.verification,
                "isUserConsenting": true,
                "isUserVerified": can.verified,
                "defaultBackupEligibility": can.backed_up,
                "defaultBackupState": can.backed_up,
            }),
        );
        Authenticator { browser: self, id: made.as_str().expect("an authenticator").to_owned() }
    }
}

impl Authenticator<'_> {
    /// What it holds.
    ///
    /// # Panics
    /// When the browser does not say.
    pub fn credentials(&self) -> Vec<Credential> {
        let all = self.browser.get(&self.at("/credentials"));
        all.as_array().expect("a list").iter().cloned().map(Credential).collect()
    }

    /// Puts a credential into it, as a copy of another one.
    pub fn add(&self, credential: &Credential) {
        self.browser.post(&self.at("/credential"), &credential.0);
    }

    /// Takes a credential out of it.
    pub fn remove(&self, credential: &Credential) {
        self.browser.delete(&self.at(&format!("/credentials/{}", credential.id())));
    }

    /// Whether the check of PIN or biometric will succeed from now on.
    pub fn verified(&self, will: bool) {
        self.browser.post(&self.at("/uv"), &json!({ "isUserVerified": will }));
    }

    fn at(&self, rest: &str) -> String {
        format!("/webauthn/authenticator/{}{rest}", self.id)
    }
}

impl Drop for Authenticator<'_> {
    fn drop(&mut self) {
        // WHY not while a test fails: the browser may be gone with it, and a second panic would hide the first.
        if !std::thread::panicking() {
            self.browser.delete(&self.at(""));
        }
    }
}
