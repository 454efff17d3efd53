//! The contract of every factor, as far as it is pure; sign-in itself is tried with sessions.

use super::pool::Busy;
use super::*;
use crate::factors::Verdict;
use base::Secret;
use std::sync::mpsc;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn nist_800_63b_s3_1_1_2_at_least_15_characters_at_most_128_no_classes() {
    let check = |text: &str, expect: Result<(), RuleBroken>| {
        assert_eq!(judge(&secret(text), "ann.of.example@example.com"), expect, "{text}");
    };
    check("all small letters", Ok(()));
    check("123456789012345", Ok(()));
    check("12345678901234", Err(RuleBroken::TooShort));
    check(&"ab".repeat(64), Ok(()));
    check(&"ab".repeat(65), Err(RuleBroken::TooLong));
    check(&"\u{1f98a}b".repeat(64), Ok(()));
    check(&"a".repeat(1 << 20), Err(RuleBroken::TooLong));
    check("aaaaaaaaaaaaaaaaaaaa", Err(RuleBroken::Guessable));
    check("Ann.Of.Example@example.com", Err(RuleBroken::Guessable));
    // 14 characters in NFC, though 28 code points were typed.
    check(&"e\u{301}".repeat(14), Err(RuleBroken::TooShort));
}

#[test]
fn nist_800_63b_s3_1_1_2_forms_of_one_text_are_one_password() {
    let kept = hash(&secret("e\u{301}t\u{e9} et hiver 2026")).unwrap();
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    let check = |text: &str, expect: Verdict| {
        assert_eq!(verify(Some(&kept), &secret(text)), expect, "{text}");
    };
    check("\u{e9}te\u{301} et hiver 2026", Verdict::Accepted);
    check("ete et hiver 2026", Verdict::Rejected);
    check("\u{e9}t\u{e9} et hiver 2026 ", Verdict::Rejected);
    check("", Verdict::Rejected);
    check(&"x".repeat(1 << 16), Verdict::Rejected);
}

#[test]
fn without_a_kept_hash_nothing_is_right() {
    assert_eq!(verify(None, &secret("")), Verdict::Rejected);
    assert_eq!(verify(None, &secret("nobody has this!")), Verdict::Rejected);
    for broken in
        ["", "$argon2id$", "plain text", "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$AAAA"]
    {
        assert_eq!(verify(Some(broken), &secret("x")), Verdict::Rejected, "{broken}");
    }
}

#[test]
fn two_hashes_of_one_password_differ() {
    let text = secret("the same in both");
    assert_ne!(hash(&text).unwrap(), hash(&text).unwrap());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_frees_itself() {
    let pool = std::sync::Arc::new(Pool::new(1, 1));
    let (go, wait) = mpsc::channel::<()>();
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(move || wait.recv().is_ok()).await }
    });
    let second = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(|| 2).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(pool.run(|| 3).await, Err(Busy));
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(true));
    assert_eq!(second.await.unwrap(), Ok(2));
    assert_eq!(pool.run(|| 4).await, Ok(4));
}
