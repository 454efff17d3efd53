//! Both ceremonies against an authenticator in software, and every way in which an answer can be wrong.

use super::soft::{self, BACKED_UP, ELIGIBLE, PRESENT, Soft, VERIFIED};
use super::*;
use crate::factors::Verdict;
use crate::factors::contract::{self, NOW};
use base::UnixMs;
use protocol::b64;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::fmt::Debug;

const ANN: Person<'_> = Person { id: "aNn000000001", name: "ann@example.com" };

fn relying() -> Relying {
    Relying::of("https://example.com", "Example").unwrap()
}

/// Registers `soft` for Ann, as its flags are.
fn register(soft: &mut Soft) -> Result<Registered, Refused> {
    register_with(soft, Verification::Preferred, &[])
}

fn register_with(
    soft: &mut Soft,
    verification: Verification,
    exclude: &[String],
) -> Result<Registered, Refused> {
    let relying = relying();
    let (options, state) =
        relying.start_registration(ANN, exclude, verification, Attestation::None)?;
    let answer = soft.create(&options);
    relying.finish_registration(state, &answer, &Anchors::default(), NOW)
}

/// A registered authenticator with what is kept of it.
fn enrolled() -> (Soft, Value) {
    let mut soft = Soft::new();
    let kept = register(&mut soft).unwrap().credential;
    (soft, kept)
}

/// Ann, whose credential is known, is asked for it.
fn sign_in(soft: &mut Soft, kept: &Value) -> Result<Authenticated, Refused> {
    sign_in_with(soft, kept, Verification::Preferred)
}

fn sign_in_with(
    soft: &mut Soft,
    kept: &Value,
    verification: Verification,
) -> Result<Authenticated, Refused> {
    let relying = relying();
    let (options, state) =
        relying.start_authentication(Some(&[Kept::read(kept)?]), verification)?;
    let answer = soft.get(&options);
    relying.finish_authentication(state, &answer, kept)
}

/// Nobody has said who they are.
fn discover(soft: &mut Soft, kept: &Value) -> Result<Authenticated, Refused> {
    let relying = relying();
    let (options, state) = relying.start_authentication(None, Verification::Required)?;
    let answer = soft.get(&options);
    relying.finish_authentication(state, &answer, kept)
}

#[test]
fn a_credential_is_registered_and_used() {
    let mut soft = Soft::new();
    soft.flags |= ELIGIBLE;
    let made = register(&mut soft).unwrap();
    assert_eq!(made.handle, b64::encode(&soft.id));
    assert!(made.user_verified && made.backup_eligible && !made.backed_up && !made.attested);
    assert_eq!((made.transports.len(), made.discoverable), (2, Some(true)));
    assert!(!made.is_hardware());
    soft.flags |= BACKED_UP;
    let used = sign_in(&mut soft, &made.credential).unwrap();
    assert!(used.user_verified && used.backed_up);
    assert_eq!(used.counter, 2);
    let kept = Kept::read(used.credential.as_ref().unwrap()).unwrap();
    assert_eq!((kept.counter, kept.backed_up, kept.user.as_str()), (2, true, ANN.id));
    let again = discover(&mut soft, &used.credential.unwrap()).unwrap();
    assert_eq!(again.counter, 3);
}

#[test]
fn who_has_no_counter_changes_nothing() {
    let mut soft = Soft::new();
    soft.counter = 0;
    let kept = register(&mut soft).unwrap().credential;
    assert_eq!(sign_in(&mut soft, &kept).unwrap().credential, None);
    assert_eq!(sign_in(&mut soft, &kept).unwrap().credential, None);
}

#[test]
fn the_answer_says_whose_it_is() {
    let (mut soft, _) = enrolled();
    let (options, _) = relying().start_authentication(None, Verification::Required).unwrap();
    assert_eq!(options["allowCredentials"], json!([]));
    let claimed = handle_of(&soft.get(&options)).unwrap();
    assert_eq!(claimed.handle, b64::encode(&soft.id));
    assert_eq!(claimed.user.as_deref(), Some(ANN.id));
}

