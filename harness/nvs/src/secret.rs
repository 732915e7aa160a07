//! Which entries are secret. Must not know how a secret is shown or hidden.

use crate::key::Key;
use crate::value::Value;

/// Decides which entries are never shown.
///
/// PEM private keys and URLs with a password in them are secret under every rule.
#[derive(Clone, Debug)]
pub struct SecretRule(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Careful,
    Listed(Vec<(String, String)>),
}

/// Parts of a key's name that make its value secret by the careful rule.
const TELLING: [&str; 13] = [
    "pass", "pswd", "passwd", "pwd", "psk", "pmk", "apsw", "secret", "token", "key", "priv",
    "cred", "salt",
];

impl SecretRule {
    /// Secret is every key whose name hints at a password, key or token: rather
    /// one too many hidden than one shown.
    pub const fn careful() -> Self {
        Self(Rule::Careful)
    }

    /// Secret are exactly these pairs of namespace and key.
    pub fn listed<N: Into<String>, K: Into<String>>(
        secrets: impl IntoIterator<Item = (N, K)>,
    ) -> Self {
        let pairs = secrets.into_iter();
        Self(Rule::Listed(pairs.map(|(n, k)| (n.into(), k.into())).collect()))
    }

    /// Whether an entry is secret.
    pub fn is_secret(&self, namespace: &Key, key: &Key, value: &Value) -> bool {
        let by_name = match &self.0 {
            Rule::Careful => {
                let name = key.to_string().to_ascii_lowercase();
                TELLING.iter().any(|part| name.contains(part))
            }
            Rule::Listed(pairs) => pairs.iter().any(|(n, k)| *namespace == **n && *key == **k),
        };
        by_name || holds_private_key(value) || holds_url_password(value)
    }
}

impl Default for SecretRule {
    fn default() -> Self {
        Self::careful()
    }
}

/// A PEM whose label names a private key, whichever kind.
fn holds_private_key(value: &Value) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    let bytes = value.as_bytes().unwrap_or_default();
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// `scheme://user:password@host`.
fn holds_url_password(value: &Value) -> bool {
    let after_scheme = value.as_str().and_then(|text| text.split_once("://"));
    let Some((_, rest)) = after_scheme else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let credentials = authority.rsplit_once('@').map(|(credentials, _)| credentials);
    credentials.is_some_and(|credentials| credentials.contains(':'))
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
}
