//! The names of the checks, and what each may be limited by.
//!
//! Must not know how a check judges.

/// The checks there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CheckId {
    /// Chip, flash size, and every region but NVS against what was planned.
    FlashIntegrity,
    /// NVS structure and content against the plan and the golden.
    NvsReadback,
    /// The device id that the unit prints is the one of its MAC.
    DeviceId,
    /// A factory reset leaves no credential in the flash.
    FactoryReset,
    /// The unit is known to its registry, or durably queued for it.
    RegistryRecord,
    /// The application starts, and goes on running.
    Start,
    /// Association, address, time, signal.
    WifiJoin,
    /// Address and time, on a network without a radio.
    NetworkJoin,
    /// The unit asked the time server and was answered.
    TimeSync,
    /// The unit fetched its configuration.
    RemoteConfig,
    /// The CA knows the unit.
    CaRegistration,
    /// TLS, credentials, subscriptions, a command round trip.
    MqttConnect,
    /// The installer's alert arrives with the unit's place.
    TestAlert,
    /// The unit's console says that it is provisioned.
    ConsoleStatus,
    /// What must be off after provisioning is off, as far as it can be seen.
    InterfaceOff,
    /// What a program of the product's own measures.
    Command,
    /// The unit refuses a broker that it should not trust.
    ServerTrust,
    /// An update arrives, a bad one is rolled back, NVS is kept.
    OtaUpdate,
    /// No secret of the unit in its serial log.
    SecretHygiene,
    /// The security fuses say what they must, and the unit joined with them so.
    SecurityState,
}

impl CheckId {
    /// Every check.
    pub const ALL: [Self; 20] = [
        Self::FlashIntegrity,
        Self::NvsReadback,
        Self::DeviceId,
        Self::FactoryReset,
        Self::RegistryRecord,
        Self::Start,
        Self::WifiJoin,
        Self::NetworkJoin,
        Self::TimeSync,
        Self::RemoteConfig,
        Self::CaRegistration,
        Self::MqttConnect,
        Self::TestAlert,
        Self::ConsoleStatus,
        Self::InterfaceOff,
        Self::Command,
        Self::ServerTrust,
        Self::OtaUpdate,
        Self::SecretHygiene,
        Self::SecurityState,
    ];

    /// The name in profiles, test cases and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlashIntegrity => "flash_integrity",
            Self::NvsReadback => "nvs_readback",
            Self::DeviceId => "device_id",
            Self::FactoryReset => "factory_reset",
            Self::RegistryRecord => "registry_record",
            Self::Start => "start",
            Self::WifiJoin => "wifi_join",
            Self::NetworkJoin => "network_join",
            Self::TimeSync => "time_sync",
            Self::RemoteConfig => "remote_config",
            Self::CaRegistration => "ca_registration",
            Self::MqttConnect => "mqtt_connect",
            Self::TestAlert => "test_alert",
            Self::ConsoleStatus => "console_status",
            Self::InterfaceOff => "interface_off",
            Self::Command => "command",
            Self::ServerTrust => "server_trust",
            Self::OtaUpdate => "ota_update",
            Self::SecretHygiene => "secret_hygiene",
            Self::SecurityState => "security_state",
        }
    }

    /// What it proves, for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::FlashIntegrity => "chip, flash size, and every region but NVS are as planned",
            Self::NvsReadback => "NVS reads back sound, with the planned keys and no others",
            Self::DeviceId => "the device id in the serial log is the one of the unit's MAC",
            Self::FactoryReset => {
                "a factory reset leaves no credential in the flash, erased NVS entries included"
            }
            Self::RegistryRecord => {
                "the unit stands in the device registry, or is durably queued for it"
            }
            Self::Start => "the application starts, and runs on without a crash",
            Self::WifiJoin => "the unit joins the network and gets an address",
            Self::NetworkJoin => "the unit gets an address on a network that needs no radio",
            Self::TimeSync => "the unit asks the time server and gets the time",
            Self::RemoteConfig => "the unit fetches its configuration",
            Self::CaRegistration => "the CA knows the unit by its UUID and secret",
            Self::MqttConnect => {
                "the unit connects over TLS as itself, subscribes, and answers a command"
            }
            Self::TestAlert => "an installer's alert arrives with the unit's tenant and place",
            Self::ConsoleStatus => "the unit's console says that it is provisioned",
            Self::InterfaceOff => {
                "what gave the unit its values is off, as far as it can be seen without a radio"
            }
            Self::Command => "what a program of the product's own measures is within its limits",
            Self::ServerTrust => "the unit refuses a broker whose certificate it should not trust",
            Self::OtaUpdate => "an update arrives and runs, a bad one is rolled back, NVS is kept",
            Self::SecretHygiene => "the unit prints no secret of its own in the serial log",
            Self::SecurityState => {
                "secure boot, flash encryption, download mode, JTAG and keys are as demanded, and the unit joined so"
            }
        }
    }

    /// The check that may stand in for this one on a network without a radio; none when it asks for no radio.
    pub fn without_radio(self) -> Option<Self> {
        match self {
            Self::WifiJoin => Some(Self::NetworkJoin),
            _ => None,
        }
    }

    /// The measurements that a limit may name.
    pub fn measurements(self) -> &'static [&'static str] {
        match self {
            Self::Start => &["steady_ms", "unexpected_resets"],
            Self::WifiJoin => &[
                "join_ms",
                "rssi",
                "rssi_samples",
                "rssi_spread",
                "admitted_ms",
                "ap_rssi",
                "ap_rssi_samples",
                "ap_rssi_spread",
                "unexpected_resets",
            ],
            Self::NetworkJoin => &["join_ms", "unexpected_resets"],
            Self::TimeSync => &["time_ms"],
            Self::RemoteConfig => &["config_ms", "api_certificate_days"],
            Self::CaRegistration => {
                &["registration_ms", "remaining_validity_days", "ca_certificate_days"]
            }
            Self::MqttConnect => &[
                "connect_ms",
                "round_trip_ms",
                "broker_certificate_days",
                "client_certificate_days",
            ],
            Self::TestAlert => &["alert_ms"],
            Self::OtaUpdate => &["update_ms"],
            Self::RegistryRecord => &["registry_ms"],
            Self::FlashIntegrity
            | Self::NvsReadback
            | Self::DeviceId
            | Self::FactoryReset
            | Self::ConsoleStatus
            | Self::InterfaceOff
            | Self::Command
            | Self::ServerTrust
            | Self::SecretHygiene
            | Self::SecurityState => &[],
        }
    }
}