#[test]
fn states_survive_being_written_down_and_fit_one_ceremony_only() {
    let relying = relying();
    let (_, creating) =
        relying.start_registration(ANN, &[], Verification::Required, Attestation::None).unwrap();
    let (_, getting) = relying.start_authentication(None, Verification::Required).unwrap();
    let create = serde_json::to_string(&creating).unwrap();
    let get = serde_json::to_string(&getting).unwrap();
    assert_eq!(serde_json::from_str::<Registering>(&create).unwrap(), creating);
    assert_eq!(serde_json::from_str::<Authenticating>(&get).unwrap(), getting);
    assert!(serde_json::from_str::<Registering>(&get).is_err());
    assert!(serde_json::from_str::<Authenticating>(&create).is_err());
}

#[test]
fn webauthn_s13_4_9_the_origin_is_one_to_the_letter() {
    let foreign = [
        "https://evil-example.com",
        "https://example.com.evil.example",
        "https://www.example.com",
        "https://example.com:8443",
        "https://example.com/",
        "https://EXAMPLE.com",
        "http://example.com",
        "android:apk-key-hash:x",
        "null",
        "",
    ];
    for origin in foreign {
        let (mut soft, kept) = enrolled();
        soft.origin = origin.to_owned();
        assert_eq!(sign_in(&mut soft, &kept), Err(Refused::Origin), "{origin}");
        assert_eq!(register(&mut soft).unwrap_err(), Refused::Origin, "{origin}");
    }
}

#[test]
fn webauthn_s7_1_step_14_made_for_another_relying_party() {
    for rp in ["evil-example.com", "www.example.com", "com", ""] {
        let (mut soft, kept) = enrolled();
        soft.rp = rp.to_owned();
        assert_eq!(sign_in(&mut soft, &kept), Err(Refused::RelyingParty), "{rp}");
        assert_eq!(register(&mut soft).unwrap_err(), Refused::RelyingParty, "{rp}");
    }
}

#[test]
fn webauthn_s7_2_step_12_an_answer_is_not_used_twice() {
    let relying = relying();
    let (mut soft, kept) = enrolled();
    let allow = [Kept::read(&kept).unwrap()];
    let ask = || relying.start_authentication(Some(&allow), Verification::Preferred).unwrap();
    let (options, state) = ask();
    let answer = soft.get(&options);
    relying.finish_authentication(state, &answer, &kept).unwrap();
    let (_, state) = ask();
    let replayed = relying.finish_authentication(state, &answer, &kept);
    assert_eq!(replayed, Err(Refused::Challenge));
    let (options, _) =
        relying.start_registration(ANN, &[], Verification::Preferred, Attestation::None).unwrap();
    let answer = soft.create(&options);
    let (_, state) =
        relying.start_registration(ANN, &[], Verification::Preferred, Attestation::None).unwrap();
    let replayed = relying.finish_registration(state, &answer, &Anchors::default(), NOW);
    assert_eq!(replayed.unwrap_err(), Refused::Challenge);
}

#[test]
fn webauthn_s7_2_step_11_one_purpose() {
    let (mut soft, kept) = enrolled();
    soft.client = json!({ "type": "webauthn.create" });
    assert_eq!(sign_in(&mut soft, &kept), Err(Refused::Purpose));
    for kind in ["webauthn.get", "payment.get", ""] {
        soft.client = json!({ "type": kind });
        assert_eq!(register(&mut soft).unwrap_err(), Refused::Purpose, "{kind}");
    }
}

