//! TLS on both sides: rustls with aws-lc-rs, TLS 1.2 and 1.3, X25519MLKEM768 offered first.

use crate::settings::{TlsFiles, UpstreamProtocol, UpstreamTls};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A listener's TLS. A reload makes a new one; connections keep the one they began with.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Certificate(Arc<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl ServerTls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub(crate) fn new(files: &TlsFiles, http2: bool) -> Result<Self, String> {
        let certificate = Arc::new(Certificate(Arc::new(read(files)?)));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = if http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Ok(Self { config: Arc::new(config) })
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, String> {
    let name = |path: &std::path::Path| path.display().to_string();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.cert)
        .map_err(|error| format!("{}: {error}", name(&files.cert)))?
        .collect();
    let chain = chain.map_err(|error| format!("{}: {error}", name(&files.cert)))?;
    if chain.is_empty() {
        return Err(format!("{}: holds no certificate", name(&files.cert)));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("{}: {error}", name(&files.key)))?;
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| format!("{} and {}: {error}", name(&files.cert), name(&files.key)))
}

/// TLS towards an upstream.
#[derive(Debug)]
pub(crate) struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    pub(crate) fn new(settings: &UpstreamTls, protocol: UpstreamProtocol) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match &settings.ca {
            Some(path) => {
                let pems = CertificateDer::pem_file_iter(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                for pem in pems {
                    let der = pem.map_err(|error| format!("{}: {error}", path.display()))?;
                    roots.add(der).map_err(|error| format!("{}: {error}", path.display()))?;
                }
                if roots.is_empty() {
                    return Err(format!("{}: holds no certificate", path.display()));
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = match protocol {
            UpstreamProtocol::Http1 => vec![b"http/1.1".to_vec()],
            UpstreamProtocol::Http2 => vec![b"h2".to_vec()],
        };
        let server_name = match &settings.server_name {
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| format!("{name} is no server name"))?,
            ),
            None => None,
        };
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// The name that the certificate must bear.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>, String> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| format!("{host} is no server name")),
        }
    }
}
