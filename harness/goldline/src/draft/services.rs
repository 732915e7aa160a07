//! Which of the keys name a network or a broker, guessed by their names.

use std::ops::RangeInclusive;

use super::entries::Entry;
use crate::profile::Endpoint;

const SSIDS: [&str; 5] = ["wifi_ssid", "sta_ssid", "ssid", "wifissid", "wlan_ssid"];
const PASSPHRASES: [&str; 12] = [
    "wifi_password",
    "wifi_pass",
    "wifi_pwd",
    "wifi_psk",
    "sta_password",
    "sta_pass",
    "psk",
    "wlan_pass",
    "password",
    "passphrase",
    "pass",
    "pwd",
];
const ENDPOINTS: [&str; 8] = [
    "mqtt_uri",
    "mqtt_url",
    "mqtt_broker",
    "mqtt_endpoint",
    "broker_uri",
    "broker_url",
    "broker",
    "uri",
];
const HOSTS: [&str; 4] = ["mqtt_host", "mqtt_server", "broker_host", "host"];
const PORTS: [&str; 3] = ["mqtt_port", "broker_port", "port"];
const CLIENT_IDS: [&str; 5] =
    ["mqtt_client_id", "client_id", "clientid", "device_id", "thing_name"];
const USERS: [&str; 5] = ["mqtt_username", "mqtt_user", "broker_user", "username", "user"];
const PASSWORDS: [&str; 4] = ["mqtt_password", "mqtt_pass", "mqtt_pwd", "broker_pass"];

/// A network's keys, as places in the list of entries.
pub(super) struct Wifi {
    pub(super) ssid: usize,
    pub(super) password: usize,
}

/// A broker's keys, as places in the list of entries.
pub(super) struct Mqtt {
    pub(super) address: Address,
    pub(super) client_id: usize,
    pub(super) username: Option<usize>,
    pub(super) password: Option<usize>,
}

/// Where a broker is.
pub(super) enum Address {
    Uri(usize),
    HostAndPort(usize, usize),
}

/// Both keys, with values that a network can have, or no guess: without a passphrase it would be an open one.
pub(super) fn wifi(entries: &[Entry]) -> Option<Wifi> {
    let (ssid, password) = (named(entries, &SSIDS)?, named(entries, &PASSPHRASES)?);
    let fits = |at: usize, lengths: RangeInclusive<usize>| {
        let entry: &Entry = &entries[at];
        entry.encoding == "string" && lengths.contains(&entry.text.len())
    };
    (fits(ssid, 1..=32) && fits(password, 8..=64)).then_some(Wifi { ssid, password })
}

/// An address that the bench can answer for, and what the unit calls itself.
pub(super) fn mqtt(entries: &[Entry]) -> Option<Mqtt> {
    let is_address = |text: &str| text.parse::<Endpoint>().is_ok();
    let uri = named(entries, &ENDPOINTS).filter(|at| is_address(&entries[*at].text));
    let parts = named(entries, &HOSTS).zip(named(entries, &PORTS)).filter(|(host, port)| {
        is_address(&format!("mqtts://{}:{}", entries[*host].text, entries[*port].text))
    });
    let address = match (uri, parts) {
        (Some(uri), _) => Address::Uri(uri),
        (None, Some((host, port))) => Address::HostAndPort(host, port),
        (None, None) => return None,
    };
    Some(Mqtt {
        address,
        client_id: named(entries, &CLIENT_IDS)?,
        username: named(entries, &USERS),
        password: named(entries, &PASSWORDS),
    })
}

/// The likeliest name that there is.
fn named(entries: &[Entry], names: &[&str]) -> Option<usize> {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['-', '.'], "_");
    names.iter().find_map(|name| entries.iter().position(|entry| plain(&entry.key) == *name))
}