#[test]
fn webauthn_s7_2_step_14_no_frames() {
    let framed = [
        json!({ "crossOrigin": true }),
        json!({ "crossOrigin": "false" }),
        json!({ "topOrigin": "https://evil.example" }),
        json!({ "crossOrigin": false, "topOrigin": "https://example.com" }),
    ];
    for client in framed {
        let (mut soft, kept) = enrolled();
        soft.client = client.clone();
        assert_eq!(sign_in(&mut soft, &kept), Err(Refused::Framed), "{client}");
        assert_eq!(register(&mut soft).unwrap_err(), Refused::Framed, "{client}");
    }
    let (mut soft, kept) = enrolled();
    soft.client = json!({ "crossOrigin": null, "something": { "new": [1] } });
    sign_in(&mut soft, &kept).unwrap();
}

#[test]
fn webauthn_s7_2_steps_17_and_18_present_and_verified() {
    let (mut soft, kept) = enrolled();
    soft.flags = PRESENT;
    let used = sign_in_with(&mut soft, &kept, Verification::Preferred).unwrap();
    assert!(!used.user_verified);
    let required = sign_in_with(&mut soft, &kept, Verification::Required);
    assert_eq!(required, Err(Refused::NotVerified));
    let required = register_with(&mut soft, Verification::Required, &[]);
    assert_eq!(required.unwrap_err(), Refused::NotVerified);
    soft.flags = VERIFIED;
    assert_eq!(sign_in(&mut soft, &kept), Err(Refused::NotPresent));
    assert_eq!(register(&mut soft).unwrap_err(), Refused::NotPresent);
}

#[test]
fn webauthn_s7_2_steps_19_and_20_backups() {
    let (mut soft, kept) = enrolled();
    soft.flags |= BACKED_UP;
    assert_eq!(sign_in(&mut soft, &kept), Err(Refused::Backup));
    assert_eq!(register(&mut soft).unwrap_err(), Refused::Backup);
    // What could not be copied cannot be now: that is another key, or a lie.
    soft.flags |= ELIGIBLE;
    assert_eq!(sign_in(&mut soft, &kept), Err(Refused::Backup));
}

#[test]
fn webauthn_s7_2_step_22_signed_by_this_key_over_these_bytes() {
    let (mut soft, kept) = enrolled();
    let (mut other, _) = enrolled();
    // Another key under the same id.
    other.id = soft.id.clone();
    assert_eq!(sign_in(&mut other, &kept), Err(Refused::Signature));
    let relying = relying();
    let allow = [Kept::read(&kept).unwrap()];
    let (options, state) =
        relying.start_authentication(Some(&allow), Verification::Preferred).unwrap();
    let answer: Value = serde_json::from_str(&soft.get(&options)).unwrap();
    let bytes =
        |name: &str| b64::decode(answer["response"][name].as_str().unwrap().as_bytes()).unwrap();
    let try_with = |name: &str, bytes: &[u8]| {
        let mut changed = answer.clone();
        changed["response"][name] = json!(b64::encode(bytes));
        relying.finish_authentication(state.clone(), &changed.to_string(), &kept)
    };
    // Each bit of both, and any other length.
    for (name, bits) in [("authenticatorData", 37 * 8), ("signature", 60 * 8)] {
        for bit in 0..bits {
            let mut changed = bytes(name);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(try_with(name, &changed).is_err(), "{name} {bit}");
        }
        let whole = bytes(name);
        assert!(try_with(name, &[whole.as_slice(), &[0]].concat()).is_err());
        for length in 0..whole.len() {
            assert!(try_with(name, &whole[..length]).is_err(), "{name} {length}");
        }
    }
    try_with("signature", &bytes("signature")).unwrap();
}

#[test]
fn webauthn_s6_1_1_a_counter_grows() {
    let (mut soft, kept) = enrolled();
    let mut copy = Soft::new();
    soft.counter = 9;
    let kept = sign_in(&mut soft, &kept).unwrap().credential.unwrap();
    // The copy was taken before.
    std::mem::swap(&mut copy.key, &mut soft.key);
    copy.id = soft.id.clone();
    copy.user = soft.user.clone();
    for said in [2, 9, 10] {
        let refused = Err(Refused::Cloned { kept: 10, said });
        copy.counter = said - 1;
        assert_eq!(sign_in(&mut copy, &kept), refused);
        copy.counter = said - 1;
        assert_eq!(discover(&mut copy, &kept), refused);
    }
    copy.counter = 0;
    assert_eq!(sign_in(&mut copy, &kept), Err(Refused::Cloned { kept: 10, said: 0 }));
    copy.counter = 10;
    sign_in(&mut copy, &kept).unwrap();
}

