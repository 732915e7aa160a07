//! Where a unit is: `simulator:`, `esp-emu:`, `qemu:`, `/dev/ttyUSB0`, `serial:…`, `rfc2217://…`, `socket://…`,
//! `unix:…`, `wokwi:`.
//!
//! Must not open anything.

mod error;
mod esp_emu;
mod port;
mod qemu;
mod remote;
mod reset;
mod wokwi;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

pub use error::DeviceUrlError;
use error::{chip, number, switch, unknown, wrong};
pub use esp_emu::EspEmuOptions;
pub use port::{DeviceName, PortChoice, SoughtPort};
pub use qemu::{Provision, QemuOptions};
pub use remote::{RemotePort, RemoteProtocol};
pub use reset::ResetMethod;
pub use wokwi::WokwiOptions;

use goldline_simulator::Burnt;

use super::ConfigurationError;
use crate::{identity::Mac, profile::Chip};

/// A device as the user names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceUrl {
    /// Our own simulated unit.
    Simulator(SimulatorOptions),
    /// A unit in esp-emu.
    EspEmu(EspEmuOptions),
    /// A unit in QEMU.
    Qemu(QemuOptions),
    /// A serial port.
    Serial {
        /// Such as `/dev/ttyUSB0`.
        path: PathBuf,
        /// Rate of transfers.
        baud: Option<u32>,
        /// What resets the unit.
        reset: ResetMethod,
    },
    /// A serial port on the network.
    Remote(RemotePort),
    /// A unit that Wokwi simulates.
    Wokwi(WokwiOptions),
}

/// What may be asked of a simulated unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SimulatorOptions {
    /// The profile's chip unless given.
    pub chip: Option<Chip>,
    /// A fixed sample address unless given.
    pub mac: Option<Mac>,
    /// Where its flash is kept; in memory unless given.
    pub flash_file: Option<PathBuf>,
    /// Where what is burnt into its eFuses is kept; a new chip's unless given.
    pub efuse_file: Option<PathBuf>,
    /// Security fuses that were burnt before it came to the bench.
    pub burnt: Vec<Burnt>,
    /// Rate of transfers.
    pub baud: Option<u32>,
    /// Whether bytes take the time that they take on a wire.
    pub pace: bool,
    /// Whether a reset leaves on the wire what the unit printed before it, as the buffers of a jig do.
    pub stale: bool,
    /// A text of the console's, in the last byte of which one bit is inverted, once.
    pub bit_in: Option<String>,
}

impl DeviceUrl {
    /// Whether a real unit hangs there, for which samples and bench endpoints are refused.
    pub fn is_real(&self) -> bool {
        match self {
            Self::Simulator(_) | Self::EspEmu(_) | Self::Qemu(_) | Self::Wokwi(_) => false,
            Self::Serial { .. } => true,
            Self::Remote(port) => !port.simulated,
        }
    }

    /// Whether a simulated unit is there that is not in this process.
    pub fn is_simulated_elsewhere(&self) -> bool {
        matches!(self, Self::Remote(RemotePort { simulated: true, .. }))
    }

    /// Whether an emulator runs it, which has its own way to a network.
    pub fn is_emulated(&self) -> bool {
        matches!(self, Self::EspEmu(_) | Self::Qemu(_))
    }

    /// Whether the bench has its console alone: it runs in a service elsewhere.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Wokwi(_))
    }

    /// Whether what it boots is machine code, so that a description of firmware is none.
    pub fn runs_machine_code(&self) -> bool {
        !matches!(self, Self::Simulator(_)) && !self.is_simulated_elsewhere()
    }

    /// The same, with what resets its unit known: esptool's configuration is read where that counts.
    ///
    /// # Errors
    /// [`ConfigurationError`] when that configuration cannot be followed.
    pub fn settled(self) -> Result<Self, ConfigurationError> {
        Ok(match self {
            Self::Serial { path, baud, reset } => {
                let reset = reset.settled(Some(&path))?;
                Self::Serial { path, baud, reset }
            }
            Self::Remote(port) => {
                Self::Remote(RemotePort { reset: port.reset.settled(None)?, ..port })
            }
            other => other,
        })
    }

    /// The file of esptool's that says what resets the unit.
    pub fn reset_file(&self) -> Option<&Path> {
        match self {
            Self::Serial { reset: ResetMethod::Custom(custom), .. }
            | Self::Remote(RemotePort { reset: ResetMethod::Custom(custom), .. }) => {
                custom.of.as_deref()
            }
            _ => None,
        }
    }

    /// Whether somebody presses the unit's buttons.
    pub fn is_reset_by_hand(&self) -> bool {
        match self {
            Self::Simulator(_) | Self::EspEmu(_) | Self::Qemu(_) | Self::Wokwi(_) => false,
            Self::Serial { reset, .. } | Self::Remote(RemotePort { reset, .. }) => {
                reset.is_by_hand()
            }
        }
    }
}

