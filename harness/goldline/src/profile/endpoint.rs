//! Where a unit finds its broker: scheme, host and port out of a URI.
//!
//! Must not know what answers there, nor resolve anything.

use std::{fmt, str::FromStr};

use super::host::{Host, HostError};

/// The address of a broker, as a unit holds it, such as `mqtts://broker.example.test:8883`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    host: Host,
    port: u16,
}

/// The one scheme that the bench speaks.
pub const SCHEME: &str = "mqtts";

/// A text is not the address of a broker.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EndpointError {
    /// No `scheme://` in front.
    #[error("\"{uri}\" has no scheme: expected mqtts://HOST:PORT")]
    NoScheme {
        /// The text.
        uri: String,
    },
    /// A scheme that the bench does not speak.
    #[error("\"{scheme}\" is not a scheme that the bench speaks: expected mqtts, MQTT over TLS")]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// Nothing, or no host name, between scheme and port.
    #[error("\"{uri}\" names no host: expected mqtts://HOST:PORT")]
    NoHost {
        /// The text.
        uri: String,
    },
    /// No port, or none from 1 to 65535.
    #[error("\"{uri}\" names no port from 1 to 65535: expected mqtts://HOST:PORT")]
    NoPort {
        /// The text.
        uri: String,
    },
    /// What stands there is neither a name nor an address.
    #[error("\"{uri}\" cannot be the broker's address: {reason}")]
    NotAHost {
        /// The text.
        uri: String,
        /// What is wrong with the host.
        reason: HostError,
    },
}

impl Endpoint {
    /// A host name or an IP address as it was written, without brackets.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The host, to be compared.
    pub fn at(&self) -> &Host {
        &self.host
    }

    /// From 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(uri: &str) -> Result<Self, EndpointError> {
        let Some((scheme, authority)) = uri.split_once("://") else {
            return Err(EndpointError::NoScheme { uri: uri.to_owned() });
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(EndpointError::UnknownScheme { scheme: scheme.to_owned() });
        }
        let (host, port) =
            split_port(authority).ok_or_else(|| EndpointError::NoPort { uri: uri.to_owned() })?;
        if host.is_empty() {
            return Err(EndpointError::NoHost { uri: uri.to_owned() });
        }
        let host = host.parse();
        let host =
            host.map_err(|reason| EndpointError::NotAHost { uri: uri.to_owned(), reason })?;
        Ok(Self { host, port })
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => authority.rsplit_once(':')?,
    };
    let digits = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    let port = port.parse().ok().filter(|&port| port > 0 && digits)?;
    Some((host, port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}:{}", self.host.in_url(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_and_written_back() {
        for (uri, host, port) in [
            ("mqtts://broker.example.test:8883", "broker.example.test", 8883),
            ("mqtts://127.0.0.1:1", "127.0.0.1", 1),
            ("mqtts://[::1]:65535", "::1", 65535),
            ("mqtts://Broker.Example.Test.:8883", "Broker.Example.Test.", 8883),
            ("mqtts://my_broker:8883", "my_broker", 8883),
        ] {
            let endpoint: Endpoint = uri.parse().expect(uri);
            assert_eq!((endpoint.host(), endpoint.port()), (host, port));
            assert_eq!(endpoint.to_string(), uri);
        }
    }

    #[test]
    fn a_scheme_has_no_case() {
        let shouted: Endpoint = "MQTTS://broker.example.test:1".parse().expect("an address");
        assert_eq!(shouted, "mqtts://Broker.Example.Test:1".parse().expect("an address"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let refusal = |uri: &str| uri.parse::<Endpoint>().expect_err(uri);
        let uri = |uri: &str| uri.to_owned();
        for text in ["", "broker.example.test:8883", "mqtts:/broker:1"] {
            assert_eq!(refusal(text), EndpointError::NoScheme { uri: uri(text) });
        }
        for text in ["mqtts://b", "mqtts://b:", "mqtts://b:0", "mqtts://b:65536", "mqtts://b:+1"] {
            assert_eq!(refusal(text), EndpointError::NoPort { uri: uri(text) });
        }
        assert_eq!(refusal("mqtts://:1"), EndpointError::NoHost { uri: uri("mqtts://:1") });
        for text in ["mqtts://user@b:1", "mqtts://b c:1", "mqtts://b/p:1", "mqtts://10.0.0.256:1"] {
            assert!(matches!(refusal(text), EndpointError::NotAHost { .. }), "{text}");
        }
        let plain = refusal("mqtt://broker.example.test:1883");
        assert_eq!(plain, EndpointError::UnknownScheme { scheme: uri("mqtt") });
    }
}