#[test]
fn webauthn_s7_2_steps_5_and_6_whose_it_is() {
    let relying = relying();
    let (mut soft, kept) = enrolled();
    let (mut other, others) = enrolled();
    let allow = [Kept::read(&kept).unwrap()];
    let (options, state) =
        relying.start_authentication(Some(&allow), Verification::Preferred).unwrap();
    // Not among those that were asked for, though it is right in itself.
    let answer = other.get(&options);
    let finish =
        |answer: &str, kept: &Value| relying.finish_authentication(state.clone(), answer, kept);
    assert_eq!(finish(&answer, &others), Err(Refused::Unknown));
    assert_eq!(finish(&answer, &kept), Err(Refused::Unknown));
    // The authenticator says that it is somebody else's.
    soft.user = Some("bOb000000001".to_owned());
    assert_eq!(sign_in(&mut soft, &kept), Err(Refused::OtherPerson));
    assert_eq!(discover(&mut soft, &kept), Err(Refused::OtherPerson));
    // It says nothing: enough where the person is known, and not where nobody is.
    soft.user = None;
    sign_in(&mut soft, &kept).unwrap();
    assert_eq!(discover(&mut soft, &kept), Err(Refused::OtherPerson));
}

#[test]
fn webauthn_s7_1_not_twice() {
    let (mut soft, _) = enrolled();
    let mine = [b64::encode(&soft.id)];
    let twice = register_with(&mut soft, Verification::Preferred, &mine);
    assert_eq!(twice.unwrap_err(), Refused::Registered);
    let (options, _) = relying()
        .start_registration(ANN, &mine, Verification::Preferred, Attestation::None)
        .unwrap();
    assert_eq!(options["excludeCredentials"][0]["id"], mine[0]);
}

#[test]
fn an_empty_list_never_means_any() {
    let empty = relying().start_authentication(Some(&[]), Verification::Preferred);
    assert_eq!(empty.unwrap_err(), Refused::NotMade);
    let (_, kept) = enrolled();
    let many = vec![Kept::read(&kept).unwrap(); CREDENTIALS_MOST + 1];
    let many = relying().start_authentication(Some(&many), Verification::Preferred);
    assert_eq!(many.unwrap_err(), Refused::NotMade);
}

#[test]
fn what_cannot_be_read_is_refused_and_nothing_panics() {
    let relying = relying();
    let (mut soft, kept) = enrolled();
    let (options, state) = relying
        .start_authentication(Some(&[Kept::read(&kept).unwrap()]), Verification::Preferred)
        .unwrap();
    let answer = soft.get(&options);
    let finish = |text: &str| relying.finish_authentication(state.clone(), text, &kept);
    for length in 0..answer.len() {
        assert!(finish(&answer[..length]).is_err());
        assert!(handle_of(&answer[..length]).is_err());
    }
    let padded = format!("{answer}{}", " ".repeat(RESPONSE_BYTES));
    assert_eq!(finish(&padded), Err(Refused::Malformed("response")));
    let twice = answer.replacen("\"type\"", "\"id\":\"AA\",\"type\"", 1);
    assert_eq!(finish(&twice), Err(Refused::Malformed("response")));
    let (options, state) =
        relying.start_registration(ANN, &[], Verification::Preferred, Attestation::None).unwrap();
    let whole: Value = serde_json::from_str(&soft.create(&options)).unwrap();
    let object = whole["response"]["attestationObject"].as_str().unwrap();
    let object = b64::decode(object.as_bytes()).unwrap();
    let finish = |object: &[u8]| {
        let mut changed = whole.clone();
        changed["response"]["attestationObject"] = json!(b64::encode(object));
        let text = changed.to_string();
        relying.finish_registration(state.clone(), &text, &Anchors::default(), NOW)
    };
    finish(&object).unwrap();
    for length in 0..object.len() {
        assert!(finish(&object[..length]).is_err());
    }
    assert!(finish(&[object.as_slice(), &[0]].concat()).is_err());
    for (at, bit) in (0..object.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = object.clone();
        changed[at] ^= 1 << bit;
        // Some bits say nothing that is judged; none may do harm.
        let _ = finish(&changed);
    }
}

