//! Which passwords may be chosen, how they are compared, and the contract of every factor.

use super::*;
use crate::factors::Verdict;
use crate::factors::contract::{self, Subject};
use base::{Secret, UnixMs};
use std::fmt::Debug;
use std::time::Duration;

mod foreign;
mod pool;

const ANN: Context<'static> = Context {
    email: "ann.of.example@orchard-growers.example.com",
    name: Some("Ann Featherstone"),
    host: "login.orchard-growers.example.com:8001",
    has_second_factor: false,
};
const ANN_TWO: Context<'static> = Context { has_second_factor: true, ..ANN };

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn alone(text: &str, expect: Result<(), RuleBroken>) {
    assert_eq!(judge(&secret(text), &ANN), expect, "{text}");
}

fn beside(text: &str, expect: Result<(), RuleBroken>) {
    assert_eq!(judge(&secret(text), &ANN_TWO), expect, "{text}");
}

#[test]
fn nist_800_63b_s3_1_1_2_15_characters_alone_8_beside_a_second_factor_128_at_most() {
    let short = |least: usize| Err(RuleBroken::TooShort { least });
    alone("all small letters", Ok(()));
    alone("tulip vase rain", Ok(()));
    alone("tulip vase rai", short(15));
    beside("tulip vase rai", Ok(()));
    beside("tulipvas", Ok(()));
    beside("tulipva", short(8));
    beside("", short(8));
    let long: String = ('\u{4e00}'..).step_by(7).take(128).collect();
    alone(&long, Ok(()));
    alone(&format!("{long}x"), Err(RuleBroken::TooLong));
    alone(&"a".repeat(1 << 20), Err(RuleBroken::TooLong));
    // 14 characters in NFC, though 28 code points were typed.
    alone(&"e\u{301}o\u{300}".repeat(7), short(15));
}

#[test]
fn nist_800_63b_s3_1_1_2_no_classes_of_characters() {
    for text in [
        "onlysmallletterson",
        "ONLY CAPITALS AND SO ON",
        "     a    b    c  d e f g",
        "\u{1f98a}\u{1f41d}\u{1f332}\u{1f30a} animals and trees",
    ] {
        alone(text, Ok(()));
    }
    alone("8417 2206 9535 1748", Ok(()));
}

#[test]
fn nist_800_63b_s3_1_1_2_common_and_breached_ones_and_what_is_nearly_the_same() {
    let common = Err(RuleBroken::Common);
    for text in [
        "baseball",
        "Baseball",
        "BASEBALL1",
        "!baseball!",
        "b4s3b@ll",
        "B4seb4ll2026!",
        "llabesab",
        "trustno1",
        "iloveyou",
        "12monkey34",
        "monkey2026",
    ] {
        beside(text, common);
    }
    for text in [
        "123456789987654321",
        "1qaz2wsx3edc4rfv",
        "manchesterunited",
        "M4nchesterUnited",
        "worldofwarcraft",
        "1234567890baseball!!!!!",
    ] {
        alone(text, common);
    }
    // As a whole: a common word is welcome among others.
    alone("baseball under a green umbrella", Ok(()));
    beside("baseball4umbrella", Ok(()));
}

#[test]
fn what_repeats_itself_or_stands_in_a_row_is_refused() {
    let repetitive = Err(RuleBroken::Repetitive);
    for text in [
        "aaaaaaaaaaaaaaaaaaaaaaa",
        "xyxyxyxyxyxyxyxy",
        "tulip-tulip-tulip-",
        "\u{1f98a}b\u{1f98a}b\u{1f98a}b\u{1f98a}b\u{1f98a}b\u{1f98a}b\u{1f98a}b\u{1f98a}b",
        "baseballbaseball",
        "abcdefghijklmnopqr",
        "zyxwvutsrqponmlkj",
        "asdfghjklzxcvbnmqwertz",
    ] {
        alone(text, repetitive);
    }
    beside("abcdefgh", Err(RuleBroken::Common));
    beside("ghijklmn", repetitive);
    // A piece that would do by itself does so twice.
    beside("tulipvastulipvas", Ok(()));
}

