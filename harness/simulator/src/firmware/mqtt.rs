//! Talking to the broker, in the words of ESP-IDF's MQTT client.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{Connect, ConnectReturnCode, Packet};
use rustls::{AlertDescription, CertificateError};
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use super::certificates::Flaw;
use super::console::Console;
use super::description;
use super::http::Client;
use super::mqtt_client::{MqttClient, MqttError, Way};
use super::ota::{self, Notice};
use super::package::Program;
use super::route::{self, NoRoute};
use super::say::say;
use super::settings::Settings;
use super::trust::Trust;
use crate::boot::{ResetReason, ota_is_pending, ota_was_rolled_back};
use crate::chip::Chip;
use crate::fault::{Fault, Faults};
use crate::world::World;

/// Between two attempts; the real client waits ten seconds, which the log's clock shows.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_SHOWN_MS: u64 = 10_000;
const KEEP_ALIVE_S: u16 = 30;
/// The broker of a firmware that ignores its settings.
const BUILT_IN_HOST: &str = "built-in.example.test";
/// How long what is queued may take to leave before a restart.
const FLUSH: Duration = Duration::from_millis(50);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(60);
/// No slot is larger.
const LARGEST_IMAGE: usize = 16 << 20;

/// What the firmware needs for its broker.
pub(super) struct Session<'a, 'c> {
    pub(super) description: &'a description::Mqtt,
    pub(super) settings: &'a Settings,
    /// What it prints besides ESP-IDF's own lines.
    pub(super) says: &'a description::Says,
    /// Its only way to a broker.
    pub(super) world: Arc<dyn World>,
    /// The unit's own address.
    pub(super) from: Ipv4Addr,
    pub(super) password: String,
    /// Whose certificates the firmware believes.
    pub(super) trust: Trust<'a>,
    /// How it takes updates, if it does.
    pub(super) updates: Option<Updates<'a, 'c>>,
    /// What is wrong with the firmware.
    pub(super) faults: &'a Faults,
    pub(super) tag: &'a str,
}

/// What a firmware needs to take updates.
pub(super) struct Updates<'a, 'c> {
    pub(super) ota: &'a description::Ota,
    pub(super) program: &'a Program,
    pub(super) chip: &'a RefCell<&'c mut Chip>,
}

/// A broker's URI that the client library of the firmware would not take.
#[derive(Debug, PartialEq, Eq)]
struct BadUri;

struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
}

