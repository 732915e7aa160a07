//! Joining a network, in the words of ESP-IDF's WiFi driver.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::console::Console;
use super::description::Scan;
use crate::fault::{Fault, Faults};
use crate::world::{Association, Link, Passphrase, Refusal, World};

/// Between two attempts; a real driver needs seconds, which the log's clock shows.
const PAUSE: Duration = Duration::from_millis(20);
/// After the firmware gave up, before it begins again.
const LONG_PAUSE: Duration = Duration::from_millis(500);
/// Below what any product should accept.
const WEAK_DBM: i8 = -91;
const SCAN_MS: u64 = 2400;
const HANDSHAKE_MS: u64 = 3100;

/// The unit's radio.
pub(super) struct Radio<'a> {
    pub(super) mac: [u8; 6],
    pub(super) world: Arc<dyn World>,
    pub(super) faults: &'a Faults,
    pub(super) tag: &'a str,
    pub(super) attempts: u32,
    pub(super) scan: Scan,
    /// Whether it gives up after these attempts.
    pub(super) gives_up: bool,
}

/// A link that tells the access point when it ends.
pub(super) struct Joined {
    pub(super) link: Link,
    mac: [u8; 6],
    world: Arc<dyn World>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.world.leave(self.mac);
    }
}

impl Radio<'_> {
    /// Tries until it has a link; `None` when it gave up.
    pub(super) async fn join(
        &self,
        ssid: &str,
        passphrase: &str,
        console: &mut Console,
    ) -> Option<Joined> {
        loop {
            for attempt in 1..=self.attempts.max(1) {
                match self.attempt(ssid, passphrase).await {
                    Ok(joined) => {
                        report_link(ssid, &joined.link, console);
                        if !self.faults.has(Fault::RadioDrops) {
                            self.report_address(&joined.link, console);
                            return Some(joined);
                        }
                        sleep(PAUSE).await;
                        console.wifi("state: run -> init (6c0)");
                        let lost = Refusal::BEACON_TIMEOUT;
                        self.report_refusal(attempt, lost, console);
                    }
                    Err(refusal) => self.report_refusal(attempt, refusal, console),
                }
                sleep(PAUSE).await;
            }
            console.error(self.tag, &format!("Failed to connect to SSID:{ssid}"));
            if self.gives_up {
                return None;
            }
            sleep(LONG_PAUSE).await;
        }
    }

    async fn attempt(&self, ssid: &str, passphrase: &str) -> Result<Joined, Refusal> {
        if self.faults.has(Fault::RadioDeaf) {
            return Err(Refusal::NO_AP_FOUND);
        }
        let (world, mac, ssid) = (self.world.clone(), self.mac, ssid.to_owned());
        let asks_by_name = self.scan == Scan::ByName;
        let mut passphrase = passphrase.to_owned();
        if self.faults.has(Fault::FirmwareWifiPassword) {
            passphrase = other_than(&passphrase);
        }
        let asked = spawn_blocking(move || {
            world.associate(&Association {
                mac,
                ssid: ssid.as_bytes(),
                passphrase: Passphrase::new(&passphrase),
                asks_by_name,
            })
        });
        let mut link = asked.await.unwrap_or(Err(Refusal::NO_AP_FOUND))?;
        if self.faults.has(Fault::RadioWeak) {
            link.rssi_dbm = WEAK_DBM;
        }
        Ok(Joined { link, mac: self.mac, world: self.world.clone() })
    }

    fn report_address(&self, link: &Link, console: &mut Console) {
        if self.faults.has(Fault::RadioNoIp) {
            return;
        }
        console.pass(620);
        console.address(self.tag, [link.address, link.netmask, link.gateway]);
    }

    fn report_refusal(&self, attempt: u32, refusal: Refusal, console: &mut Console) {
        let reason = refusal.reason;
        if reason < 200 {
            console.wifi("state: init -> auth (b0)");
            console.wifi("state: auth -> assoc (0)");
            console.wifi("state: assoc -> run (10)");
            console.pass(HANDSHAKE_MS);
            // Of itself, the driver gives no reason.
            let why =
                if refusal == Refusal::LEFT { "0".to_owned() } else { format!("{reason:x}c0") };
            console.wifi(&format!("state: run -> init ({why})"));
        } else {
            console.pass(SCAN_MS);
        }
        let name = reason_name(reason);
        console.disconnected(self.tag, reason, name);
        let of = self.attempts;
        let text = format!("Retry to connect to the AP ({attempt}/{of})");
        console.info(self.tag, &text);
    }
}

fn report_link(ssid: &str, link: &Link, console: &mut Console) {
    let (channel, rssi) = (link.channel, link.rssi_dbm);
    let [a, b, c, d, e, f] = link.bssid;
    console.wifi(&format!("new:<{channel},0>, old:<1,0>, ap:<255,255>, sta:<{channel},0>, prof:1"));
    console.pass(340);
    console.wifi("state: init -> auth (b0)");
    console.pass(8);
    console.wifi("state: auth -> assoc (0)");
    console.pass(12);
    console.wifi("state: assoc -> run (10)");
    console.pass(24);
    console.wifi(&format!(
        "connected with {ssid}, aid = 1, channel {channel}, BW20, bssid = {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"
    ));
    console.signal(rssi);
    console.wifi("pm start, type: 1");
}

/// A passphrase or password that differs from the given one.
pub(super) fn other_than(secret: &str) -> String {
    let other = if secret.starts_with('x') { 'y' } else { 'x' };
    let rest: String = secret.chars().skip(1).collect();
    format!("{other}{rest}")
}

/// `wifi_err_reason_t` without its prefix.
fn reason_name(reason: u16) -> &'static str {
    match reason {
        2 => "AUTH_EXPIRE",
        4 => "ASSOC_EXPIRE",
        8 => "ASSOC_LEAVE",
        15 => "4WAY_HANDSHAKE_TIMEOUT",
        200 => "BEACON_TIMEOUT",
        201 => "NO_AP_FOUND",
        202 => "AUTH_FAIL",
        203 => "ASSOC_FAIL",
        204 => "HANDSHAKE_TIMEOUT",
        205 => "CONNECTION_FAIL",
        210 => "NO_AP_FOUND_W_COMPATIBLE_SECURITY",
        211 => "NO_AP_FOUND_IN_AUTHMODE_THRESHOLD",
        _ => "UNSPECIFIED",
    }
}
