//! How fast a loader is spoken to: from the ROM's own rate up, and down again where a wire does not bear it.

use espflash::{
    connection::Connection,
    target::{Chip, XtalFrequency},
};

use crate::record::Transfer;

/// The ROM listens at this rate after a reset.
pub(super) const ROM_BAUD: u32 = 115_200;
/// Those that every bridge has, down to the ROM's own.
const LOWER_RATES: [u32; 4] = [921_600, 460_800, 230_400, ROM_BAUD];

/// How fast the loader is spoken to once it answers.
pub(super) struct Rate {
    baud: u32,
    /// Those that were left for a lower one.
    left: Vec<u32>,
    /// Whether it was raised since the loader was entered last.
    is_used: bool,
    /// Whether there is any other than the ROM's.
    is_asked: bool,
}

impl Rate {
    /// `None` stays at [`ROM_BAUD`].
    pub(super) fn up_to(baud: Option<u32>) -> Self {
        let is_asked = baud.is_some();
        Self { baud: baud.unwrap_or(ROM_BAUD), left: Vec::new(), is_used: false, is_asked }
    }

    pub(super) fn is_raised(&self) -> bool {
        self.is_used && self.baud > ROM_BAUD
    }

    /// The next lower rate, if the present one was used and is not the lowest.
    pub(super) fn lower(&mut self) -> bool {
        let lower = LOWER_RATES.into_iter().find(|lower| *lower < self.baud);
        self.change_to(lower)
    }

    pub(super) fn lowest(&mut self) -> bool {
        self.change_to(Some(ROM_BAUD))
    }

    /// What comes next is the ROM after a reset.
    pub(super) fn begin_anew(&mut self) {
        self.is_used = false;
    }

    /// The unit was told to speak at the wanted rate.
    pub(super) fn is_raised_now(&mut self) {
        self.is_used = true;
    }

    /// The one that transfers are to have.
    pub(super) fn wanted(&self) -> u32 {
        self.baud
    }

    /// The one that the unit listens at.
    pub(super) fn now(&self) -> u32 {
        if self.is_used { self.baud } else { ROM_BAUD }
    }

    /// Whether the wanted one is another than the ROM's.
    pub(super) fn differs(&self) -> bool {
        self.baud != ROM_BAUD
    }

    /// For the record; `None` where there is but one.
    pub(super) fn transfer(&self) -> Option<Transfer> {
        self.is_asked.then(|| Transfer { baud: self.baud, left: self.left.clone() })
    }

    fn change_to(&mut self, baud: Option<u32>) -> bool {
        let Some(baud) = baud.filter(|_| self.is_raised()) else { return false };
        self.left.push(std::mem::replace(&mut self.baud, baud));
        true
    }
}

/// The rate that a ROM must be asked for to take `baud`; `None` where it is not known how it reckons.
///
/// The ESP32's takes its crystal for what it measured with an oscillator that is some per cent off. What it measured is
/// reckoned as esptool does it, from a register and a fuse (Technical Reference Manual of the ESP32, RTC calibration).
///
/// # Errors
/// When the loader does not answer, or may not.
pub(super) fn asked_of_rom(
    connection: &mut Connection,
    baud: u32,
) -> Result<Option<u32>, espflash::Error> {
    let chip = connection.detect_chip(false)?;
    if chip.xtal_frequency(connection)? != XtalFrequency::_40Mhz {
        return Ok(None);
    }
    if chip != Chip::Esp32 {
        return Ok(Some(baud));
    }
    let cycles = connection.read_reg(ESP32_CALIBRATION)? >> 7 & 0x1FF_FFFF;
    let oscillator = connection.read_reg(ESP32_OSCILLATOR)? & 0xFF;
    Ok(asked_of_esp32(baud, cycles, oscillator))
}

/// `RTC_CALI_VALUE` of TIMG0, from its bit 7 on.
const ESP32_CALIBRATION: u32 = 0x3FF5_F06C;
/// Word 4 of the eFuses: the oscillator's rate in units of 62.5 kHz.
const ESP32_OSCILLATOR: u32 = 0x3FF5_A010;
const CRYSTAL_HZ: u64 = 40_000_000;

fn asked_of_esp32(baud: u32, cycles: u32, oscillator: u32) -> Option<u32> {
    let measured = u64::from(cycles) * 15_625 * u64::from(oscillator) / 40;
    // Any further off, and it is no measurement of this crystal.
    let plausible = (36_000_000..44_000_000).contains(&measured);
    let asked = u64::from(baud) * measured / CRYSTAL_HZ;
    plausible.then(|| u32::try_from(asked).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rom_that_errs_is_asked_for_what_makes_it_right() {
        assert_eq!(asked_of_esp32(921_600, 753, 136), Some(921_672));
        assert_eq!(asked_of_esp32(921_600, 745, 136), Some(911_880));
        for nothing in [(0, 0), (753, 0), (500, 136), (1000, 136)] {
            assert_eq!(asked_of_esp32(921_600, nothing.0, nothing.1), None);
        }
    }

    #[test]
    fn a_rate_is_the_units_once_it_was_told() {
        let mut rate = Rate::up_to(Some(921_600));
        assert_eq!((rate.now(), rate.lower()), (ROM_BAUD, false));
        rate.is_raised_now();
        assert_eq!((rate.now(), rate.lower(), rate.wanted()), (921_600, true, 460_800));
        rate.begin_anew();
        assert_eq!(rate.now(), ROM_BAUD);
        assert!(!Rate::up_to(None).differs() && Rate::up_to(None).transfer().is_none());
    }
}
