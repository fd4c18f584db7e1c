//! Who a test server says it is.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// A certificate, made by `certificates/make`. All are signed by the same authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost` and 127.0.0.1.
    Good,
    /// For another host.
    OtherHost,
    /// No longer valid.
    Expired,
    /// Not valid yet, until 2119.
    Future,
}

/// The key of all but the authority.
pub(crate) const KEY: &[u8] = include_bytes!("certificates/shared.key");

impl Certificate {
    /// The authority's certificate, as PEM.
    pub const AUTHORITY: &[u8] = include_bytes!("certificates/authority.pem");

    /// A client's certificate and key, as PEM.
    pub const CLIENT: (&[u8], &[u8]) = (include_bytes!("certificates/client.pem"), KEY);

    pub(crate) fn pem(self) -> &'static [u8] {
        match self {
            Self::Good => include_bytes!("certificates/good.pem"),
            Self::OtherHost => include_bytes!("certificates/other-host.pem"),
            Self::Expired => include_bytes!("certificates/expired.pem"),
            Self::Future => include_bytes!("certificates/future.pem"),
        }
    }

    /// What a server needs; it may want the client's certificate.
    pub(crate) fn config(self, wants_client: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let certificate = |pem| CertificateDer::from_pem_slice(pem).expect("a committed certificate");
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them");
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(Self::AUTHORITY)).expect("a committed certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("there is an authority"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(KEY).expect("a committed key");
        let config = builder.with_single_cert(vec![certificate(self.pem())], key);
        Arc::new(config.expect("certificate and key belong together"))
    }
}
