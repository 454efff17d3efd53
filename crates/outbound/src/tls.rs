//! Whom the client trusts over TLS: the system's roots and what the operator adds.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;

/// Certificates read from an extra CA file; a bundle of all public roots has about 150.
const EXTRA_ROOTS: usize = 1024;

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The operator's CA file is not PEM, holds no certificate, too many, or one that is none.
    #[error("the extra certificate authorities cannot be read: {0}")]
    ExtraRoots(String),
    /// The TLS library refuses its own parameters: a bug.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The system's resolver configuration cannot be read.
    #[error("the system's resolver cannot be read: {0}")]
    Resolver(String),
}

/// For HTTP/1.1: TLS 1.2 and 1.3 with aws-lc-rs; the system's roots, plus the certificates of `extra` (PEM).
pub(crate) fn client_config(extra: Option<&[u8]>) -> Result<Arc<ClientConfig>, SetupError> {
    client_config_for(extra, &[b"http/1.1"])
}

/// The same for what speaks one of `protocols` (RFC 7301), or offers none.
pub(crate) fn client_config_for(
    extra: Option<&[u8]>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, SetupError> {
    let mut roots = RootCertStore::empty();
    // WHY: a machine without roots can still ask issuers over http or with the operator's own CA; every
    // other connection then fails with an unknown issuer, which says what is wrong.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = extra {
        add_extra(&mut roots, pem)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Ok(Arc::new(config))
}

fn add_extra(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), SetupError> {
    let mut count = 0usize;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| SetupError::ExtraRoots(e.to_string()))?;
        roots.add(certificate).map_err(|e| SetupError::ExtraRoots(e.to_string()))?;
        count += 1;
        if count > EXTRA_ROOTS {
            return Err(SetupError::ExtraRoots(format!("more than {EXTRA_ROOTS} certificates")));
        }
    }
    if count == 0 {
        return Err(SetupError::ExtraRoots("no certificate in it".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        assert!(client_config(Some(b"")).is_err());
        assert!(client_config(Some(b"hello")).is_err());
        let bad = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(bad)).is_err());
        assert!(client_config(None).is_ok());
    }
}
