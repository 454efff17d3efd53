//! Attestation, against makers of our own.

use super::attest::Anchors;
use super::soft::{self, ELIGIBLE, Soft};
use super::{Attestation, Person, Refused, Registered, Relying, Verification};
use crate::factors::contract::NOW;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base::UnixMs;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};

const MODEL: [u8; 16] = [7; 16];

/// A maker: its root, and one certificate for attestations.
struct Maker {
    root: Vec<u8>,
    leaf: Vec<u8>,
    key: EcdsaKeyPair,
}

/// How the certificate differs from a right one.
struct Leaf {
    unit: &'static str,
    model: Option<[u8; 16]>,
    authority: bool,
    purpose: Option<ExtendedKeyUsagePurpose>,
}

const RIGHT: Leaf =
    Leaf { unit: "Authenticator Attestation", model: Some(MODEL), authority: false, purpose: None };

impl Maker {
    fn new(how: Leaf) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "Maker");
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationalUnitName, how.unit);
        params.is_ca = if how.authority {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::ExplicitNoCa
        };
        params.extended_key_usages.extend(how.purpose);
        if let Some(model) = how.model {
            let value = [&[4, 16][..], &model].concat();
            let oid = [1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, value));
        }
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let pkcs8 = key.serialize_der();
        Self {
            root: root.der().to_vec(),
            leaf: leaf.der().to_vec(),
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap(),
        }
    }

    fn anchors(&self) -> Anchors {
        Anchors::new(std::slice::from_ref(&self.root)).unwrap()
    }

    fn packed(&self, signed: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&SystemRandom::new(), signed).unwrap();
        soft::map(&[
            (soft::text("alg"), soft::int(-7)),
            (soft::text("sig"), soft::bytes(signature.as_ref())),
            (soft::text("x5c"), soft::array(&[soft::bytes(&self.leaf)])),
        ])
    }
}

type Made = Result<Registered, Refused>;

fn register(
    soft: &mut Soft,
    format: &str,
    anchors: &Anchors,
    statement: impl FnOnce(&Soft, &[u8]) -> Vec<u8>,
) -> Made {
    register_at(soft, format, (anchors, NOW), statement)
}

fn register_at(
    soft: &mut Soft,
    format: &str,
    (anchors, now): (&Anchors, UnixMs),
    statement: impl FnOnce(&Soft, &[u8]) -> Vec<u8>,
) -> Made {
    let relying = Relying::of("https://example.com", "Example").unwrap();
    let ann = Person { id: "aNn000000001", name: "ann@example.com" };
    let (options, state) =
        relying.start_registration(ann, &[], Verification::Preferred, Attestation::Direct)?;
    assert_eq!(options["attestation"], "direct");
    let answer = soft.create_as(&options, format, statement);
    relying.finish_registration(state, &answer, anchors, now)
}

fn model() -> Soft {
    Soft { aaguid: MODEL, ..Soft::new() }
}

fn vouched(how: Leaf) -> Made {
    let maker = Maker::new(how);
    register(&mut model(), "packed", &maker.anchors(), |_, signed| maker.packed(signed))
}

#[test]
fn webauthn_s8_2_a_maker_vouches() {
    let made = vouched(RIGHT).unwrap();
    assert!(made.attested && made.is_hardware());
    assert_eq!(made.aaguid, hex::encode(MODEL));
    let made = vouched(Leaf { model: None, ..RIGHT }).unwrap();
    assert!(made.attested);
    // What can be copied is in no one place, whoever vouches for it.
    let maker = Maker::new(RIGHT);
    let mut soft = model();
    soft.flags |= ELIGIBLE;
    let made = register(&mut soft, "packed", &maker.anchors(), |_, signed| maker.packed(signed));
    assert!(made.as_ref().is_ok_and(|it| it.attested && !it.is_hardware()), "{made:?}");
}

#[test]
fn nobody_vouches_who_is_not_trusted_now() {
    let (maker, other) = (Maker::new(RIGHT), Maker::new(RIGHT));
    let check = |anchors: &Anchors, now: UnixMs| {
        let made = register_at(&mut model(), "packed", (anchors, now), |_, it| maker.packed(it));
        assert!(!made.unwrap().attested);
    };
    check(&Anchors::default(), NOW);
    check(&other.anchors(), NOW);
    // Both of rcgen's usual dates lie between.
    check(&maker.anchors(), UnixMs(0));
    check(&maker.anchors(), UnixMs(-1));
    check(&maker.anchors(), UnixMs(i64::MAX));
    for how in [
        Leaf { authority: true, ..RIGHT },
        Leaf { unit: "Authenticator Attestation CA", ..RIGHT },
        Leaf { unit: "Door Locks", ..RIGHT },
        Leaf { purpose: Some(ExtendedKeyUsagePurpose::ServerAuth), ..RIGHT },
    ] {
        assert!(!vouched(how).unwrap().attested);
    }
}

