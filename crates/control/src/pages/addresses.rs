//! The page on which people let their own network address in.

use askama::Template;

/// A list that the person may add their address to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListView {
    pub(crate) name: String,
    /// What is to be said of it.
    pub(crate) words: String,
    /// What the button says, where letting in would change anything.
    pub(crate) button: Option<String>,
}

/// What is let in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryView {
    pub(crate) id: String,
    pub(crate) list: String,
    pub(crate) address: String,
    pub(crate) since: String,
    pub(crate) until: String,
    /// Whether it was let in with the session that looks.
    pub(crate) this: bool,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "addresses.html")]
pub(crate) struct Addresses {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    pub(crate) said: Option<String>,
    pub(crate) address: Option<String>,
    /// What is special about the address.
    pub(crate) note: Option<&'static str>,
    pub(crate) lists: Vec<ListView>,
    pub(crate) entries: Vec<EntryView>,
}
