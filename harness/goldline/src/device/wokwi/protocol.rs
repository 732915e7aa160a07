//! The messages of Wokwi's simulation API: one JSON object a WebSocket message, each way.
//!
//! Version 1, as Wokwi's own clients speak it (`@wokwi/client`, `wokwi-client`). Must not know what a connection is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// The version that is spoken here.
pub(super) const VERSION: u64 = 1;

/// How many characters of a service's words are kept.
const LONGEST: usize = 500;

/// The command that takes as long as its file is large.
pub(super) const UPLOAD: &str = "file:upload";
/// The commands between which a simulation stands still.
pub(super) const RESTART: &str = "sim:restart";
pub(super) const RESUME: &str = "sim:resume";

/// What a service says.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// The first of a connection.
    Hello { version: Option<u64>, app: String },
    /// To a command.
    Response { id: String, result: Result<Value, Refusal> },
    /// Bytes of the unit's console.
    Console(Vec<u8>),
    /// The simulation stands still; after how many simulated seconds.
    Paused { at_s: f64 },
    /// Something is wrong with the connection as a whole.
    Error(String),
    /// What a run has no use for.
    Other,
}

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Raw {
    r#type: String,
    id: Option<Value>,
    event: Option<String>,
    message: Option<String>,
    #[serde(rename = "protocolVersion")]
    version: Option<Value>,
    #[serde(rename = "appName")]
    name: Option<String>,
    #[serde(rename = "appVersion")]
    app: Option<String>,
    #[serde(default)]
    error: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    payload: Value,
    nanos: Option<f64>,
}

#[derive(Deserialize)]
struct ConsoleData {
    bytes: Vec<u8>,
}

impl Message {
    /// Reads one; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let raw: Raw = serde_json::from_str(text).ok()?;
        Some(match raw.r#type.as_str() {
            "hello" => Self::Hello {
                version: raw.version.as_ref().and_then(Value::as_u64),
                app: shortened(
                    &[raw.name, raw.app].into_iter().flatten().collect::<Vec<_>>().join(" "),
                ),
            },
            "response" => {
                let refusal = || Refusal {
                    code: text_of(&raw.result["code"]),
                    message: text_of(&raw.result["message"]),
                };
                let result = if raw.error { Err(refusal()) } else { Ok(raw.result.clone()) };
                Self::Response { id: text_of(&raw.id?), result }
            }
            "event" => match raw.event?.as_str() {
                "serial-monitor:data" => {
                    Self::Console(serde_json::from_value::<ConsoleData>(raw.payload).ok()?.bytes)
                }
                "sim:pause" => Self::Paused { at_s: raw.nanos.unwrap_or_default() / 1e9 },
                _ => Self::Other,
            },
            "error" => {
                let message = raw.message.as_deref().unwrap_or("it does not say why");
                Self::Error(shortened(message))
            }
            _ => Self::Other,
        })
    }
}

/// A JSON string without its quotes; anything else as it is. A record keeps its beginning.
fn text_of(value: &Value) -> String {
    shortened(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What a service answers to [`Command::status`].
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Status {
    pub(super) running: bool,
    pub(super) nanos: f64,
}

/// What a service is told.
pub(super) struct Command {
    pub(super) name: &'static str,
    params: Value,
}

impl Command {
    /// A file that holds text: `diagram.json` must come so.
    pub(super) fn upload_text(name: &str, text: &str) -> Self {
        Self { name: UPLOAD, params: json!({ "name": name, "text": text }) }
    }

    /// Any other file.
    pub(super) fn upload(name: &str, bytes: &[u8]) -> Self {
        Self { name: UPLOAD, params: json!({ "name": name, "binary": STANDARD.encode(bytes) }) }
    }

    /// The console is to be told from now on.
    pub(super) fn listen() -> Self {
        Self { name: "serial-monitor:listen", params: json!({}) }
    }

    /// Starts on uploaded files, each at its offset; the flash has so many bytes.
    pub(super) fn start(sections: &[(u32, String)], flash_size: u32) -> Self {
        let section = |(offset, file): &(u32, String)| json!({ "offset": offset, "file": file });
        let firmware: Vec<Value> = sections.iter().map(section).collect();
        let flash_size = format!("{}MB", flash_size >> 20);
        Self {
            name: "sim:start",
            params: json!({ "firmware": firmware, "flashSize": flash_size, "pause": false, "chips": [] }),
        }
    }

    /// Lets time go on.
    pub(super) fn resume() -> Self {
        Self { name: RESUME, params: json!({}) }
    }

    /// Begins anew with what was uploaded, and stands still until it is resumed.
    pub(super) fn restart() -> Self {
        Self { name: RESTART, params: json!({ "pause": true }) }
    }

    /// Asks whether time goes on, and how far it came.
    pub(super) fn status() -> Self {
        Self { name: "sim:status", params: json!({}) }
    }

    /// Types into the console.
    pub(super) fn write(bytes: &[u8]) -> Self {
        Self { name: "serial-monitor:write", params: json!({ "bytes": bytes }) }
    }

    /// The text of the message; `id` comes back with the response.
    pub(super) fn message(&self, id: &str) -> String {
        json!({ "type": "command", "command": self.name, "id": id, "params": self.params })
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_understood() {
        let parse = |text: &str| Message::parse(text).expect("a message");
        let hello = r#"{"type":"hello","protocolVersion":1,"appName":"Wokwi","appVersion":"2.1"}"#;
        assert_eq!(parse(hello), Message::Hello { version: Some(1), app: "Wokwi 2.1".to_owned() });
        let data = r#"{"type":"event","event":"serial-monitor:data","payload":{"bytes":[79,75]},"nanos":5,"paused":false}"#;
        assert_eq!(parse(data), Message::Console(b"OK".to_vec()));
        let pause =
            r#"{"type":"event","event":"sim:pause","payload":{},"nanos":2500000000,"paused":true}"#;
        assert_eq!(parse(pause), Message::Paused { at_s: 2.5 });
        let refused = r#"{"type":"response","command":"sim:start","id":"3","error":true,"result":{"code":4,"message":"no diagram"}}"#;
        let refusal = Refusal { code: "4".to_owned(), message: "no diagram".to_owned() };
        assert_eq!(parse(refused), Message::Response { id: "3".to_owned(), result: Err(refusal) });
        let done = r#"{"type":"response","command":"sim:start","id":3,"result":{"a":1}}"#;
        let result = Ok(json!({ "a": 1 }));
        assert_eq!(parse(done), Message::Response { id: "3".to_owned(), result });
        let other = r#"{"type":"event","event":"chips:log","payload":{"chip":"a","message":"b"}}"#;
        assert_eq!(parse(other), Message::Other);
        assert_eq!(
            parse(r#"{"type":"error","message":"full"}"#),
            Message::Error("full".to_owned())
        );
    }

    #[test]
    fn what_is_no_message_is_none() {
        for text in [
            "hello",
            "{}",
            r#"{"type":"response"}"#,
            r#"{"type":"event","event":"serial-monitor:data","payload":{"bytes":[256]}}"#,
        ] {
            assert_eq!(Message::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_flash_goes_as_files_with_their_offsets() {
        let start = Command::start(&[(0x9000, "flash-9000.bin".to_owned())], 4 << 20);
        let message: Value = serde_json::from_str(&start.message("7")).expect("JSON");
        assert_eq!(message["params"]["firmware"][0]["offset"], 0x9000);
        assert_eq!(message["params"]["flashSize"], "4MB");
        assert_eq!((&message["id"], &message["type"]), (&json!("7"), &json!("command")));
    }
}
