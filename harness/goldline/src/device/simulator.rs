//! A simulated unit: the simulator's port on a [`Line`], and its control lines for resets.
//!
//! What surrounds the unit is given when it is powered up, and is no affair of the port.

use std::sync::Arc;

use goldline_simulator::{
    Config, Fault, Mode, Simulator, StartError, Tampering, World, flash::FileError,
};

use super::{
    BootMode, Device, DeviceError, SimulatorOptions,
    line::Line,
    loader::LoaderDevice,
    rate::ROM_BAUD,
    reset::{Reset, Unit},
};
use crate::{
    profile::Chip,
    simulated::{NotSimulated, simulated},
};

/// A simulated unit as the profile and the device URL describe it.
#[derive(Clone, Debug)]
pub struct SimulatedUnit {
    /// The profile's chip, unless the URL names another.
    pub chip: Chip,
    /// In bytes.
    pub flash_size: u32,
    /// From the device URL.
    pub options: SimulatorOptions,
    /// A key that was burnt into the eFuses before the unit came to the bench.
    pub hmac_key: Option<[u8; 32]>,
    /// What is wrong with the unit.
    pub faults: Vec<Fault>,
    /// What becomes of its flash behind the bench's back.
    pub tampering: Option<Tampering>,
    /// Decides where and when they show.
    pub seed: u64,
}

impl SimulatedUnit {
    /// Says whether the flash file can be one. Makes and changes nothing.
    ///
    /// # Errors
    /// [`FileError`] says what stands in its place.
    pub fn refuse_unusable_flash_file(&self) -> Result<(), FileError> {
        // A chip that is not simulated is the order's to refuse.
        let Ok(config) = self.config() else { return Ok(()) };
        match config.refuse_unusable() {
            Err(StartError::FlashFile(error)) => Err(error),
            // Whatever else is wrong with the unit is the run's to say.
            _ => Ok(()),
        }
    }

    fn config(&self) -> Result<Config, NotSimulated> {
        let chip = self.options.chip.unwrap_or(self.chip);
        let mut config = Config::new(simulated(chip)?);
        config.flash_size = self.flash_size;
        config.flash_file.clone_from(&self.options.flash_file);
        config.efuse_file.clone_from(&self.options.efuse_file);
        config.efuses.clone_from(&self.options.burnt);
        config.mode = Mode::Download;
        config.paced = self.options.pace;
        config.keeps_queue_over_reset = self.options.stale;
        config.bit_in.clone_from(&self.options.bit_in);
        config.hmac_key = self.hmac_key;
        config.faults.clone_from(&self.faults);
        config.tampering.clone_from(&self.tampering);
        config.seed = self.seed;
        if let Some(mac) = self.options.mac {
            config.mac = mac.0;
        }
        Ok(config)
    }
}

/// Powers a simulated unit up, in download mode, and opens its port.
///
/// # Errors
/// [`DeviceError::Simulator`] when the flash file or the system does not allow it.
pub fn open_simulator(
    unit: SimulatedUnit,
    world: Arc<dyn World>,
) -> Result<Box<dyn Device>, DeviceError> {
    let refuse = |detail: String| DeviceError::Simulator(detail);
    let config = unit.config().map_err(|error| refuse(error.to_string()))?;
    let simulator = Simulator::start(config, world).map_err(|error| refuse(error.to_string()))?;
    let line = Line::open(simulator.port_path(), ROM_BAUD)?;
    // Owns the simulator, which is switched off when its unit goes.
    let control = move |mode| {
        simulator.lines().reset_into(match mode {
            BootMode::Download => Mode::Download,
            BootMode::Application => Mode::Boot,
        });
        Ok(())
    };
    let port = Unit::new("simulator:".to_owned(), line, Reset::Control(Box::new(control)));
    Ok(Box::new(LoaderDevice::new(port, unit.options.baud)))
}
