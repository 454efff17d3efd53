//! English.

use super::{Names, Words};
use authority::mail::browser;
use authority::oauth::NewsRecord;
use authority::people::FactorKind;
use base::code;

/// The language.
pub(crate) static ENGLISH: Words = Words {
    account: "Your account",
    methods: "How you sign in",
    methods_about: "Second steps, passkeys and recovery codes.",
    methods_look: "Look and change",
    sessions: "Where you are signed in",
    this_one: "this one",
    since: "since",
    from: "from",
    one_step: "one step",
    two_steps: "two steps",
    another_program: "Another program",
    sign_out: "Sign out",
    sign_out_others: "Sign out everywhere else",
    clients: "Applications",
    clients_none: "No application acts for you. When you allow one, it stands here, and you can end it.",
    client_unused: "not used yet",
    end: "End",
    keys: "API keys",
    keys_about: "For programs of your own. A key acts without you, so give it little.",
    keys_look: "Look and make",
    news: "What happened",
    news_about: "Sign-ins, failed attempts and changes of late.",
    news_look: "Look",
    back: "Back to your account",
    keys_lead: "A key lets a program of yours in, without you and without a second step.",
    keys_none: "You have no key.",
    keys_no_scopes: "None of your groups gives a scope that a key could have. Ask an administrator if you need one.",
    keys_second_first: "A key takes two steps to make. Add a second step to your account first.",
    keys_add_second: "Add a second step",
    key_new: "Make a key",
    key_new_lead: "Give it only what the program needs.",
    key_name: "Name",
    key_name_hint: "So that you know it again: the program and the machine.",
    key_scopes: "It may",
    key_days: "Days until it ends",
    key_days_hint: "At most 365.",
    key_make: "Make the key",
    key_made: "Your new key",
    key_made_lead: "Copy it now, to where only the program can read it. It is never shown again.",
    key_ends: "ends",
    key_use: "Send it as a header:",
    key_kept: "I have copied it",
    key_many: (
        "That is one key too many",
        "You have as many keys as one account may have, or have made many today.",
        "End those that you do not use, or come back tomorrow.",
    ),
    check: "Please check",
    news_none: "Nothing yet.",
    news_failed: "Failed attempts",
    not_me: "Something here was not you?",
    not_me_first: "Sign out everywhere else, then change your password: with “Forgot your password?” on the sign-in page, \
                   every session, token and key of yours ends.",
    not_me_then: "Look at how you sign in and at your keys, and remove what you do not know.",
    not_me_last: "If you cannot, or it comes back, tell an administrator.",
    not_me_methods: "How you sign in",
    not_me_password: "Change your password",
    key_line: |made, ends| format!("made {made} · ends {ends}"),
    client_used: |at, network| match network {
        Some(network) => format!("last used {at} from {network}"),
        None => format!("last used {at}"),
    },
    happened,
    failures,
    with,
    news_lead: |days| format!("What happened to your account in the last {days} days."),
};

fn happened(it: &NewsRecord, client: &Names<'_>) -> String {
    let detail = it.detail.as_deref().unwrap_or_default();
    let app = || it.client.as_deref().map_or_else(|| "an application".to_owned(), client);
    let is = |code: &base::Code| it.code == code.as_str();
    let mut said = if is(&code::LOGIN) {
        signed_in(detail)
    } else if is(&code::LOGOUT) {
        "A session ended".to_owned()
    } else if is(&code::GRANT_GIVEN) {
        format!("You allowed {} to act for you", app())
    } else if is(&code::GRANT_REVOKED) && it.refused {
        format!("Access of {} was ended, since something of it was used twice", app())
    } else if is(&code::GRANT_REVOKED) {
        format!("Access of {} was ended", app())
    } else if is(&code::KEY_CREATED) {
        format!("An API key was made: {detail}")
    } else if is(&code::KEY_REVOKED_ACT) {
        format!("An API key was ended: {detail}")
    } else if is(&code::KEY_NARROWED) {
        format!("An API key lost what your groups do not give any more: {detail}")
    } else if is(&code::IP_ALLOWED) {
        "Your network address was let in".to_owned()
    } else if is(&code::AUTHENTICATOR_ADDED) {
        match FactorKind::read(detail) {
            Some(FactorKind::Recovery) => "New recovery codes were made".to_owned(),
            kind => format!("{} was added", capital(kind.map_or("a way to sign in", factor))),
        }
    } else if is(&code::AUTHENTICATOR_REMOVED) {
        let kind = FactorKind::read(detail);
        format!("{} was removed", capital(kind.map_or("each way to sign in", factor)))
    } else if is(&code::BREAK_GLASS) {
        "Your ways to sign in were taken, from the server itself".to_owned()
    } else {
        changed(detail)
    };
    if it.by_other {
        said.push_str(" (by an administrator)");
    }
    said
}

/// A change of the account itself.
fn changed(detail: &str) -> String {
    match detail {
        "" => "Your account was changed".to_owned(),
        "roles" => "Your groups were changed".to_owned(),
        "disabled" => "Your account was closed".to_owned(),
        "enabled" => "Your account was opened again".to_owned(),
        "sessions ended" => "You were signed out everywhere".to_owned(),
        other => format!("Your account was changed: {other}"),
    }
}

/// From `password, totp: aal2`.
fn signed_in(detail: &str) -> String {
    let kinds = detail.split_once(':').map_or(detail, |(kinds, _)| kinds);
    let named: Vec<&str> =
        kinds.split(", ").map(|it| FactorKind::read(it).map_or("something else", factor)).collect();
    match named.as_slice() {
        [FACTOR_PASSWORD] => "Signed in with nothing but a password".to_owned(),
        _ => format!("Signed in with {}", named.join(" and ")),
    }
}

const FACTOR_PASSWORD: &str = "a password";

fn factor(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Password => FACTOR_PASSWORD,
        FactorKind::Totp => "an authenticator app",
        FactorKind::Passkey => "a passkey",
        FactorKind::Recovery => "a recovery code",
        FactorKind::Device => "a known browser",
        FactorKind::Federated => "an account elsewhere",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}

fn failures(kind: FactorKind, name: &str, count: u32) -> String {
    let what = match kind {
        FactorKind::Password => "your password".to_owned(),
        FactorKind::Device => "your password, in a browser that you have used before".to_owned(),
        FactorKind::Recovery => "a recovery code".to_owned(),
        FactorKind::Totp | FactorKind::Passkey | FactorKind::Federated => format!("“{name}”"),
    };
    match count {
        1 => format!("One failed attempt with {what}"),
        many => format!("{many} failed attempts with {what}"),
    }
}

/// Where something came from.
fn with(network: Option<&str>, user_agent: Option<&str>) -> Option<String> {
    let program = user_agent.and_then(|it| match browser(it) {
        (Some(program), Some(system)) => Some(format!("{program} on {system}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    });
    match (network, program) {
        (Some(network), Some(program)) => Some(format!("from {network} · {program}")),
        (Some(network), None) => Some(format!("from {network}")),
        (None, program) => program,
    }
}
