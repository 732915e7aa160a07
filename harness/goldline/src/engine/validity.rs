//! How long the certificates are still valid that a unit and its broker show each other.

use time::OffsetDateTime;

use crate::{
    check::{BrokerObservation, Remaining},
    plan::BoundPlan,
    testbed::Testbed,
    tls::Expiry,
};

/// Notes what is left of the broker's and of the unit's own.
pub(super) fn note_validity(
    testbed: &Testbed,
    plan: &BoundPlan,
    now: OffsetDateTime,
    seen: &mut BrokerObservation,
) {
    let of_broker = testbed.broker.certificate_expiry();
    seen.broker_certificate = of_broker.map(|expiry| Remaining::until(&expiry, now));
    let own = shown(testbed).or_else(|| given(plan));
    seen.client_certificate_days = own.map(|not_after| (not_after - now).whole_days());
}

/// The end of the certificate that the unit showed.
fn shown(testbed: &Testbed) -> Option<OffsetDateTime> {
    let connections = testbed.broker.unit_connections();
    connections.iter().rev().find_map(|connection| {
        let tls = connection.tls.as_ref()?;
        tls.client_certificate.as_ref().map(|shown| shown.not_after)
    })
}

/// The end of the one that it was given, where the broker does not tell.
fn given(plan: &BoundPlan) -> Option<OffsetDateTime> {
    let given = plan.bindings().get("issued.certificate")?;
    Expiry::first_in(given.expose()).map(|expiry| expiry.at)
}
