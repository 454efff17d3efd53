//! What clients call people, and how what they get about them is signed.

use super::OAuth;
use super::records::ClientRecord;
use base::Secret;
use protocol::Algorithm;
use protocol::oidc::{pairwise, sector};

impl OAuth {
    /// The `sub` by which this client knows the account (OpenID Connect Core §8).
    pub(crate) fn subject_of(&self, client: &ClientRecord, user: &str) -> String {
        if client.metadata.subject_type != "pairwise" {
            return user.to_owned();
        }
        let uris: Vec<Box<str>> =
            client.metadata.redirect_uris.iter().map(|uri| uri.as_str().into()).collect();
        let sector = sector(client.metadata.sector_identifier_uri.as_deref(), &uris);
        // A client without any host is a sector of its own.
        let sector = sector.unwrap_or_else(|| format!("client:{}", client.id));
        let salt = Secret::new(self.parts.pepper.mac(b"oauth\0pairwise\0").to_vec());
        // The salt is long enough; were it not, a MAC is no less one-way.
        pairwise(&sector, user, &salt).unwrap_or_else(|| {
            let text = format!("oauth\0pairwise\0{sector}\0{user}");
            hex::encode(self.parts.pepper.mac(text.as_bytes()))
        })
    }

    /// How the client's ID tokens and logout tokens are signed.
    pub(crate) fn id_token_algorithm(&self, client: &ClientRecord) -> Algorithm {
        let asked = client.metadata.id_token_signed_response_alg.as_deref();
        asked.and_then(|name| name.parse().ok()).unwrap_or(self.settings().algorithm)
    }
}