impl Default for DeviceUrl {
    fn default() -> Self {
        Self::Simulator(SimulatorOptions::default())
    }
}

impl FromStr for DeviceUrl {
    type Err = DeviceUrlError;

    fn from_str(url: &str) -> Result<Self, DeviceUrlError> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let options: Vec<(&str, &str)> = query
            .split('&')
            .filter(|option| !option.is_empty())
            .map(|option| option.split_once('=').unwrap_or((option, "")))
            .collect();
        if place == "simulator:" || place == "simulator" {
            return simulator(url, &options).map(Self::Simulator);
        }
        if place == "esp-emu:" || place == "esp-emu" {
            return EspEmuOptions::parse(url, &options).map(Self::EspEmu);
        }
        if place == "qemu:" || place == "qemu" {
            return QemuOptions::parse(url, &options).map(Self::Qemu);
        }
        if place == "wokwi:" || place == "wokwi" {
            return WokwiOptions::parse(url, &options).map(Self::Wokwi);
        }
        for protocol in [RemoteProtocol::Raw, RemoteProtocol::Unix, RemoteProtocol::Rfc2217] {
            if let Some(address) = place.strip_prefix(protocol.scheme()) {
                return RemotePort::parse(url, protocol, address, &options).map(Self::Remote);
            }
        }
        let path = match place.strip_prefix("serial:") {
            Some(path) => path,
            None if place.starts_with('/') => place,
            None => return Err(DeviceUrlError::Scheme { url: url.to_owned() }),
        };
        if path.is_empty() {
            return Err(DeviceUrlError::Scheme { url: url.to_owned() });
        }
        let (mut baud, mut reset) = (None, ResetMethod::default());
        for (option, value) in options {
            match option {
                "baud" => baud = Some(number(url, option, value)?),
                "reset" => reset = ResetMethod::parse(url, option, value)?,
                _ => return Err(unknown(url, option, "baud, reset")),
            }
        }
        Ok(Self::Serial { path: PathBuf::from(path), baud, reset })
    }
}

