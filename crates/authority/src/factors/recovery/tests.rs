//! How codes are read, and the contract of every factor.

use super::*;
use crate::factors::Verdict;
use crate::factors::contract::{self, NOW, Subject};
use crate::sealing::Pepper;
use base::{Secret, UnixMs};
use std::collections::HashSet;
use std::time::Duration;

fn mac(code: &Secret<String>) -> [u8; 32] {
    Pepper::new([9; 32]).mac(code.expose().as_bytes())
}

struct List {
    shown: Vec<Secret<String>>,
    kept: Vec<KeptCode>,
}

impl List {
    fn enrol() -> Self {
        let shown = fresh().unwrap();
        let keep = |code: &Secret<String>| KeptCode {
            mac: hex::encode(mac(&normal(code.expose()).unwrap())),
            spent_at: None,
        };
        let kept = shown.iter().map(keep).collect();
        Self { shown, kept }
    }
}

impl Subject for List {
    fn right(&self, _: UnixMs) -> String {
        self.shown[3].expose().clone()
    }

    fn judge(&mut self, typed: &str, at: UnixMs) -> Verdict {
        if typed.trim().is_empty() {
            return Verdict::NotPresented;
        }
        let found = normal(typed).and_then(|code| verify(&self.kept, &mac(&code)));
        let Some(place) = found else { return Verdict::Rejected };
        self.kept[place].spent_at = Some(at);
        Verdict::Accepted
    }

    fn shown(&self) -> Vec<Box<dyn std::fmt::Debug>> {
        vec![Box::new(self.shown.clone()), Box::new(self.kept.clone())]
    }

    fn secrets(&self) -> Vec<String> {
        let codes = self.shown.iter().map(|code| code.expose().clone());
        codes.chain(self.kept.iter().map(|code| code.mac.clone())).collect()
    }

    fn again(&self) -> Verdict {
        Verdict::Rejected
    }

    fn skew(&self) -> Option<Duration> {
        None
    }
}

#[test]
fn the_contract_of_factors_holds() {
    contract::holds(List::enrol);
}

#[test]
fn nist_800_63b_s3_1_2_1_codes_are_random_and_long_enough() {
    let codes: Vec<String> =
        (0..100).flat_map(|_| fresh().unwrap()).map(|code| code.expose().clone()).collect();
    assert_eq!(codes.len(), 100 * CODES);
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
    let mut seen = vec![HashSet::new(); CODE_CHARS + 2];
    for code in &codes {
        assert_eq!((code.len(), &code[4..5], &code[9..10]), (CODE_CHARS + 2, "-", "-"), "{code}");
        code.chars().enumerate().for_each(|(place, c)| {
            seen[place].insert(c);
        });
    }
    // NIST SP 800-63B-4 §4.2.1: saved recovery codes have 64 bits at least.
    const { assert!(CODE_CHARS * 5 >= 64) };
    // Each place takes any of the 32 characters: the chance that one is missing in 1,000 draws is below 10⁻¹¹.
    let counts: Vec<usize> = seen.iter().map(HashSet::len).collect();
    assert_eq!(counts, [32, 32, 32, 32, 1, 32, 32, 32, 32, 1, 32, 32, 32, 32, 32]);
}

#[test]
fn what_looks_alike_is_one_code() {
    let check = |typed: &str, expect: Option<&str>| {
        let normal = normal(typed);
        assert_eq!(normal.as_ref().map(|code| code.expose().as_str()), expect, "{typed:?}");
    };
    check("abcd-01fg-hjkmn", Some("abcd01fghjkmn"));
    check(" ABCD 0 1fgh jkmn\n", Some("abcd01fghjkmn"));
    check("abcd\u{2013}oLFG-HJKMN", Some("abcd01fghjkmn"));
    check("abcd\u{a0}oifg\u{a0}hjkmn", Some("abcd01fghjkmn"));
    check("abcdOIfghjkmn", Some("abcd01fghjkmn"));
    check("abcd-01fg-hjkm", None);
    check("abcd-01fg-hjkmnp", None);
    check("abcu-01fg-hjkmn", None);
    check("abcd_01fg-hjkmn", None);
    check("", None);
    check(&"-".repeat(1000), None);
    check("\u{e9}bcd-01fg-hjkmn", None);
    // The long s has a capital S, and is none.
    check("ab\u{17f}d-01fg-hjkmn", None);
}

#[test]
fn each_code_is_found_at_its_place_until_it_is_spent() {
    let mut list = List::enrol();
    for (place, code) in list.shown.clone().iter().enumerate() {
        let mac = mac(&normal(code.expose()).unwrap());
        assert_eq!(left(&list.kept), CODES - place);
        assert_eq!(verify(&list.kept, &mac), Some(place));
        list.kept[place].spent_at = Some(NOW);
        assert_eq!(verify(&list.kept, &mac), None);
    }
    assert_eq!(left(&list.kept), 0);
}

#[test]
fn a_broken_row_is_no_code() {
    let kept = |mac: &str| KeptCode { mac: mac.to_owned(), spent_at: None };
    let rows = [kept(""), kept("zz"), kept(&"0".repeat(63)), kept(&"0".repeat(66))];
    assert_eq!(verify(&rows, &[0; 32]), None);
    assert_eq!(verify(&[], &[0; 32]), None);
    assert_eq!(verify(&[kept(&"0".repeat(64))], &[0; 32]), Some(0));
    // More than a list has are not looked at.
    let many = vec![kept(&"f".repeat(64)); CODES].into_iter().chain([kept(&"0".repeat(64))]);
    assert_eq!(verify(&many.collect::<Vec<_>>(), &[0; 32]), None);
}
