//! What can be typed about the authority: clients, accounts, trust rules, scopes.

use super::duration;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// `client`.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Make a client; its secret is shown once
    Create(Box<NewClient>),
    /// List clients
    List,
    /// Show a client, without its secret
    Show {
        /// The client's id
        id: String,
    },
    /// Make a new secret; the old one goes on for an overlap
    RotateSecret {
        /// The client's id
        id: String,
        /// For how long the old secret goes on [default: 24h]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        overlap: Option<Duration>,
    },
    /// Refuse a client and all its tokens
    Disable {
        /// The client's id
        id: String,
    },
    /// Take a client in again
    Enable {
        /// The client's id
        id: String,
    },
    /// Say which rules of OAuth 2.1, RFC 9700 and FAPI 2.0 a client meets
    Grade {
        /// The client's id
        id: String,
    },
}

/// `client create`.
#[derive(Debug, Args)]
pub struct NewClient {
    /// What people call it
    #[arg(long)]
    pub name: String,
    /// A grant: authorization_code, refresh_token, client_credentials, device_code, token_exchange,
    /// jwt_bearer; repeat for several
    #[arg(long = "grant", value_name = "GRANT")]
    pub grants: Vec<String>,
    /// Where codes may be sent; repeat for several
    #[arg(long = "redirect-uri", value_name = "URL")]
    pub redirect_uris: Vec<String>,
    /// Where people may be sent after signing out; repeat for several
    #[arg(long = "post-logout-redirect-uri", value_name = "URL")]
    pub post_logout_redirect_uris: Vec<String>,
    /// A scope that it may ask for; repeat for several
    #[arg(long = "scope", num_args = 1.., value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// A resource that it may ask for; repeat for several
    #[arg(long = "resource", value_name = "URL")]
    pub resources: Vec<String>,
    /// It cannot keep a secret: an app, a page, a command-line program
    #[arg(long, conflicts_with = "auth")]
    pub public: bool,
    /// How it proves itself: client_secret_basic, client_secret_post, private_key_jwt, none
    #[arg(long, value_name = "METHOD")]
    pub auth: Option<String>,
    /// Its public keys, a JWK set
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Where its public keys are
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    pub jwks_uri: Option<String>,
    /// standard, fapi2-security or fapi2-message-signing
    #[arg(long, default_value = "standard")]
    pub profile: String,
    /// A confidential client may leave PKCE out
    #[arg(long)]
    pub pkce_optional: bool,
    /// Its access tokens: jwt or opaque
    #[arg(long, default_value = "jwt")]
    pub token_format: String,
    /// Its tokens are bound to its key (RFC 9449)
    #[arg(long)]
    pub dpop: bool,
    /// People are not asked: for clients of your own
    #[arg(long)]
    pub no_consent: bool,
    /// Where it is told that people have signed out
    #[arg(long, value_name = "URL")]
    pub backchannel_logout_uri: Option<String>,
}

impl NewClient {
    /// As the control API takes it.
    ///
    /// # Errors
    /// When the key file cannot be read.
    pub(in crate::cli) fn body(&self) -> Result<serde_json::Value, crate::cli::CliError> {
        let jwks = match &self.jwks {
            Some(path) => {
                let wrong =
                    |why: String| crate::cli::CliError::Usage(format!("{}: {why}", path.display()));
                let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
                let value: serde_json::Value =
                    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
                Some(value)
            }
            None => None,
        };
        let scopes: Vec<&str> =
            self.scopes.iter().flat_map(|scope| scope.split_whitespace()).collect();
        let auth = if self.public { Some("none") } else { self.auth.as_deref() };
        Ok(serde_json::json!({
            "name": self.name,
            "grants": self.grants,
            "redirect_uris": self.redirect_uris,
            "post_logout_redirect_uris": self.post_logout_redirect_uris,
            "scopes": scopes,
            "resources": self.resources,
            "auth": auth,
            "profile": self.profile,
            "pkce": if self.pkce_optional { "optional" } else { "required" },
            "token_format": self.token_format,
            "consent": !self.no_consent,
            "jwks": jwks,
            "jwks_uri": self.jwks_uri,
            "dpop": self.dpop,
            "backchannel_logout_uri": self.backchannel_logout_uri,
        }))
    }
}

