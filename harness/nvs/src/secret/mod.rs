//! Which entries are secret, and why. Must not know how a secret is shown or hidden.

mod content;
mod credentials;
mod name;
mod private_key;
mod stacks;
mod text;
mod words;

use std::collections::HashSet;
use std::fmt;

use crate::key::Key;
use crate::limits::KEY_MAX_BYTES;
use crate::record::{Record, is_void};
use crate::value::Value;

/// Decides which entries are never shown.
///
/// What shows by itself that it is a secret is one under every rule: a private key, a record with a
/// WiFi passphrase, a token, a URL with a password in it, a value named so in JSON.
#[derive(Clone, Debug)]
pub struct SecretRule(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Careful,
    Listed(HashSet<(Key, Key)>),
}

/// Why something is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A rule lists it.
    Listed,
    /// Its name tells a password, a key or a token.
    Name,
    /// A private key in PEM or DER.
    PrivateKey,
    /// A network's passphrase or a key made of it.
    WifiCredentials,
    /// A token, by its form.
    Token,
    /// A URL with a password in it.
    UrlPassword,
    /// A value beside a name that tells a secret, as in JSON.
    NamedValue,
    /// Nothing tells what it is, and a secret would look so.
    Doubt,
}

impl Reason {
    /// Whether something shows that it is a secret, and not only that it may be one.
    pub fn is_evidence(self) -> bool {
        self != Reason::Doubt
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Reason::Listed => "listed as secret",
            Reason::Name => "secret by its name",
            Reason::PrivateKey => "private key",
            Reason::WifiCredentials => "WiFi credentials",
            Reason::Token => "token",
            Reason::UrlPassword => "URL with a password",
            Reason::NamedValue => "value named as a secret",
            Reason::Doubt => "of unknown meaning",
        })
    }
}

impl SecretRule {
    /// Secret is every key whose name hints at a password, key or token, and every blob that may
    /// hold one: rather one too many hidden than one shown.
    pub const fn careful() -> Self {
        Self(Rule::Careful)
    }

    /// Secret are these pairs of namespace and key, and what shows by itself that it is.
    pub fn listed<N: Into<String>, K: Into<String>>(
        secrets: impl IntoIterator<Item = (N, K)>,
    ) -> Self {
        let pairs = secrets.into_iter().map(|(n, k): (N, K)| (n.into(), k.into()));
        let keys = pairs.filter_map(|(n, k)| Some((named(&n)?, named(&k)?)));
        Self::listed_keys(keys.collect::<Vec<_>>())
    }

    /// The same for names as an image has them, whatever their bytes.
    pub fn listed_keys(secrets: impl IntoIterator<Item = (Key, Key)>) -> Self {
        Self(Rule::Listed(secrets.into_iter().collect()))
    }

    /// Whether an entry is secret.
    pub fn is_secret(&self, namespace: &Key, key: &Key, value: &Value) -> bool {
        self.reason(namespace, key, value).is_some()
    }

    /// Why an entry is secret, if it is. Where nothing was ever kept there is no secret.
    pub fn reason(&self, namespace: &Key, key: &Key, value: &Value) -> Option<Reason> {
        if let Some(record) = Record::read(namespace, key, value) {
            return match record.is_secret() {
                true => Some(Reason::WifiCredentials),
                false if record.is_harmless() => self.by_list(namespace, key),
                // Another layout than ours may still hold what shows itself.
                false => self.by_list(namespace, key).or_else(|| of_bytes(value.as_bytes()?)),
            };
        }
        self.by_list(namespace, key).or_else(|| match &self.0 {
            Rule::Listed(_) => of_bytes(value.as_bytes()?),
            Rule::Careful => careful(namespace, key, value),
        })
    }

    fn by_list(&self, namespace: &Key, key: &Key) -> Option<Reason> {
        let Rule::Listed(pairs) = &self.0 else { return None };
        pairs.contains(&(*namespace, *key)).then_some(Reason::Listed)
    }
}

/// A name as a key field holds it; none that is too long for one.
fn named(name: &str) -> Option<Key> {
    (name.len() <= KEY_MAX_BYTES).then(|| Key::padded(name.as_bytes()))
}

impl Default for SecretRule {
    fn default() -> Self {
        Self::careful()
    }
}

/// Why bytes are secret by what they show themselves, whatever holds them.
pub fn of_bytes(bytes: &[u8]) -> Option<Reason> {
    find(bytes).first().map(|(_, reason)| *reason)
}

/// The first secret of each kind that bytes show by themselves, with its place; the strongest first.
pub(crate) fn find(bytes: &[u8]) -> Vec<(usize, Reason)> {
    match is_void(bytes) {
        true => Vec::new(),
        false => content::find(bytes),
    }
}