#[test]
fn keys_are_of_the_kinds_that_were_asked_for() {
    let check = |cose: Vec<u8>, expect: bool| {
        let item = cbor::only(&cose).unwrap();
        assert_eq!(key::jwk(&item).is_ok(), expect, "{item:?}");
    };
    let ec = |alg: i64, curve: i64, y: &[u8]| {
        let x = Soft::new();
        let cose = x.cose();
        let point = &cose[cose.len() - 67..];
        soft::map(&[
            (soft::int(1), soft::int(2)),
            (soft::int(3), soft::int(alg)),
            (soft::int(-1), soft::int(curve)),
            (soft::int(-2), soft::bytes(&point[..32])),
            (soft::int(-3), soft::bytes(y)),
        ])
    };
    check(Soft::new().cose(), true);
    check(ec(-7, 1, &[0; 32]), false);
    check(ec(-7, 2, &[0; 32]), false);
    check(ec(-35, 1, &[0; 32]), false);
    check(ec(-7, 1, &[0; 31]), false);
    let okp = |x: &[u8]| {
        soft::map(&[
            (soft::int(1), soft::int(1)),
            (soft::int(3), soft::int(-8)),
            (soft::int(-1), soft::int(6)),
            (soft::int(-2), soft::bytes(x)),
        ])
    };
    // RFC 8032 §7.1, test 1; then a point of small order.
    let good = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    check(okp(&good.unwrap()), true);
    let mut one = [0; 32];
    one[0] = 1;
    check(okp(&one), false);
    // RSA of 1024 bits.
    check(
        soft::map(&[
            (soft::int(1), soft::int(3)),
            (soft::int(3), soft::int(-257)),
            (soft::int(-1), soft::bytes(&[0xff; 128])),
            (soft::int(-2), soft::bytes(&[1, 0, 1])),
        ]),
        false,
    );
}

#[test]
fn x690_one_form_of_a_signature() {
    let check = |der: &[u8], expect: bool| {
        assert_eq!(key::fixed(der).is_some(), expect, "{der:?}");
    };
    check(&[0x30, 6, 2, 1, 1, 2, 1, 2], true);
    check(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 2], true);
    check(&[0x30, 7, 2, 2, 0, 1, 2, 1, 2], false);
    check(&[0x30, 6, 2, 1, 0x80, 2, 1, 2], false);
    check(&[0x30, 0x81, 6, 2, 1, 1, 2, 1, 2], false);
    check(&[0x30, 7, 2, 1, 1, 2, 1, 2, 0], false);
    check(&[0x30, 5, 2, 0, 2, 1, 2], false);
    check(&[0x30, 6, 2, 1, 0, 2, 1, 2], false);
    check(&[0x30, 3, 2, 1, 1], false);
    check(&[], false);
    let long = [&[0x30, 38, 2, 33][..], &[1; 33], &[2, 1, 1]].concat();
    check(&long, false);
}

#[test]
fn cbor_is_of_the_canonical_form() {
    let check = |bytes: &[u8], expect: bool| {
        assert_eq!(cbor::only(bytes).is_ok(), expect, "{bytes:x?}");
    };
    check(&[0x18, 24], true);
    check(&[0x18, 23], false);
    check(&[0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0], false);
    check(&[0x5f, 0x41, 0, 0xff], false);
    check(&[0xa2, 1, 1, 1, 2], false);
    check(&[0xc0, 0], false);
    check(&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], false);
    check(&[0x61, 0xff], false);
    check(&[0x9a, 0xff, 0xff, 0xff, 0xff], false);
    check(&[0xba, 0xff, 0xff, 0xff, 0xff], false);
    check(&[0x5a, 0xff, 0xff, 0xff, 0xff], false);
    check(&[0x81; 4096], false);
    check(&[0x81, 0x81, 0x81, 0x80], true);
    check(&[0, 0], false);
    check(&[], false);
}

