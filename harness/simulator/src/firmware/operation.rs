//! What a provisioned firmware does all day: join, ask for time and configuration, connect, answer.
//!
//! An order of the console to join begins it anew with other settings; an update ends it.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::ca_call;
use super::clock::{self, Clock};
use super::console::Console;
use super::description;
use super::http::Client;
use super::mqtt::{Session, Updates};
use super::package::Program;
use super::remote_config;
use super::say::say;
use super::settings::Settings;
use super::shell::Order;
use super::trust::{self, Identity, Trust};
use super::wifi::{self, Radio};
use crate::boot::{ResetReason, mark_ota_valid};
use crate::chip::Chip;
use crate::fault::{Fault, Faults};
use crate::world::World;

const HTTP_LIMIT: Duration = Duration::from_secs(5);
const HTTP_BUFFER: usize = 8192;
/// Between two questions for the time; a real firmware waits some seconds.
const TIME_PAUSE: Duration = Duration::from_millis(50);
const TIME_ATTEMPTS: usize = 3;

/// The operation of one start.
pub(super) struct Operation<'a, 'c> {
    pub(super) program: &'a Program,
    pub(super) chip: &'a RefCell<&'c mut Chip>,
    pub(super) faults: &'a Faults,
    pub(super) world: Arc<dyn World>,
    /// Whether there is an address in a network now.
    pub(super) joined: &'a Cell<bool>,
}

