//! Whom the client trusts.

use crate::server::{Names, answer, operator};
use base::{Fetch, FetchError};
use outbound::HttpFetch;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

async fn serve(authority: &Authority, name: &str) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &authority.issuer).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn the_operators_authority_is_trusted_and_no_other() {
    let (ours, theirs) = (authority(), authority());
    let address = serve(&ours, "issuer.test").await;
    let url = format!("https://issuer.test:{}/", address.port());

    let names = Names::new(&[&["127.0.0.1"]]);
    let client = HttpFetch::new(names, Some(ours.pem.as_bytes())).unwrap();
    assert_eq!(client.fetch(operator(url.clone())).await.unwrap().body, b"ok");

    for roots in [None, Some(theirs.pem.as_bytes())] {
        let client = HttpFetch::new(Names::new(&[&["127.0.0.1"]]), roots).unwrap();
        let error = client.fetch(operator(url.clone())).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Unreachable(why) if why.contains("certificate")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn rfc9110_s4_3_4_the_certificate_must_be_for_the_name() {
    let ours = authority();
    let address = serve(&ours, "other.test").await;
    let client = HttpFetch::new(Names::new(&[&["127.0.0.1"]]), Some(ours.pem.as_bytes())).unwrap();
    let url = format!("https://issuer.test:{}/", address.port());
    let error = client.fetch(operator(url)).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
}
