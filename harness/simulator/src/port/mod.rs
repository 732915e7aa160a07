//! Serial ports behind which a client finds the unit.
//!
//! A port moves bytes. It knows neither loader nor firmware, and survives clients that come, go or
//! die at any moment. Every unit has a pseudo-terminal; a [`NetworkPort`] can stand in front of it.

mod network;
mod pace;
mod pty;
mod rfc2217;

pub use network::{NetworkPort, Protocol};
pub(crate) use pty::{Port, Pty, Wire};
