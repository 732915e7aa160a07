//! When certificates end.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use time::OffsetDateTime;

use super::certificate::Certificate;

/// The end of the first certificate that ends, of several that are needed together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// Its last moment, UTC.
    pub at: OffsetDateTime,
    /// Which one that is, by its common name in quotes.
    pub subject: String,
}

impl Expiry {
    pub(super) fn of(certificate: &Certificate<'_>) -> Self {
        Self { at: certificate.not_after(), subject: certificate.label() }
    }

    /// The first in a PEM text; `None` when it holds none that can be read.
    pub fn first_in(pem: &str) -> Option<Self> {
        let ders = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        let ends = ders.filter_map(|der| Some(Self::of(&Certificate::read(&der).ok()?)));
        ends.min_by_key(|expiry| expiry.at)
    }

    /// Whole days until then; negative when it is over.
    pub fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.at - now).whole_days()
    }
}
