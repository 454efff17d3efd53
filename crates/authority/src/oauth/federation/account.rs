//! Which account here belongs to an account at a provider, and what follows from that.

use super::provider::Provider;
use super::{Away, CameBack, Failed, FederationRefused, Returned, failed};
use crate::error::{Error, PortError};
use crate::mail::MethodChange;
use crate::oauth::browsers::ID_CHARS;
use crate::oauth::records::UserRecord;
use crate::oauth::sessions::{SessionText, SignedIn};
use crate::oauth::users::email;
use crate::oauth::{OAuth, Origin};
use crate::people::{AuthenticatorData, AuthenticatorRecord, FactorKind, Proof};
use crate::text;
use aws_lc_rs::digest::{SHA256, digest};
use base::limits::CLOCK_SKEW;
use base::{UnixMs, base62, code};
use protocol::jwt::Claims;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How old a sign-in is taken to be of which the provider does not say when it was. WHY: it may have been by a cookie of
/// last year, so it is never fresh; yet it is a sign-in.
const UNSAID: Duration = Duration::from_secs(24 * 3600);
/// Characters of what an authenticator is called.
const NAME_CHARS: usize = 60;
/// How often a change of groups is tried again that another change came before.
const TRIES: usize = 3;

type Answered<T> = Result<Result<T, Failed>, Error>;

impl OAuth {
    /// Signs a person in who has an account at a provider.
    pub(super) async fn entered(
        &self,
        (provider, away): (&Provider, &Away),
        claims: &Claims,
        back: &CameBack,
        origin: &Origin,
    ) -> Answered<SignedIn> {
        let handle = handle(provider, claims);
        let found = self.parts.store.authenticator_by_handle(handle.clone()).await?;
        let (user, row) = match found {
            Some(row) => match self.parts.store.user(row.user.clone()).await? {
                Some(user) => (user, row),
                None => return Ok(Err(failed(FederationRefused::Closed, "the account is gone"))),
            },
            None => match self.made_for(provider, claims, &handle, origin).await? {
                Ok(made) => made,
                Err(failed) => return Ok(Err(failed)),
            },
        };
        if user.disabled_at.is_some() {
            return Ok(Err(failed(FederationRefused::Closed, "the account is closed")));
        }
        let user = self.with_groups(provider, claims, user, origin).await?;
        let now = self.parts.clock.now();
        let used = AuthenticatorRecord { last_used_at: Some(now), failures: 0, ..row.clone() };
        // Whoever came between has noted a use as well.
        self.parts.store.replace_authenticator(row.clone(), used, None).await?;
        let owned = self.parts.store.authenticators(user.id.clone()).await?;
        let guard = self.password_guard(Some(&user), owned, back.browser.as_ref());
        self.forgive(guard).await?;
        let level = provider.level(claims);
        let proof = Proof {
            upstream: level.map(|it| it.as_str().to_owned()),
            ..Proof::new(FactorKind::Federated, Some(row.id), proved_at(claims, away, now))
        };
        let begun = self.begin_session(&user, proof, back.session.as_ref(), origin).await?;
        self.came_in(begun, &user, back.browser.as_ref(), origin).await.map(Ok)
    }

