//! The firmware's call to its CA service after it joined: JSON out, JSON with `success` back.
//!
//! Knows nothing of what the service does with it. The call holds secrets and is never printed.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::sleep;

use super::console::Console;
use super::description;
use super::http::{Client, HttpError};
use super::mqtt;
use super::settings::Settings;

/// Between two attempts; a real firmware waits some seconds, which the log's clock shows.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_SHOWN_MS: u64 = 5_000;

/// Why the service did not take the unit in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("the answer is not JSON with success")]
    Malformed,
    #[error("success is false")]
    NoSuccess,
}

/// Calls until the service agrees, or as often as the firmware tries.
pub(super) async fn call(
    wanted: &description::CaCall,
    settings: &Settings,
    client: &Client<'_>,
    tag: &str,
    console: &mut Console,
) {
    let url = url(settings.value(&wanted.url), &wanted.path);
    let body = body(wanted, settings);
    for attempt in 1..=wanted.attempts {
        console.info(tag, &format!("Registering at {url} ({attempt}/{})", wanted.attempts));
        match once(client, &url, body.clone()).await {
            Ok(()) => {
                console.info(tag, "Registered at CA service");
                return;
            }
            Err(error) => {
                if let Refused::Http(error @ HttpError::Tls(_)) = &error {
                    mqtt::report_handshake(error.tls(), console);
                }
                console.warn(tag, &format!("CA service call failed: {error}"));
            }
        }
        sleep(PAUSE).await;
        console.pass(PAUSE_SHOWN_MS);
    }
    console.error(tag, "Registration at CA service failed");
}

async fn once(client: &Client<'_>, url: &str, body: String) -> Result<(), Refused> {
    let answer = client.post_json(url, body).await?;
    if !(200..300).contains(&answer.status) {
        return Err(Refused::Status(answer.status));
    }
    let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| Refused::Malformed)?;
    match answer.get("success").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        Some(false) => Err(Refused::NoSuccess),
        None => Err(Refused::Malformed),
    }
}

/// The path behind the base, with one slash between them.
fn url(base: &str, path: &str) -> String {
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

fn body(wanted: &description::CaCall, settings: &Settings) -> String {
    let fields = wanted.fields.iter();
    let fields = fields.map(|(name, text)| (name.clone(), Value::String(settings.fill(text))));
    Value::Object(fields.collect::<Map<_, _>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn a_slash_at_the_end_of_the_base_is_not_doubled() {
        for base in ["https://ca.example.test:8443", "https://ca.example.test:8443/"] {
            assert_eq!(url(base, "/api/x"), "https://ca.example.test:8443/api/x");
        }
    }
}
