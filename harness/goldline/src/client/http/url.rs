//! The URLs that can be called: http or https, a host, perhaps a port, a path.

use std::{fmt, str::FromStr};

use hyper::Uri;

use super::HttpError;
use crate::profile::{Host, HostError};

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Everyone on the way reads it.
    Http,
    /// HTTP within TLS.
    Https,
}

/// A URL without user information and fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpUrl {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    path: String,
}

impl HttpUrl {
    /// What is spoken.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address as it was written; an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The host, to be compared.
    pub fn at(&self) -> &Host {
        &self.host
    }

    /// The port that is named or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }

    /// Path and query; starts with a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and port as the `Host` header has them.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host.in_url()),
            None => self.host.in_url(),
        }
    }

    /// Whether the path ends with a slash that its writer put there.
    pub(in crate::client) fn has_trailing_slash(&self, text: &str) -> bool {
        text.trim().ends_with('/') && self.path.ends_with('/')
    }

    /// The same place with this path below its own; a slash at the end of its own is not doubled.
    pub(in crate::client) fn below(&self, path: &str) -> Self {
        let path = format!("{}{path}", self.path.trim_end_matches('/'));
        Self { path, ..self.clone() }
    }

    /// The same host with another path and query.
    pub(in crate::client) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }
}

impl FromStr for HttpUrl {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        // A password in it must not come back in the error.
        if text.contains('@') {
            return Err(HttpError::BadUrl {
                text: "…@…".to_owned(),
                reason: "it names a user".to_owned(),
            });
        }
        let refuse =
            |reason: &str| HttpError::BadUrl { text: text.to_owned(), reason: reason.to_owned() };
        let uri: Uri = text.trim().parse().map_err(|_| refuse("it is damaged"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(refuse("it does not start with http:// or https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("no host"))?;
        let port = match uri.port() {
            Some(port) => Some(port.as_u16()).filter(|port| *port != 0),
            None if uri.authority().is_some_and(|whole| whole.as_str() != host) => {
                return Err(refuse("its port is no number from 1 to 65535"));
            }
            None => None,
        };
        if uri.port_u16() == Some(0) {
            return Err(refuse("its port is no number from 1 to 65535"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.is_empty() { "/" } else { path };
        let host = host.trim_start_matches('[').trim_end_matches(']').parse();
        let host: Host = host.map_err(|error: HostError| refuse(&error.to_string()))?;
        Ok(Self { scheme, host, port, path: path.to_owned() })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_url_has_its_schemes_port_unless_it_names_one() {
        assert_eq!(url("http://ca.example.test").port(), 80);
        assert_eq!(url("https://ca.example.test/").port(), 443);
        let named = url("http://[::1]:8080/api?x=1");
        assert_eq!((named.host(), named.port(), named.path()), ("::1", 8080, "/api?x=1"));
        assert_eq!(named.authority(), "[::1]:8080");
        assert_eq!(named.to_string(), "http://[::1]:8080/api?x=1");
    }

    #[test]
    fn a_slash_at_the_end_is_seen_and_not_doubled() {
        for (text, slash) in
            [("http://ca.example.test:8080/", true), ("http://ca.example.test:8080", false)]
        {
            let url = url(text);
            assert_eq!(url.has_trailing_slash(text), slash);
            assert_eq!(url.below("/api").to_string(), "http://ca.example.test:8080/api");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for text in [
            "",
            "ca.example.test:8080",
            "ftp://ca.example.test",
            "http://",
            "http:///api",
            "http://ca.example.test:99999",
            "http://ca.example.test:0",
            "http://ca.example.test:",
            "http://ca example.test",
            "http://10.0.0.256",
        ] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let error =
            "http://operator:hunter2@ca.example.test".parse::<HttpUrl>().expect_err("refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
