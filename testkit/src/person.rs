//! Somebody who has an account at the authority and signs in with a browser that runs no scripts.

use crate::browser::{Browser, Landing, Page};
use crate::gate::Gate;
use std::sync::atomic::{AtomicU32, Ordering};

/// Pages in a row on which a person types or decides something before they give up.
const PAGES: usize = 8;
/// What every person's password is.
const PASSWORD: &str = "correct horse battery staple";

/// What a person came to.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// They were sent to this address of somebody else, by a redirect.
    Redirect(String),
    /// Their browser was told to POST these fields to somebody else.
    Posted {
        /// Where to.
        action: String,
        /// What.
        fields: Vec<(String, String)>,
    },
    /// A page of the authority on which there is nothing for them to do.
    Page(Page),
}

/// A person. What they do leaves cookies in their browser.
#[derive(Debug)]
pub struct Person {
    id: String,
    email: String,
    browser: Browser,
    allows: bool,
    titles: Vec<String>,
}

impl Person {
    /// Makes an account with the command line and sets its password on the page that the command names.
    ///
    /// # Panics
    /// When either fails.
    pub fn new(gate: &Gate, name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let email = format!("{}{number}@example.com", name.to_ascii_lowercase().replace(' ', "."));
        let made = gate.done(&["user", "create", "--email", &email, "--name", name]);
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        let mut browser = Browser::new(&gate.control());
        let link = text("setup_url");
        // The code stands behind the #, which no browser sends; without scripts it is typed.
        let (page, code) = link.split_once('#').expect("a link with a code");
        let Landing::Page(page) = browser.open(page) else { panic!("{link} leads elsewhere") };
        let form = page.form().expect("a form").with("code", code).with("password", PASSWORD);
        let Landing::Page(done) = browser.send(&page, &form) else {
            panic!("set-up leads elsewhere")
        };
        assert_eq!(done.response.status, 200, "{}", done.response.text());
        browser.forget();
        Self { id: text("id"), email, browser, allows: true, titles: Vec::new() }
    }

    /// The account's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The e-mail address that they sign in with.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The password that they sign in with.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Whether they agree when they are asked from now on. At first they do.
    pub fn allow(&mut self, allows: bool) {
        self.allows = allows;
    }

    /// Their browser.
    pub fn browser(&mut self) -> &mut Browser {
        &mut self.browser
    }

    /// The headings of the pages on which they typed or decided something since this was last asked.
    pub fn saw(&mut self) -> Vec<String> {
        std::mem::take(&mut self.titles)
    }

    /// Opens an address, signs in and decides where they are asked to, until there is nothing left to do.
    ///
    /// # Panics
    /// When they are asked again and again.
    pub fn go(&mut self, url: &str) -> Arrival {
        let mut landing = self.browser.open(url);
        for _ in 0..PAGES {
            let page = match landing {
                Landing::Elsewhere(url) => return Arrival::Redirect(url),
                Landing::Page(page) => page,
            };
            let Some(form) = page.form() else { return Arrival::Page(page) };
            let path = form.action.split('?').next().unwrap_or_default();
            let answer = if self.allows { "allow" } else { "deny" };
            let filled = match (path, form.method.as_str()) {
                // A wrong password, or too many attempts: nothing that they could do better.
                ("/login", _) if page.response.status != 200 => return Arrival::Page(page),
                ("/login", _) => form.with("email", &self.email).with("password", PASSWORD),
                ("/oauth/decide" | "/oauth/logout/decide" | "/device", "post") => {
                    form.with("answer", answer)
                }
                (action, "post") if action.contains("://") => {
                    return Arrival::Posted { action: form.action, fields: form.fields };
                }
                _ => return Arrival::Page(page),
            };
            self.titles.push(page.title());
            landing = self.browser.send(&page, &filled);
        }
        panic!("{url} asks again and again: {:?}", self.titles);
    }

    /// The same, where it must end in a redirect to somebody else: that address.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub fn authorize(&mut self, url: &str) -> String {
        match self.go(url) {
            Arrival::Redirect(url) => url,
            Arrival::Posted { action, .. } => panic!("posted to {action}"),
            Arrival::Page(page) => {
                panic!("{} {}: {}", page.response.status, page.url, page.response.text())
            }
        }
    }
}
