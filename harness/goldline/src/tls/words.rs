//! What rustls says of a failed handshake, in sentences for people.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError, InconsistentKeys};

use super::Distrust;

/// How a handshake failed where the bench was the client.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeFailure {
    /// The server's certificate is not trusted.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// The server refused, with an alert of that name.
    #[error("the server refused with the TLS alert {0}")]
    Alert(String),
    /// What answers speaks no TLS.
    #[error("it answers something other than TLS")]
    NoTls,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl HandshakeFailure {
    /// The cause of an error, however deep others wrapped it; `None` when TLS did not fail.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        tls_cause(error).map(Self::of_tls)
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => match distrust(why) {
                Some(distrust) => Self::Distrusted(distrust.clone()),
                None => Self::Other(sentence(error)),
            },
            rustls::Error::AlertReceived(alert) => Self::Alert(alert_name(*alert)),
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            other => Self::Other(sentence(other)),
        }
    }
}

fn tls_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let wrapped = |error: &'e (dyn Error + 'static)| {
        let io = error.downcast_ref::<io::Error>()?;
        io.get_ref().map(|inner| inner as &(dyn Error + 'static))
    };
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = wrapped(error).or_else(|| error.source());
    }
    None
}

fn distrust(why: &CertificateError) -> Option<&Distrust> {
    match why {
        CertificateError::Other(other) => other.0.downcast_ref(),
        _ => None,
    }
}

/// An alert's name as the protocol's registry has it, in rustls' spelling, such as `UnknownCA`.
pub fn alert_name(alert: AlertDescription) -> String {
    let number = u8::from(alert);
    alert.as_str().map_or_else(|| format!("number {number}"), str::to_owned)
}

/// An error of rustls without the forms of its source code.
pub fn sentence(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => of_certificate(why),
        rustls::Error::AlertReceived(alert) => format!("TLS alert {}", alert_name(*alert)),
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the private key is of another certificate".to_owned()
        }
        rustls::Error::NoCertificatesPresented => "no certificate is shown".to_owned(),
        rustls::Error::InvalidMessage(_) => "what comes is no TLS, or damaged".to_owned(),
        rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "a message of TLS comes where another one must".to_owned()
        }
        rustls::Error::PeerIncompatible(_) => {
            "the two sides have no TLS version or cipher suite in common".to_owned()
        }
        rustls::Error::PeerMisbehaved(_) => "the other side breaks the rules of TLS".to_owned(),
        other => other.to_string(),
    }
}

/// Of a client's certificate, which rustls judged by itself.
fn of_certificate(why: &CertificateError) -> String {
    if let Some(distrust) = distrust(why) {
        return distrust.to_string();
    }
    let text = match why {
        CertificateError::BadEncoding => "the certificate cannot be read",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "the certificate was issued by a CA that is not trusted",
        CertificateError::Revoked => "the certificate was revoked",
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the certificate's signature is not good"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is for another purpose"
        }
        CertificateError::UnhandledCriticalExtension => {
            "the certificate has a critical extension that is not known"
        }
        _ => "the certificate is not acceptable",
    };
    text.to_owned()
}
