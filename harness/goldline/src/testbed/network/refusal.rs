//! Why a station is not taken, in ESP-IDF's own numbers.

/// Why an access point does not take a station, as ESP-IDF numbers it (`wifi_err_reason_t`).
pub mod reason {
    /// The authentication is no longer valid.
    pub const AUTH_EXPIRE: u16 = 2;
    /// No more stations are taken.
    pub const ASSOC_TOOMANY: u16 = 5;
    /// The four-way handshake did not end in time: what a wrong passphrase looks like.
    pub const FOUR_WAY_HANDSHAKE_TIMEOUT: u16 = 15;
    /// No beacon was heard for too long.
    pub const BEACON_TIMEOUT: u16 = 200;
    /// No access point with this SSID is on the air.
    pub const NO_AP_FOUND: u16 = 201;
    /// The authentication failed for another reason than the passphrase.
    pub const AUTH_FAIL: u16 = 202;
    /// The association failed.
    pub const ASSOC_FAIL: u16 = 203;
    /// The connection failed.
    pub const CONNECTION_FAIL: u16 = 205;
    /// The network wants a passphrase, and the station has none.
    pub const NO_AP_FOUND_W_COMPATIBLE_SECURITY: u16 = 210;
    /// The network is open, and the station has a passphrase: it joins nothing less than WPA2.
    pub const NO_AP_FOUND_IN_AUTHMODE_THRESHOLD: u16 = 211;
}

/// A station was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// One of [`reason`].
    pub reason: u16,
}
