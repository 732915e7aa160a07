//! The columns of the table of document 001.

/// A column that the upsert writes.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// How many characters the document's column takes; `None` for what is no text.
    pub(super) characters: Option<usize>,
    pub(super) declared: &'static str,
}

const fn text(name: &'static str, characters: usize, declared: &'static str) -> Column {
    Column { name, characters: Some(characters), declared }
}

const fn other(name: &'static str, declared: &'static str) -> Column {
    Column { name, characters: None, declared }
}

/// All columns, in the document's order.
pub(super) const COLUMNS: &[Column] = &[
    other("id", "SERIAL"),
    text("global_uuid", 36, "VARCHAR(36)"),
    text("mac_address", 17, "VARCHAR(17)"),
    text("psk_secret", 64, "VARCHAR(64)"),
    text("ca_service_url", 255, "VARCHAR(255)"),
    text("wifi_ssid", 32, "VARCHAR(32)"),
    other("provisioned_at", "TIMESTAMP"),
    text("firmware_version", 20, "VARCHAR(20)"),
    text("hardware_revision", 10, "VARCHAR(10)"),
    text("location", 100, "VARCHAR(100)"),
    text("status", 20, "VARCHAR(20)"),
];
