//! Why the bench cannot listen where units of a site's network are to find it.

use std::{io, net::SocketAddr};

/// A port of the site's network cannot be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NoPort {
    #[error("cannot listen at {at}: ports below 1024 need a right")]
    Privileged { at: SocketAddr },
    #[error("cannot listen at {at}: {}", words(.holder.as_deref()))]
    InUse { at: SocketAddr, holder: Option<String> },
    #[error("cannot listen at {at}: this machine has no such address")]
    NotHere { at: SocketAddr },
    #[error("cannot listen at {at}: {source}")]
    Listen { at: SocketAddr, source: io::Error },
}

impl NoPort {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Privileged { .. } => {
                "give it once: sudo setcap cap_net_bind_service+ep \"$(command -v goldline)\""
            }
            Self::InUse { .. } => {
                "end what listens there, or name another `listen` under [network] of the station file; a broker that is to stay is named with --broker"
            }
            Self::NotHere { .. } => {
                "correct `listen` under [network] of the station file: an address of this machine (ip address), or 0.0.0.0 for all"
            }
            Self::Listen { .. } => "correct `listen` under [network] of the station file",
        }
    }
}

/// What is said of who has a port.
fn words(holder: Option<&str>) -> String {
    match holder {
        Some(holder) => format!("{holder} listens there"),
        None => "another program listens there".to_owned(),
    }
}
