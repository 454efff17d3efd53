//! The signed assertion to the upstream: who calls, for which method and path, for at most 60 seconds.

use crate::exchange::Forward;
use crate::head::RequestHead;
use crate::serve::Connection;
use access::Credential;
use base::Scheme;
use protocol::oauth::ScopeSet;
use protocol::sign::Signer;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// How long an assertion is valid (design: at most 60 s).
const LIFETIME_S: i64 = 60;
/// How long one is sent again for the same caller, method and path: so that it never arrives near its end.
const REUSED_S: i64 = 30;
/// Assertions kept per shard; at about 600 bytes 2.5 MB. When full, all are let go.
const KEPT: usize = 4096;
/// Bytes of the longest one that is kept: a caller with paths of 8 KiB must not fill the memory.
const LONGEST: usize = 2048;

/// All that an assertion says.
///
/// INVARIANT: every claim but the times follows from these. An id and a subject alone do not name a caller: two
/// issuers may give the same ones.
#[derive(Debug, PartialEq, Eq, Hash)]
struct About {
    upstream: u64,
    who: Option<Who>,
    method: http::Method,
    path: Box<str>,
}

/// What it says of the caller.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Who {
    scheme: Scheme,
    issuer: Option<Arc<str>>,
    subject: Arc<str>,
    client: Option<Arc<str>>,
    scopes: ScopeSet,
}

impl Who {
    fn of(credential: &Credential) -> Self {
        Self {
            scheme: credential.scheme,
            issuer: credential.issuer.clone(),
            subject: credential.subject.clone(),
            client: credential.client_id.clone(),
            scopes: credential.scopes.clone(),
        }
    }
}

/// Makes assertions for one shard.
#[derive(Debug)]
pub(crate) struct Assertions {
    signer: Option<Arc<Signer>>,
    made: RefCell<HashMap<About, (i64, String)>>,
}

impl Assertions {
    pub(crate) fn new(signer: Option<Arc<Signer>>) -> Self {
        Self { signer, made: RefCell::default() }
    }

    /// The assertion for one request.
    ///
    /// # Errors
    /// A sentence, when none can be made.
    pub(crate) fn sign(
        &self,
        connection: &Connection,
        forward: &Forward,
        head: &RequestHead,
    ) -> Result<String, String> {
        let signer = self.signer.as_ref().ok_or("the node has no assertion key")?;
        let gate = &connection.shard.gate;
        let now = gate.clock.now().seconds();
        let upstream = &forward.permit.route().act.upstream;
        let who = forward.permit.principal();
        let about = About {
            upstream: upstream.id,
            who: who.map(|it| Who::of(it)),
            method: head.method.clone(),
            path: forward.path.clone(),
        };
        if let Some((made, text)) = self.made.borrow().get(&about)
            && now - made < REUSED_S
        {
            return Ok(text.clone());
        }
        let mut claims = serde_json::json!({
            "iss": gate.assertion_issuer,
            "aud": &*upstream.settings.name,
            "iat": now,
            "exp": now + LIFETIME_S,
            "htm": head.method.as_str(),
            "path": &*forward.path,
        });
        if let (Some(who), Some(map)) = (who, claims.as_object_mut()) {
            let scopes: Vec<&str> = who.scopes.iter().collect();
            map.insert("sub".into(), (&*who.subject).into());
            map.insert("scope".into(), scopes.join(" ").into());
            map.insert("scheme".into(), who.scheme.as_str().into());
            if let Some(client) = &who.client_id {
                map.insert("client_id".into(), (&**client).into());
            }
            if let Some(issuer) = &who.issuer {
                map.insert("subject_issuer".into(), (&**issuer).into());
            }
        }
        let text = signer.sign(&claims).map_err(|error| error.to_string())?;
        if text.len() > LONGEST {
            return Ok(text);
        }
        let mut made = self.made.borrow_mut();
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(about, (now, text.clone()));
        Ok(text)
    }
}
