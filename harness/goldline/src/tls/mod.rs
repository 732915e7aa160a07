//! TLS as the bench speaks it where it is the client: whom it trusts, and what is said of one whom it does not.
//!
//! A server's certificate is judged as mbedTLS judges it ([`judge()`]), so that the bench and the units agree.
//! Must not know what is called over it, and touches no process-wide default of rustls.

mod anchors;
mod certificate;
mod client;
mod distrust;
mod expiry;
mod issuer;
mod judge;
mod names;
mod words;

pub use anchors::{AnchorError, Anchors};
pub use client::{ClientTls, ClientTlsError};
pub use distrust::Distrust;
pub use expiry::Expiry;
pub use issuer::Issuer;
pub use judge::{Facts, judge};
pub use words::{HandshakeFailure, alert_name, sentence};
