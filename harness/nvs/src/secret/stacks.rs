//! Keys of well-known stacks, whose names tell nothing and whose values are secret.
//!
//! Read from the stacks' own sources: each is a namespace and the beginning of a key.

use crate::key::Key;

/// NimBLE's and Bluedroid's bonds, ESP-BLE-MESH's network, application and device keys,
/// OpenThread's datasets, Matter's rotating id, HomeSpan's and ESP HomeKit's long-term keys and
/// WiFi credentials, RainMaker's claim, ESP's secure certificate partition.
const SECRETS: [(&str, &str); 21] = [
    ("nimble_bond", "our_sec"),
    ("nimble_bond", "peer_sec"),
    ("nimble_bond", "local_irk"),
    ("nimble_bond", "ead_sec"),
    ("bt_config.conf", "bt_cfg_key"),
    ("mesh_core", "mesh/nk"),
    ("mesh_core", "mesh/ak"),
    ("mesh_core", "mesh/dk"),
    ("mesh_core", "mesh/net"),
    ("openthread", "OT"),
    ("chip-factory", "rd-id-uid"),
    ("HAP", "ACCESSORY"),
    ("SRP", "VERIFYDATA"),
    ("WIFI", "WIFIDATA"),
    ("OTA", "OTADATA"),
    ("hap_main", "ltsk"),
    ("hap_setup", "setup_"),
    ("rmaker_creds", "random"),
    ("rmaker_creds", "client_key"),
    ("esp_secure_cert", "priv_key"),
    ("esp_secure_cert", "cipher_"),
];
/// Keys of the same beginnings that everybody may know: a list of indexes, an id that is printed.
const PUBLIC: [(&str, &str); 2] = [("mesh_core", "mesh/netkey"), ("hap_setup", "setup_id")];

/// Whether a stack keeps a secret under this name.
pub(super) fn keep_secret(namespace: &Key, key: &Key) -> bool {
    let is_listed = |list: &[(&str, &str)]| {
        list.iter().any(|(owner, start)| {
            *namespace == **owner && key.as_bytes().starts_with(start.as_bytes())
        })
    };
    is_listed(&SECRETS) && !is_listed(&PUBLIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_stacks_are_known_in_their_namespace_only() {
        let keeps = |namespace: &str, key: &str| {
            keep_secret(&Key::new(namespace).unwrap(), &Key::new(key).unwrap())
        };
        assert!(keeps("nimble_bond", "our_sec_1") && keeps("mesh_core", "mesh/nk/0000"));
        assert!(!keeps("mesh_core", "mesh/netkey") && !keeps("other", "our_sec_1"));
        assert!(!keeps("nimble_bond", "cccd_sec_1"));
    }
}
