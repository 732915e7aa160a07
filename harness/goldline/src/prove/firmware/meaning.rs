//! What a firmware that does otherwise means for a customer, and which check would see it.

/// Of a leaf that nobody gave a meaning.
pub(super) const UNKNOWN: &str =
    "nobody has said what this line of the description means for a test";

/// By the section of the description: what it means, and what would catch it.
pub(super) fn of(section: &str) -> (&'static str, &'static str) {
    match section {
        "settings" => (
            "the unit does not read what the factory gave it",
            "a check that sees what the setting does: wifi_join, mqtt_connect, remote_config",
        ),
        "wifi" => (
            "the unit does not join its owner's network",
            "wifi_join, or network_join where no radio is seen",
        ),
        "mqtt" => (
            "the unit does not do at its broker what its service expects",
            "mqtt_connect with client_id, subscriptions and a command in [mqtt]",
        ),
        "constants" => (
            "the unit has another value built in than its service knows",
            "mqtt_connect, which logs in with it",
        ),
        "console" => (
            "the unit's console does not do what installers are told",
            "an exchange of the dialogue that expects what the answer must hold",
        ),
        "provisioning" => (
            "the unit takes itself for what it is not: new, or ready for use",
            "nvs_readback after the provisioning, and mqtt_connect",
        ),
        "device_id" => (
            "the unit's id is not the one on its label",
            "device_id with an expected id in [console]",
        ),
        "portal" => (
            "nobody can set the unit up by its web page",
            "provisioning by the portal, and nvs_readback",
        ),
        "time" => ("the unit's clock is wrong", "time_sync"),
        "remote_config" => (
            "the unit takes its configuration from somewhere else",
            "remote_config, and mqtt_connect to the host that the configuration names",
        ),
        "ca_call" => ("the unit never gets its certificate", "ca_registration"),
        "ota" => ("the unit cannot be updated", "ota_update"),
        "factory" => (
            "the unit leaves the factory without a value, or with another's",
            "nvs_readback, which compares every key",
        ),
        "app" => ("the unit runs another version than it says", "ota_update, by the version"),
        _ => ("the unit does something else than it should", UNKNOWN),
    }
}
