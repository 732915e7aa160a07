//! How a call can fail, told apart as far as what was seen allows.

use std::{io, time::Duration};

use super::{HttpUrl, Scheme};

/// A call brought no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum HttpError {
    /// Not a URL that can be called.
    #[error("\"{text}\" is not an http or https URL: {reason}; correct the address")]
    BadUrl { text: String, reason: String },
    /// The roots to trust cannot be read.
    #[error("the trusted certificates cannot be used: {reason}; give CA certificates as PEM")]
    Roots { reason: String },
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
    #[error(
        "the certificate of {url} is not trusted: {reason}; give the root that it comes from, and check the name in the address"
    )]
    NotTrusted { url: String, reason: String },
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

impl HttpError {
    pub(super) fn of_handshake(url: &HttpUrl, error: &io::Error) -> Self {
        let url = url.to_string();
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                Self::NotTrusted { url, reason: format!("{reason:?}") }
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                Self::NoTls { url, reason: "it answers something else".to_owned() }
            }
            Some(error) => Self::TlsFailed { url, reason: error.to_string() },
            // A server that does not know what a ClientHello is hangs up.
            None => Self::NoTls { url, reason: format!("it hangs up ({})", error.kind()) },
        }
    }

    pub(super) fn of_exchange(url: &HttpUrl, error: &hyper::Error, first: &[u8]) -> Self {
        let plain = url.scheme() == Scheme::Http;
        let url = url.to_string();
        if plain && is_tls_record(first) {
            Self::WantsTls { url }
        } else if error.is_parse() || error.is_parse_too_large() {
            Self::NotHttp { url, reason: error.to_string() }
        } else {
            Self::Closed { url }
        }
    }
}

/// An alert or a handshake record of any version.
fn is_tls_record(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, ..])
}

/// nginx, Apache and Go answer plain HTTP on a TLS port with a 400 and a sentence.
pub(super) fn says_that_it_wants_tls(status: u16, body: &str) -> bool {
    const SENTENCES: [&str; 3] = [
        "plain HTTP request was sent to HTTPS port",
        "speaking plain HTTP to an SSL-enabled server port",
        "HTTP request to an HTTPS server",
    ];
    status == 400 && SENTENCES.iter().any(|sentence| body.contains(sentence))
}
