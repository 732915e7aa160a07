//! Where a service is: a name or an address, compared as hosts are and not as texts are.
//!
//! Names do not distinguish case, and a dot at the end only says that the name is complete. An IPv6
//! address that maps an IPv4 one is that one. Must not resolve anything.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// The longest name of DNS, without the dot at its end (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;
/// The longest part of one between two dots.
const LONGEST_LABEL: usize = 63;

/// A host as somebody wrote it; two are equal when they are the same host.
#[derive(Clone, Debug)]
pub struct Host {
    /// As it is written into units, without the brackets of a URL.
    written: String,
    place: Place,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Place {
    /// In small letters, without a dot at its end.
    Name(String),
    /// Never an IPv6 address that maps an IPv4 one.
    Address(IpAddr),
}

/// A text is no host.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{text}\" is no host: {reason}; expected a name or an IP address")]
pub struct HostError {
    text: String,
    reason: &'static str,
}

impl Host {
    /// The host of a URL, which may name a port.
    ///
    /// # Errors
    /// [`HostError`] when there is none in it.
    pub fn of_url(url: &str) -> Result<Self, HostError> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // What stands before an @ may be a password.
        if authority.contains('@') {
            return Err(HostError { text: "…@…".to_owned(), reason: "it names a user" });
        }
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        host.parse()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The address, if it is one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        match self.place {
            Place::Name(_) => None,
            Place::Address(address) => Some(address),
        }
    }

    /// The one way to write this host.
    pub fn canonical(&self) -> String {
        match &self.place {
            Place::Name(name) => name.clone(),
            Place::Address(address) => address.to_string(),
        }
    }

    /// As it stands in a URL: an IPv6 address in brackets.
    pub fn in_url(&self) -> String {
        match self.written.contains(':') {
            true => format!("[{}]", self.written),
            false => self.written.clone(),
        }
    }

    /// Whether it is a name with a dot at its end.
    pub fn is_dotted(&self) -> bool {
        self.written.ends_with('.')
    }

    /// What a server's certificate must name, so that every client which calls it so is content: mbedTLS
    /// compares a name with its dot, and an address as it was parsed.
    pub fn certificate_names(&self) -> Vec<String> {
        let canonical = self.canonical();
        let also = match &self.place {
            Place::Name(name) => self.is_dotted().then(|| format!("{name}.")),
            Place::Address(address) => {
                let written = self.written.parse::<IpAddr>().ok();
                written.filter(|written| written != address).map(|written| written.to_string())
            }
        };
        [canonical].into_iter().chain(also).collect()
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.hash(state);
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let place = if let Ok(address) = text.parse::<IpAddr>() {
            Place::Address(address.to_canonical())
        } else {
            let refuse = |reason| HostError { text: text.to_owned(), reason };
            let name = text.strip_suffix('.').unwrap_or(text);
            refusal(name).map_or(Ok(()), |reason| Err(refuse(reason)))?;
            Place::Name(name.to_ascii_lowercase())
        };
        Ok(Self { written: text.to_owned(), place })
    }
}

/// What keeps a text from being a name.
fn refusal(name: &str) -> Option<&'static str> {
    // An underscore is in no name of the internet, and in many of a site.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = || name.split('.');
    let last = labels().next_back().unwrap_or_default();
    if name.is_empty() {
        Some("it is empty")
    } else if name.contains(':') {
        Some(match name.split_once('%').is_some_and(|(it, _)| it.parse::<Ipv6Addr>().is_ok()) {
            true => "an address with a zone means something on one machine only",
            false => "it is no IPv6 address",
        })
    } else if !labels().all(|label| label.bytes().all(fits)) {
        Some("a name has letters, digits, hyphens and dots only")
    } else if labels().any(str::is_empty) {
        Some("nothing stands between two of its dots")
    } else if labels().any(|label| label.starts_with('-') || label.ends_with('-')) {
        Some("a part of a name neither starts nor ends with a hyphen")
    } else if name.len() > LONGEST_NAME || labels().any(|label| label.len() > LONGEST_LABEL) {
        Some("a name has at most 253 bytes, and 63 between two dots")
    } else if last.bytes().all(|byte| byte.is_ascii_digit()) {
        Some("it is no IPv4 address, and no name ends with a number")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().expect(text)
    }

    #[test]
    fn hosts_are_compared_as_hosts_and_kept_as_written() {
        for (one, other) in [
            ("broker.example.test", "Broker.Example.TEST."),
            ("10.0.0.5", "::ffff:10.0.0.5"),
            ("fd00::1", "FD00:0:0::0001"),
            ("my_broker", "MY_BROKER"),
        ] {
            assert_eq!(host(one), host(other));
            assert_eq!(host(other).as_str(), other);
        }
        for (one, other) in [
            ("broker.example.test", "broker.example.test.evil"),
            ("broker.example.test", "example.test"),
            ("10.0.0.5", "10.0.0.50"),
            ("fd00::1", "fd00::2"),
            ("localhost", "127.0.0.1"),
        ] {
            assert_ne!(host(one), host(other));
        }
    }

    #[test]
    fn a_certificate_names_what_each_client_looks_for() {
        for (text, names) in [
            ("Broker.Example.Test", &["broker.example.test"][..]),
            ("broker.example.test.", &["broker.example.test", "broker.example.test."]),
            ("10.0.0.5", &["10.0.0.5"]),
            ("::ffff:10.0.0.5", &["10.0.0.5", "::ffff:10.0.0.5"]),
            ("FD00::1", &["fd00::1"]),
        ] {
            assert_eq!(host(text).certificate_names(), names);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_reason() {
        let (long, longest) = ("a".repeat(64), vec!["abcdefg"; 32].join("."));
        for (text, reason) in [
            ("", "it is empty"),
            (".", "it is empty"),
            ("a..b", "between two of its dots"),
            (".a", "between two of its dots"),
            ("a..", "between two of its dots"),
            ("-a.test", "hyphen"),
            ("a-.test", "hyphen"),
            ("user@a", "letters, digits"),
            ("a b", "letters, digits"),
            ("[fd00::1]", "no IPv6 address"),
            ("fd00::1%3", "zone"),
            ("fd00:::1", "no IPv6 address"),
            ("10.0.0.256", "no IPv4 address"),
            ("10.5", "no IPv4 address"),
            ("5", "no IPv4 address"),
            (&long, "63 between"),
            (&longest, "at most 253"),
        ] {
            let error = text.parse::<Host>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_host_of_a_url_is_found_and_no_password_is_shown() {
        for (url, expected) in [
            ("http://ca.example.test:8080/api", "ca.example.test"),
            ("https://[fd00::1]:443/x", "fd00::1"),
            ("https://[fd00::1]", "fd00::1"),
            ("http://10.0.0.5?x=a:b", "10.0.0.5"),
        ] {
            assert_eq!(Host::of_url(url).expect(url).as_str(), expected);
        }
        let error = Host::of_url("http://operator:hunter2@ca.example.test").expect_err("refused");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        Host::of_url("http://10.0.0.256/").expect_err("no address");
        Host::of_url("http:///api").expect_err("no host");
    }
}
