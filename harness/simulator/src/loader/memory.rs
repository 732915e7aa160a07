//! Loading RAM: the flasher stub, or an application that never touches flash.

use super::packet::{Answer, Failure, Request};
use super::{Dialect, Exit, Loader, slip};
use crate::chip::Chip;

/// Greeting of a stub that has started.
const STUB_GREETING: &[u8] = b"OHAI";

/// What clients loaded into RAM; its bytes are not kept, because nothing executes them.
#[derive(Debug, Default)]
pub(super) struct RamImage {
    open: bool,
    bytes: u64,
}

impl RamImage {
    pub(super) fn begin(&mut self, request: &Request) -> Result<Answer, Failure> {
        let [_size, _blocks, _block_size, _address] = request.words()?;
        self.open = true;
        Ok(Answer::default())
    }

    pub(super) fn data(&mut self, request: &Request) -> Result<Answer, Failure> {
        let body = request.body()?;
        if !self.open {
            return Err(Failure::NotInFlashMode);
        }
        self.bytes += body.len() as u64;
        Ok(Answer::default())
    }
}

impl Loader {
    pub(super) fn memory_end(
        &mut self,
        _chip: &Chip,
        request: &Request,
    ) -> Result<Answer, Failure> {
        let [_stay, _entry] = request.words()?;
        Ok(Answer::default())
    }

    pub(super) fn start_ram_image(&mut self, chip: &Chip, request: &Request, reply: &mut Vec<u8>) {
        let Ok([stay, entry]) = request.words() else {
            return;
        };
        self.ram = RamImage::default();
        if stay != 0 {
            return;
        }
        if chip.model.stub_entries.contains(&entry) {
            self.dialect = Dialect::Stub;
            self.download = None;
            slip::encode(STUB_GREETING, reply);
        } else {
            self.exit = Some(Exit::RunFromRam { entry });
        }
    }
}
