//! Downloads an update from where the unit was told to get it, and compares every byte.

use super::{BenchStation, PlannedNetwork, ProbeError, within};
use crate::{
    client::http::{HttpUrl, Request},
    clock::Deadline,
};

const SERVICE: &str = "the update server";

/// The unit's download.
#[derive(Clone, Copy)]
pub struct UpdateProbe<'a> {
    /// The address in the notice.
    pub url: &'a str,
    /// PEM of whom the unit trusts for https.
    pub trusted: &'a str,
    /// What was published.
    pub image: &'a [u8],
}

/// Downloads the image.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn download_update(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &UpdateProbe<'_>,
    deadline: Deadline,
) -> Result<(), ProbeError> {
    within(deadline, async {
        let client = station.join(network)?.http_client(probe.trusted)?;
        let url: HttpUrl = probe.url.parse()?;
        let request = Request::get(url).up_to(probe.image.len());
        let answer = client.call(&request, deadline).await?;
        let wrong = |found: String, expected: &str| {
            Err(ProbeError::WrongAnswer { service: SERVICE, found, expected: expected.to_owned() })
        };
        match (answer.status, answer.body.expose() == probe.image) {
            (200, true) => Ok(()),
            (200, false) => {
                let bytes = answer.body.expose().len();
                wrong(
                    format!("gives {bytes} bytes that are not those that were published"),
                    &format!("{} bytes", probe.image.len()),
                )
            }
            (status, _) => wrong(format!("answers with status {status}"), "200"),
        }
    })
    .await
}
