//! C2SP Wycheproof: `json_web_signature` and `json_web_key`.

use crate::vectors::{load, set_of};
use base::limits::CREDENTIAL_BYTES;
use protocol::jwk::KeySet;
use protocol::jws::{Algorithm, AlgorithmSet, Compact};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    public: Option<Value>,
    private: Value,
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    tc_id: u32,
    comment: String,
    jws: String,
    result: String,
}

/// Valid vectors that we refuse, each with its reason. Everything else is judged as the suite says.
struct Exception {
    suite: &'static str,
    tests: &'static [u32],
    reason: &'static str,
}

const SIGNATURES: &str = "wycheproof/json_web_signature.json";
const KEYS: &str = "wycheproof/json_web_key.json";

const EXCEPTIONS: &[Exception] = &[
    Exception {
        suite: SIGNATURES,
        tests: &[1, 348, 352, 357, 358, 359, 376, 377],
        reason: "HS256: symmetric signatures are refused by design (RFC 8725 §2.1)",
    },
    Exception {
        suite: SIGNATURES,
        tests: &[372, 373],
        reason: "HS256 as above; the suite calls them valid although their base64url is not",
    },
    Exception {
        suite: SIGNATURES,
        tests: &[347, 351],
        reason: "ES512 on P-521 is not among the algorithms on offer",
    },
    Exception {
        suite: SIGNATURES,
        tests: &[346, 350],
        reason: "the key says PS256 and the token PS384; a key is used with the algorithm that it names \
                 (RFC 7517 §4.4, RFC 8725 §3.1)",
    },
    Exception {
        suite: KEYS,
        tests: &[2, 13, 14, 15],
        reason: "HS256, HS384, HS512: symmetric signatures are refused by design (RFC 8725 §2.1)",
    },
];

fn accepted(group: &Group, token: &str) -> bool {
    let keys = group.public.as_ref().unwrap_or(&group.private);
    let document = match keys.get("keys") {
        Some(_) => keys.to_string().into_bytes(),
        None => set_of(keys),
    };
    let keys = KeySet::parse(&document).unwrap();
    let accepted = Compact::parse(token.as_bytes(), CREDENTIAL_BYTES)
        .and_then(|jws| jws.verify(&keys, AlgorithmSet::ALL))
        .is_ok();
    tables_agree(&keys, token, accepted);
    accepted
}

/// The tables of P-256 keys accept what is accepted with them, and nothing else.
fn tables_agree(keys: &KeySet, token: &str, accepted: bool) {
    let Ok(jws) = Compact::parse(token.as_bytes(), CREDENTIAL_BYTES) else { return };
    let header = jws.header();
    if header.algorithm != Algorithm::Es256 {
        return;
    }
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = protocol::b64::decode(signature.as_bytes()).unwrap();
    let by_table = keys
        .find(header.key_id.as_deref(), header.algorithm)
        .any(|key| key.material().accepted_by_table(input.as_bytes(), &signature) == Some(true));
    assert_eq!(by_table, accepted, "{token}");
}

fn run(path: &'static str) {
    let Some(suite) = load::<Suite>(path) else { return };
    let excepted: BTreeSet<u32> = EXCEPTIONS
        .iter()
        .filter(|it| it.suite == path)
        .flat_map(|it| it.tests.iter().copied())
        .collect();
    let (mut seen, mut valid, mut used) = (0, 0, BTreeSet::new());
    for group in &suite.test_groups {
        for vector in &group.tests {
            seen += 1;
            let accepted = accepted(group, &vector.jws);
            let name = format!("{path} {}: {}", vector.tc_id, vector.comment);
            match (vector.result.as_str(), accepted) {
                ("valid", true) => valid += 1,
                ("invalid", false) => {}
                ("valid", false) if excepted.contains(&vector.tc_id) => {
                    used.insert(vector.tc_id);
                }
                // The suites have no `acceptable` vectors; one that comes up needs a decision.
                (result, accepted) => panic!("{name}: {result}, accepted: {accepted}"),
            }
        }
    }
    assert_eq!(seen, suite.number_of_tests);
    assert_eq!(used, excepted, "an exception that is not needed");
    for it in EXCEPTIONS.iter().filter(|it| it.suite == path) {
        println!("refused: {path} {:?}: {}", it.tests, it.reason);
    }
    println!("{path}: {seen} vectors, {valid} valid ones accepted");
}

#[test]
fn wycheproof_signatures() {
    run(SIGNATURES);
}

#[test]
fn wycheproof_keys() {
    run(KEYS);
}

/// The suite's invalid vectors must not be refused only for want of a key: with a usable key in the group,
/// the group's algorithm is one that we have.
#[test]
fn wycheproof_reaches_the_cryptography() {
    let Some(suite) = load::<Suite>(SIGNATURES) else { return };
    let mut reached = BTreeSet::new();
    for group in &suite.test_groups {
        let key = group.public.as_ref().unwrap_or(&group.private);
        let set = KeySet::parse(&set_of(key)).unwrap();
        let Some(key) = set.keys().first() else { continue };
        for vector in group.tests.iter().filter(|it| it.result == "invalid") {
            if let Ok(jws) = Compact::parse(vector.jws.as_bytes(), CREDENTIAL_BYTES)
                && key.fits(jws.header().algorithm)
            {
                reached.insert((jws.header().algorithm, vector.tc_id));
            }
        }
    }
    let of = |algorithm| reached.iter().filter(|(own, _)| *own == algorithm).count();
    for (algorithm, least) in
        [(Algorithm::Rs256, 200), (Algorithm::Ps256, 40), (Algorithm::Es256, 20)]
    {
        assert!(of(algorithm) >= least, "{algorithm}: {}", of(algorithm));
    }
}
