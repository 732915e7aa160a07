//! What a provisioned firmware does all day: join, connect, answer.
//!
//! An order of the console to join begins it anew with other settings.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;

use super::console::Console;
use super::mqtt::Session;
use super::package::Program;
use super::relay::Relay;
use super::run::say;
use super::settings::Settings;
use super::shell::Order;
use super::trust::{self, Identity, Trust};
use super::wifi::{self, Radio};
use crate::boot::ResetReason;
use crate::fault::{Fault, Faults};
use crate::world::World;

/// The operation of one start.
pub(super) struct Operation<'a> {
    pub(super) program: &'a Program,
    pub(super) mac: [u8; 6],
    pub(super) has_wifi: bool,
    pub(super) faults: &'a Faults,
    pub(super) world: Arc<dyn World>,
}

impl Operation<'_> {
    /// Runs with the settings, or waits for an order that brings some.
    pub(super) async fn run(
        self,
        mut settings: Option<Settings>,
        mut inbox: UnboundedReceiver<Order>,
        console: &mut Console,
    ) -> ResetReason {
        let mut joined = None;
        loop {
            let (alerts, alert_inbox) = mpsc::unbounded_channel();
            let order = {
                let begun = self.begin(settings.as_ref(), joined.take(), alert_inbox, console);
                tokio::pin!(begun);
                loop {
                    tokio::select! {
                        () = &mut begun => pending().await,
                        order = inbox.recv() => match order {
                            Some(Order::Alert) => {
                                // Without a session there is nobody to send it.
                                let _ = alerts.send(());
                            }
                            Some(Order::Join(settings, done)) => break (settings, done),
                            None => pending().await,
                        },
                    }
                }
            };
            settings = Some(order.0);
            joined = Some(order.1);
        }
    }

    async fn begin(
        &self,
        settings: Option<&Settings>,
        done: Option<oneshot::Sender<bool>>,
        alerts: UnboundedReceiver<()>,
        console: &mut Console,
    ) {
        match settings {
            Some(settings) => self.operate(settings, done, alerts, console).await,
            None => pending().await,
        }
    }

    async fn operate(
        &self,
        settings: &Settings,
        done: Option<oneshot::Sender<bool>>,
        alerts: UnboundedReceiver<()>,
        console: &mut Console,
    ) {
        let description = &self.program.description;
        let tag = description.app.tag.as_str();
        let Some(wifi) = &description.wifi else {
            return pending().await;
        };
        if !self.has_wifi {
            console.error(tag, "Failed to init WiFi: ESP_ERR_NOT_SUPPORTED");
            return pending().await;
        }
        let radio = Radio {
            mac: self.mac,
            world: self.world.clone(),
            faults: self.faults,
            tag,
            attempts: wifi.attempts,
        };
        let (ssid, passphrase) = (settings.value(&wifi.ssid), settings.value(&wifi.passphrase));
        if self.faults.has(Fault::FirmwareSecretInLog) {
            let text = format!("Connecting to {ssid} with {passphrase}");
            console.info(tag, &text);
        }
        say(&description.says.joining, settings, console);
        let joined = radio.join(ssid, passphrase, console).await;
        if self.faults.has(Fault::RadioNoIp) {
            return pending().await;
        }
        console.info(tag, &format!("Got IP: {}", joined.link.address));
        let mut settings = settings.clone();
        settings.put(&[("ip".to_owned(), joined.link.address.to_string())].into());
        say(&description.says.joined, &settings, console);
        if let Some(done) = done {
            // A console that stopped waiting has said so already.
            let _ = done.send(true);
        }
        if self.faults.has(Fault::FirmwareStuck) {
            return pending().await;
        }
        self.connect(&settings, joined, alerts, console).await;
    }

    async fn connect(
        &self,
        settings: &Settings,
        joined: wifi::Joined,
        alerts: UnboundedReceiver<()>,
        console: &mut Console,
    ) {
        let description = &self.program.description;
        let tag = description.app.tag.as_str();
        let Some(mqtt) = &description.mqtt else {
            return pending().await;
        };
        let Ok(relay) = Relay::start(self.world.clone(), joined.link.address).await else {
            console.error(tag, "Failed to open a socket: out of memory");
            return pending().await;
        };
        say(&description.says.connecting, settings, console);
        let mut password = settings.value(&mqtt.password).to_owned();
        if self.faults.has(Fault::FirmwareMqttPassword) {
            password = wifi::other_than(&password);
        }
        let setting = |name: &Option<String>| {
            name.as_ref().map(|name| settings.value(name)).filter(|value| !value.is_empty())
        };
        let identity = setting(&mqtt.certificate).zip(setting(&mqtt.private_key));
        let session = Session {
            description: mqtt,
            settings,
            says: &description.says,
            password,
            trust: Trust {
                ca_pem: if self.faults.has(Fault::FirmwareWrongCa) {
                    trust::STRANGER
                } else {
                    setting(&mqtt.ca).unwrap_or(&self.program.trust_anchor)
                },
                identity: identity.map(|(certificate, key)| Identity { certificate, key }),
                clock_unset: self.faults.has(Fault::TimeNotSet),
                blind: self.faults.has(Fault::FirmwareAnyCertificate),
            },
            faults: self.faults,
            tag,
        };
        session.run(&relay, alerts, console).await;
    }
}
