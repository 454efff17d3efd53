//! Certificates and keys that the file names: whether they are usable, before anything is started with them.
//!
//! Never does: keep a private key; what is read here is only looked at.

use super::problem::ProblemCode;
use super::reader::{Field, Reader, Section};
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;

/// Certificates of one file; the system's own root stores have about 150.
const CERTIFICATES: usize = 1000;

/// Reads `cert` and `key`, which must belong together.
pub(super) fn read_pair(
    reader: &mut Reader<'_>,
    table: &mut Section<'_>,
) -> Option<(PathBuf, PathBuf)> {
    let cert = table.require(reader, "cert", read_certificates);
    let key = table.require(reader, "key", |reader, field| {
        let (path, bytes) = reader.file(field)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes).ok();
        if key.is_none() {
            let shown = path.display();
            let message = format!("{shown} holds no private key in PEM");
            reader.problem(ProblemCode::Unreadable, &field.at, message);
        }
        Some((path, key?))
    });
    let ((cert, chain), (key_path, key)) = cert.zip(key)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    if let Err(error) = CertifiedKey::from_der(chain, key, &provider) {
        let message = format!("certificate and key cannot be used together: {error}");
        reader.problem(ProblemCode::Unreadable, &table.at, message);
        return None;
    }
    Some((cert, key_path))
}

/// Reads a file of roots.
pub(super) fn read_roots(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<PathBuf> {
    let (path, certificates) = read_certificates(reader, field)?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        if let Err(error) = store.add(certificate) {
            let shown = path.display();
            let message = format!("{shown} holds a certificate that is no root: {error}");
            reader.problem(ProblemCode::Unreadable, &field.at, message);
            return None;
        }
    }
    Some(path)
}

pub(super) fn read_certificates(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
) -> Option<(PathBuf, Vec<CertificateDer<'static>>)> {
    let (path, bytes) = reader.file(field)?;
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&bytes).take(CERTIFICATES).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Some((path, certificates)),
        _ => {
            let shown = path.display();
            let message = format!("{shown} holds no certificate in PEM");
            reader.problem(ProblemCode::Unreadable, &field.at, message);
            None
        }
    }
}