fn careful(namespace: &Key, key: &Key, value: &Value) -> Option<Reason> {
    let bytes = value.as_bytes();
    if bytes.is_some_and(is_void) {
        return None;
    }
    if name::tells_secret(&key.to_string(), value) || stacks::keep_secret(namespace, key) {
        return Some(Reason::Name);
    }
    let bytes = bytes?;
    let is_key = || {
        let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        std::str::from_utf8(text).is_ok_and(content::is_encoded_key)
            && !name::names_an_identity(&key.to_string())
    };
    let is_opaque = is_key() || value.as_str().is_none() && content::is_opaque(bytes);
    of_bytes(bytes).or_else(|| is_opaque.then_some(Reason::Doubt))
}
#[cfg(test)]
mod tests {
    use super::*;

    fn is_secret(rule: &SecretRule, key: &str, value: &str) -> bool {
        let namespace = Key::new("ns").unwrap();
        rule.is_secret(&namespace, &Key::new(key).unwrap(), &Value::str(value))
    }

    #[test]
    fn the_careful_rule_hides_by_name() {
        let rule = SecretRule::careful();
        for key in ["wifi_password", "psk_secret", "sta.pswd", "mqtt_pass", "API_TOKEN"] {
            assert!(is_secret(&rule, key, "x"), "{key}");
        }
        for key in ["wifi_ssid", "device_id", "ca_cert", "mqtt_broker"] {
            assert!(!is_secret(&rule, key, "x"), "{key}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_secret() {
        let rule = SecretRule::careful();
        assert!(is_secret(&rule, "broker", "mqtts://unit:hunter2@broker.example.test:8883/x"));
        assert!(!is_secret(&rule, "broker", "mqtts://broker.example.test:8883/a@b:c"));
        assert!(!is_secret(&rule, "broker", "mqtts://unit@broker.example.test"));
    }

    #[test]
    fn a_private_key_is_secret_under_every_rule() {
        let rule = SecretRule::listed([("ns", "other")]);
        assert!(is_secret(&rule, "cert", "-----BEGIN EC PRIVATE KEY-----\nAA"));
        assert!(is_secret(&rule, "other", ""));
        assert!(!is_secret(&rule, "wifi_password", "x"));
    }

    fn reason(namespace: &str, key: &str, value: Value) -> Option<Reason> {
        SecretRule::careful().reason(&Key::new(namespace).unwrap(), &Key::new(key).unwrap(), &value)
    }

    #[test]
    fn a_record_of_the_wifi_driver_is_secret_while_it_holds_a_network() {
        let mut networks = crate::record::network("net", "Tulip-Ladder-77", [0x6A; 32]);
        let is_credentials = Some(Reason::WifiCredentials);
        assert_eq!(
            reason("nvs.net80211", "sta.apinfo", Value::Blob(networks.clone())),
            is_credentials
        );
        // In somebody's own namespace it is told by its form.
        assert_eq!(reason("backup", "blob7", Value::Blob(networks.clone())), is_credentials);
        networks.resize(700, 0);
        let listed = SecretRule::listed([("ns", "other")]);
        let (namespace, key) = (Key::new("nvs.net80211").unwrap(), Key::new("sta.apinfo").unwrap());
        assert_eq!(listed.reason(&namespace, &key, &Value::Blob(networks)), is_credentials);
        for void in [0, 0xFF] {
            assert_eq!(reason("nvs.net80211", "sta.apinfo", Value::Blob(vec![void; 700])), None);
        }
        assert_eq!(reason("nvs.net80211", "sta.ssid", Value::str("net")), None);
        assert_eq!(
            reason("phy", "cal_data", Value::Blob((0..=255).collect::<Vec<u8>>().repeat(2))),
            None
        );
    }

    #[test]
    fn each_reason_is_given() {
        let blob = |bytes: &[u8]| Value::Blob(bytes.to_vec());
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1bml0In0.c2lnbmF0dXJl";
        for (key, value, expected) in [
            ("otaPass", Value::str("x"), Reason::Name),
            ("a", Value::str("-----BEGIN PRIVATE KEY-----"), Reason::PrivateKey),
            ("a", Value::str(jwt), Reason::Token),
            ("a", Value::str("mqtt://u:p@broker.example.test"), Reason::UrlPassword),
            ("a", Value::str(r#"{"psk":"Tulip-Ladder-77"}"#), Reason::NamedValue),
            ("a", blob(b"\x01\x02Tulip-Ladder-77\x03\x04"), Reason::Doubt),
        ] {
            assert_eq!(reason("ns", key, value), Some(expected), "{expected}");
        }
        assert_eq!(reason("ns", "a", Value::str("Tulip-Ladder-77")), None);
        let digits = "6a061db36e9d30427f992e4e2db8a230";
        assert_eq!(reason("ns", "aes", Value::str(digits)), Some(Reason::Doubt));
        assert_eq!(reason("ns", "device_id", Value::str(digits)), None);
        assert_eq!(reason("ns", "password", Value::str("")), None);
        assert_eq!(reason("ns", "a", blob(&[1, 2, 3])), None);
    }
}
