//! Why something is not good, as a stable code, a sentence, and what to do.

use serde::{Deserialize, Serialize};

/// One reason for a FAIL, an ERROR or an ABORTED.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Stable; see [`Code`].
    pub code: Code,
    /// What was seen, with the actual and the expected value; no secrets.
    pub message: String,
    /// What to do next.
    pub action: String,
}

impl Diagnosis {
    /// A diagnosis with the code's own advice.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), action: code.action().to_owned() }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal, $action:literal;)+) => {
        /// Every diagnosis there is. The text is stable; a code is never used again for another reason.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl Code {
            /// All codes, in the order of their documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The stable text, such as `wifi.wrong_password`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)+ }
            }

            /// What to do about it.
            pub fn action(self) -> &'static str {
                match self { $(Code::$variant => $action,)+ }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The chip, its flash size or its revision is not the profile's.
    ChipMismatch = "chip.mismatch", "check that the right product lies in the nest and that the profile is its own";
    /// The chip has no MAC address of its own.
    ChipMacInvalid = "chip.mac_invalid", "the chip's eFuses are blank or damaged: scrap or rework the unit";
    /// A flash region reads back other than what was written.
    RegionDiffers = "flash.region_differs", "flash the unit once more; if the same region differs again, the flash chip is bad: scrap or rework the unit";
    /// The unit refused or failed a flash write or erase.
    WriteFailed = "flash.write_failed", "flash the unit once more; if it fails again, check the flash chip and its supply";
    /// The partition table in the unit is not the planned one, or a region would land in a partition of another type.
    PartitionMismatch = "flash.partition_mismatch", "compare the profile's partitions with the table that the firmware was built with";
    /// The NVS partition is structurally damaged.
    NvsDamaged = "nvs.damaged", "provision the unit once more; if the same page is damaged again, the flash chip is bad";
    /// A key that the plan wrote is not there.
    NvsKeyMissing = "nvs.key_missing", "provision the unit once more; if the key is missing again, the firmware removes it or the flash chip is bad";
    /// A key holds another value or type than planned.
    NvsValueDiffers = "nvs.value_differs", "provision the unit once more; if it differs again, look which firmware writes this key";
    /// A key or namespace is there that neither the plan nor the profile's list of foreign namespaces names.
    NvsUnexpected = "nvs.unexpected_entry", "find out who wrote it: an earlier life of this unit, or firmware; name it in the profile if it is right";
    /// The image differs from the committed golden.
    NvsGoldenDiffers = "nvs.golden_differs", "review the difference; when it is meant, accept it with cargo xtask golden";
    /// The unit reports a wrong WiFi password, and the bench joined with the planned one.
    WifiWrongPassword = "wifi.wrong_password", "compare the WiFi password key and its length with what the firmware reads";
    /// The unit finds no access point, and the bench found it.
    WifiNotFound = "wifi.access_point_not_found", "check the unit's antenna and its solder joints, then the SSID key that the firmware reads";
    /// The unit did not join in time, and the bench did.
    WifiNotJoined = "wifi.not_joined", "read the serial log in the evidence; check that the firmware reads the keys that the profile writes";
    /// The unit joined, but a measured value of the link lies outside its limits.
    WifiOutOfLimits = "wifi.out_of_limits", "check the antenna, its connector and the shielding of the nest";
    /// The unit resets again and again.
    BootLoop = "boot.loop", "read the reset reason and backtrace in the evidence; check the app image and the supply voltage";
    /// The unit reset by itself while it was tested, and then went on.
    BootUnexpectedReset = "boot.unexpected_reset", "read the reset reason and backtrace in the evidence; if the firmware means to restart, allow it with a limit on unexpected_resets";
    /// The unit prints a secret in its serial log.
    SecretInLog = "secret.in_log", "remove the line from the firmware: everyone with a cable reads it";
    /// The unit started, and the firmware never said so in time.
    BootSilent = "boot.silent", "check the console's baud rate in the profile, the strapping pins, and that the app image is the right one";
    /// The boot loader refused an image.
    BootImageRefused = "boot.image_refused", "check the app image and the partition table of the profile, then flash the unit once more";
    /// The firmware says that it cannot read its provisioning.
    FirmwareConfiguration = "firmware.configuration", "compare namespace, key and type in the profile with what the firmware reads";
    /// The broker refused the unit's user name or password, and accepted the planned ones from the bench.
    MqttBadCredentials = "mqtt.bad_credentials", "compare the MQTT keys in the profile with what the firmware reads";
    /// The unit refused the broker's certificate, and the bench trusted it with the planned CA.
    MqttServerUntrusted = "mqtt.server_untrusted", "check which CA certificate the firmware carries";
    /// The unit did not connect to the broker in time, and the bench did.
    MqttNotConnected = "mqtt.not_connected", "read the serial log in the evidence; check the broker address that the firmware reads";
    /// The unit connected with another client id, user name, TLS version or certificate than planned.
    MqttIdentityDiffers = "mqtt.identity_differs", "compare the client id and user name in the profile with what the firmware builds";
    /// The unit lacks a subscription that the profile names.
    MqttSubscriptionMissing = "mqtt.subscription_missing", "compare the topics in the profile with what the firmware subscribes to";
    /// A command got no answer, or a wrong one.
    MqttCommandUnanswered = "mqtt.command_unanswered", "read the serial log in the evidence; check the command's topic, form and reply in the profile";
    /// A measured value of the MQTT connection lies outside its limits.
    MqttOutOfLimits = "mqtt.out_of_limits", "read the serial log in the evidence for what took so long";
    /// The access point of the bench is at fault: the bench cannot join with the planned credentials either.
    TestbedAccessPoint = "testbed.access_point", "check the access point's SSID, password and power, then test the unit again";
    /// The broker of the bench is at fault: the bench cannot connect with the planned credentials either.
    TestbedBroker = "testbed.broker", "check that the broker runs and which certificate it shows, then test the unit again";
    /// A service of the testbed could not be started.
    TestbedNotStarted = "testbed.not_started", "read the message; free the address or correct the station file, then test again";
    /// Nothing answers on the port.
    PortNoAnswer = "port.no_answer", "check cable and power, hold BOOT while resetting the unit, or name another port with --device";
    /// The port went away during the run.
    PortVanished = "port.vanished", "check the cable and the nest's contacts, then test the unit again";
    /// The port exists but cannot be used.
    PortUnusable = "port.unusable", "close the program that holds the port and check its permissions (group dialout)";
    /// Bytes on the line arrive damaged.
    PortGarbled = "port.garbled", "check cable and ground, lower the baud rate with ?baud=115200, and reset the unit into its download mode once more";
    /// The unit would ship with an address or certificate of the bench.
    EndpointBench = "endpoint.bench_would_ship", "give the production service in a station file, or choose the policy redirected or test_then_final";
    /// The station cannot write its state or read what it needs.
    StationState = "station.state", "check the state directory's permissions and free space";
    /// Someone stopped the run.
    Aborted = "run.aborted", "test the unit again from the start";
    /// Goldline itself failed.
    Internal = "internal", "this is a bug in goldline: report it with the record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_from_its_text() {
        for &code in Code::ALL {
            let text = serde_json::to_string(&code).expect("a code is a string");
            assert_eq!(text, format!("\"{}\"", code.as_str()));
            assert_eq!(serde_json::from_str::<Code>(&text).ok(), Some(code));
        }
    }

    #[test]
    fn every_code_says_what_it_means_and_what_to_do() {
        for code in Code::ALL {
            assert!(code.meaning().ends_with('.'), "{}", code.as_str());
            assert!(code.action().len() > 20, "{}", code.as_str());
        }
    }
}