#[test]
fn which_issuers_can_have_passkeys() {
    let check = |issuer: &str, expect: Result<(&str, &str), NotARelyingParty>| {
        let made = Relying::of(issuer, "");
        let got = made.as_ref().map(|it| (it.id(), it.origin())).map_err(|it| *it);
        assert_eq!(got, expect, "{issuer}");
    };
    use NotARelyingParty::{Insecure, NoName, NoUrl};
    check("https://login.example.com", Ok(("login.example.com", "https://login.example.com")));
    check(
        "https://Login.example.com:443/a",
        Ok(("login.example.com", "https://login.example.com")),
    );
    check("https://a.example:8443", Ok(("a.example", "https://a.example:8443")));
    check("http://localhost:8001", Ok(("localhost", "http://localhost:8001")));
    check("http://localhost", Ok(("localhost", "http://localhost")));
    check("http://a.example", Err(Insecure));
    check("http://localhost.evil.example", Err(Insecure));
    check("ftp://localhost", Err(Insecure));
    check("https://127.0.0.1:8001", Err(NoName));
    check("http://127.0.0.1:8001", Err(NoName));
    check("https://[::1]:8001", Err(NoName));
    check("https://user@a.example", Err(NoUrl));
    check("https://a.example:x", Err(NoUrl));
    check("https://", Err(NoUrl));
    check("a.example", Err(NoUrl));
}

#[test]
fn nobody_is_told_how_the_person_was_verified() {
    assert_eq!(kinds(false), [Kind::Possession]);
    assert_eq!(kinds(true), [Kind::Possession, Kind::Knowledge]);
}

/// What the contract of factors sees: an authenticator, and the ceremony that runs.
struct Enrolled {
    soft: RefCell<Soft>,
    kept: Value,
    options: Value,
    state: Option<Authenticating>,
}

fn contract_subject() -> Enrolled {
    let (soft, kept) = enrolled();
    let allow = [Kept::read(&kept).unwrap()];
    let (options, state) =
        relying().start_authentication(Some(&allow), Verification::Required).unwrap();
    Enrolled { soft: RefCell::new(soft), kept, options, state: Some(state) }
}

impl contract::Subject for Enrolled {
    fn right(&self, _: UnixMs) -> String {
        self.soft.borrow_mut().get(&self.options)
    }

    fn judge(&mut self, typed: &str, _: UnixMs) -> Verdict {
        if typed.trim().is_empty() {
            return Verdict::NotPresented;
        }
        let Some(state) = self.state.clone() else { return Verdict::Rejected };
        match relying().finish_authentication(state, typed, &self.kept) {
            Ok(used) => {
                // The keeper's part: the new counter, and a state once.
                self.kept = used.credential.unwrap_or_else(|| self.kept.clone());
                self.state = None;
                Verdict::Accepted
            }
            Err(_) => Verdict::Rejected,
        }
    }

    fn shown(&self) -> Vec<Box<dyn Debug>> {
        let (_, creating) = relying()
            .start_registration(ANN, &[], Verification::Required, Attestation::None)
            .unwrap();
        vec![Box::new(self.state.clone()), Box::new(creating)]
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.options["challenge"].as_str().unwrap().to_owned(), "challenge".to_owned()]
    }

    fn again(&self) -> Verdict {
        Verdict::Rejected
    }

    fn skew(&self) -> Option<std::time::Duration> {
        None
    }
}

#[test]
fn the_contract_of_factors_holds() {
    contract::holds(contract_subject);
}
