//! `reset=…` of a port: what resets its unit.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::error::{DeviceUrlError, wrong};
use crate::device::{
    esptool_configuration::{ConfigurationError, CustomReset, custom_reset, demanded_reset},
    ports::{Machine, is_serial_jtag},
    sequence::Sequence,
};

const EXPECTED: &str =
    "classic, usb-jtag, custom:SEQUENCE, esptool, none, none:SECONDS or command:PROGRAM";

const EXPECTED_SECONDS: &str = "none, or none:SECONDS up to an hour";
/// Somebody has to come, and to find the buttons.
const BY_HAND: Duration = Duration::from_secs(120);
const MOST_SECONDS: u64 = 60 * 60;

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
    /// Nothing: somebody presses the unit's buttons.
    None {
        /// How long that may take each time; without any, nobody is asked.
        within: Duration,
    },
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

    /// By hand, in the usual time.
    pub(super) fn by_hand() -> Self {
        Self::None { within: BY_HAND }
    }

    /// Whether somebody presses the unit's buttons.
    pub(crate) fn is_by_hand(&self) -> bool {
        matches!(self, Self::None { .. })
    }

    /// Whether DTR and RTS are needed.
    pub(super) fn needs_lines(&self) -> bool {
        !matches!(self, Self::None { .. } | Self::Command(_))
    }

    pub(super) fn parse(url: &str, option: &str, value: &str) -> Result<Self, DeviceUrlError> {
        let (kind, rest) =
            value.split_once(':').map_or((value, None), |(kind, rest)| (kind, Some(rest)));
        Ok(match (kind, rest) {
            // What it was called at first.
            ("classic" | "lines", None) => Self::Lines,
            ("usb-jtag", None) => Self::UsbJtag,
            ("esptool", None) => Self::Esptool,
            ("none", None) => Self::by_hand(),
            ("none", Some(seconds)) => match seconds.parse() {
                Ok(seconds @ 0..=MOST_SECONDS) => {
                    Self::None { within: Duration::from_secs(seconds) }
                }
                _ => return Err(wrong(url, option, value, EXPECTED_SECONDS)),
            },
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
