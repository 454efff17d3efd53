//! Attestation (WebAuthn L3 §6.5.3, §8): who vouches for an authenticator.
//!
//! Never does: ask anybody. What is revoked is known by leaving its maker out.

use super::cbor::Item;
use super::data::Attested;
use super::{Refused, key};
use base::UnixMs;
use protocol::b64;
use protocol::json::Object;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};

/// Makers that are trusted at most; the FIDO metadata service lists some 300 authenticators.
const ANCHORS_MOST: usize = 512;
/// Certificates of one statement. Chains have two or three.
const CHAIN_MOST: usize = 6;
/// `id-fido-gen-ce-aaguid` (1.3.6.1.4.1.45724.1.1.4), as a DER object identifier.
const AAGUID_OID: [u8; 13] = [6, 11, 0x2b, 6, 1, 4, 1, 0x82, 0xe5, 0x1c, 1, 1, 4];
/// The OU of an attestation certificate (WebAuthn L3 §8.2.1).
const UNIT: &[u8] = b"Authenticator Attestation";
/// `id-at-organizationalUnitName` (2.5.4.11), as a DER object identifier.
const UNIT_OID: [u8; 5] = [6, 3, 0x55, 4, 11];

/// The makers who are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(Vec<TrustAnchor<'static>>);

impl Anchors {
    /// From the root certificates of makers, DER. `None` when one is no certificate, or there are too many.
    pub fn new(certificates: &[Vec<u8>]) -> Option<Self> {
        if certificates.len() > ANCHORS_MOST {
            return None;
        }
        let anchor = |der: &Vec<u8>| {
            let der = CertificateDer::from_slice(der);
            webpki::anchor_from_trusted_cert(&der).ok().map(|it| it.to_owned())
        };
        certificates.iter().map(anchor).collect::<Option<_>>().map(Self)
    }

    /// Whether there are none: then nobody is vouched for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What an attestation is about.
pub(super) struct Statement<'a> {
    pub(super) object: &'a Item<'a>,
    pub(super) auth_bytes: &'a [u8],
    pub(super) new: &'a Attested<'a>,
    pub(super) client_hash: [u8; 32],
    pub(super) jwk: &'a Object,
}

/// Whether a maker who is trusted vouches for the credential. Formats that are not read vouch for nothing.
///
/// # Errors
/// When the statement is of a known format, and wrong.
pub(super) fn judge(
    said: &Statement<'_>,
    rp_hash: &[u8; 32],
    anchors: &Anchors,
    now: UnixMs,
) -> Result<bool, Refused> {
    let Some(Item::Text(format)) = said.object.named("fmt") else {
        return Err(Refused::Attestation("no format"));
    };
    let Some(statement @ Item::Map(_)) = said.object.named("attStmt") else {
        return Err(Refused::Attestation("no statement"));
    };
    match *format {
        "packed" => packed(said, statement, anchors, now),
        "fido-u2f" => u2f(said, statement, (rp_hash, anchors, now)),
        _ => Ok(false),
    }
}

/// WebAuthn L3 §8.2.
fn packed(
    said: &Statement<'_>,
    statement: &Item<'_>,
    anchors: &Anchors,
    now: UnixMs,
) -> Result<bool, Refused> {
    let signature = signature(statement)?;
    let number = statement.named("alg").and_then(Item::int);
    let signed = [said.auth_bytes, &said.client_hash].concat();
    let Some(chain) = chain(statement)? else {
        // WebAuthn L3 §8.2, self attestation: by the credential's own key, which proves nothing of its maker.
        let same = number.is_some() && number == key::cose_algorithm(said.jwk);
        if !same || !key::verifies(said.jwk, &signed, signature) {
            return Err(Refused::Attestation("wrong signature"));
        }
        return Ok(false);
    };
    let algorithm = number.and_then(algorithm).ok_or(Refused::Attestation("algorithm"))?;
    let leaf = chain.first().ok_or(Refused::Attestation("no certificate"))?;
    verified(leaf, algorithm, &signed, signature)?;
    // WebAuthn L3 §8.2: the certificate is one for this model, where it names one.
    if !names_model(leaf, &said.new.aaguid) {
        return Err(Refused::Attestation("another model"));
    }
    // WebAuthn L3 §8.2.1: a certificate for attestations, and for nothing else that the maker signs.
    Ok(has_unit(leaf) && trusted(&chain, anchors, now))
}

