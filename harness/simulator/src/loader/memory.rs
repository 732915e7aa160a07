//! Loading RAM: the flasher stub, or an application that never touches flash.

use super::packet::{Answer, Failure, Request};
use super::{Dialect, Exit, Loader, slip};
use crate::chip::Chip;

/// Greeting of a stub that has started.
const STUB_GREETING: &[u8; 4] = b"OHAI";
/// The instruction by which RISC-V code loads the upper half of that word, whatever the register;
/// the half is one more than it reads, because the lower one counts as negative.
const LOADS_GREETING: u32 = 0x4941_5037;
const ANY_REGISTER: u32 = 0x1F << 7;

/// More than any chip has.
const LARGEST_IMAGE: usize = 1 << 20;
/// Shorter texts are code that looks like text.
const SHORTEST_TEXT: usize = 8;

/// What clients loaded into RAM.
#[derive(Debug, Default)]
pub(super) struct RamImage {
    open: bool,
    bytes: Vec<u8>,
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
        let room = LARGEST_IMAGE.saturating_sub(self.bytes.len());
        self.bytes.extend(&body[..body.len().min(room)]);
        Ok(Answer::default())
    }

    /// Whether this is a flasher stub: of all programs only those greet.
    ///
    /// Releases of the stub differ in everything else, entry points and sizes included.
    fn is_stub(&self) -> bool {
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        self.bytes
            .windows(STUB_GREETING.len())
            .any(|bytes| bytes == STUB_GREETING || word(bytes) & !ANY_REGISTER == LOADS_GREETING)
    }

    /// The texts in the image, which stand for the output of a program that is not executed.
    fn output(&self) -> String {
        let printable = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r' | b'\n');
        let texts = self.bytes.split(|byte| !printable(byte));
        let texts = texts.filter(|text| text.len() >= SHORTEST_TEXT);
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
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

    pub(super) fn start_ram_image(
        &mut self,
        chip: &mut Chip,
        request: &Request,
        reply: &mut Vec<u8>,
    ) {
        let Ok([stay, entry]) = request.words() else {
            return;
        };
        let image = std::mem::take(&mut self.ram);
        if stay != 0 {
            return;
        }
        if image.is_stub() {
            if !self.runs_stubs {
                // It crashes, and nothing answers until the next reset.
                let output = String::new();
                self.exit = Some(Exit::RunFromRam { entry, output });
                return;
            }
            self.dialect = Dialect::Stub;
            self.download = None;
            // Its first act; clients rely on it and attach nothing themselves.
            chip.registers.flash_attached = true;
            slip::encode(STUB_GREETING, reply);
        } else {
            let output = image.output();
            self.exit = Some(Exit::RunFromRam { entry, output });
        }
    }
}
