//! A unit whose flash is changed behind the bench's back: by its own loader, between what the bench writes and what it
//! looks at next.
//!
//! For emulated units, of which no simulator knows what lies in them. What the bench reads is what is there. Must not
//! know what is changed, or why.

use std::time::Instant;

use goldline_simulator::Tampering;

use super::{AskHand, ChipFacts, Device, DeviceError, Fuses, Left, LineHandle, LockedLoader};
use crate::{profile::SECTOR, record::Transfer};

/// A unit, and what becomes of its flash.
pub struct TamperedDevice {
    inner: Box<dyn Device>,
    tampering: Tampering,
    size: u32,
    /// What the flash holds, as long as only the bench writes it.
    cells: Option<Vec<u8>>,
    /// Whether it was written since it was last looked at.
    is_written: bool,
    /// Where something was changed, and how it was left there.
    done: Option<(u32, Vec<u8>)>,
}

impl TamperedDevice {
    /// The unit with that tampering.
    pub fn new(inner: Box<dyn Device>, tampering: Tampering) -> Self {
        Self { inner, tampering, size: 0, cells: None, is_written: true, done: None }
    }

    /// Something of the flash was written or erased; with these bytes, or with what is erased.
    fn note(&mut self, offset: u32, bytes: Option<&[u8]>, size: u32) {
        self.is_written = true;
        let first = offset / SECTOR * SECTOR;
        let end = offset.saturating_add(size).next_multiple_of(SECTOR).min(self.size);
        let Some(cells) = &mut self.cells else { return };
        if let Some(sectors) = cells.get_mut(first as usize..end as usize) {
            sectors.fill(0xFF);
        }
        let bytes = bytes.unwrap_or_default();
        if let Some(there) = cells.get_mut(offset as usize..offset as usize + bytes.len()) {
            there.copy_from_slice(bytes);
        }
    }

    /// The bench is about to look at the flash, or to let it run.
    fn tamper(&mut self) -> Result<(), DeviceError> {
        if self.size == 0 || !self.is_written || self.is_as_it_was_left()? {
            return Ok(());
        }
        self.is_written = false;
        let before = match self.cells.take() {
            Some(cells) => cells,
            None => self.inner.read(0, self.size)?,
        };
        let mut after = before.clone();
        if let Some(at) = self.tampering.change(&mut after) {
            let sector = SECTOR as usize;
            let sectors = before.chunks(sector).zip(after.chunks(sector));
            for ((before, after), offset) in sectors.zip((0..).step_by(sector)) {
                if before != after {
                    self.inner.write(offset, after, &mut |_| {})?;
                }
            }
            let first = at / SECTOR * SECTOR;
            let watched = self.tampering.watched().unwrap_or(first..first + SECTOR);
            let left = after[watched.start as usize..watched.end as usize].to_vec();
            self.done = Some((watched.start, left));
        }
        self.cells = Some(after);
        Ok(())
    }

    fn is_as_it_was_left(&mut self) -> Result<bool, DeviceError> {
        let Some((at, left)) = &self.done else { return Ok(false) };
        let (first, end) = (*at as usize, *at as usize + left.len());
        let is = match &self.cells {
            Some(cells) => cells[first..end] == left[..],
            None => self.inner.read(*at, u32::try_from(left.len()).unwrap_or(u32::MAX))? == *left,
        };
        self.is_written &= !is;
        Ok(is)
    }
}

impl Device for TamperedDevice {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        let facts = self.inner.identify()?;
        self.size = facts.flash_size;
        Ok(facts)
    }

    fn find_locked(&mut self) -> Result<LockedLoader, DeviceError> {
        self.inner.find_locked()
    }

    fn read_fuses(&mut self) -> Result<Option<Fuses>, DeviceError> {
        self.inner.read_fuses()
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        self.inner.erase()?;
        self.note(0, None, self.size);
        Ok(())
    }

    fn erase_sectors(&mut self, offset: u32, size: u32) -> Result<(), DeviceError> {
        self.inner.erase_sectors(offset, size)?;
        self.note(offset, None, size);
        Ok(())
    }

    fn begins_erased(&self) -> bool {
        self.inner.begins_erased()
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        self.inner.write(offset, bytes, progress)?;
        self.note(offset, Some(bytes), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
        self.tamper()?;
        self.inner.digest(offset, size)
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
        self.tamper()?;
        self.inner.read(offset, size)
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        self.tamper()?;
        // What runs writes as it likes.
        (self.cells, self.is_written) = (None, true);
        self.inner.boot()
    }

    fn wait_in_loader(&mut self) -> Result<(), DeviceError> {
        self.inner.wait_in_loader()
    }

    fn hold(&mut self) -> Left {
        self.inner.hold()
    }

    fn last_reset(&self) -> Option<Instant> {
        self.inner.last_reset()
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        self.inner.type_text(text)
    }

    fn set_hand(&mut self, hand: AskHand) {
        self.inner.set_hand(hand);
    }

    fn take_attempts(&mut self) -> u32 {
        self.inner.take_attempts()
    }

    fn line(&self) -> LineHandle {
        self.inner.line()
    }

    fn transfer(&self) -> Option<Transfer> {
        self.inner.transfer()
    }

    fn emulator(&self) -> Option<String> {
        self.inner.emulator()
    }

    fn vouch(&mut self) -> Result<(), DeviceError> {
        self.inner.vouch()
    }

    fn ending(&self) -> Option<DeviceError> {
        self.inner.ending()
    }
}
