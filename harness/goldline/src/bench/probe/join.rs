//! Joins the planned network and gets an address in it.

use super::{BenchStation, PlannedNetwork, ProbeError};

/// Joins the network as a station that it never saw, gets an address, and leaves again.
///
/// # Errors
/// [`ProbeError::NotJoined`], [`ProbeError::NoAddress`].
pub async fn join_network(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
) -> Result<(), ProbeError> {
    station.join(network).map(drop)
}
