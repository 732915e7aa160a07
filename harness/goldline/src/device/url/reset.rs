//! `reset=…` of a port: what resets its unit.

use std::path::{Path, PathBuf};

use super::error::{DeviceUrlError, wrong};
use crate::device::{
    esptool_configuration::{ConfigurationError, CustomReset, custom_reset, demanded_reset},
    ports::{Machine, is_serial_jtag},
    sequence::Sequence,
};

const EXPECTED: &str = "classic, usb-jtag, custom:SEQUENCE, esptool, none or command:PROGRAM";

/// What resets a unit on a serial port.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ResetMethod {
    /// Nothing is said: what esptool would do.
    #[default]
    AsEsptool,
    /// DTR and RTS, through the usual circuit of two transistors.
    Lines,
    /// DTR and RTS of a chip's own USB.
    UsbJtag,
    /// DTR and RTS, in a way of the circuit's own.
    Custom(CustomReset),
    /// What esptool's configuration names.
    Esptool,
    /// Nothing: somebody puts the unit into its download mode.
    None,
    /// A program of the jig.
    Command(PathBuf),
}

fn is_its_own_usb(port: &Path) -> bool {
    is_serial_jtag(&Machine::of_environment(), port)
}

impl ResetMethod {
    /// What it comes to on a port of this machine's, or on one elsewhere. Reads esptool's configuration and
    /// what this machine knows of the port; opens nothing.
    ///
    /// # Errors
    /// [`ConfigurationError`] when that configuration cannot be followed.
    pub(crate) fn settled(self, port: Option<&Path>) -> Result<Self, ConfigurationError> {
        Ok(match self {
            Self::AsEsptool => match custom_reset()? {
                Some(custom) => Self::Custom(custom),
                None if port.is_some_and(is_its_own_usb) => Self::UsbJtag,
                None => Self::Lines,
            },
            Self::Esptool => Self::Custom(demanded_reset()?),
            settled => settled,
        })
    }

    /// Whether DTR and RTS are needed.
    pub(super) fn needs_lines(&self) -> bool {
        !matches!(self, Self::None | Self::Command(_))
    }

    pub(super) fn parse(url: &str, option: &str, value: &str) -> Result<Self, DeviceUrlError> {
        let (kind, rest) =
            value.split_once(':').map_or((value, None), |(kind, rest)| (kind, Some(rest)));
        Ok(match (kind, rest) {
            // What it was called at first.
            ("classic" | "lines", None) => Self::Lines,
            ("usb-jtag", None) => Self::UsbJtag,
            ("esptool", None) => Self::Esptool,
            ("none", None) => Self::None,
            ("custom", Some(text)) => {
                let download: Sequence = text
                    .parse()
                    .map_err(|error| DeviceUrlError::Sequence { url: url.to_owned(), error })?;
                Self::Custom(CustomReset { download, application: Sequence::hard(), of: None })
            }
            ("command", Some(program)) if !program.is_empty() => {
                Self::Command(PathBuf::from(program))
            }
            _ => return Err(wrong(url, option, value, EXPECTED)),
        })
    }
}
