//! Serial ports behind which a client finds the unit.
//!
//! A port moves bytes. It knows neither loader nor firmware, and survives clients that come, go or
//! die at any moment.

mod pty;

pub(crate) use pty::{Port, Pty};
