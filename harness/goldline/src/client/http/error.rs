//! How a call can fail, told apart as far as what was seen allows.

use std::{io, time::Duration};

use crate::tls::{AnchorError, Distrust};

/// A call brought no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum HttpError {
    /// Not a URL that can be called.
    #[error("\"{text}\" is not an http or https URL: {reason}; correct the address")]
    BadUrl { text: String, reason: String },
    /// The roots to trust cannot be read.
    #[error("the trusted certificates cannot be used: {reason}; {}", .reason.action())]
    Roots { reason: Box<AnchorError> },
    /// The token has a character that no header can carry.
    #[error("the token holds a character that a header cannot carry: give it without line breaks")]
    Token,
    /// The name is unknown, or nobody listens there.
    #[error("{url} is unreachable: {source}; check the address, the network and the firewall")]
    Unreachable { url: String, source: io::Error },
    /// https, and the server speaks no TLS.
    #[error("{url} speaks no TLS: {reason}; try http, or another port")]
    NoTls { url: String, reason: String },
    /// http, and the server wants TLS.
    #[error("{url} wants TLS and was called with plain http; use https")]
    WantsTls { url: String },
    /// The server's certificate is not trusted, or not for this name.
    #[error("the certificate of {url} is not trusted: {reason}; {}", .reason.action())]
    NotTrusted { url: String, reason: Box<Distrust> },
    /// TLS is spoken, and the two sides do not agree.
    #[error("TLS with {url} failed: {reason}; check the server's TLS settings")]
    TlsFailed { url: String, reason: String },
    /// The connection ended before a whole answer.
    #[error(
        "{url} closed the connection without a whole answer; check the server's log, and whether the port wants https"
    )]
    Closed { url: String },
    /// The answer is no HTTP.
    #[error("{url} does not answer in HTTP: {reason}; check the port")]
    NotHttp { url: String, reason: String },
    /// The answer is larger than any that is expected.
    #[error("the answer of {url} is larger than {allowed} bytes; check the address")]
    TooLarge { url: String, allowed: usize },
    /// The deadline passed.
    #[error("{url} did not answer within {} s; check the network and the server", .allowed.as_secs_f64())]
    TimedOut { url: String, allowed: Duration },
}