#[test]
fn webauthn_s8_2_a_wrong_statement_is_refused() {
    let refused = |made: Made| {
        assert!(matches!(made, Err(Refused::Attestation(_))), "{made:?}");
    };
    let (maker, other) = (Maker::new(RIGHT), Maker::new(RIGHT));
    let try_with = |statement: &dyn Fn(&Soft, &[u8]) -> Vec<u8>| {
        register(&mut model(), "packed", &maker.anchors(), statement)
    };
    refused(try_with(&|_, signed| maker.packed(&signed[1..])));
    // The certificate of one maker, the key of another.
    let mixed = Maker { root: vec![], leaf: maker.leaf.clone(), key: other.key };
    refused(try_with(&|_, signed| mixed.packed(signed)));
    refused(vouched(Leaf { model: Some([8; 16]), ..RIGHT }));
    refused(try_with(&|_, _| soft::map(&[])));
    refused(try_with(&|_, _| soft::array(&[])));
    for chain in [
        soft::array(&[]),
        soft::array(&[soft::bytes(&[0; 40])]),
        soft::array(&[soft::int(1)]),
        soft::array(&vec![soft::bytes(&maker.leaf); 7]),
        soft::int(1),
    ] {
        refused(try_with(&|_, _| {
            soft::map(&[
                (soft::text("alg"), soft::int(-7)),
                (soft::text("sig"), soft::bytes(&[0; 70])),
                (soft::text("x5c"), chain.clone()),
            ])
        }));
    }
}

#[test]
fn webauthn_s8_2_a_key_that_vouches_for_itself_proves_no_maker() {
    let itself = |alg: i64| {
        move |soft: &Soft, signed: &[u8]| {
            let signature = soft.sign(signed);
            soft::map(&[
                (soft::text("alg"), soft::int(alg)),
                (soft::text("sig"), soft::bytes(&signature)),
            ])
        }
    };
    let none = Anchors::default();
    assert!(!register(&mut model(), "packed", &none, itself(-7)).unwrap().attested);
    let other = register(&mut model(), "packed", &none, itself(-8));
    assert_eq!(other.unwrap_err(), Refused::Attestation("wrong signature"));
    let other = Soft::new();
    let foreign = register(&mut model(), "packed", &none, |_, signed| itself(-7)(&other, signed));
    assert_eq!(foreign.unwrap_err(), Refused::Attestation("wrong signature"));
}

#[test]
fn webauthn_s8_6_old_security_keys() {
    let maker = Maker::new(Leaf { unit: "U2F", model: None, ..RIGHT });
    let statement = |soft: &Soft, signed: &[u8]| {
        // WebAuthn L3 §8.6: other bytes are signed than those of the other formats.
        let (data, client_hash) = signed.split_at(signed.len() - 32);
        let cose = soft.cose();
        let (x, y) = (&cose[10..42], &cose[45..77]);
        let signed = [&[0], &data[..32], client_hash, &soft.id, &[4], x, y].concat();
        let signature = maker.key.sign(&SystemRandom::new(), &signed).unwrap();
        soft::map(&[
            (soft::text("sig"), soft::bytes(signature.as_ref())),
            (soft::text("x5c"), soft::array(&[soft::bytes(&maker.leaf)])),
        ])
    };
    let made = register(&mut Soft::new(), "fido-u2f", &maker.anchors(), statement).unwrap();
    assert!(made.is_hardware());
    let named = register(&mut model(), "fido-u2f", &maker.anchors(), statement);
    assert_eq!(named.unwrap_err(), Refused::Attestation("a model"));
    let wrong =
        register(&mut Soft::new(), "fido-u2f", &maker.anchors(), |_, signed| maker.packed(signed));
    assert_eq!(wrong.unwrap_err(), Refused::Attestation("wrong signature"));
}

#[test]
fn what_cannot_be_read_vouches_for_nothing() {
    for format in ["none", "tpm", "android-key", "apple", "compound", "x"] {
        let made = register(&mut model(), format, &Anchors::default(), |_, _| soft::map(&[]));
        assert!(!made.unwrap().attested, "{format}");
    }
    assert!(Anchors::new(&[vec![0; 20]]).is_none());
    assert!(Anchors::default().is_empty());
}
