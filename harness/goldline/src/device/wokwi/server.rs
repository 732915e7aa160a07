//! Where the service is, and who asks: the address and the token, from the environment alone.
//!
//! The token stands in no URL, argument, log or record, and no child process sees it.

use std::{env, fmt, net::IpAddr};

use crate::{process::hold_back, secret::Secret};

/// What Wokwi's own clients read.
const TOKEN: &str = "WOKWI_CLI_TOKEN";
const SERVER: &str = "WOKWI_CLI_SERVER";
const DEFAULT_SERVER: &str = "wss://wokwi.com/api/ws/beta";

/// The environment names no service that may be asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoServer {
    #[error("{TOKEN} is not set: Wokwi simulates for those with a token")]
    NoToken,
    #[error("{TOKEN} holds what no token has: expected visible ASCII characters")]
    NotAToken,
    #[error("{SERVER} is no address: expected wss://HOST[:PORT]/PATH")]
    NoAddress,
    #[error(
        "{SERVER} holds a user name or a query: expected wss://HOST[:PORT]/PATH, the token in {TOKEN}"
    )]
    Credentials,
    #[error(
        "{SERVER} names {host} with ws://: the token would pass in clear, expected wss:// or a loopback address"
    )]
    InTheClear { host: String },
}

impl NoServer {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::NoToken | Self::NotAToken => {
                "take a token from https://wokwi.com/dashboard/ci and put it into WOKWI_CLI_TOKEN of the environment (in a CI: a secret)"
            }
            Self::NoAddress | Self::Credentials => {
                "correct WOKWI_CLI_SERVER, or unset it for Wokwi's own service"
            }
            Self::InTheClear { .. } => "name it with wss://; ws:// is for loopback addresses",
        }
    }
}

/// A service, and the right to use it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    pub(super) token: Secret,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Server {
    /// That of the environment.
    ///
    /// # Errors
    /// [`NoServer`] says what is missing.
    pub(super) fn of_environment() -> Result<Self, NoServer> {
        hold_back(TOKEN);
        let variable = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let token = variable(TOKEN).ok_or(NoServer::NoToken)?;
        let server = variable(SERVER);
        Self::parse(server.as_deref().unwrap_or(DEFAULT_SERVER), &token)
    }

    fn parse(url: &str, token: &str) -> Result<Self, NoServer> {
        let token = token.trim();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoServer::NotAToken);
        }
        let (is_tls, rest) = match (url.strip_prefix("wss://"), url.strip_prefix("ws://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(NoServer::NoAddress),
        };
        if rest.contains(['@', '?', '#']) {
            return Err(NoServer::Credentials);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) =
            host_and_port(authority, if is_tls { 443 } else { 80 }).ok_or(NoServer::NoAddress)?;
        if !is_tls && !is_loopback(&host) {
            return Err(NoServer::InTheClear { host });
        }
        Ok(Self { url: url.to_owned(), host, port, is_tls, token: Secret::new(token) })
    }
}

/// A host without brackets, and its port.
fn host_and_port(authority: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let port = match port? {
        "" => usual,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    (!host.is_empty() && host.bytes().all(fits)).then(|| (host.to_owned(), port))
}

/// By its text: a name that others may answer for is none, whatever it leads to.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("wss://wokwi.com/api/ws/beta", "wokwi.com", 443)]
    #[case("wss://wokwi.example.test:8443", "wokwi.example.test", 8443)]
    #[case("ws://127.0.0.1:9177/x", "127.0.0.1", 9177)]
    #[case("ws://[::1]:9177", "::1", 9177)]
    #[case("ws://localhost", "localhost", 80)]
    fn an_address_is_taken(#[case] url: &str, #[case] host: &str, #[case] port: u16) {
        let server = Server::parse(url, "token").expect("an address");
        assert_eq!((server.host.as_str(), server.port), (host, port));
        assert!(!format!("{server:?}").contains("token"), "{server:?}");
    }

    #[rstest]
    #[case("https://wokwi.com", NoServer::NoAddress)]
    #[case("wss://", NoServer::NoAddress)]
    #[case("wss://host:0/", NoServer::NoAddress)]
    #[case("wss://[::1", NoServer::NoAddress)]
    #[case("wss://user:secret@host/", NoServer::Credentials)]
    #[case("wss://host/?token=secret", NoServer::Credentials)]
    #[case("ws://wokwi.com/", NoServer::InTheClear { host: "wokwi.com".to_owned() })]
    #[case("ws://192.168.0.7/", NoServer::InTheClear { host: "192.168.0.7".to_owned() })]
    #[case("ws://127.0.0.1.example.test/", NoServer::InTheClear { host: "127.0.0.1.example.test".to_owned() })]
    fn an_address_is_refused(#[case] url: &str, #[case] expected: NoServer) {
        let error = Server::parse(url, "token").expect_err("no address");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(error, expected);
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_refused() {
        let refused = Server::parse(DEFAULT_SERVER, "to\r\nken").expect_err("no token");
        assert_eq!(refused, NoServer::NotAToken);
    }
}
