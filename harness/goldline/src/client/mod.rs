//! What the bench itself calls over HTTP: a CA, a provisioning server, a unit's web portal.
//!
//! Must not know plans, runs or who started the services. Every call has one deadline, and every error
//! says what was found; a text of the other side is shown as one line, with the call's secrets blacked
//! out.

pub mod ca;
pub mod http;
pub mod portal;
pub mod provisioning;
mod sentence;

/// Whose fault a failed call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The service that was called or the way to it: an ERROR, which says nothing of the unit.
    Service,
    /// The unit, which served the page itself.
    Unit,
}