impl Endpoint {
    fn parse(uri: &str) -> Result<Self, BadUri> {
        let (scheme, rest) = uri.split_once("://").ok_or(BadUri)?;
        let (tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "mqtts" => (true, 8883),
            "mqtt" => (false, 1883),
            _ => return Err(BadUri),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        // The colons of an address in brackets are its own.
        let (host, port) = match authority.rsplit_once(':').filter(|_| !authority.ends_with(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| BadUri)?),
            None => (authority, default_port),
        };
        let host = route::without_brackets(host);
        if host.is_empty() {
            return Err(BadUri);
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

impl Session<'_, '_> {
    /// Connects, and stays connected for as long as the firmware runs.
    pub(super) async fn run(
        &self,
        mut alerts: UnboundedReceiver<()>,
        confirm: impl Fn(),
        console: &mut Console,
    ) -> ResetReason {
        let client = self.client(&self.uri());
        let Ok(mut client) = client.map_err(|text| console.error("mqtt_client", text)) else {
            console.error(self.tag, "Failed to init MQTT client");
            return std::future::pending().await;
        };
        console.info(self.tag, "MQTT client started");
        let mut failed = 0;
        loop {
            let packet = tokio::select! {
                packet = client.next() => packet,
                Some(()) = alerts.recv() => {
                    self.alert(&mut client, console);
                    continue;
                }
            };
            match packet {
                Ok(Packet::Publish(message)) if self.is_notice(&message.topic) => {
                    console.info(self.tag, &format!("MQTT_EVENT_DATA, topic={}", message.topic));
                    if self.update(&message.payload, &mut client, console).await {
                        // What is still to be sent leaves before the restart.
                        let _ =
                            timeout(FLUSH, async { while client.next().await.is_ok() {} }).await;
                        return ResetReason::Software;
                    }
                }
                Ok(Packet::ConnAck(_)) => {
                    self.connected(&mut client, console);
                    self.report_start(&mut client, console);
                    confirm();
                }
                Ok(packet) => self.handle(packet, &mut client, console),
                Err(error) => {
                    report(&error, console);
                    console.info(self.tag, "MQTT_EVENT_DISCONNECTED");
                    failed += 1;
                    if self.description.restarts_after == Some(failed) {
                        console.warn(self.tag, "Restarting now.");
                        return ResetReason::Software;
                    }
                    sleep(PAUSE).await;
                    console.pass(PAUSE_SHOWN_MS);
                }
            }
        }
    }

    /// The broker's address; a host alone means TLS on MQTT's own port.
    fn uri(&self) -> String {
        let setting =
            |name: &Option<String>| name.as_ref().map(|name| self.settings.value(name).to_owned());
        let of_host = || setting(&self.description.host).map(|host| format!("mqtts://{host}:8883"));
        setting(&self.description.uri).or_else(of_host).unwrap_or_default()
    }

    fn is_notice(&self, topic: &str) -> bool {
        let ignored = self.faults.has(Fault::FirmwareOtaIgnored);
        let updates = self.updates.as_ref().filter(|_| !ignored);
        updates.is_some_and(|updates| self.settings.fill(&updates.ota.topic) == topic)
    }

    /// Takes an update; whether the chip must be restarted for it.
    async fn update(&self, notice: &[u8], client: &mut MqttClient, console: &Console) -> bool {
        let Some(updates) = &self.updates else { return false };
        let taken = match serde_json::from_slice::<Notice>(notice) {
            Ok(notice) => {
                let web = Client {
                    world: self.world.clone(),
                    from: self.from,
                    trust: self.trust,
                    limit: DOWNLOAD_LIMIT,
                    most_bytes: LARGEST_IMAGE,
                };
                let (program, chip) = (updates.program, updates.chip);
                console.info(self.tag, &format!("OTA: updating to {}", notice.version));
                ota::take(&notice, &web, program, chip, self.faults)
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(_) => Err("the notice is not JSON with url, sha256, size and version".to_owned()),
        };
        match taken {
            Ok(()) => {
                console.info(self.tag, "OTA: image written, restarting");
                true
            }
            Err(reason) => {
                console.error(self.tag, &format!("OTA: {reason}"));
                self.report("ota_failed", &[("reason", &reason)], client);
                false
            }
        }
    }

    /// After a restart for an update, says which application runs.
    fn report_start(&self, client: &mut MqttClient, console: &Console) {
        let Some(updates) = &self.updates else { return };
        let chip = updates.chip.borrow();
        let table = &updates.program.table;
        let event = if ota_is_pending(table, &chip) {
            "ota_done"
        } else if ota_was_rolled_back(table, &chip) {
            "ota_rolled_back"
        } else {
            return;
        };
        drop(chip);
        let version = &updates.program.description.app.version;
        console.info(self.tag, &format!("OTA: {event}, running {version}"));
        self.report(event, &[("version", version)], client);
    }

    fn report(&self, event: &str, fields: &[(&str, &str)], client: &mut MqttClient) {
        let Some(updates) = &self.updates else { return };
        let mut message = Map::new();
        message.insert("event".to_owned(), Value::String(event.to_owned()));
        for (name, value) in fields {
            message.insert((*name).to_owned(), Value::String((*value).to_owned()));
        }
        let id = self.settings.value(description::DEVICE_ID);
        message.insert("device_id".to_owned(), Value::String(id.to_owned()));
        let to = self.settings.fill(&updates.ota.report);
        // The queue is never full this early.
        client.publish(&to, &Value::Object(message).to_string());
    }

    fn client(&self, uri: &str) -> Result<MqttClient, &'static str> {
        let mut endpoint = Endpoint::parse(uri).map_err(|_| "Error parse uri")?;
        if self.faults.has(Fault::FirmwareSettingIgnored) {
            endpoint.host = BUILT_IN_HOST.to_owned();
        }
        let mut client_id = self.settings.fill(&self.description.client_id);
        if self.faults.has(Fault::FirmwareWrongClientId) {
            client_id.push_str("-dev");
        }
        let tls = match endpoint.tls {
            true => {
                let config = self.trust.client_config();
                let refuse = |_| "Failed to parse the client certificate or its key";
                Some(config.map_err(refuse)?)
            }
            false => None,
        };
        let mut connect = Connect::new(client_id);
        connect.keep_alive = KEEP_ALIVE_S;
        connect.set_login(self.settings.value(&self.description.username), self.password.as_str());
        let Endpoint { host, port, .. } = endpoint;
        let way = Way { world: self.world.clone(), from: self.from, host, port, tls };
        Ok(MqttClient::new(way, connect))
    }

    fn connected(&self, client: &mut MqttClient, console: &Console) {
        console.info(self.tag, "MQTT_EVENT_CONNECTED");
        say(&self.says.connected, self.settings, console);
        for topic in &self.description.subscribe {
            let topic = self.settings.fill(topic);
            if client.subscribe(&topic) {
                console.info(self.tag, &format!("Subscribing to {topic}"));
            }
        }
    }

    fn handle(&self, packet: Packet, client: &mut MqttClient, console: &Console) {
        match packet {
            Packet::SubAck(ack) => {
                let text = format!("MQTT_EVENT_SUBSCRIBED, msg_id={}", ack.pkid);
                console.info(self.tag, &text);
            }
            Packet::Publish(message) => {
                console.info(self.tag, &format!("MQTT_EVENT_DATA, topic={}", message.topic));
                self.obey(&message.topic, &message.payload, client, console);
            }
            _ => {}
        }
    }

    fn obey(&self, topic: &str, payload: &[u8], client: &mut MqttClient, console: &Console) {
        let Some(command) = &self.description.command else {
            return;
        };
        if self.settings.fill(&command.topic) != topic {
            return;
        }
        let Some((id, name)) = command_of(payload) else {
            console.warn(self.tag, "Ignoring a command that is not JSON with id and command");
            return;
        };
        if name == "test_alert" {
            self.alert(client, console);
        }
        let mut answer = Map::new();
        answer.insert("id".to_owned(), id);
        answer.insert("event".to_owned(), Value::String(answer_to(&name).to_owned()));
        for (field, template) in &command.fields {
            answer.insert(field.clone(), Value::String(self.settings.fill(template)));
        }
        let to = self.settings.fill(&command.answer);
        let text = Value::Object(answer).to_string();
        if client.publish(&to, &text) {
            console.info(self.tag, &format!("Answered {name} on {to}"));
        }
    }
}

impl Session<'_, '_> {
    /// Sends what an installer asked for.
    fn alert(&self, client: &mut MqttClient, console: &Console) {
        let Some(alert) = &self.description.alert else { return };
        let mut message = Map::new();
        message.insert("event".to_owned(), Value::String("test_alert".to_owned()));
        for (field, template) in &alert.fields {
            message.insert(field.clone(), Value::String(self.settings.fill(template)));
        }
        let to = self.settings.fill(&alert.topic);
        let text = Value::Object(message).to_string();
        if client.publish(&to, &text) {
            console.info(self.tag, &format!("Test alert sent on {to}"));
        }
    }
}

fn command_of(payload: &[u8]) -> Option<(Value, String)> {
    let message: Value = serde_json::from_slice(payload).ok()?;
    let name = message.get("command")?.as_str()?.to_owned();
    Some((message.get("id")?.clone(), name))
}

fn answer_to(command: &str) -> &'static str {
    match command {
        "ping" => "pong",
        "test_alert" => "alert_sent",
        _ => "unknown_command",
    }
}

/// Prints what the device's libraries print on the way down to a lost connection.
fn report(error: &MqttError, console: &Console) {
    match error {
        MqttError::Refused(code) => {
            let text = format!("Connection refused, {}", refusal(*code));
            console.warn("mqtt_client", &text);
            console.error("mqtt_client", "MQTT connect failed");
            return;
        }
        MqttError::Tls(error) => {
            let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
            report_handshake(cause, console);
        }
        MqttError::NoRoute(why) => report_route(*why, console),
        MqttError::Lost => {
            console.error(
                "transport_base",
                "poll_read select error 104, errno = Connection reset by peer",
            );
            console.error("mqtt_client", "Poll read error: 104, aborting connection");
            return;
        }
    }
    console.error("esp-tls", "Failed to open new connection");
    console.error("transport_base", "Failed to open a new connection");
    console.error("mqtt_client", "Error transport connect");
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => "bad protocol",
        ConnectReturnCode::BadClientId => "ID rejected",
        ConnectReturnCode::ServiceUnavailable => "server unavailable",
        ConnectReturnCode::BadUserNamePassword => "bad username or password",
        ConnectReturnCode::NotAuthorized => "not authorized",
        _ => "Unknown reason",
    }
}

fn report_route(why: NoRoute, console: &Console) {
    match why {
        NoRoute::Unresolved => console.error(
            "esp-tls",
            "couldn't get hostname for broker: getaddrinfo() returns 202, addrinfo=0x0",
        ),
        NoRoute::Connect(kind) => {
            let text = format!("[sock=54] connect() error: {kind}");
            console.error("esp-tls", &text);
        }
    }
}

/// Prints what mbedTLS says of a handshake that failed.
pub(super) fn report_handshake(cause: Option<&rustls::Error>, console: &Console) {
    let failure = cause.map_or(TlsFailure::ConnectionLost, TlsFailure::of);
    console.error(
        "esp-tls-mbedtls",
        &format!("mbedtls_ssl_handshake returned -{:#06x}", failure.code()),
    );
    if let TlsFailure::Certificate(why) = failure {
        console.info("esp-tls-mbedtls", "Failed to verify peer certificate!");
        console.info("esp-tls-mbedtls", &format!("verification info:   ! {why}"));
    }
}

/// A failed handshake by mbedTLS's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsFailure {
    Certificate(Flaw),
    Unreadable,
    FatalAlert,
    Handshake,
    ConnectionLost,
}

