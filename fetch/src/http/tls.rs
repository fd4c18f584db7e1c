//! Encrypted connections, and why one could not be trusted.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, RootCertStore,
};

use super::config::{ConfigError, Trust};
use super::stream::Counted;
use crate::{FetchErrorKind, Trouble};

/// What a connection needs to be encrypted.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The clock of certificates: that of the machine, but never before a time that is known to have passed.
#[derive(Debug)]
struct Clock {
    not_before: Option<SystemTime>,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = SystemTime::now();
        let now = self.not_before.map_or(now, |not_before| not_before.max(now));
        // By a clock that shows a time before 1970, no certificate is valid yet.
        Some(UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)))
    }
}

impl Tls {
    pub(crate) fn new(trust: &Trust, http2: bool) -> Result<Self, ConfigError> {
        let clock = Arc::new(Clock { not_before: trust.not_before });
        let builder = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), clock)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots(trust)?);
        let mut config = match &trust.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(unusable)?;
                builder.with_client_auth_cert(certificates(chain)?, key).map_err(unusable)?
            }
        };
        if http2 {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Ok(Self { connector: Arc::new(config).into() })
    }

    /// Encrypts `stream`, which leads to `host`, and proves that it does.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: Counted,
    ) -> Result<TlsStream<Counted>, FetchErrorKind> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| FetchErrorKind::Network(Trouble::Broken(error.into())))?;
        self.connector.connect(name, stream).await.map_err(distrust)
    }
}

/// Whether the server has chosen HTTP/2.
pub(crate) fn has_chosen_http2(stream: &TlsStream<Counted>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

fn roots(trust: &Trust) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    match &trust.authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(unusable)?;
            }
        }
    }
    Ok(roots)
}

/// The certificates in a PEM text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(unusable)?;
    if certificates.is_empty() {
        return Err(unusable("there is no certificate in the PEM text"));
    }
    Ok(certificates)
}

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConfigError {
    ConfigError::Certificate(error.into())
}

/// A clock that is wrong is told from a server that is.
fn distrust(error: io::Error) -> FetchErrorKind {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) else {
        return FetchErrorKind::Network(Trouble::Broken(error.into()));
    };
    match cause {
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => FetchErrorKind::CertificateTime(cause.clone().into()),
        // Where TLS would begin, there is something else: HTTP, as a rule.
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => FetchErrorKind::Unencrypted,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
            FetchErrorKind::Untrusted(cause.clone().into())
        }
        Error::AlertReceived(alert) if is_about_us(*alert) => FetchErrorKind::Rejected(cause.clone().into()),
        _ => FetchErrorKind::Network(Trouble::Broken(error.into())),
    }
}

/// That the server does not accept our certificate, if that is behind `error`. In TLS 1.3 it says so only when the
/// connection is open already.
pub(crate) fn rejection(error: &(dyn std::error::Error + 'static)) -> Option<FetchErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(cause @ Error::AlertReceived(alert)) = wrapped.and_then(|error| error.downcast_ref())
            && is_about_us(*alert)
        {
            return Some(FetchErrorKind::Rejected(cause.clone().into()));
        }
        next = error.source();
    }
    None
}

/// Whether what a server says is the matter is our certificate, or that we have none.
fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            // Before TLS 1.3 servers have no other word for a certificate that is not there.
            | AlertDescription::HandshakeFailure
    )
}