impl Operation<'_, '_> {
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
                        reason = &mut begun => return reason,
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
            self.joined.set(false);
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
    ) -> ResetReason {
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
    ) -> ResetReason {
        let description = &self.program.description;
        let tag = description.app.tag.as_str();
        let Some(wifi) = &description.wifi else {
            return pending().await;
        };
        let (mac, has_wifi) = {
            let chip = self.chip.borrow();
            (chip.mac, chip.model.wifi)
        };
        if !has_wifi {
            console.error(tag, "Failed to init WiFi: ESP_ERR_NOT_SUPPORTED");
            return pending().await;
        }
        let radio = Radio {
            mac,
            world: self.world.clone(),
            faults: self.faults,
            tag,
            attempts: wifi.attempts,
            scan: wifi.scan,
            gives_up: wifi.restarts,
        };
        let passphrase = wifi.passphrase.as_ref().map_or("", |name| settings.value(name));
        let ssid = settings.value(&wifi.ssid);
        if self.faults.has(Fault::FirmwareSecretInLog) {
            let text = format!("Connecting to {ssid} with {passphrase}");
            console.info(tag, &text);
        }
        say(&description.says.joining, settings, console);
        let Some(joined) = radio.join(ssid, passphrase, console).await else {
            console.warn(tag, "Restarting now.");
            return ResetReason::Software;
        };
        if self.faults.has(Fault::RadioNoIp) {
            return pending().await;
        }
        let mut settings = settings.clone().with_value("ip", joined.link.address.to_string());
        self.joined.set(true);
        say(&description.says.joined, &settings, console);
        if let Some(done) = done {
            // A console that stopped waiting has said so already.
            let _ = done.send(true);
        }
        if self.faults.has(Fault::FirmwareStuck) {
            return pending().await;
        }
        let from = joined.link.address;
        let clock = self.time(from, console).await;
        if let Some(wanted) = &description.remote_config {
            let held = settings.clone();
            let client = self.client(from, clock, &held);
            remote_config::fetch(wanted, &mut settings, &client, tag, console).await;
        }
        self.call_ca(from, clock, &settings, console).await;
        self.connect(&settings, from, clock, alerts, console).await
    }

    /// The time as a server says it; a firmware that asks none has the host's.
    async fn time(&self, from: Ipv4Addr, console: &mut Console) -> Clock {
        if self.faults.has(Fault::TimeNotSet) {
            return Clock::Unset;
        }
        let description = &self.program.description;
        let Some(wanted) = &description.time else { return Clock::Host };
        for _ in 0..TIME_ATTEMPTS {
            let asked = clock::ask(self.world.clone(), from, wanted.server.clone(), wanted.port);
            match asked.await {
                Ok(clock) => {
                    let time = clock::asctime(clock.now());
                    let told = Settings::default().with_value("time", time);
                    say(&wanted.synchronized, &told, console);
                    return clock;
                }
                Err(error) => {
                    console.warn(&description.app.tag, &format!("SNTP failed: {error}"));
                }
            }
            sleep(TIME_PAUSE).await;
        }
        Clock::Unset
    }

    async fn call_ca(
        &self,
        from: Ipv4Addr,
        clock: Clock,
        settings: &Settings,
        console: &mut Console,
    ) {
        let description = &self.program.description;
        let Some(call) = &description.ca_call else { return };
        if self.faults.has(Fault::FirmwareCaCallMissing) {
            return;
        }
        let mut told = settings.clone();
        if self.faults.has(Fault::FirmwareCaCallWrongPsk) {
            let other: String = settings
                .value(&call.secret)
                .chars()
                .map(|digit| if digit == '0' { '1' } else { '0' })
                .collect();
            told = told.with_value(&call.secret, other);
        }
        let client = self.client(from, clock, settings);
        ca_call::call(call, &told, &client, &description.app.tag, console).await;
    }

    fn client<'s>(&'s self, from: Ipv4Addr, clock: Clock, settings: &'s Settings) -> Client<'s> {
        Client {
            world: self.world.clone(),
            from,
            trust: self.trust(clock, settings),
            limit: HTTP_LIMIT,
            most_bytes: HTTP_BUFFER,
        }
    }

    /// Whose certificates the firmware believes, and what it shows itself.
    fn trust<'s>(&'s self, clock: Clock, settings: &'s Settings) -> Trust<'s> {
        let mqtt = self.program.description.mqtt.as_ref();
        let setting = |pick: fn(&description::Mqtt) -> &Option<String>| {
            let name = mqtt.and_then(|mqtt| pick(mqtt).as_ref());
            name.map(|name| settings.value(name)).filter(|value| !value.is_empty())
        };
        let identity = setting(|mqtt| &mqtt.certificate).zip(setting(|mqtt| &mqtt.private_key));
        let own_ca = setting(|mqtt| &mqtt.ca).unwrap_or(&self.program.trust_anchor);
        let wrong = self.faults.has(Fault::FirmwareWrongCa);
        Trust {
            ca_pem: if wrong { trust::STRANGER } else { own_ca },
            identity: identity.map(|(certificate, key)| Identity { certificate, key }),
            clock,
            blind: self.faults.has(Fault::FirmwareAnyCertificate),
        }
    }

    async fn connect(
        &self,
        settings: &Settings,
        from: Ipv4Addr,
        clock: Clock,
        alerts: UnboundedReceiver<()>,
        console: &mut Console,
    ) -> ResetReason {
        let description = &self.program.description;
        let tag = description.app.tag.as_str();
        let Some(mqtt) = &description.mqtt else {
            return pending().await;
        };
        say(&description.says.connecting, settings, console);
        let mut password = settings.value(&mqtt.password).to_owned();
        if self.faults.has(Fault::FirmwareMqttPassword) {
            password = wifi::other_than(&password);
        }
        let trust = self.trust(clock, settings);
        let updates = description.ota.as_ref().map(|ota| Updates {
            ota,
            program: self.program,
            chip: self.chip,
        });
        let session = Session {
            description: mqtt,
            settings,
            says: &description.says,
            world: self.world.clone(),
            from,
            password,
            trust,
            updates,
            faults: self.faults,
            tag,
        };
        let confirm = || {
            let mut chip = self.chip.borrow_mut();
            if let Err(error) = mark_ota_valid(&self.program.table, &mut chip) {
                tracing::error!(%error, "the OTA data lies outside of the flash");
            }
        };
        session.run(alerts, confirm, console).await
    }
}
