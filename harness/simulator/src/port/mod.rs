//! Serial ports behind which a client finds the unit.
//!
//! A port moves bytes. It knows neither loader nor firmware, and survives clients that come, go or
//! die at any moment. Every unit has a pseudo-terminal; a [`NetworkPort`](crate::NetworkPort) can stand in front of it.

mod link;
mod outgoing;
mod pace;
mod pty;
mod rfc2217;
mod uart;
mod wire;

pub(crate) use link::Link;
pub use link::LinkError;
pub(crate) use pty::Pty;
pub(crate) use rfc2217::Session;
pub(crate) use uart::Port;
pub(crate) use wire::Wire;
