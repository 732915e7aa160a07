//! The firmware's question for its configuration, which a server knows by the unit's id.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::console::Console;
use super::description::RemoteConfig;
use super::http::Client;
use super::say::say;
use super::settings::Settings;

/// Between two attempts; a real firmware waits some seconds, which the log's clock shows.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_SHOWN_MS: u64 = 5_000;
const ATTEMPTS: usize = 5;

/// Asks, and takes what outranks the firmware's own settings.
pub(super) async fn fetch(
    wanted: &RemoteConfig,
    settings: &mut Settings,
    client: &Client<'_>,
    tag: &str,
    console: &mut Console,
) {
    let url = settings.fill(&wanted.url);
    for _ in 0..ATTEMPTS {
        say(&wanted.fetching, &settings.clone().with_value("url", url.clone()), console);
        match once(client, &url).await {
            Ok(answer) => {
                let fields = answer.as_object().into_iter().flatten();
                let told = fields.fold(settings.clone(), |told, (name, value)| {
                    told.with_value(name, value.as_str().unwrap_or_default().to_owned())
                });
                say(&wanted.fetched, &told, console);
                let value = answer.get(&wanted.field).and_then(Value::as_str);
                if let Some(value) = value.filter(|_| wanted.wins) {
                    settings.put(&[(wanted.setting.clone(), value.to_owned())].into());
                }
                return;
            }
            Err(reason) => console.warn(tag, &format!("Remote configuration failed: {reason}")),
        }
        sleep(PAUSE).await;
        console.pass(PAUSE_SHOWN_MS);
    }
    console.error(tag, "Using the configuration in flash");
}

async fn once(client: &Client<'_>, url: &str) -> Result<Value, String> {
    let answer = client.get(url).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("HTTP status {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|_| "the answer is no JSON".to_owned())
}
