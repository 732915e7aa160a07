//! Which error a failed call is, from what was seen on the way.

use std::io;

use super::{HttpError, HttpUrl, Scheme};
use crate::tls::HandshakeFailure;

impl HttpError {
    pub(super) fn of_handshake(url: &HttpUrl, error: &io::Error) -> Self {
        let url = url.to_string();
        match HandshakeFailure::of(error) {
            Some(HandshakeFailure::Distrusted(reason)) => {
                Self::NotTrusted { url, reason: Box::new(reason) }
            }
            Some(HandshakeFailure::NoTls) => {
                Self::NoTls { url, reason: "it answers something else".to_owned() }
            }
            Some(failure) => Self::TlsFailed { url, reason: failure.to_string() },
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
