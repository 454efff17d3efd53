//! The pages of a person's e-mail address.

use askama::Template;

/// Shows the address, and takes another one.
#[derive(Debug, Template)]
#[template(path = "email.html")]
pub(crate) struct Email {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    pub(crate) proved: bool,
    /// Whether it was proved a moment ago.
    pub(crate) done: bool,
    /// Whether a directory elsewhere, or the configuration file, says which address it is.
    pub(crate) elsewhere: bool,
    pub(crate) typed: String,
    pub(crate) error: Option<String>,
}

/// Takes the code from the letter.
#[derive(Debug, Template)]
#[template(path = "email_code.html")]
pub(crate) struct EmailCode {
    pub(crate) brand: String,
    pub(crate) csrf: String,
    pub(crate) account: String,
    /// Whether a letter was just asked for.
    pub(crate) sent: bool,
    pub(crate) error: Option<String>,
}