/// WebAuthn L3 §8.6.
fn u2f(
    said: &Statement<'_>,
    statement: &Item<'_>,
    (rp_hash, anchors, now): (&[u8; 32], &Anchors, UnixMs),
) -> Result<bool, Refused> {
    let signature = signature(statement)?;
    let chain = chain(statement)?.ok_or(Refused::Attestation("no certificate"))?;
    let [leaf] = chain.as_slice() else { return Err(Refused::Attestation("certificates")) };
    let coordinate = |name: &str| {
        let text = said.jwk.get(name)?.as_str()?;
        b64::decode(text.as_bytes()).ok()
    };
    let (Some(x), Some(y)) = (coordinate("x"), coordinate("y")) else {
        return Err(Refused::Attestation("algorithm"));
    };
    if said.new.aaguid != [0; 16] {
        return Err(Refused::Attestation("a model"));
    }
    let signed = [&[0], &rp_hash[..], &said.client_hash, said.new.id, &[4], &x, &y].concat();
    verified(leaf, webpki::aws_lc_rs::ECDSA_P256_SHA256, &signed, signature)?;
    Ok(trusted(&chain, anchors, now))
}

fn signature<'a>(statement: &Item<'a>) -> Result<&'a [u8], Refused> {
    statement.named("sig").and_then(Item::bytes).ok_or(Refused::Attestation("no signature"))
}

fn chain<'a>(statement: &Item<'a>) -> Result<Option<Vec<CertificateDer<'a>>>, Refused> {
    match statement.named("x5c") {
        None => Ok(None),
        Some(Item::Array(items)) if (1..=CHAIN_MOST).contains(&items.len()) => {
            let chain: Option<Vec<_>> =
                items.iter().map(|it| it.bytes().map(CertificateDer::from)).collect();
            chain.map(Some).ok_or(Refused::Attestation("certificates"))
        }
        Some(_) => Err(Refused::Attestation("certificates")),
    }
}

fn algorithm(number: i64) -> Option<&'static dyn SignatureVerificationAlgorithm> {
    match number {
        key::ES256 => Some(webpki::aws_lc_rs::ECDSA_P256_SHA256),
        key::EDDSA => Some(webpki::aws_lc_rs::ED25519),
        key::RS256 => Some(webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

fn verified(
    leaf: &CertificateDer<'_>,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), Refused> {
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| Refused::Attestation("certificate"))?;
    leaf.verify_signature(algorithm, signed, signature)
        .map_err(|_| Refused::Attestation("wrong signature"))
}

/// Whether the chain leads to one of the makers, now.
fn trusted(chain: &[CertificateDer<'_>], anchors: &Anchors, now: UnixMs) -> bool {
    let Some((leaf, between)) = chain.split_first() else { return false };
    let Ok(leaf) = EndEntityCert::try_from(leaf) else { return false };
    let Ok(seconds) = u64::try_from(now.seconds()) else { return false };
    // WHY any purpose: these certificates name none; where one does, it is not one of TLS.
    let purpose = KeyUsage::required_if_present(&[0x2b, 6, 1, 4, 1, 0x82, 0xe5, 0x1c, 1, 1]);
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors.0,
        between,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        purpose,
        None,
        None,
    )
    .is_ok()
}

/// Whether the certificate names this model or none. WHY a search: the object identifier begins with its own length, and
/// the maker has signed every byte of the certificate; a false find could only refuse.
fn names_model(leaf: &[u8], aaguid: &[u8; 16]) -> bool {
    let Some(after) = after(leaf, &AAGUID_OID) else { return true };
    // An OCTET STRING that holds an OCTET STRING of 16 bytes; the extension is not critical (WebAuthn L3 §8.2.1).
    after.strip_prefix(&[4, 18, 4, 16]).is_some_and(|value| value.starts_with(aaguid))
}

/// Whether the subject's or issuer's OU is the one of attestation certificates.
fn has_unit(leaf: &[u8]) -> bool {
    let mut rest = leaf;
    while let Some(found) = after(rest, &UNIT_OID) {
        if let [12 | 19, length, text @ ..] = found
            && usize::from(*length) == UNIT.len()
            && text.starts_with(UNIT)
        {
            return true;
        }
        rest = found;
    }
    false
}

fn after<'a>(bytes: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(what.len()).position(|window| window == what)?;
    bytes.get(at + what.len()..)
}
