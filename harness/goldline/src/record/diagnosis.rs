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
    /// Something lies where the flash must be erased.
    NotErased = "flash.not_erased", "an earlier firmware or another unit's data is left there: provision the unit again, which erases the whole flash; if it is not erased then, the flash chip is bad";
    /// Nothing was ever flashed.
    FlashBlank = "flash.blank", "this unit is blank: provision it with goldline provision or goldline run";
    /// The boot loader starts another application than the planned one.
    WrongSlot = "flash.wrong_slot", "provision the unit again; if the other slot is chosen again, look which firmware or tool writes the OTA data";
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
    /// Credentials of another network lie in the unit's NVS.
    NvsForeignCredentials = "nvs.foreign_credentials", "the unit was in another network before: provision it again, which erases the whole flash";
    /// NVS holds a secret that no device reads any more, in an erased entry or behind a value.
    NvsLeftoverSecret = "nvs.leftover_secret", "provision the unit again, which erases the whole flash; if it comes back, the firmware writes its secrets anew";
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
    /// The unit got no address on a network without a radio, and the bench got one.
    NetworkNotJoined = "network.not_joined", "read the serial log in the evidence; check that the firmware starts its network interface and asks for an address";
    /// The unit got an address, but a measured value lies outside its limits.
    NetworkOutOfLimits = "network.out_of_limits", "read the serial log in the evidence for what took so long";
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
    /// The unit subscribes to more than the profile names or allows.
    MqttSubscriptionUnexpected = "mqtt.subscription_unexpected", "find out why the firmware listens there: whoever may publish on that topic reaches the unit; allow it in [mqtt] allowed_subscriptions if it is right";
    /// A command got no answer, or a wrong one.
    MqttCommandUnanswered = "mqtt.command_unanswered", "read the serial log in the evidence; check the command's topic, form and reply in the profile";
    /// A measured value of the MQTT connection lies outside its limits.
    MqttOutOfLimits = "mqtt.out_of_limits", "read the serial log in the evidence for what took so long";
    /// The device id that the unit prints is not the one of its MAC.
    DeviceIdDiffers = "device_id.differs", "compare how the firmware builds its id with the profile; check that the right unit lies in the nest";
    /// The unit printed no device id in time.
    DeviceIdMissing = "device_id.missing", "check the serial connection and its baud rate, that the unit boots, and wait for its full boot";
    /// A line of the console got no answer in time.
    ConsoleSilent = "console.no_answer", "check the serial connection and that the firmware's console is switched on; type the line by hand";
    /// A line of the console got another answer than the expected one.
    ConsoleUnexpected = "console.unexpected_answer", "compare the expected answer in the profile with what the firmware prints";
    /// The unit refused a line of the console.
    ConsoleRefused = "console.refused", "read the unit's answer; compare the value's length and form with what the firmware takes";
    /// The unit printed more than the bench can keep, and what is missing may have been in it.
    ConsoleFull = "console.full", "nothing is said of the unit: make its firmware print less, then test it again";
    /// A value cannot be typed into the console.
    ConsoleNotSayable = "console.value_not_sayable", "choose a value without spaces and quotes, or quoting in the profile if the firmware understands it";
    /// The unit's console does not say that it is provisioned.
    ConsoleNotProvisioned = "console.not_provisioned", "read the unit's answer to the status command; provision the unit once more";
    /// A credential is still in the flash after a factory reset.
    FactoryResetLeftover = "factory_reset.leftover", "the firmware must erase the sectors and not only the entries: correct it before a unit is passed on";
    /// The unit's web portal did not open.
    PortalUnreachable = "portal.unreachable", "check that the unit has no configuration yet and opens its network; read its serial log";
    /// The unit's web portal did not take the values.
    PortalRefused = "portal.refused", "read the unit's answer and its serial log; compare the form's fields in the profile with the page";
    /// The provisioning firmware did not say that it is done.
    FactoryFirmwareSilent = "factory.no_answer", "read the serial log; check the provisioning firmware's image and the constants in it";
    /// The unit did not call its CA, or with a wrong identity, and the CA is sound.
    CaNotRegistered = "ca.not_registered", "compare the CA's address, UUID and key in the profile with what the firmware reads";
    /// The CA cannot be reached.
    CaUnreachable = "ca.unreachable", "CA server unreachable: run goldline ca test URL; check address, scheme, firewall and that the CA runs";
    /// The CA refused the registration.
    CaRefused = "ca.refused", "read the CA's sentence; check the UUID and the key, and the CA's own log";
    /// The CA answered something that is no registration.
    CaMalformed = "ca.malformed", "check that the address is the CA's, without a trailing slash, and read the CA's own log";
    /// The CA issued a certificate that does not fit the unit.
    CaCertificateWrong = "ca.certificate_wrong", "nothing was written: compare the certificate's name, key and chain with the CA's own log";
    /// The certificate has expired, or will too soon.
    CaCertificateExpired = "ca.certificate_expired", "nothing was written: check the CA's validity settings and the station's clock";
    /// The CA's address is plain http, and the profile marks it as production.
    CaInsecure = "ca.insecure", "give the CA's https address: the key would cross the network in the clear";
    /// The provisioning or configuration server cannot be reached.
    ConfigUnreachable = "config.unreachable", "verify that the config server is running, and its address and network";
    /// The provisioning server refused the call.
    ConfigRefused = "config.refused", "check the admin token and the server's own log";
    /// The provisioning server's answer cannot be used.
    ConfigMalformed = "config.malformed", "check that the address is the config server's, and read its own log";
    /// The unit did not fetch its configuration, and the server is sound.
    ConfigNotFetched = "config.not_fetched", "read the serial log; compare the config server's address in the profile with what the firmware calls";
    /// The unit did not ask for the time, and the time server is sound.
    TimeNotSynchronized = "time.not_synchronized", "read the serial log; compare the time server in the profile with what the firmware asks";
    /// The registry does not take the unit's row.
    RegistryRejected = "registry.rejected", "correct the value or the registry's column that the message names";
    /// The installer's alert did not arrive, or without the unit's place.
    AlertMissing = "alert.missing", "compare the alert's topic and fields in the profile with what the firmware sends";
    /// The operator did not see the alert.
    AlertNotConfirmed = "alert.not_confirmed", "look at the dashboard again; check that it shows this tenant and building";
    /// The unit trusts a broker that it must not trust.
    TrustsAnyone = "mqtt.trusts_anyone", "the firmware must verify the broker's certificate against its own CA: correct it, everyone can listen";
    /// The unit did not come back after it refused the wrong broker, or never tried it.
    TrustNotTried = "mqtt.trust_not_tried", "read the serial log: the unit must connect again after it lost its broker";
    /// An update did not arrive, did not run, or was reported wrongly.
    OtaFailed = "ota.failed", "read the serial log in the evidence; compare the notice's form with what the firmware reads";
    /// A bad update was not rolled back.
    OtaNotRolledBack = "ota.not_rolled_back", "switch the boot loader's rollback on, and let the firmware confirm an update only when it works";
    /// The CA of the bench is at fault.
    TestbedCa = "testbed.ca", "check that the CA runs and what certificate it shows, then test the unit again";
    /// The configuration server of the bench is at fault.
    TestbedConfigServer = "testbed.config_server", "check that the config server runs, then test the unit again";
    /// The update server of the bench is at fault.
    TestbedUpdateServer = "testbed.update_server", "check that the update server runs and gives the image as it is, then test the unit again";
    /// The time server of the bench is at fault.
    TestbedTime = "testbed.time_server", "check that the time server answers, then test the unit again";
    /// The access point of the bench is at fault: the bench cannot join with the planned credentials either.
    TestbedAccessPoint = "testbed.access_point", "check the access point's SSID, password and power, then test the unit again";
    /// The network of the bench is at fault: the bench gets no address on it either.
    TestbedNetwork = "testbed.network", "check the bench's network and its DHCP, then test the unit again";
    /// The broker of the bench is at fault: the bench cannot connect with the planned credentials either.
    TestbedBroker = "testbed.broker", "check that the broker runs and which certificate it shows, then test the unit again";
    /// Another client uses the unit's id at a broker that is already there.
    TestbedIdentityInUse = "testbed.identity_in_use", "find the other client: a unit that was cloned, or a program under this unit's name; end it or give one of them an id of its own, then test the unit again";
    /// A service of the testbed could not be started.
    TestbedNotStarted = "testbed.not_started", "read the message; free the address or correct the station file, then test again";
    /// Nothing answers on the port.
    PortNoAnswer = "port.no_answer", "check cable and power, hold BOOT while resetting the unit, or name another port with --device";
    /// The port went away during the run.
    PortVanished = "port.vanished", "check the cable and the nest's contacts, then test the unit again";
    /// The port exists but cannot be used.
    PortUnusable = "port.unusable", "close the program that holds the port and check its permissions (group dialout)";
    /// An answer of the loader did not come in time, as often as it was asked for.
    PortTimeout = "port.timeout", "look at the load of this machine and of what lies between it and the unit, check cable and contacts, lower the baud rate with ?baud=115200, then test the unit again";
    /// Another unit answers on the port than at the beginning of the run.
    PortOtherUnit = "port.other_unit", "leave the unit in its nest until the run ends, check that no two units share the port, then test both again";
    /// Bytes on the line arrive damaged.
    PortGarbled = "port.garbled", "check cable and ground, lower the baud rate with ?baud=115200, and reset the unit into its download mode once more";
    /// The unit would ship with an address or certificate of the bench.
    EndpointBench = "endpoint.bench_would_ship", "give the production service in a station file, or choose the policy redirected or test_then_final";
    /// What is planned for this unit belongs to another one.
    IdentityTaken = "identity.taken", "give this unit values of its own; where it is a new module in the place of that unit, run again with --replaces MAC --because TEXT";
    /// The station cannot write its state or read what it needs.
    StationState = "station.state", "check the state directory's permissions and free space";
    /// This station does not know the unit as one of this product.
    UnitUnknown = "station.unit_unknown", "provision the unit here, or check it with the profile and the state directory (--state) that it was provisioned with";
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
