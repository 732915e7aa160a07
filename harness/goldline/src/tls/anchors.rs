//! The certificates that a client trusts.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;

use super::certificate::{Certificate, moment};

/// Certificates that are trusted, and what they issued with them. Each of them can be read.
#[derive(Clone, Default, Debug)]
pub struct Anchors(Vec<CertificateDer<'static>>);

/// Certificates cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum AnchorError {
    #[error("it is damaged PEM ({reason})")]
    Pem { reason: String },
    #[error("no certificate is in it")]
    Empty,
    #[error("certificate {number} in it cannot be read ({reason})")]
    Unreadable { number: usize, reason: String },
    #[error("the certificate {subject} in it expired at {until}, and now it is {now}")]
    Expired { subject: String, until: String, now: String },
    #[error("the certificate {subject} in it is valid from {from}, and now it is {now}")]
    NotYetValid { subject: String, from: String, now: String },
}

impl AnchorError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Pem { .. } | Self::Empty | Self::Unreadable { .. } => {
                "give CA certificates as PEM, or the server's own where it signed itself"
            }
            Self::Expired { .. } => {
                "units that look at the time refuse all that it issued: give the renewed certificate, \
                 and take the old one out of the file"
            }
            Self::NotYetValid { .. } => {
                "units that look at the time refuse all that it issued: correct this machine's clock, \
                 or give the certificate that is valid now"
            }
        }
    }
}

impl Anchors {
    /// Every certificate in a PEM text; at least one.
    ///
    /// # Errors
    /// [`AnchorError`] names the first that cannot be trusted, whatever the time.
    pub fn from_pem(pem: &str) -> Result<Self, AnchorError> {
        let mut found = Vec::new();
        for (number, der) in (1..).zip(CertificateDer::pem_slice_iter(pem.as_bytes())) {
            let der = der.map_err(|error| AnchorError::Pem { reason: error.to_string() })?;
            Certificate::read(&der).map_err(|reason| AnchorError::Unreadable { number, reason })?;
            found.push(der);
        }
        if found.is_empty() { Err(AnchorError::Empty) } else { Ok(Self(found)) }
    }

    /// Refuses an anchor whose time is over or has not come: mbedTLS looks at it too, and refuses all that
    /// comes of it.
    ///
    /// # Errors
    /// [`AnchorError::Expired`] and [`AnchorError::NotYetValid`].
    pub fn require_valid(&self, now: OffsetDateTime) -> Result<(), AnchorError> {
        for anchor in self.read() {
            let (subject, now_is) = (anchor.label(), moment(now));
            if anchor.not_after() < now {
                let until = moment(anchor.not_after());
                return Err(AnchorError::Expired { subject, until, now: now_is });
            }
            if anchor.not_before() > now {
                let from = moment(anchor.not_before());
                return Err(AnchorError::NotYetValid { subject, from, now: now_is });
            }
        }
        Ok(())
    }

    pub(super) fn read(&self) -> Vec<Certificate<'_>> {
        self.0.iter().filter_map(|der| Certificate::read(der).ok()).collect()
    }
}