/// `user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account; the link on which its password is set is shown once
    Create {
        /// The address that the person signs in with
        #[arg(long)]
        email: String,
        /// The full name
        #[arg(long)]
        name: Option<String>,
        /// A role or group: administrator, operator, auditor, or your own; repeat for several
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Do not mail the link; pass it on yourself
        #[arg(long)]
        no_mail: bool,
    },
    /// List accounts
    List,
    /// Bring people from elsewhere: one JSON object a line; safe to run again
    Import(ImportArgs),
    /// Take all people out, as `import` takes them: one JSON object a line, without secrets
    Export {
        /// With the hashes of their passwords; that is recorded
        #[arg(long)]
        with_hashes: bool,
        /// Write to this new file, which only you can read, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show an account and how its person signs in
    Show {
        /// The account's id
        id: String,
    },
    /// Make a new set-up link
    Setup {
        /// The account's id
        id: String,
    },
    /// Make a new set-up link and mail it to the person
    Invite {
        /// The account's id
        id: String,
    },
    /// Take password and all second factors of an account, so that its person begins anew; sessions and tokens end
    ResetFactors {
        /// The account's id
        id: String,
        /// From the machine itself, when no administrator can sign in: a closed account is opened too
        #[arg(long)]
        break_glass: bool,
    },
    /// Sign a person out everywhere; sessions, tokens and the person's own keys end
    EndSessions {
        /// The account's id
        id: String,
    },
    /// Give an account other roles; its sessions and tokens end
    Roles {
        /// The account's id
        id: String,
        /// A role or group: administrator, operator, auditor, or your own; repeat for several, none for no role
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Close an account: sessions and tokens end
    Disable {
        /// The account's id
        id: String,
    },
    /// Open a closed account
    Enable {
        /// The account's id
        id: String,
    },
}

/// `user import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file; `-` is standard input
    pub(in crate::cli) file: PathBuf,
    /// Look at every line and say what would become of it; change nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Look at every line first, and change nothing if one of them is wrong
    #[arg(long)]
    pub(in crate::cli) all_or_nothing: bool,
    /// Change accounts that are there and differ: name, groups, claims, closed; never passwords
    #[arg(long)]
    pub(in crate::cli) update: bool,
    /// Take the roles administrator, operator and auditor from the file, and change accounts that hold one
    #[arg(long)]
    pub(in crate::cli) with_roles: bool,
    /// Mail a set-up link to whoever is new and has no password
    #[arg(long)]
    pub(in crate::cli) invite: bool,
}

/// `trust`.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Let tokens of an issuer stand for a client; a rule of the same name is replaced
    Put(Box<NewTrust>),
    /// List the rules
    List,
    /// Remove a rule; tokens that it gave end by time
    Remove {
        /// The rule's id
        id: String,
    },
}

/// `trust put`.
#[derive(Debug, Args)]
pub struct NewTrust {
    /// What people call the rule
    #[arg(long)]
    pub name: String,
    /// The exact `iss` of the tokens, an https URL
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// The `sub` that is let in; `*` stands for any run of characters but `:` and `/`
    #[arg(long, value_name = "PATTERN")]
    pub subject: String,
    /// The client that the bearer becomes
    #[arg(long, value_name = "CLIENT_ID")]
    pub client: String,
    /// At most this scope; repeat for several [default: all that the client may have for itself]
    #[arg(long = "scope", num_args = 1.., value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// The `aud` that the tokens must name [default: this gate's issuer]
    #[arg(long)]
    pub audience: Option<String>,
    /// Where the issuer's keys are [default: by discovery]
    #[arg(long, value_name = "URL")]
    pub jwks_uri: Option<String>,
    /// A further claim that must have exactly this value, such as ref=refs/heads/main; repeat for several
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    pub claims: Vec<(String, String)>,
}

/// `scope`.
#[derive(Debug, Subcommand)]
pub enum ScopeCommand {
    /// Say what a scope means
    Set {
        /// The scope
        scope: String,
        /// What it means, as a person is asked: "See your orders"
        description: String,
    },
    /// List the scopes that have words
    List,
    /// Forget a scope's words; those of the file hold again
    Remove {
        /// The scope
        scope: String,
    },
}

/// `group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group, or change the one of the same name
    Create {
        /// Its name, as it stands among the roles of accounts
        name: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// A scope that only members may give from now on; repeat for several
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// List groups
    List,
    /// Show a group
    Show {
        /// Its name
        name: String,
    },
    /// Remove a group; says which scopes are open to everybody from now on
    Remove {
        /// Its name
        name: String,
    },
}

/// `mail`.
#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// List the messages, the newest first
    List,
    /// Show what one of them says; that it was shown is recorded
    Show {
        /// Its number
        number: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write a name and a value, such as ref=refs/heads/main".to_owned()),
    }
}
