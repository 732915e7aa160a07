//! Why a broker turned a client away, by what it saw of one connection.
//!
//! Must not know whose it was.

use crate::{
    check::Refusal,
    testbed::broker::{Admission, Connection, Ending, RefusedBecause},
};

/// Why the client did not come in; none if it did.
pub(super) fn refusal(connection: &Connection) -> Option<Refusal> {
    if let Some(failure) = &connection.tls_failure {
        return Some(if failure.cause.is_distrust() {
            Refusal::ServerUntrusted(failure.cause.to_string())
        } else {
            Refusal::Handshake(failure.cause.to_string())
        });
    }
    if let Some(Ending::ProtocolError(reason)) = &connection.ending {
        return Some(Refusal::Protocol(reason.clone()));
    }
    if connection.ending == Some(Ending::ClosedByBroker) && !connection.is_accepted() {
        return Some(Refusal::BrokeOff);
    }
    match &connection.connect.as_ref()?.admission {
        Admission::Accepted => None,
        Admission::Refused(because) => Some(match because {
            RefusedBecause::UnknownUser
            | RefusedBecause::WrongPassword
            | RefusedBecause::NoCredentials => Refusal::BadCredentials,
            RefusedBecause::WrongClientId { .. }
            | RefusedBecause::NotCertificateName { .. }
            | RefusedBecause::NoUnit => Refusal::NotAuthorized(because.to_string()),
            RefusedBecause::NoClientId => Refusal::Protocol(because.to_string()),
        }),
    }
}
