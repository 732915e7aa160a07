//! Why a service does not simulate a unit, or does no longer: never the unit's fault.

use std::io;

use crate::record::Code;

/// The service failed, or refused.
#[derive(Clone, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum WokwiError {
    #[error("{url} is not reachable: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("the certificate of {url} is not trusted, or TLS fails: {reason}")]
    Tls { url: String, reason: String },
    #[error("{url} does not take the token of WOKWI_CLI_TOKEN: it answers {status}")]
    Token { url: String, status: u16 },
    #[error("{url} has no room at the moment: it answers {status}")]
    Busy { url: String, status: u16 },
    #[error("{url} lets the token's account simulate nothing more: it answers {status}")]
    Quota { url: String, status: u16 },
    #[error("{url} is no Wokwi: it answers {found}, expected a WebSocket")]
    NotAService { url: String, found: String },
    #[error("{url} said nothing for {within_s} s: expected its hello")]
    NoHello { url: String, within_s: u64 },
    #[error("{url} speaks version {found} of its protocol: expected {expected}")]
    Version { url: String, found: String, expected: u64 },
    #[error("what {url} says is not understood: {said}")]
    NotUnderstood { url: String, said: String },
    #[error("{url} refuses {command}: {message} (code {code})")]
    Refused { url: String, command: &'static str, code: String, message: String },
    #[error("{url} broke off: {message}")]
    Said { url: String, message: String },
    #[error("{url} did not answer {command} within {within_s} s")]
    NoAnswer { url: String, command: &'static str, within_s: u64 },
    #[error("{url} paused the simulation by itself, {at_s:.1} simulated seconds after its start")]
    Paused { url: String, at_s: f64 },
    #[error(
        "the simulation had {simulated_s:.1} s in {real_s:.1} s: the unit was not given the time that it was waited for"
    )]
    Slow { simulated_s: f64, real_s: f64 },
    #[error("the connection to {url} was lost: {reason}")]
    Lost { url: String, reason: String },
    #[error("{action}: nothing of the unit's flash can be read back from Wokwi")]
    NoReadBack { action: &'static str },
    #[error("{size:#x} bytes at {offset:#x} are more than a flash of {flash:#x} bytes holds")]
    PastTheEnd { offset: u32, size: usize, flash: u32 },
    #[error("the unit was started before anything was flashed")]
    Blank,
    #[error("the run was stopped")]
    Stopped,
    #[error("the system has no thread or socket left for the connection: {0}")]
    System(String),
}

impl WokwiError {
    pub(super) fn system(error: io::Error) -> Self {
        Self::System(error.to_string())
    }

    /// The diagnosis of this error.
    pub fn code(&self) -> Code {
        match self {
            Self::Token { .. } | Self::Quota { .. } | Self::Refused { .. } => Code::EmulatorRefused,
            Self::NoReadBack { .. } | Self::PastTheEnd { .. } | Self::Blank => Code::Internal,
            _ => Code::EmulatorFailed,
        }
    }

    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the way to the service: name resolution, firewall and proxy (none is used); or correct WOKWI_CLI_SERVER"
            }
            Self::Tls { .. } => {
                "check this machine's clock and its CA certificates (SSL_CERT_FILE names others), and whether something on the way opens TLS"
            }
            Self::Token { .. } => {
                "make a new token on https://wokwi.com/dashboard/ci and put it into WOKWI_CLI_TOKEN, then run again"
            }
            Self::Busy { .. } => "run again later, or with --retry-errors N",
            Self::Quota { .. } => {
                "look at the simulation time that is left on https://wokwi.com/dashboard/ci"
            }
            Self::NotAService { .. } => {
                "correct WOKWI_CLI_SERVER, or unset it for Wokwi's own service"
            }
            Self::NoHello { .. } | Self::NoAnswer { .. } | Self::Lost { .. } => {
                "run again, or with --retry-errors N; see on Wokwi's status page whether the service is well"
            }
            Self::Version { .. } | Self::NotUnderstood { .. } => {
                "take a Goldline that knows this version of the service, or a service of the version that it knows"
            }
            Self::Refused { .. } => {
                "see in the message what the service refuses: the diagram, the flash image, or what the account's plan has"
            }
            Self::Said { .. } => {
                "see in the message what the service said; run again if it is none of the account's"
            }
            Self::Paused { .. } => {
                "look at the simulation time that is left on https://wokwi.com/dashboard/ci, then run again"
            }
            Self::Slow { .. } => {
                "give the waits of the profile more room (boot_s, within_s), or draw a smaller diagram, then run again"
            }
            Self::NoReadBack { .. } | Self::PastTheEnd { .. } | Self::Blank => {
                "report this: Goldline asked its own device for what it cannot do"
            }
            Self::Stopped => "run again from the start",
            Self::System(_) => "end programs that hold threads and sockets, then run again",
        }
    }
}
