//! Why a unit cannot be led to a service.

use std::{io, net::IpAddr};

use super::NoPort;

/// Nothing leads where the plan says that a service is.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NoRedirect {
    #[error(
        "the network has no address left for \"{name}\": it answers for 254 names at most; redirect fewer"
    )]
    TooManyNames { name: String },
    #[error(
        "a guest behind NAT does not find the bench at {address}: only names lead to it, and {gateway}"
    )]
    OutOfReach { address: IpAddr, gateway: IpAddr },
    #[error(
        "two services of the plan have the port {port}, and behind NAT and on a site's network all are at one address"
    )]
    PortInUse { port: u16 },
    #[error("cannot listen at 127.0.0.1:{port} ({protocol}) for a guest behind NAT: {source}")]
    Listen { protocol: &'static str, port: u16, source: io::Error },
    #[error("cannot answer the names of a guest behind NAT at {address}, port 53: {source}")]
    Names { address: IpAddr, source: io::Error },
    #[error(
        "units are to find a service at {host}, and on the site's network the bench is {advertised}: its DNS would lead them elsewhere"
    )]
    NotAdvertised { host: String, advertised: String },
    #[error(transparent)]
    NoPort(#[from] NoPort),
}

impl NoRedirect {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::TooManyNames { .. } => None,
            Self::NotAdvertised { .. } => Some(
                "let `advertise` under [network] of the station file be what units are given, with a name of the site's DNS that leads to this machine; or give them another (--set); or name the service that is there, such as --broker",
            ),
            Self::NoPort(error) => Some(error.action()),
            Self::OutOfReach { .. } => Some("name the service by a host name in the profile"),
            Self::PortInUse { .. } => Some("give them different ports in the profile"),
            Self::Listen { source, .. } | Self::Names { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some(
                    "run as root, or let users listen at low ports: sysctl net.ipv4.ip_unprivileged_port_start=53",
                ),
                _ => Some("end whatever else listens there on this machine, another run included"),
            },
        }
    }
}
