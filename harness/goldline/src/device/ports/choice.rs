//! Which of the machine's serial ports is meant by a USB serial number, a hub path or a unit's address.
//!
//! Asks no unit itself: whoever can is handed in.

use std::{fmt, path::PathBuf};

use super::{
    bridge::Known,
    holder::holders,
    inventory::{Port, UsbPlace, serial_ports},
    machine::Machine,
};
use crate::{device::url::PortChoice, identity::Mac};

/// What a port's unit said when it was asked for its address.
pub type Asked = Result<Mac, String>;

/// How far Linux alone tells which port is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// This one.
    Port(PathBuf),
    /// That whose unit has this address: units must be asked.
    OfUnit(Mac),
}

/// No port was found, or more than one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum ChoiceError {
    #[error("no serial port is {choice}: {there}")]
    None { choice: String, there: String },
    #[error("{count} serial ports are {choice}, and one is meant:{fits}")]
    Several { choice: String, count: usize, fits: String },
    #[error("no serial port has an ESP32 or a bridge to one: {there}")]
    NoCandidate { there: String },
    #[error("{count} serial ports may have the unit, and one is meant:{fits}")]
    Candidates { count: usize, fits: String },
    #[error("no serial port has the unit {mac}:{asked}")]
    NoUnit { mac: Mac, asked: String },
}

impl ChoiceError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::NoCandidate { .. } => "plug the unit in, or name where it is with --device",
            Self::Candidates { .. } => "name it with --device, as it stands behind each",
            Self::None { .. } => {
                "plug it in, or name one that is there; goldline device list shows what each is"
            }
            Self::Several { .. } => {
                "name it by where it is plugged in, as it stands behind each, or by its path"
            }
            Self::NoUnit { .. } => {
                "plug the unit in, free its port, or name the port; goldline device list --identify shows all"
            }
        }
    }
}

/// The port that is meant, as far as Linux alone can tell.
///
/// # Errors
/// [`ChoiceError`] lists what there is.
pub fn choose(machine: &Machine, choice: &PortChoice) -> Result<Chosen, ChoiceError> {
    let ports = serial_ports(machine);
    let fits = fitting(choice, &ports);
    match (fits.as_slice(), choice) {
        ([port], _) => Ok(Chosen::Port(port.path.clone())),
        ([], PortChoice::Mac(mac)) => Ok(Chosen::OfUnit(*mac)),
        ([], _) => Err(ChoiceError::None { choice: choice.to_string(), there: there_are(&ports) }),
        (several, _) => Err(ChoiceError::Several {
            choice: choice.to_string(),
            count: several.len(),
            fits: lines(several),
        }),
    }
}

/// The one port that may have a unit, where nobody named any.
///
/// # Errors
/// [`ChoiceError`] lists them where there are several, and all ports where there is none.
pub fn only_candidate(machine: &Machine) -> Result<Port, ChoiceError> {
    let ports = serial_ports(machine);
    let candidates: Vec<&Port> = ports.iter().filter(|port| port.may_be_asked()).collect();
    match candidates.as_slice() {
        [port] => Ok((*port).clone()),
        [] => Err(ChoiceError::NoCandidate { there: there_are(&ports) }),
        several => Err(ChoiceError::Candidates { count: several.len(), fits: lines(several) }),
    }
}

/// The port whose unit has an address: each free one that may have an ESP32 behind it is asked in turn, until one
/// says so.
///
/// # Errors
/// [`ChoiceError::NoUnit`] says what came of each.
pub fn find_unit(
    machine: &Machine,
    mac: Mac,
    mut ask: impl FnMut(&Port) -> Asked,
) -> Result<PathBuf, ChoiceError> {
    let mut told = String::new();
    for port in serial_ports(machine) {
        let held = holders(machine, &port.path);
        let said = match port.may_be_asked() {
            false => continue,
            true if !held.seen.is_empty() => format!("held by {held}"),
            true => match ask(&port) {
                Ok(found) if found == mac => return Ok(port.path),
                Ok(other) => format!("it is {other}"),
                Err(error) => error,
            },
        };
        told += &format!("\n  {}: {said}", port.path.display());
    }
    if told.is_empty() {
        told = " there is no bridge to a UART that could be asked".to_owned();
    }
    Err(ChoiceError::NoUnit { mac, asked: told })
}

impl Port {
    /// Whether a reset and a few questions do no harm there: an ESP32 is behind it, or a bridge that may lead to one.
    pub fn may_be_asked(&self) -> bool {
        matches!(self.known(), Some(Known::Bridge(_) | Known::UsbSerialJtag | Known::EspressifUsb))
    }

    /// The address of its unit, where that is known without asking: the USB of the chip itself carries it.
    pub fn known_mac(&self) -> Option<Mac> {
        let usb = self.usb.as_ref().filter(|_| self.known() == Some(Known::UsbSerialJtag))?;
        usb.serial.as_ref()?.parse().ok()
    }
}

fn fitting<'a>(choice: &PortChoice, ports: &'a [Port]) -> Vec<&'a Port> {
    let on_usb = |fits: &dyn Fn(&UsbPlace) -> bool| -> Vec<&'a Port> {
        ports.iter().filter(|port| port.usb.as_ref().is_some_and(fits)).collect()
    };
    match choice {
        PortChoice::UsbSerial(text) => {
            // Those of Espressif's have colons of their own.
            let whole = on_usb(&|usb| usb.serial.as_ref() == Some(text));
            match text.rsplit_once(':') {
                Some((serial, interface)) if whole.is_empty() => {
                    let Ok(interface) = interface.parse() else { return whole };
                    on_usb(&|usb| {
                        usb.serial.as_deref() == Some(serial) && usb.interface == Some(interface)
                    })
                }
                _ => whole,
            }
        }
        PortChoice::Hub { path, interface } => on_usb(&|usb| {
            usb.hub == *path && interface.is_none_or(|interface| usb.interface == Some(interface))
        }),
        PortChoice::Mac(mac) => {
            ports.iter().filter(|port| port.known_mac() == Some(*mac)).collect()
        }
    }
}

fn there_are(ports: &[Port]) -> String {
    match ports {
        [] => "there is no serial port at all".to_owned(),
        ports => format!("there are{}", lines(&ports.iter().collect::<Vec<_>>())),
    }
}

/// A line for each: its path, what it is, and what it is found by again.
fn lines(ports: &[&Port]) -> String {
    ports.iter().map(|port| format!("\n  {port}")).collect()
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let Some(usb) = &self.usb else { return write!(f, "{path}, not on USB") };
        let what = self.known().map(|known| format!("{}, ", known.words())).unwrap_or_default();
        let serial = usb.serial.as_ref().map(|serial| format!("serial:usb={serial}, "));
        write!(f, "{path}, {what}{}serial:hub={}", serial.unwrap_or_default(), usb.place())
    }
}
