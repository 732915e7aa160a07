//! Fetches the unit's configuration as the unit does, and reads all of it.

use serde::Deserialize;

use super::{BenchStation, PlannedNetwork, ProbeError, within};
use crate::{
    client::http::{HttpUrl, Request, Response},
    clock::Deadline,
};

const SERVICE: &str = "the config server";

/// The unit's question for its configuration.
#[derive(Clone, Copy, Debug)]
pub struct ConfigProbe<'a> {
    /// The address in the plan, with the unit's id.
    pub url: &'a str,
    /// PEM of whom the unit trusts for https.
    pub trusted: &'a str,
    /// The broker that the configuration must name.
    pub mqtt_host: &'a str,
}

#[derive(Deserialize)]
struct Configuration {
    company: Option<String>,
    development: Option<String>,
    mqtt_host: Option<String>,
}

/// Fetches the configuration, which must be whole and lead to the planned broker.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn fetch_configuration(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &ConfigProbe<'_>,
    deadline: Deadline,
) -> Result<(), ProbeError> {
    within(deadline, async {
        let client = station.join(network)?.http_client(probe.trusted)?;
        let url: HttpUrl = probe.url.parse()?;
        let answer = client.call(&Request::get(url), deadline).await?;
        judge(&answer, probe.mqtt_host)
    })
    .await
}

fn judge(answer: &Response, planned: &str) -> Result<(), ProbeError> {
    let wrong = |found: String, expected: &str| {
        Err(ProbeError::WrongAnswer { service: SERVICE, found, expected: expected.to_owned() })
    };
    if !answer.is_success() {
        return wrong(format!("answers with status {}", answer.status), "200");
    }
    // The parser's own words would quote the answer.
    let Ok(configuration) = serde_json::from_slice::<Configuration>(answer.body.expose()) else {
        return wrong("does not answer in JSON".to_owned(), "the unit's configuration");
    };
    for (field, value) in [
        ("company", &configuration.company),
        ("development", &configuration.development),
        ("mqtt_host", &configuration.mqtt_host),
    ] {
        if value.as_ref().is_none_or(String::is_empty) {
            return wrong(format!("leaves out {field}"), "company, development and mqtt_host");
        }
    }
    match configuration.mqtt_host.as_deref() == Some(planned) {
        true => Ok(()),
        false => wrong("names another broker".to_owned(), planned),
    }
}
