//! How a registration can fail.

use time::OffsetDateTime;

use crate::{
    client::{Blame, http::HttpError},
    record::Code,
};

/// A unit could not be registered; nothing of the answer may be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum CaError {
    /// The call brought no answer.
    #[error("CA server unreachable: {0}")]
    Http(#[from] HttpError),
    /// Plain http to a production CA.
    #[error(
        "{url} is plain http: expected https for a production CA, or the key is readable on the way"
    )]
    Insecure { url: String },
    /// The signing request cannot be made.
    #[error("the key and its signing request cannot be made: {0}; check the machine and the UUID")]
    Key(rcgen::Error),
    /// A status other than success.
    #[error("the CA answered with status {status}: \"{sentence}\"; expected 200")]
    Refused { status: u16, sentence: String },
    /// `success` is false.
    #[error("the CA did not register the unit: \"{sentence}\"; expected success")]
    NotSuccessful { sentence: String },
    /// No JSON, or none of this form.
    #[error(
        "the CA's answer {what} at line {line}, column {column}: expected {{success, certificate, ca_cert, expiry}}"
    )]
    Malformed { what: &'static str, line: usize, column: usize },
    /// A field is not there or empty.
    #[error("the CA's answer lacks {field}: expected {{success, certificate, ca_cert, expiry}}")]
    MissingField { field: &'static str },
    /// No certificate.
    #[error("{part} cannot be read: {reason}; expected X.509 certificates as PEM")]
    Unreadable { part: &'static str, reason: String },
    /// Issued by someone else, or not all certificates between came along.
    #[error(
        "the certificate does not lead to a trusted root: {reason}; expected its whole chain in ca_cert"
    )]
    Chain { reason: String },
    /// A certificate of an issuer is not valid now.
    #[error("a certificate of the CA itself is not valid at {now}: renew it, or correct the clock")]
    ChainNotValidNow { now: OffsetDateTime },
    /// Another device's.
    #[error("the certificate is for {}: expected {expected}", .found.join(", "))]
    WrongName { found: Vec<String>, expected: String },
    /// For another key than the request's.
    #[error("the certificate is for another key than the one in the signing request")]
    WrongKey,
    /// Over.
    #[error("the certificate expired at {until}, and now it is {now}")]
    Expired { until: OffsetDateTime, now: OffsetDateTime },
    /// Not begun, by more than a clock's error.
    #[error("the certificate is valid from {from}, and now it is {now}; compare both clocks")]
    NotYetValid { from: OffsetDateTime, now: OffsetDateTime },
    /// Over too soon.
    #[error("the certificate expires at {until}, in {left} days: expected {minimum} or more")]
    TooShort { until: OffsetDateTime, left: i64, minimum: i64 },
}

impl CaError {
    /// The diagnosis that it becomes.
    pub fn code(&self) -> Code {
        match self {
            Self::Http(HttpError::NotHttp { .. } | HttpError::TooLarge { .. })
            | Self::Malformed { .. }
            | Self::MissingField { .. } => Code::CaMalformed,
            Self::Http(_) => Code::CaUnreachable,
            Self::Insecure { .. } => Code::CaInsecure,
            Self::Key(_) => Code::Internal,
            Self::Refused { .. } | Self::NotSuccessful { .. } => Code::CaRefused,
            Self::Unreadable { .. }
            | Self::Chain { .. }
            | Self::WrongName { .. }
            | Self::WrongKey => Code::CaCertificateWrong,
            Self::ChainNotValidNow { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::TooShort { .. } => Code::CaCertificateExpired,
        }
    }

    /// Whose fault it is: never the unit's, which has said nothing yet.
    pub fn blame(&self) -> Blame {
        Blame::Service
    }
}
