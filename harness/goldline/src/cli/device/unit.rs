//! The unit that a command is about: which one is meant, how it is opened, and how its failures end a command.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use miette::Report;
use std::io::{IsTerminal, stderr};

use crate::{
    cli::{
        esp_environment::port_of_environment,
        exit, operator, output,
        problem::{usage, usage_with_help},
    },
    device::{ChipFacts, Device, DeviceError, DeviceName, DeviceUrl, Machine, only_candidate},
    station::{BareUnitError, find_port, open_bare_unit},
};

#[derive(Args)]
pub(in crate::cli) struct DeviceArgument {
    /// Where the unit is: /dev/ttyUSB0, serial:usb=…, serial:hub=…, serial:mac=…, rfc2217://HOST:PORT,
    /// socket://HOST:PORT, unix:PATH, simulator:?flash-file=FILE, qemu:?chip=…&flash-file=FILE; unless given the port of
    /// ESPPORT and ESPBAUD, or else the only port with an ESP32 or a bridge
    #[arg(long, env = "GOLDLINE_DEVICE", value_name = "URL")]
    device: Option<String>,
}

/// Why a command did not do what was asked.
pub(in crate::cli) enum Failure {
    /// It could not be asked for, and nothing was touched; or an output cannot be written.
    Usage(Report),
    /// The unit or its port failed.
    Device(DeviceError),
    /// The unit was found bad.
    BadUnit(Report),
}

pub(in crate::cli) type Outcome = Result<u8, Failure>;

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Usage(report)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl Failure {
    /// Tells what is to be told, and leaves what makes the exit code.
    pub(in crate::cli) fn end(self) -> miette::Result<u8> {
        match self {
            Self::Usage(report) => Err(report),
            Self::BadUnit(report) => {
                output::complain(&format!("{report:?}"));
                Ok(exit::FAIL)
            }
            Self::Device(error) => {
                let action = error.action().unwrap_or_else(|| error.code().action());
                let code = if error.blames_unit() { exit::FAIL } else { exit::ERROR };
                output::complain(&format!("{:?}", usage_with_help(error, action)));
                Ok(code)
            }
        }
    }
}

/// A unit that was opened.
pub(in crate::cli) struct Opened {
    pub(in crate::cli) device: Box<dyn Device>,
    pub(in crate::cli) url: DeviceUrl,
}

impl DeviceArgument {
    pub(in crate::cli) fn open(&self) -> Result<Opened, Failure> {
        let url = self.url()?;
        let device = open_bare_unit(url.clone()).map_err(|error| match error {
            BareUnitError::Device(error) => Failure::Device(error),
            BareUnitError::NotAPort(error) => {
                let action = error.action();
                Failure::Usage(usage_with_help(error, action))
            }
            BareUnitError::NoEmulator(error) => {
                let action = error.action();
                Failure::Usage(usage_with_help(error, action))
            }
            error => Failure::Usage(usage(error)),
        })?;
        let mut device = device;
        if let Some(hand) = operator::press_at_terminal() {
            device.set_hand(hand);
        }
        Ok(Opened { device, url })
    }

    /// What people call it.
    pub(in crate::cli) fn name(&self) -> String {
        self.device.clone().unwrap_or_else(|| "the port".to_owned())
    }

    fn url(&self) -> Result<DeviceUrl, Failure> {
        let of_choice = |error: crate::device::ChoiceError| {
            let action = error.action();
            usage_with_help(error, action)
        };
        let of_environment = match &self.device {
            Some(_) => None,
            None => port_of_environment().map_err(usage)?,
        };
        if let Some(port) = &of_environment {
            output::complain(&port.to_string());
        }
        let named = self.device.as_ref().or(of_environment.as_ref().map(|port| &port.device));
        let Some(named) = named else {
            let port = only_candidate(&Machine::of_environment()).map_err(of_choice)?;
            output::complain(&format!("the unit at {port}"));
            return Ok(DeviceName::at(&port.path));
        };
        match named.parse().map_err(usage)? {
            DeviceName::Place(url) => Ok(url),
            DeviceName::Port(sought) => Ok(find_port(&sought).map_err(of_choice)?),
        }
    }
}

impl Opened {
    pub(in crate::cli) fn identify(&mut self) -> Result<ChipFacts, Failure> {
        Ok(self.device.identify()?)
    }

    /// Starts the application of a unit that goes on when this process ends. What was asked for was done already: that
    /// it does not start is told, and is no failure of it.
    pub(in crate::cli) fn leave(mut self) {
        let goes_on = self.url.is_real() || self.url.is_simulated_elsewhere();
        if !goes_on || self.url.is_reset_by_hand() {
            return;
        }
        if let Err(error) = self.device.boot() {
            output::complain(&format!("the unit was not started again: {error}"));
        }
    }
}

/// Refuses what lies past the end of the flash.
pub(in crate::cli) fn refuse_past_the_end(
    offset: u32,
    size: u32,
    what: &str,
    facts: &ChipFacts,
) -> Result<(), Failure> {
    let end = u64::from(offset) + u64::from(size);
    if end <= u64::from(facts.flash_size) {
        return Ok(());
    }
    let flash = facts.flash_size;
    Err(Failure::Usage(usage(format!(
        "{what} ends at {end:#x}, and the flash at {flash:#x}: name an offset and a size that lie in it; nothing was \
         written"
    ))))
}

/// A bar for people on a terminal.
pub(in crate::cli) fn bar(total: u64, title: String) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bytes:>10} of {total_bytes} {wide_bar}");
    let bar = ProgressBar::new(total);
    bar.set_style(style.expect("the template is sound"));
    bar.set_message(title);
    bar
}
