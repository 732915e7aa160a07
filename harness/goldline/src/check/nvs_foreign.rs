//! What lies in NVS beside the unit's own values: entries of the frameworks and of the profile's firmware,
//! and what no device reads any more. Credentials in it are the plan's, or there are none.
//!
//! No value is ever shown: an entry is told by partition, namespace and key, other bytes by their place.

use goldline_nvs::{
    Image, Key, SecretRule, Severity, Value,
    leftover::{Leftover, leftover_bytes, leftover_secrets},
    record::{Content, Record},
};

use super::Finding;
use crate::{plan::BoundPlan, record::Code};

/// What unmodified firmware of ESP-IDF and Arduino leaves after a boot.
pub const FRAMEWORKS: [&str; 4] = ["phy", DRIVER, "misc", "dhcp_state"];

/// Where ESP-IDF's WiFi driver keeps the networks that it joined.
const DRIVER: &str = "nvs.net80211";

/// Shorter texts turn up by chance.
const SHORTEST: usize = 6;

/// Whether entries of a namespace may be there beside the plan's own.
pub(super) fn is_known(plan: &BoundPlan, namespace: &str) -> bool {
    let named = &plan.profile().nvs.foreign_namespaces;
    FRAMEWORKS.contains(&namespace) || named.iter().any(|name| name == namespace)
}

/// An NVS partition as it was read at a moment.
pub(super) struct Partition<'a> {
    pub(super) moment: &'a str,
    pub(super) name: &'a str,
    pub(super) plan: &'a BoundPlan,
}

impl Partition<'_> {
    /// Judges one that the plan leaves to the firmware.
    pub(super) fn judge(&self, bytes: &[u8], finding: &mut Finding) {
        let (moment, name) = (self.moment, self.name);
        let image = match Image::decode(bytes) {
            Ok(image) => image,
            Err(error) => {
                return finding.fail(Code::NvsDamaged, format!("{name} {moment}: {error}"));
            }
        };
        let damage = image.findings();
        for damage in damage.iter().filter(|damage| damage.severity == Severity::Corruption) {
            finding.fail(Code::NvsDamaged, format!("{name} {moment}: {damage}"));
        }
        let view = image.device_view();
        for item in view.entries() {
            let (namespace, key) = (item.namespace.to_string(), item.key.to_string());
            if !is_known(self.plan, &namespace) {
                finding.fail(
                    Code::NvsUnexpected,
                    format!(
                        "{namespace}/{key} {moment} is in the partition {name}, which the plan leaves to the frameworks"
                    ),
                );
            }
        }
        let keys = view.entries().len();
        finding.evidence.push(format!("{name} {moment}: {keys} keys of the firmware's own"));
        self.judge_credentials(&image, finding);
        self.judge_leftovers(&image, &[], finding);
    }

    /// The networks that the WiFi driver keeps are the plan's.
    pub(super) fn judge_credentials(&self, image: &Image<'_>, finding: &mut Finding) {
        for item in image.device_view().entries() {
            if self.is_of_another_network(&item.namespace, &item.key, &item.value) {
                finding.fail(
                    Code::NvsForeignCredentials,
                    format!(
                        "{}/{} {} in the partition {} holds the credentials of another network",
                        item.namespace, item.key, self.moment, self.name
                    ),
                );
            }
        }
    }

    /// A key that is made of a passphrase opens no network but the one whose name stands beside it.
    fn is_of_another_network(&self, namespace: &Key, key: &Key, value: &Value) -> bool {
        let (name, entry) = (namespace.to_string(), key.to_string());
        if name != DRIVER || !["sta.ssid", "sta.pswd", "sta.apinfo"].contains(&entry.as_str()) {
            return false;
        }
        // A network that the firmware brings itself is no other unit's.
        let Some(wifi) = &self.plan.wifi else { return false };
        let (ssid, password) = (wifi.ssid.as_bytes(), wifi.password.expose().as_bytes());
        let fields = Record::read(namespace, key, value);
        fields.iter().flat_map(Record::fields).any(|field| match &field.content {
            Content::Text(text) if field.name.ends_with("ssid") => text != ssid,
            Content::Secret(text) if field.name.ends_with("password") => text != password,
            _ => false,
        })
    }

    /// Looks for secrets that no device reads any more: in erased entries, behind values, on lost pages. Those of
    /// keys that the bench had to give twice are the bench's.
    pub(super) fn judge_leftovers(
        &self,
        image: &Image<'_>,
        given_twice: &[String],
        finding: &mut Finding,
    ) {
        let is_the_benchs = |leftover: &Leftover| {
            leftover.item.is_some_and(|item| given_twice.contains(&item.key.to_string()))
        };
        let (benchs, units): (Vec<Leftover>, Vec<Leftover>) =
            leftover_secrets(image, &SecretRule::careful())
                .into_iter()
                .chain(leftover_secrets(image, &self.planned_secrets()))
                .filter(|leftover| !self.is_the_drivers(image, leftover))
                .partition(is_the_benchs);
        let mut found: Vec<String> = units.iter().map(describe).collect();
        // The driver's copies of the network's password were told apart above.
        let wifi = self.plan.wifi.as_ref().map(|wifi| wifi.password.expose());
        for secret in self.plan.bindings().secret_parts() {
            let text = secret.expose();
            if text.len() >= SHORTEST && Some(text) != wifi && found.is_empty() {
                let at = leftover_bytes(image, text.as_bytes());
                found.extend(at.first().map(|at| format!("at byte {at:#x}")));
            }
        }
        let (moment, name) = (self.moment, self.name);
        let Some(first) = found.first() else {
            if let Some(first) = benchs.first().map(describe) {
                let left = format!(
                    "a line came damaged over the wire and was typed twice, so that a secret {moment} is left in {name}: {first}"
                );
                finding.error(Code::PortGarbled, left);
                finding.advise(Code::PortGarbled, "provision the unit again, and check its cable");
            }
            return;
        };
        finding.fail(
            Code::NvsLeftoverSecret,
            format!("a secret that no device reads any more {moment} is left in {name}: {first}"),
        );
    }

    fn planned_secrets(&self) -> SecretRule {
        let nvs = &self.plan.profile().nvs;
        let secret = nvs
            .entries
            .iter()
            .filter(|entry| self.plan.render(&entry.value).is_ok_and(|text| text.is_secret()));
        SecretRule::listed(secret.map(|entry| (entry.namespace.as_str(), entry.key.as_str())))
    }

    /// The driver writes a network anew whenever anything about it changes: an earlier copy of the plan's.
    fn is_the_drivers(&self, image: &Image<'_>, leftover: &Leftover) -> bool {
        let Some((place, namespace)) = leftover.item.and_then(|item| Some((item, item.namespace?)))
        else {
            return false;
        };
        let mut items = image.items();
        let item = items.find(|item| item.header.location == place.location);
        let payload = item.and_then(|item| item.payload()).map(<[u8]>::to_vec);
        payload.is_some_and(|bytes| {
            let value = Value::Blob(bytes);
            namespace.to_string() == DRIVER
                && !self.is_of_another_network(&namespace, &place.key, &value)
        })
    }
}

/// Where it lies, and as what.
fn describe(leftover: &Leftover) -> String {
    let named = leftover.item.map(|item| match item.namespace {
        Some(namespace) => format!("{namespace}/{}", item.key),
        None => item.key.to_string(),
    });
    let place = format!("at byte {:#x} ({})", leftover.offset, leftover.reason);
    named.map_or(place.clone(), |name| format!("{name}, {place}"))
}
