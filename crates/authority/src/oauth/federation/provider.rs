//! What the file says of a provider, and what its words mean here.
//!
//! Never does: reach the network. Pure.

use crate::people::Level;
use base::Secret;
use protocol::jwt::Claims;
use protocol::oauth::uri::Uri;
use serde_json::Value;

/// Google answers for an address only where the account belongs to the address' own domain (`hd`), or is one of its own.
const GOOGLE: &str = "https://accounts.google.com";
/// Google's own addresses.
const GMAIL: &str = "gmail.com";
/// Groups of one person at a provider that are looked at.
const GROUPS: usize = 1024;

/// How we prove ourselves at a provider's token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderAuth {
    /// HTTP Basic.
    Basic,
    /// In the form.
    Post,
}

/// A provider at which people may sign in (`[[provider]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name in addresses: a word.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Its exact `iss`.
    pub issuer: String,
    /// Our `client_id` there.
    pub client_id: String,
    /// Our secret there; `None`: a public client, with PKCE alone.
    pub client_secret: Option<Secret<String>>,
    /// How the secret is shown; `None`: as the provider's metadata says.
    pub client_auth: Option<ProviderAuth>,
    /// What is asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// The claim that lists the person's groups there.
    pub groups_claim: String,
    /// Which of their groups is which of ours. Only ours that stand here are given and taken.
    pub groups: Vec<(String, String)>,
    /// What their `acr` is worth.
    pub acr: Vec<(String, Level)>,
    /// What their `amr` is worth.
    pub amr: Vec<(String, Level)>,
    /// People of these mail domains get an account at their first sign-in. Lower case.
    pub create: Vec<String>,
}

impl Provider {
    /// The level that is believed of a sign-in there; `None`: nothing is said that the file believes.
    pub(super) fn level(&self, claims: &Claims) -> Option<Level> {
        let acr = self.acr.iter().filter(|(word, _)| claims.acr.as_deref() == Some(word));
        let amr = self.amr.iter().filter(|(word, _)| claims.amr.iter().any(|it| **it == **word));
        acr.chain(amr).map(|(_, level)| *level).max()
    }

    /// What the person's groups there are here, and all of ours that the provider decides on.
    pub(super) fn roles(&self, claimed: Option<&Value>) -> (Vec<String>, Vec<String>) {
        let theirs: Vec<&str> = match claimed {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().take(GROUPS).filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let given = self.groups.iter().filter(|(group, _)| theirs.contains(&group.as_str()));
        let given = given.map(|(_, own)| own.clone()).collect();
        (given, self.groups.iter().map(|(_, own)| own.clone()).collect())
    }

    /// Whether a person with this verified address gets an account. `hosted`: the claim `hd`.
    pub(super) fn may_create(&self, address: &str, hosted: Option<&str>) -> bool {
        let Some((_, domain)) = address.rsplit_once('@') else { return false };
        let vouched = self.issuer != GOOGLE || domain == GMAIL || hosted == Some(domain);
        vouched && self.create.iter().any(|it| it == domain)
    }

    /// Whether a URL lies at the provider's own place. Only that may be private: it stands in the operator's file.
    pub(super) fn is_own(&self, url: &str) -> bool {
        fn place<'u>(url: &Uri<'u>) -> Option<(String, String, Option<u16>)> {
            let authority = url.authority.filter(|it| !it.user)?;
            let scheme = url.scheme.to_ascii_lowercase();
            let port = authority.port.or(if scheme == "https" { Some(443) } else { Some(80) });
            Some((scheme, authority.host.to_ascii_lowercase(), port))
        }
        let (own, other) = (Uri::parse(&self.issuer), Uri::parse(url));
        let own = own.as_ref().and_then(place);
        own.is_some() && own == other.as_ref().and_then(place)
    }
}