impl TlsFailure {
    fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => match why {
                CertificateError::BadEncoding => Self::Unreadable,
                CertificateError::BadSignature => Self::Handshake,
                CertificateError::NotValidForName => Self::Certificate(Flaw::Name),
                CertificateError::Expired => Self::Certificate(Flaw::Expired),
                CertificateError::NotValidYet => Self::Certificate(Flaw::NotYetValid),
                CertificateError::Other(other) => {
                    let flaw = other.0.downcast_ref().copied();
                    Self::Certificate(flaw.unwrap_or(Flaw::Untrusted))
                }
                _ => Self::Certificate(Flaw::Untrusted),
            },
            rustls::Error::AlertReceived(AlertDescription::CloseNotify) => Self::ConnectionLost,
            rustls::Error::AlertReceived(_) => Self::FatalAlert,
            _ => Self::Handshake,
        }
    }

    /// mbedTLS's error code without its sign.
    fn code(self) -> u16 {
        match self {
            Self::Certificate(_) => 0x2700,
            Self::Unreadable => 0x2180,
            Self::FatalAlert => 0x7780,
            Self::Handshake => 0x7700,
            Self::ConnectionLost => 0x0050,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_scheme_host_and_port() {
        let endpoint = Endpoint::parse("mqtts://broker.example.test:8883").unwrap();
        assert!(endpoint.tls);
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("broker.example.test", 8883));
        assert_eq!(Endpoint::parse("mqtt://broker.example.test").unwrap().port, 1883);
        for bad in ["broker.example.test", "https://x", "mqtts://", "mqtts://x:port"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