fn simulator(url: &str, options: &[(&str, &str)]) -> Result<SimulatorOptions, DeviceUrlError> {
    let mut parsed = SimulatorOptions::default();
    for &(option, value) in options {
        match option {
            "chip" => parsed.chip = Some(chip(url, option, value)?),
            "mac" => {
                parsed.mac = Some(value.parse().map_err(|_| {
                    wrong(url, option, value, "a MAC address such as a4:cf:12:34:56:78")
                })?)
            }
            "flash-file" if !value.is_empty() => parsed.flash_file = Some(PathBuf::from(value)),
            "flash-file" => return Err(wrong(url, option, value, "the path of a file")),
            "efuse-file" if !value.is_empty() => parsed.efuse_file = Some(PathBuf::from(value)),
            "efuse-file" => return Err(wrong(url, option, value, "the path of a file")),
            "burnt" => {
                let burnt = value.split(',').map(str::parse).collect::<Result<_, _>>();
                parsed.burnt = burnt.map_err(|_| {
                    wrong(
                        url,
                        option,
                        value,
                        "names of eFuses such as DIS_PAD_JTAG,SPI_BOOT_CRYPT_CNT:7",
                    )
                })?;
            }
            "baud" => parsed.baud = Some(number(url, option, value)?),
            "pace" => parsed.pace = switch(url, option, value)?,
            "stale" => parsed.stale = switch(url, option, value)?,
            "bit-in" if !value.is_empty() => parsed.bit_in = Some(value.to_owned()),
            "bit-in" => return Err(wrong(url, option, value, "a text of its console")),
            _ => {
                return Err(unknown(
                    url,
                    option,
                    "chip, mac, flash-file, efuse-file, burnt, baud, pace, stale, bit-in",
                ));
            }
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::device::Provision;

    #[test]
    fn the_simulator_takes_its_options() {
        let url: DeviceUrl =
            "simulator:?chip=esp32-c3&mac=a4:cf:12:34:56:78&flash-file=unit.bin&pace=true&stale=true"
                .parse()
                .expect("a good URL");
        let DeviceUrl::Simulator(options) = url else { panic!("a simulator") };
        assert_eq!(options.chip, Some(Chip::Esp32C3));
        assert_eq!(options.flash_file, Some(PathBuf::from("unit.bin")));
        assert!(options.pace && options.stale);
    }

    #[test]
    fn an_emulator_takes_its_options() {
        let url = "qemu:?chip=esp32c3&binary=/opt/qemu&flash-file=unit.bin&nic=none&machine=esp32c3-x&efuse=e.bin&provision=loader";
        let Ok(DeviceUrl::Qemu(options)) = url.parse() else { panic!("an emulator") };
        assert_eq!(options.chip, Some(Chip::Esp32C3));
        assert_eq!(options.machine.as_deref(), Some("esp32c3-x"));
        assert_eq!(options.provision, Provision::Loader);
        assert!(!"qemu:".parse::<DeviceUrl>().expect("a good URL").is_real());
    }

    #[test]
    fn espressif_s_own_emulator_takes_its_options() {
        let url = "esp-emu:?chip=esp32c6&binary=/opt/esp-emu&efuse=e.bin&flash-file=unit.bin";
        let Ok(DeviceUrl::EspEmu(options)) = url.parse() else { panic!("an emulator") };
        assert_eq!(options.chip, Some(Chip::Esp32C6));
        assert_eq!(options.binary, Some(PathBuf::from("/opt/esp-emu")));
        assert_eq!(options.efuse, Some(PathBuf::from("e.bin")));
        assert_eq!(options.flash_file, Some(PathBuf::from("unit.bin")));
        let plain = "esp-emu:".parse::<DeviceUrl>().expect("a good URL");
        assert!(!plain.is_real() && plain.is_emulated() && plain.runs_machine_code());
    }

    #[test]
    fn a_path_is_a_serial_port() {
        let port = |baud| DeviceUrl::Serial {
            path: PathBuf::from("/dev/ttyUSB0"),
            baud,
            reset: ResetMethod::AsEsptool,
        };
        assert_eq!("/dev/ttyUSB0".parse(), Ok(port(None)));
        assert_eq!("serial:/dev/ttyUSB0?baud=921600".parse(), Ok(port(Some(921_600))));
        assert!(port(None).is_real());
    }

    #[test]
    fn a_serial_port_says_what_resets_its_unit() {
        for (option, expected) in [
            ("lines", ResetMethod::Lines),
            ("classic", ResetMethod::Lines),
            ("usb-jtag", ResetMethod::UsbJtag),
            ("esptool", ResetMethod::Esptool),
            ("none", ResetMethod::by_hand()),
            ("none:5", ResetMethod::None { within: Duration::from_secs(5) }),
            ("command:/opt/jig/reset", ResetMethod::Command(PathBuf::from("/opt/jig/reset"))),
        ] {
            let url = format!("serial:/dev/ttyUSB0?baud=115200&reset={option}").parse();
            let Ok(DeviceUrl::Serial { reset, baud, .. }) = url else { panic!("{url:?}") };
            assert_eq!((reset, baud), (expected, Some(115_200)));
        }
    }

    #[test]
    fn a_port_on_the_network_is_written_as_pyserial_writes_it() {
        let port = |url: &str| match url.parse() {
            Ok(DeviceUrl::Remote(port)) => port,
            other => panic!("{other:?}"),
        };
        let raw = port("socket://127.0.0.1:4000");
        assert_eq!((raw.protocol, &raw.reset), (RemoteProtocol::Raw, &ResetMethod::by_hand()));
        let unix = port("unix:/run/jig.sock?simulated=true");
        assert_eq!(
            (unix.protocol, unix.name().as_str()),
            (RemoteProtocol::Unix, "unix:/run/jig.sock")
        );
        let both = port("rfc2217://[::1]:4000/?baud=921600&simulated=true");
        assert_eq!((both.name().as_str(), both.baud), ("rfc2217://[::1]:4000", Some(921_600)));
        assert_eq!(both.reset, ResetMethod::AsEsptool);
    }

    /// What a real unit would be told of a simulated one is refused; the URL alone says which it is.
    #[test]
    fn a_port_on_the_network_is_real_unless_it_says_otherwise() {
        let url = |url: &str| url.parse::<DeviceUrl>().expect("a good URL");
        for scheme in ["rfc2217", "socket"] {
            let place = format!("{scheme}://127.0.0.1:4000");
            assert!(url(&place).is_real());
            assert!(url(&format!("{place}?simulated=false")).is_real());
            assert!(!url(&format!("{place}?simulated=true")).is_real());
            assert!(url(&format!("{place}?simulated=true")).is_simulated_elsewhere());
        }
        assert!(!url("simulator:").is_simulated_elsewhere());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, part) in [
            ("unix:", "unknown device"),
            ("unix:/run/jig.sock?baud=9600", "expected one of reset, simulated"),
            ("unix:/run/jig.sock?reset=classic", "a raw socket has no modem lines"),
            ("rfc2217://", "expected rfc2217://HOST:PORT"),
            ("rfc2217://jig", "expected rfc2217://HOST:PORT"),
            ("socket://:4000", "expected socket://HOST:PORT"),
            ("socket://jig:0", "expected socket://HOST:PORT"),
            ("socket://jig:4000?baud=115200", "expected one of reset, simulated"),
            ("socket://jig:4000?reset=lines", "a raw socket has no modem lines"),
            ("rfc2217://jig:4000?simulated=yes", "expected true or false"),
            ("rfc2217://jig:4000?ign_set_control", "expected one of baud, reset, simulated"),
            ("usb0", "unknown device"),
            ("serial:", "unknown device"),
            ("simulator:?colour=red", "colour"),
            ("simulator:?chip=esp8266", "esp8266"),
            ("simulator:?mac=1", "MAC address"),
            ("simulator:?stale=yes", "expected true or false"),
            ("/dev/ttyUSB0?baud=fast", "baud rate"),
            ("/dev/ttyUSB0?reset=button", "esptool, none, none:SECONDS or command:PROGRAM"),
            ("/dev/ttyUSB0?reset=command:", "esptool, none, none:SECONDS or command:PROGRAM"),
            ("/dev/ttyUSB0?reset=classic:D0", "expected classic, usb-jtag"),
            ("/dev/ttyUSB0?reset=custom:D0|R1|X9", "step \"X9\" at character 7 is none"),
            ("/dev/ttyUSB0?reset=custom:", "the sequence is empty"),
            ("socket://jig:4000?reset=custom:D0|R1", "a raw socket has no modem lines"),
            ("socket://jig:4000?reset=esptool", "a raw socket has no modem lines"),
            ("/dev/ttyUSB0?rset=none", "expected one of baud, reset"),
            ("simulator:?reset=none", "unknown option"),
            ("esp-emu:?nic=none", "expected one of chip, binary, efuse, flash-file"),
            ("esp-emu:?efuse=", "the path of a file"),
            ("esp-emu:?chip=esp32s31", "unknown chip"),
            ("qemu:?nic=user,hostfwd=tcp::1-:1", "a name of letters"),
            ("qemu:?provision=magic", "file or loader"),
            ("qemu:?flash-file=", "the path of a file"),
            ("qemu:?pace=true", "expected one of chip, binary"),
            ("wokwi:?token=x", "expected one of chip, mac, diagram"),
            ("wokwi:?diagram=", "the path of a diagram.json"),
            ("wokwi:?diagram=d.json&mac=24:0a:c4:12:45:56", "none beside a diagram"),
        ] {
            let error = url.parse::<DeviceUrl>().expect_err(url).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