    /// The account that is made at the first sign-in, where the file allows it.
    async fn made_for(
        &self,
        provider: &Provider,
        claims: &Claims,
        handle: &str,
        origin: &Origin,
    ) -> Answered<(UserRecord, AuthenticatorRecord)> {
        let not_linked = |why: &str| Ok(Err(failed(FederationRefused::NotLinked, why)));
        let said = |name: &str| claims.other.get(name).and_then(Value::as_str);
        // OpenID Connect Core §5.1: a boolean. A text "true" is no promise.
        if claims.other.get("email_verified") != Some(&Value::Bool(true)) {
            return not_linked("not linked, and the provider vouches for no address");
        }
        let Some(address) = said("email").and_then(|it| email(it).ok()) else {
            return not_linked("not linked, and the provider names no address");
        };
        if !provider.may_create(&address, said("hd")) {
            return not_linked("not linked, and the provider makes no accounts of this domain");
        }
        let by = format!("provider:{} {handle}", provider.name);
        if let Some(user) = self.parts.store.user_by_email(address.clone()).await? {
            // INVARIANT: an address is no proof. Only an account that was made for this very account there, and that a
            // crash has left without anything to sign in with, is linked now.
            let owned = self.parts.store.authenticators(user.id.clone()).await?;
            if user.created_by != by || user.password.is_some() || !owned.is_empty() {
                return not_linked("not linked, and an account here has the address");
            }
            return self.tied(provider, claims, (user, handle), origin).await;
        }
        let mut user = self.blank_user(&crate::Actor::local(&by), address)?;
        user.email_verified = true;
        user.name = text::optional_line("name", said("name"), text::NAME_CHARS).ok().flatten();
        user.roles = provider.roles(claims.claim(&provider.groups_claim).as_deref()).0;
        user.roles.sort_unstable();
        user.roles.dedup();
        let mut event = self.event(origin, code::USER_CREATED)?;
        event.credential_id = Some(Arc::from(user.id.as_str()));
        let detail = format!("by the provider {}: roles {:?}", provider.name, user.roles.join(" "));
        event.detail = Some(detail.into());
        match self.parts.store.create_user(user.clone(), event).await {
            Ok(_) => self.tied(provider, claims, (user, handle), origin).await,
            // Two windows at once: the other one has made it, and this one is tried again by its person.
            Err(PortError::Conflict) => {
                not_linked("not linked, and an account here has the address")
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn tied(
        &self,
        provider: &Provider,
        claims: &Claims,
        (user, handle): (UserRecord, &str),
        origin: &Origin,
    ) -> Answered<(UserRecord, AuthenticatorRecord)> {
        let row = self.row(provider, claims, (&user.id, handle))?;
        let event = self.linking(&row, origin)?;
        match self.parts.store.add_authenticator(row.clone(), None, Some(event)).await {
            Ok(()) => Ok(Ok((user, row))),
            Err(PortError::Conflict) => {
                Ok(Err(failed(FederationRefused::NotLinked, "another sign-in came between")))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn row(
        &self,
        provider: &Provider,
        claims: &Claims,
        (user, handle): (&str, &str),
    ) -> Result<AuthenticatorRecord, Error> {
        let address = claims.other.get("email").and_then(Value::as_str);
        let name = match address.and_then(|it| email(it).ok()) {
            Some(address) => format!("{} ({address})", provider.display_name),
            None => provider.display_name.clone(),
        };
        let now = self.parts.clock.now();
        Ok(AuthenticatorRecord {
            id: base62::random(ID_CHARS)?,
            user: user.to_owned(),
            name: name.chars().take(NAME_CHARS).collect(),
            handle: Some(handle.to_owned()),
            data: AuthenticatorData::Federated {
                issuer: provider.issuer.clone(),
                subject: subject(claims).to_owned(),
            },
            created_at: now,
            last_used_at: Some(now),
            failures: 0,
            failed: None,
        })
    }

    fn linking(&self, row: &AuthenticatorRecord, origin: &Origin) -> Result<base::Event, Error> {
        let mut event = self.event(origin, code::AUTHENTICATOR_ADDED)?;
        event.principal = Some(Arc::from(row.user.as_str()));
        event.credential_id = Some(Arc::from(row.id.as_str()));
        event.detail = Some(row.kind().as_str().into());
        Ok(event)
    }

    /// Links an account there to that of the person who is signed in here, and who asked for it in this very session.
    pub(super) async fn link(
        &self,
        provider: &Provider,
        claims: &Claims,
        (text, session): (Option<&SessionText>, &str),
        origin: &Origin,
    ) -> Answered<Returned> {
        let current = self.current(text).await?.filter(|it| it.session.id == session);
        let Some(current) = current else {
            let why = "the session that was to be linked in has ended";
            return Ok(Err(failed(FederationRefused::NotBegun, why)));
        };
        let handle = handle(provider, claims);
        let linked = Returned::Linked { provider: provider.display_name.clone() };
        if let Some(row) = self.parts.store.authenticator_by_handle(handle.clone()).await? {
            return Ok(match row.user == current.user.id {
                true => Ok(linked),
                false => Err(failed(FederationRefused::Taken, "it is linked to another account")),
            });
        }
        let row = self.row(provider, claims, (&current.user.id, &handle))?;
        let event = self.linking(&row, origin)?;
        match self.parts.store.add_authenticator(row, Some(session.to_owned()), Some(event)).await {
            Ok(()) => {}
            Err(PortError::Conflict) => {
                return Ok(Err(failed(
                    FederationRefused::Taken,
                    "it is linked already, or too many are",
                )));
            }
            Err(error) => return Err(error.into()),
        }
        let change = MethodChange::ProviderLinked(&provider.display_name);
        self.tell_change(&current.user, change, origin).await;
        Ok(Ok(linked))
    }

    /// The person with the groups that the provider says: those of ours that it decides on, and no others.
    async fn with_groups(
        &self,
        provider: &Provider,
        claims: &Claims,
        mut user: UserRecord,
        origin: &Origin,
    ) -> Result<UserRecord, Error> {
        let claimed = claims.claim(&provider.groups_claim);
        let (given, decided) = provider.roles(claimed.as_deref());
        if user.declared.is_some() {
            // The file says which groups they are in.
            return Ok(user);
        }
        for _ in 0..TRIES {
            let mut roles: Vec<String> =
                user.roles.iter().filter(|it| !decided.contains(it)).cloned().collect();
            roles.extend(given.iter().cloned());
            roles.sort_unstable();
            roles.dedup();
            if roles == user.roles {
                return Ok(user);
            }
            // What is only wider leaves no token that says too much.
            let narrower = user.roles.iter().any(|it| !roles.contains(it));
            let revoke = narrower.then(|| self.subject_revocation(&user.id));
            let after = UserRecord { roles, updated_at: self.parts.clock.now(), ..user.clone() };
            let mut event = self.event(origin, code::USER_CHANGED)?;
            event.credential_id = Some(Arc::from(user.id.as_str()));
            event.detail = Some(format!("groups by the provider {}", provider.name).into());
            let store = &self.parts.store;
            if store.replace_user(user.clone(), after.clone(), revoke, event).await?.is_some() {
                return Ok(after);
            }
            let Some(now) = store.user(user.id.clone()).await? else { break };
            user = now;
        }
        Err(Error::Store(PortError::Unavailable("the account keeps changing".to_owned())))
    }
}

fn subject(claims: &Claims) -> &str {
    // `token::check` has seen that there is one.
    claims.subject.as_deref().unwrap_or_default()
}

/// By what the account there is found: no two pairs of issuer and subject have the same text, since issuers are URLs.
fn handle(provider: &Provider, claims: &Claims) -> String {
    let text = format!("{}\n{}", provider.issuer, subject(claims));
    format!("federated:{}", hex::encode(digest(&SHA256, text.as_bytes())))
}

/// When the person proved themselves there.
fn proved_at(claims: &Claims, away: &Away, now: UnixMs) -> UnixMs {
    match claims.authenticated_at {
        // While they were away: that is now, whatever the other clock says.
        Some(at) if at.plus(CLOCK_SKEW) >= away.begun() => now,
        Some(at) => at,
        None => now.minus(UNSAID),
    }
}
