//! The words of the pages on which people look after their account: one struct, one file a language.
//!
//! Templates name a text, and hold none of these pages' own. Where a sentence has parts, a function makes it.

mod english;

pub(crate) use english::ENGLISH;

use authority::oauth::{NEWS_KEPT, NewsRecord};
use authority::people::FactorKind;

/// What clients are called, by their ids.
pub(crate) type Names<'a> = dyn Fn(&str) -> String + 'a;

/// What the pages say.
#[derive(Debug)]
pub(crate) struct Words {
    // The page of the account.
    pub(crate) account: &'static str,
    pub(crate) methods: &'static str,
    pub(crate) methods_about: &'static str,
    pub(crate) methods_look: &'static str,
    pub(crate) sessions: &'static str,
    pub(crate) this_one: &'static str,
    pub(crate) since: &'static str,
    pub(crate) from: &'static str,
    pub(crate) one_step: &'static str,
    pub(crate) two_steps: &'static str,
    pub(crate) another_program: &'static str,
    pub(crate) sign_out: &'static str,
    pub(crate) sign_out_others: &'static str,
    pub(crate) clients: &'static str,
    pub(crate) clients_none: &'static str,
    pub(crate) client_unused: &'static str,
    pub(crate) end: &'static str,
    pub(crate) keys: &'static str,
    pub(crate) keys_about: &'static str,
    pub(crate) keys_look: &'static str,
    pub(crate) news: &'static str,
    pub(crate) news_about: &'static str,
    pub(crate) news_look: &'static str,
    pub(crate) back: &'static str,
    // Keys.
    pub(crate) keys_lead: &'static str,
    pub(crate) keys_none: &'static str,
    pub(crate) keys_no_scopes: &'static str,
    pub(crate) keys_second_first: &'static str,
    pub(crate) keys_add_second: &'static str,
    pub(crate) key_new: &'static str,
    pub(crate) key_new_lead: &'static str,
    pub(crate) key_name: &'static str,
    pub(crate) key_name_hint: &'static str,
    pub(crate) key_scopes: &'static str,
    pub(crate) key_days: &'static str,
    pub(crate) key_days_hint: &'static str,
    pub(crate) key_make: &'static str,
    pub(crate) key_made: &'static str,
    pub(crate) key_made_lead: &'static str,
    pub(crate) key_ends: &'static str,
    pub(crate) key_use: &'static str,
    pub(crate) key_kept: &'static str,
    pub(crate) key_many: (&'static str, &'static str, &'static str),
    pub(crate) check: &'static str,
    // What happened.
    pub(crate) news_none: &'static str,
    pub(crate) news_failed: &'static str,
    pub(crate) not_me: &'static str,
    pub(crate) not_me_first: &'static str,
    pub(crate) not_me_then: &'static str,
    pub(crate) not_me_last: &'static str,
    pub(crate) not_me_methods: &'static str,
    pub(crate) not_me_password: &'static str,
    // Sentences.
    pub(crate) key_line: fn(&str, &str) -> String,
    pub(crate) client_used: fn(&str, Option<&str>) -> String,
    pub(crate) happened: fn(&NewsRecord, &Names<'_>) -> String,
    pub(crate) failures: fn(FactorKind, &str, u32) -> String,
    pub(crate) with: fn(Option<&str>, Option<&str>) -> Option<String>,
    pub(crate) news_lead: fn(u64) -> String,
}

impl Words {
    /// Above the list of what happened: how far back it goes.
    pub(crate) fn lead(&self) -> String {
        (self.news_lead)(NEWS_KEPT.as_secs() / 86_400)
    }
}

/// The language of the pages.
pub(crate) fn words() -> &'static Words {
    &ENGLISH
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Event, EventId, Kind, NodeId, UnixMs, code};

    #[test]
    fn every_kind_of_news_has_words_of_its_own() {
        let said = |code: base::Code, detail: &str| {
            let mut event = Event::new(EventId([0; 16]), UnixMs(0), NodeId(1), Kind::Admin, code);
            event.detail = Some(detail.into());
            let news = NewsRecord::of(&event, None).unwrap();
            (words().happened)(&news, &|id| id.to_owned())
        };
        let all = [
            (code::LOGIN, "password, totp: aal2"),
            (code::LOGIN, "passkey: phr"),
            (code::LOGOUT, ""),
            (code::GRANT_GIVEN, ""),
            (code::GRANT_REVOKED, ""),
            (code::KEY_CREATED, "name \"x\", scopes \"a\""),
            (code::KEY_REVOKED_ACT, ""),
            (code::KEY_NARROWED, ""),
            (code::AUTHENTICATOR_ADDED, "totp"),
            (code::AUTHENTICATOR_ADDED, "passkey"),
            (code::AUTHENTICATOR_ADDED, "recovery"),
            (code::AUTHENTICATOR_REMOVED, "totp"),
            (code::IP_ALLOWED, ""),
            (code::USER_CHANGED, ""),
            (code::USER_CHANGED, "roles"),
            (code::BREAK_GLASS, ""),
        ];
        let sentences: Vec<String> = all.into_iter().map(|(code, it)| said(code, it)).collect();
        for (at, one) in sentences.iter().enumerate() {
            assert!(one.starts_with(char::is_uppercase), "{one}");
            assert!(!sentences.iter().skip(at + 1).any(|it| it == one), "{one} stands twice");
        }
        assert_eq!(sentences[0], "Signed in with a password and an authenticator app");
        // What no words were written for is said all the same.
        assert_eq!(said(code::USER_CHANGED, "else"), "Your account was changed: else");
    }
}
