//! The rules that the client's registration and profile make.

use crate::oauth::clients::{CODE, REFRESH, auth_method};
use crate::oauth::records::{ClientRecord, Pkce, Profile};
use crate::oauth::refusal::Failed;
use crate::oauth::{OAuth, scopes};
use protocol::oauth::client_auth::AuthMethod;
use protocol::oauth::uri::Uri;
use protocol::oauth::{AuthorizationRequest, ErrorCode};

/// What is known of how a request came, where rules depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// Through the pushed authorization request endpoint.
    pub(crate) pushed: bool,
    /// In a signed object.
    pub(crate) signed: bool,
}

impl OAuth {
    /// The rules that the client's registration and profile make. Judged at the endpoint and when a request is
    /// pushed.
    pub(crate) fn judge(
        &self,
        client: &ClientRecord,
        request: &AuthorizationRequest,
        came: Came,
    ) -> Result<(Vec<String>, Vec<String>), Failed> {
        let settings = self.settings();
        grants(client)?;
        arrival(client, came)?;
        pkce(client, request)?;
        profile(client, request)?;
        let mut asked = scopes::judge_scopes(client, &settings, request.scope.iter())?;
        // OpenID Connect Core §11: `offline_access` means a refresh token; without the grant it means nothing.
        if !client.metadata.grant_types.iter().any(|it| it == REFRESH) {
            asked.retain(|scope| scope != "offline_access");
        }
        let wanted = request.resource.iter().map(|it| &**it);
        let resources = scopes::judge_resources(client, &settings, wanted)?;
        scopes::judge_details(client, &request.authorization_details)?;
        Ok((asked, resources))
    }
}

fn grants(client: &ClientRecord) -> Result<(), Failed> {
    match client.metadata.grant_types.iter().any(|it| it == CODE) {
        true => Ok(()),
        false => Err(Failed::refused(
            ErrorCode::UnauthorizedClient,
            "the client may not use the authorization code grant",
            "RFC 7591 §2: grant_types of the client has no authorization_code",
        )),
    }
}

fn arrival(client: &ClientRecord, came: Came) -> Result<(), Failed> {
    // FAPI 2.0 Security Profile §5.3.2.2: only pushed requests.
    let push = client.metadata.require_pushed_authorization_requests
        || client.profile != Profile::Standard;
    if push && !came.pushed {
        return Err(Failed::request(
            "the client must push its authorization requests",
            "RFC 9126 §6, FAPI 2.0 §5.3.2.2: the request did not come through the pushed endpoint",
        ));
    }
    // FAPI 2.0 Message Signing §5.3.1: only signed requests.
    if must_sign(client) && !came.signed {
        return Err(Failed::request(
            "the client must sign its authorization requests",
            "RFC 9101 §10.5, FAPI 2.0 Message Signing §5.3.1: the request is not a signed object",
        ));
    }
    Ok(())
}

/// Whether the client's requests are signed objects, always.
pub(crate) fn must_sign(client: &ClientRecord) -> bool {
    client.metadata.require_signed_request_object || client.profile == Profile::Fapi2MessageSigning
}

fn pkce(client: &ClientRecord, request: &AuthorizationRequest) -> Result<(), Failed> {
    let public = auth_method(client).is_none_or(|it| it == AuthMethod::None);
    let may_do_without =
        client.pkce == Pkce::Optional && !public && client.profile == Profile::Standard;
    match request.code_challenge.is_some() || may_do_without {
        true => Ok(()),
        // OAuth 2.1 §7.5.1, RFC 9700 §2.1.1, FAPI 2.0 §5.3.2.2.
        false => Err(Failed::request(
            "code_challenge is missing: PKCE with S256 is required",
            "RFC 9700 §2.1.1: code_challenge is missing",
        )),
    }
}

fn profile(client: &ClientRecord, request: &AuthorizationRequest) -> Result<(), Failed> {
    if client.profile == Profile::Standard {
        return Ok(());
    }
    // FAPI 2.0 Security Profile §5.3.2.2: https, but for apps on the person's own machine.
    let uri = request.redirect_uri.as_deref().and_then(Uri::parse);
    if uri.is_some_and(|uri| uri.is("http")) {
        return Err(Failed::request(
            "the redirect URI must use https",
            "FAPI 2.0 §5.3.2.2: redirect_uri uses http",
        ));
    }
    Ok(())
}
