//! `serial:usb=…`, `serial:hub=…`, `serial:mac=…`: a port by what hangs on it, or by where it is plugged in.
//!
//! Must not look for it.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{
    DeviceUrl, ResetMethod,
    error::{DeviceUrlError, wrong},
};
use crate::identity::Mac;

/// A device as the user names it: its place, or what a serial port is to be found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceName {
    /// Where it is.
    Place(DeviceUrl),
    /// What its port is found by.
    Port(SoughtPort),
}

/// A serial port that is still to be found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoughtPort {
    /// What it is found by.
    pub choice: PortChoice,
    /// With the options that were named, and no path yet.
    rest: DeviceUrl,
}

/// What a serial port is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortChoice {
    /// A USB serial number; what follows its last colon may be an interface's number instead.
    UsbSerial(String),
    /// The sockets from hub to hub that its USB device is plugged into.
    Hub {
        /// Such as `1-1.4`.
        path: String,
        /// Which port of a device with several.
        interface: Option<u8>,
    },
    /// The base MAC of its unit.
    Mac(Mac),
}

impl DeviceName {
    /// A port by its path, with the usual options.
    pub fn at(path: &Path) -> DeviceUrl {
        DeviceUrl::Serial { path: path.to_owned(), baud: None, reset: ResetMethod::default() }
    }
}

impl SoughtPort {
    /// The device, now that its port was found.
    pub fn at(&self, found: &Path) -> DeviceUrl {
        let mut url = self.rest.clone();
        if let DeviceUrl::Serial { path, .. } = &mut url {
            *path = found.to_owned();
        }
        url
    }
}

impl fmt::Display for PortChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsbSerial(serial) => write!(f, "serial:usb={serial}"),
            Self::Hub { path, interface: None } => write!(f, "serial:hub={path}"),
            Self::Hub { path, interface: Some(interface) } => {
                write!(f, "serial:hub={path}:{interface}")
            }
            Self::Mac(mac) => write!(f, "serial:mac={mac}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceUrlError;

    fn from_str(url: &str) -> Result<Self, DeviceUrlError> {
        let rest: DeviceUrl = url.parse()?;
        let DeviceUrl::Serial { path, .. } = &rest else { return Ok(Self::Place(rest)) };
        let path: PathBuf = path.clone();
        let named = path.to_str().filter(|_| url.starts_with("serial:"));
        let Some((by, value)) = named.and_then(|named| named.split_once('=')) else {
            return Ok(Self::Place(rest));
        };
        let choice = match by {
            "usb" if !value.is_empty() => PortChoice::UsbSerial(value.to_owned()),
            "usb" => return Err(wrong(url, by, value, "a USB serial number")),
            "hub" => hub(value).ok_or_else(|| {
                let expected = "the path of a USB device such as 1-1.4, and behind a colon the number of its \
                                interface if it has several ports";
                wrong(url, by, value, expected)
            })?,
            "mac" => PortChoice::Mac(value.parse().map_err(|_| {
                wrong(url, by, value, "a MAC address such as a4:cf:12:34:56:78")
            })?),
            _ => return Ok(Self::Place(rest)),
        };
        Ok(Self::Port(SoughtPort { choice, rest }))
    }
}

fn hub(value: &str) -> Option<PortChoice> {
    let (path, interface) = match value.split_once(':') {
        Some((path, interface)) => (path, Some(interface.parse().ok()?)),
        None => (value, None),
    };
    let (bus, sockets) = path.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_path = is_number(bus) && sockets.split('.').all(is_number);
    is_path.then(|| PortChoice::Hub { path: path.to_owned(), interface })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(url: &str) -> SoughtPort {
        match url.parse() {
            Ok(DeviceName::Port(port)) => port,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_port_is_named_by_serial_number_hub_or_mac_with_the_options_of_any_port() {
        let by_serial = sought("serial:usb=0001:1?baud=921600&reset=none");
        assert_eq!(by_serial.choice, PortChoice::UsbSerial("0001:1".to_owned()));
        let device = DeviceUrl::Serial {
            path: PathBuf::from("/dev/ttyUSB7"),
            baud: Some(921_600),
            reset: ResetMethod::by_hand(),
        };
        assert_eq!(by_serial.at(Path::new("/dev/ttyUSB7")), device);
        let hub = |path: &str, interface| PortChoice::Hub { path: path.to_owned(), interface };
        assert_eq!(sought("serial:hub=1-1.4").choice, hub("1-1.4", None));
        assert_eq!(sought("serial:hub=2-10.4.2:1").choice, hub("2-10.4.2", Some(1)));
        let mac = PortChoice::Mac(Mac([0xA4, 0xCF, 0x12, 0x34, 0x56, 0x78]));
        assert_eq!(sought("serial:mac=A4:CF:12:34:56:78").choice, mac);
    }

    #[test]
    fn a_path_stays_a_path() {
        for url in ["/dev/ttyUSB0", "serial:/dev/serial/by-id/usb=1", "serial:unit", "/dev/hub=1-1"]
        {
            let place = url.parse::<DeviceUrl>().map(DeviceName::Place);
            assert_eq!(url.parse(), place, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, part) in [
            ("serial:usb=", "expected a USB serial number"),
            ("serial:hub=", "such as 1-1.4"),
            ("serial:hub=1.4", "such as 1-1.4"),
            ("serial:hub=1-1..4", "such as 1-1.4"),
            ("serial:hub=1-1.4:x", "behind a colon"),
            ("serial:mac=a4:cf", "MAC address"),
            ("serial:usb=1?chip=esp32", "expected one of baud, reset"),
        ] {
            let error = url.parse::<DeviceName>().expect_err(url).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
