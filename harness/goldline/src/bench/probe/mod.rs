//! The bench does what a unit should have done, to the end: joins its network, finds the service by its
//! name, speaks its protocol with the plan's own values, and judges the answer as the firmware must.
//!
//! Each probe is told where to go, whom to trust and what to ask; it knows nothing else of the service, so
//! that a probe which only touched it cannot pass for one that used it. It judges no unit. While a unit
//! may be connected, the bench calls itself otherwise at the broker: the unit's own id would end its session.

mod broker;
mod ca;
mod config_server;
mod join;
mod station;
mod talk;
mod time_server;
mod update_server;

use std::{net::SocketAddr, time::Duration};

use tokio::time::timeout_at;

pub use broker::{
    BrokerProbe, ClientIdentity, Errand, connect_to_broker, hold_session, run_errand,
};
pub use ca::{CaProbe, register_at_ca};
pub use config_server::{ConfigProbe, fetch_configuration};
pub use join::join_network;
pub use station::{BenchStation, Joined, PlannedNetwork};
pub use talk::Session;
pub use time_server::{TimeProbe, ask_the_time};
pub use update_server::{UpdateProbe, download_update};

use crate::{
    check::ProbeReport,
    client::{ca::CaError, http::HttpError},
    clock::Deadline,
    testbed::network::Refusal,
    tls::Distrust,
};

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The network itself does not work, or did not for a while: whoever joins it now proves nothing.
    #[error("{0}")]
    NetworkFailed(String),
    /// The access point does not take the planned credentials.
    #[error("the access point refused the bench with reason {}", .0.reason)]
    NotJoined(Refusal),
    /// The access point took the bench and gave it no address.
    #[error("the access point took the bench and gave it no address")]
    NoAddress,
    /// The network's DNS does not know the service.
    #[error("the access point's DNS does not know {name}")]
    UnknownName {
        /// The service's name.
        name: String,
    },
    /// Nothing answers at the service's address.
    #[error("nothing answers at {address}: {source}")]
    Unreachable {
        /// The address that DNS gave.
        address: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The broker's certificate is not good for this name and CA.
    #[error("the broker's certificate is not trusted: {0}")]
    ServerUntrusted(Distrust),
    /// The TLS handshake failed for another reason, a missing client certificate for one.
    #[error("the TLS handshake with the broker failed: {0}")]
    TlsFailed(String),
    /// CONNACK 4.
    #[error("the broker does not accept user name and password")]
    BadCredentials,
    /// CONNACK 5.
    #[error("the broker does not authorize the client")]
    NotAuthorized,
    /// Another CONNACK.
    #[error("the broker refused with return code {code}")]
    Refused {
        /// MQTT 3.1.1, table 3.1.
        code: u8,
    },
    /// The broker broke off or answered something else than a CONNACK.
    #[error("the broker broke off: {0}")]
    Broken(String),
    /// The broker does not let the planned user hear a topic.
    #[error("the broker does not let the planned user subscribe to {topic}")]
    NotGranted {
        /// The topic.
        topic: String,
    },
    /// What the bench's own client published did not reach the planned user.
    #[error("a message of the bench's own client on {topic} does not reach the planned user")]
    NothingArrived {
        /// The topic.
        topic: String,
    },
    /// An HTTP call brought no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The CA gave nothing that fits the unit.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// A service answered, and not as it must.
    #[error("{service} {found}: expected {expected}")]
    WrongAnswer {
        /// Which one.
        service: &'static str,
        /// What it did, without secrets.
        found: String,
        /// What the firmware needs.
        expected: String,
    },
    /// The planned CA, certificate or name cannot be used at all.
    #[error("the planned {part} cannot be used: {reason}")]
    Unusable {
        /// Which part of the plan.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// The whole probe took too long.
    #[error("the probe did not end within {0:?}")]
    TimedOut(Duration),
}

impl ProbeError {
    fn unusable<E: ToString>(part: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Unusable { part, reason: error.to_string() }
    }
}

/// Says of an attempt what was tried and what came of it.
pub fn report(
    tried: impl Into<String>,
    done: impl Into<String>,
    outcome: Result<(), ProbeError>,
) -> ProbeReport {
    let outcome = outcome.map(|()| done.into()).map_err(|error| error.to_string());
    ProbeReport { tried: tried.into(), outcome }
}

async fn within<T>(
    deadline: Deadline,
    probe: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    timeout_at(deadline.instant(), probe)
        .await
        .unwrap_or(Err(ProbeError::TimedOut(deadline.allowed())))
}
