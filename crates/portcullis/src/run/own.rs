//! The authority of this process: its settings from the file, its keys for the gate, its news from the feed.

use super::compile;
use super::state::State;
use crate::config::{self, Config, SELF};
use audit::Ledger;
use authority::factors::passkey::Anchors;
use authority::oauth::records::{
    ClientRecord, ClientSecret, Origin, Pkce, Profile, RefreshRotation, ScopeRecord, TokenFormat,
};
use authority::oauth::secrets::Purpose;
use authority::oauth::settings::{Registration, Settings};
use authority::oauth::{CLI_CLIENT, Evidence, GATE_CLIENT, OAuth, cli_client, gate_client};
use authority::{Change, Pepper};
use base::{BoxFuture, Event, UnixMs};
use protocol::oauth::metadata::ClientMetadata;
use std::sync::Arc;
use std::time::Duration;

/// How often signing keys are looked at: whether one has to be made, to sign or to go.
const TICK: Duration = Duration::from_secs(60);

/// Takes evidence to the ledger.
pub(super) struct ToLedger(pub(super) Arc<Ledger>);

impl Evidence for ToLedger {
    fn record_denial(&self, event: Event) {
        self.0.record(&event);
    }

    fn record_synced(&self, event: Event) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.0.append_synced(vec![event]).await.map_err(|error| error.to_string())
        })
    }
}

/// What the file says of the authority.
pub(super) fn settings(config: &Config) -> Settings {
    let said = &config.authority;
    let mut settings = Settings::new(config.server.public_url.as_str());
    settings.name = said.name.clone();
    settings.algorithm = said.algorithm;
    settings.access_token = said.access_token;
    settings.refresh_idle = said.refresh_idle;
    settings.refresh_absolute = said.refresh_absolute;
    settings.session = said.session;
    settings.session_idle = said.session_idle;
    settings.providers = config.providers.clone();
    settings.client_documents = said.client_documents;
    settings.registration = match said.registration {
        config::Registration::Off => Registration::Off,
        config::Registration::Token => Registration::Token,
        config::Registration::Open => Registration::Open,
    };
    settings.sign_in.clone_from(&config.sign_in);
    // None could not be read: the configuration has tried them.
    settings.passkey_makers = Anchors::new(&said.passkey_makers).unwrap_or_default();
    settings.resources = compile::resources(config);
    settings.self_service =
        config.ip_lists.iter().filter_map(|it| it.self_service.clone()).collect();
    settings.admin_url = config.server.admin_url.as_ref().map(|it| it.as_str().to_owned());
    settings.scope_words = said
        .scopes
        .iter()
        .map(|(name, description)| ScopeRecord {
            name: name.clone(),
            description: description.clone(),
        })
        .collect();
    settings
}

/// The clients that the file declares, the gate itself where browsers have sessions, and the command line, unless the
/// file has its own.
///
/// # Errors
/// A sentence: what the check could not see, such as a key file that holds no key.
pub(super) fn clients(config: &Config, pepper: &Pepper) -> Result<Vec<ClientRecord>, String> {
    let declared = config.clients.iter().map(|it| client(it, pepper));
    let mut clients = declared.collect::<Result<Vec<_>, _>>()?;
    if clients.iter().all(|it| it.id != CLI_CLIENT) {
        clients.push(cli_client(&settings(config)));
    }
    if clients.iter().any(|it| it.id == GATE_CLIENT) {
        return Err(format!("client {GATE_CLIENT}: the name is the gate's own"));
    }
    let callbacks = compile::callbacks(config);
    if !callbacks.is_empty() {
        clients.push(gate_client(&settings(config), callbacks));
    }
    Ok(clients)
}

fn client(it: &config::Client, pepper: &Pepper) -> Result<ClientRecord, String> {
    let jwks = match &it.jwks_file {
        Some(path) => {
            let text =
                std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let value = serde_json::from_slice(&text)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Some(value)
        }
        None => None,
    };
    let method = match it.auth {
        config::ClientAuth::None => "none",
        config::ClientAuth::Basic => "client_secret_basic",
        config::ClientAuth::Post => "client_secret_post",
        config::ClientAuth::PrivateKeyJwt => "private_key_jwt",
    };
    let code = it.grants.iter().any(|grant| grant == "authorization_code");
    let metadata = ClientMetadata {
        redirect_uris: it.redirect_uris.clone(),
        token_endpoint_auth_method: method.to_owned(),
        grant_types: it.grants.clone(),
        response_types: if code { vec!["code".to_owned()] } else { Vec::new() },
        client_name: Some(it.name.clone()),
        scope: (!it.scopes.is_empty()).then(|| it.scopes.join(" ")),
        jwks,
        jwks_uri: it.jwks_uri.clone(),
        application_type: "web".to_owned(),
        subject_type: "public".to_owned(),
        post_logout_redirect_uris: it.post_logout_redirect_uris.clone(),
        backchannel_logout_uri: it.backchannel_logout_uri.clone(),
        backchannel_logout_session_required: it.backchannel_logout_uri.is_some(),
        ..ClientMetadata::default()
    };
    let secrets = it.secret.iter().map(|secret| ClientSecret {
        mac: hex::encode(Purpose::ClientSecret.mac(pepper, secret.expose())),
        created_at: UnixMs(0),
        expires_at: None,
    });
    Ok(ClientRecord {
        id: it.name.clone(),
        name: it.name.clone(),
        profile: match it.profile {
            config::Profile::Standard => Profile::Standard,
            config::Profile::Fapi2Security => Profile::Fapi2Security,
            config::Profile::Fapi2MessageSigning => Profile::Fapi2MessageSigning,
        },
        pkce: if it.pkce { Pkce::Required } else { Pkce::Optional },
        token_format: TokenFormat::Jwt,
        refresh: match it.profile {
            config::Profile::Standard => RefreshRotation::Rotate,
            _ => RefreshRotation::Keep,
        },
        access_token_seconds: None,
        scopes: it.scopes.clone(),
        resources: Vec::new(),
        metadata,
        secrets: secrets.collect(),
        registration: None,
        document_sha256: None,
        consent: it.consent,
        origin: Origin::File,
        created_at: UnixMs(0),
        created_by: "file".to_owned(),
        disabled_at: None,
    })
}

/// Hands the authority's keys to the gate.
pub(super) fn hand_over_keys(oauth: &OAuth, state: &State) {
    if let Some(issuer) = state.policy().issuer(SELF) {
        issuer.replace_keys((*oauth.key_set()).clone());
    }
}

/// Takes note of changes that concern the authority.
///
/// # Errors
/// A sentence, when the store does not answer; then everything must be loaded again.
pub(super) async fn changed(
    oauth: &OAuth,
    state: &State,
    changes: &[(i64, Change)],
) -> Result<(), String> {
    for (_, change) in changes {
        oauth.changed(change).await.map_err(|error| error.to_string())?;
        if matches!(change, Change::SigningKeysChanged) {
            hand_over_keys(oauth, state);
        }
    }
    Ok(())
}

/// Moves signing keys on and tells clients of logouts, for as long as the node runs.
pub(super) async fn tick(oauth: Arc<OAuth>, state: Arc<State>) {
    tokio::spawn(Arc::clone(&oauth).deliver_logouts());
    loop {
        // WHY at once: the start made the keys that are cheap only, and RSA is on offer as well.
        if let Err(error) = oauth.tick().await {
            tracing::warn!(%error, "signing keys cannot be moved on");
        }
        hand_over_keys(&oauth, &state);
        tokio::time::sleep(TICK).await;
    }
}
