//! Registers at the CA with the unit's own values, and judges the certificate that comes back.
//!
//! The CA expects the unit's UUID with the unit's key, so nobody else's request would tell whether this
//! unit's was in order. What is issued fits a key that the bench makes and forgets.

use super::{BenchStation, PlannedNetwork, ProbeError, within};
use crate::{
    client::ca::{Registrant, Terms, register},
    clock::Deadline,
};

/// The unit's registration.
#[derive(Clone)]
pub struct CaProbe<'a> {
    /// The CA's address in the plan.
    pub url: &'a str,
    /// PEM of whom the unit trusts for https.
    pub trusted: &'a str,
    /// Who the unit is.
    pub registrant: Registrant<'a>,
    /// What a certificate must be like.
    pub terms: Terms<'a>,
}

/// Registers the unit, and verifies that the certificate fits it: key, name, time and root.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn register_at_ca(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &CaProbe<'_>,
    deadline: Deadline,
) -> Result<(), ProbeError> {
    within(deadline, async {
        let client = station.join(network)?.http_client(probe.trusted)?;
        register(&client, probe.url, &probe.registrant, &probe.terms, deadline).await?;
        Ok(())
    })
    .await
}