#[test]
fn nist_800_63b_s3_1_1_2_context_words_and_derivatives() {
    let context = Err(RuleBroken::Context);
    for text in [
        "ann.of.example@orchard-growers.example.com",
        "ANN.OF.EXAMPLE@ORCHARD-GROWERS.EXAMPLE.COM",
        "annfeatherstone",
        "AnnFeatherstone1!",
        "F3ath3rst0ne-2026",
        "portcullis2026!!",
        "Portcullis-portcullis",
        "orchard-growers",
        "login.orchard-growers",
        "enotsrehtaef nna",
    ] {
        alone(text, context);
    }
    beside("orchard1", context);
    beside("orchard-2026", context);
    alone("the orchard where apples grow", Ok(()));
    alone("ann likes her tomatoes", Ok(()));
}

#[test]
fn hostile_contexts_are_borne() {
    let huge = "\u{e9}x ".repeat(1 << 16);
    let context =
        Context { email: &huge, name: Some(&huge), host: &huge, has_second_factor: false };
    assert_eq!(judge(&secret("tulip vase in the rain"), &context), Ok(()));
    assert_eq!(judge(&secret("tulip vase in the rain"), &Context::default()), Ok(()));
    let long: String = ('\u{4e00}'..).step_by(7).take(128).collect();
    assert_eq!(strength(&secret(&long), &context).score, 4);
}

#[test]
fn strength_grows_with_what_a_guesser_would_have_to_try() {
    let check = |text: &str, expect: u8| {
        let strength = strength(&secret(text), &ANN);
        assert_eq!(strength.score, expect, "{text}");
        assert!(!strength.words.is_empty());
    };
    check("", 0);
    check("baseball", 0);
    check("Baseball1!", 1);
    check("b4s3b@ll", 0);
    check("aaaaaaaaaaaaaaaaaaaaaaaa", 0);
    check("abcdefghijklmnopqrstuvw", 1);
    check("annfeatherstone2026", 0);
    check("baseballbaseballbaseball", 0);
    check("monkey sunshine", 2);
    check("correct horse battery staple", 4);
    check("xkqzvbnwrt", 1);
    check("x7#Kp2$Lq9!vB4", 3);
    check("tulip vase in the rain of may", 4);
    check(&"a".repeat(1 << 20), 4);
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
    check("", Verdict::NotPresented);
    check(&"x".repeat(1 << 16), Verdict::Rejected);
}

#[test]
fn without_a_kept_hash_nothing_is_right() {
    assert_eq!(verify(None, &secret("")), Verdict::NotPresented);
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

#[test]
fn what_does_not_cost_what_new_ones_do_is_hashed_again() {
    let check = |hash: &str, expect: bool| assert_eq!(needs_rehash(hash), expect, "{hash}");
    check(&hash(&secret("tulip vase rain")).unwrap(), false);
    let tail = "$bm9ib2R5IGhhcyB0aGlzIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    check(&format!("$argon2id$v=19$m=19456,t=2,p=1{tail}"), false);
    check(&format!("$argon2id$v=19$m=19455,t=2,p=1{tail}"), true);
    check(&format!("$argon2id$v=19$m=19456,t=1,p=1{tail}"), true);
    check(&format!("$argon2id$v=19$m=65536,t=3,p=4{tail}"), true);
    check(&format!("$argon2id$v=16$m=19456,t=2,p=1{tail}"), true);
    check(&format!("$argon2i$v=19$m=19456,t=2,p=1{tail}"), true);
    check("", true);
}

struct Kept {
    typed: Secret<String>,
    hash: String,
}

impl Subject for Kept {
    fn right(&self, _: UnixMs) -> String {
        self.typed.expose().clone()
    }

    fn judge(&mut self, typed: &str, _: UnixMs) -> Verdict {
        verify(Some(&self.hash), &secret(typed))
    }

    fn nothing(&self) -> &'static [&'static str] {
        // Spaces are characters like any other.
        &[""]
    }

    fn shown(&self) -> Vec<Box<dyn Debug>> {
        let broken = judge(&secret("tulip"), &ANN);
        vec![Box::new(self.typed.clone()), Box::new(broken), Box::new(strength(&self.typed, &ANN))]
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.typed.expose().clone(), "tulip".to_owned()]
    }

    fn again(&self) -> Verdict {
        Verdict::Accepted
    }

    fn skew(&self) -> Option<Duration> {
        None
    }
}

#[test]
fn the_contract_of_factors_holds() {
    let next = std::cell::Cell::new(0u8);
    contract::holds(|| {
        next.set(next.get() + 1);
        let typed = secret(&format!("tulip vase rain {}", next.get()));
        let hash = hash(&typed).unwrap();
        Kept { typed, hash }
    });
}
