//! The contract that every factor passes, as far as it is pure. What needs sessions (an unknown user's time, lock-out,
//! one event an outcome) is tried with sign-in itself.

use super::Verdict;
use base::UnixMs;
use std::fmt::Debug;
use std::time::Duration;

/// A moment that is nothing special.
pub(crate) const NOW: UnixMs = UnixMs(1_790_000_000_000);

/// A factor with an enrolled authenticator, as the contract sees it.
pub(crate) trait Subject {
    /// What the person types at this moment, the first time or the second.
    fn right(&self, at: UnixMs) -> String;
    /// Judges what was typed and, if it is right, keeps what sign-in keeps.
    fn judge(&mut self, typed: &str, at: UnixMs) -> Verdict;
    /// What is typed by who types nothing.
    fn nothing(&self) -> &'static [&'static str] {
        &["", " ", "\t \u{a0}"]
    }
    /// Everything of it that could come into a log.
    fn shown(&self) -> Vec<Box<dyn Debug>>;
    /// Texts that must not stand there.
    fn secrets(&self) -> Vec<String>;
    /// What a second use of the same text brings: a password is used again and again, a code never.
    fn again(&self) -> Verdict;
    /// How far the two clocks may differ; `None` when time means nothing to this factor.
    fn skew(&self) -> Option<Duration>;
}

/// Tries a factor; `enrol` makes a fresh one each time.
pub(crate) fn holds<S: Subject>(enrol: impl Fn() -> S) {
    outcomes(&enrol);
    replay(&enrol);
    clock_skew(&enrol);
    redacted(&enrol);
}

fn outcomes<S: Subject>(enrol: &impl Fn() -> S) {
    let mut factor = enrol();
    for nothing in factor.nothing() {
        assert_eq!(factor.judge(nothing, NOW), Verdict::NotPresented, "{nothing:?}");
    }
    let right = factor.right(NOW);
    let longer = format!("{right}0");
    let shorter: String = right.chars().skip(1).collect();
    let huge = right.repeat(1 << 14);
    let blanks = " ".repeat(1 << 20);
    for wrong in ["0", "x", "\0", "\u{1f98a}", &longer, &shorter, &huge, &blanks] {
        let verdict = factor.judge(wrong, NOW);
        assert_ne!(verdict, Verdict::Accepted, "{:?}", wrong.get(..40));
    }
    assert_eq!(factor.judge(&longer, NOW), Verdict::Rejected);
    // Failures cost the factor itself nothing.
    assert_eq!(factor.judge(&right, NOW), Verdict::Accepted);
    // What another person has is worth nothing here.
    let other = enrol();
    assert_eq!(factor.judge(&other.right(NOW), NOW), Verdict::Rejected);
}

fn replay<S: Subject>(enrol: &impl Fn() -> S) {
    let mut factor = enrol();
    let right = factor.right(NOW);
    assert_eq!(factor.judge(&right, NOW), Verdict::Accepted);
    let again = factor.again();
    assert_eq!(factor.judge(&right, NOW), again);
    assert_eq!(factor.judge(&right, NOW.plus(Duration::from_secs(1))), again);
}

fn clock_skew<S: Subject>(enrol: &impl Fn() -> S) {
    let day = Duration::from_secs(24 * 60 * 60);
    let Some(skew) = enrol().skew() else {
        for at in [NOW.minus(day), NOW.plus(day), UnixMs(0), UnixMs(i64::MAX), UnixMs(i64::MIN)] {
            let mut factor = enrol();
            let right = factor.right(NOW);
            assert_eq!(factor.judge(&right, at), Verdict::Accepted, "{at:?}");
        }
        return;
    };
    let check = |at: UnixMs, expect: Verdict| {
        let mut factor = enrol();
        let right = factor.right(NOW);
        assert_eq!(factor.judge(&right, at), expect, "{at:?}");
    };
    check(NOW.minus(skew), Verdict::Accepted);
    check(NOW.plus(skew), Verdict::Accepted);
    for far in [skew * 3, day] {
        check(NOW.minus(far), Verdict::Rejected);
        check(NOW.plus(far), Verdict::Rejected);
    }
    for end in [UnixMs(0), UnixMs(i64::MIN), UnixMs(i64::MAX), UnixMs(-1)] {
        check(end, Verdict::Rejected);
    }
}

fn redacted<S: Subject>(enrol: &impl Fn() -> S) {
    let factor = enrol();
    let secrets = factor.secrets();
    assert!(!secrets.is_empty() && secrets.iter().all(|secret| secret.len() >= 5));
    for shown in factor.shown() {
        for text in [format!("{shown:?}"), format!("{shown:#?}")] {
            let hit = secrets.iter().find(|secret| text.contains(secret.as_str()));
            assert!(hit.is_none(), "{text} holds a secret");
        }
    }
}
