//! The ROM loader and the flasher stub, as clients meet them in download mode.
//!
//! Pure: bytes in, bytes out, and changes to a [`Chip`]. Knows nothing of ports, time or tools.
//! Each group of commands has a file of its own. The stub is not executed: a RAM image that holds
//! the stub's greeting switches the loader to the stub's dialect, any other one leaves it.

mod flash_read;
mod flash_write;
mod identity;
mod link;
mod memory;
mod packet;
mod register;
mod slip;

use crate::chip::Chip;
use flash_read::StubRead;
use flash_write::Download;
use memory::RamImage;
use packet::{Answer, Failure, Request};

/// Operations that secure download mode refuses: all that read, and all that run something.
const RESTRICTED: [u8; 7] = [0x05, 0x06, 0x07, 0x09, 0x0A, 0x0E, 0x13];

/// Which of the two programs answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The program in the chip's ROM.
    Rom,
    /// The flasher stub that a client loaded into RAM.
    Stub,
}

impl Dialect {
    fn status_length(self) -> usize {
        match self {
            Self::Rom => 4,
            Self::Stub => 2,
        }
    }
}

/// Why the loader ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The client asked for a reset, which boots from flash.
    Reboot,
    /// The client let the watchdog reset the chip.
    WatchdogReset,
    /// The client started an application in RAM.
    RunFromRam {
        /// Address at which it starts.
        entry: u32,
        /// What it prints.
        output: String,
    },
}

/// A loader in download mode.
#[derive(Debug)]
pub struct Loader {
    dialect: Dialect,
    decoder: slip::Decoder,
    ram: RamImage,
    download: Option<Download>,
    reading: Option<StubRead>,
    exit: Option<Exit>,
    data_blocks: u32,
    runs_stubs: bool,
}

impl Loader {
    /// A ROM loader that was just entered; `runs_stubs` is false for RAM too broken for that.
    pub fn new(runs_stubs: bool) -> Self {
        Self {
            runs_stubs,
            dialect: Dialect::Rom,
            decoder: slip::Decoder::default(),
            ram: RamImage::default(),
            download: None,
            reading: None,
            exit: None,
            data_blocks: 0,
        }
    }

    /// The program that answers now.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Blocks of flash data that clients sent so far.
    pub fn data_blocks(&self) -> u32 {
        self.data_blocks
    }

    /// Takes bytes from the line and appends what goes back to `reply`.
    ///
    /// Gives the reason when the loader ended; bytes behind that command are lost.
    pub fn receive(&mut self, chip: &mut Chip, bytes: &[u8], reply: &mut Vec<u8>) -> Option<Exit> {
        for byte in bytes {
            if let Some(frame) = self.decoder.push(*byte) {
                self.frame(chip, &frame, reply);
                if self.exit.is_some() {
                    return self.exit.take();
                }
            }
        }
        None
    }

    fn frame(&mut self, chip: &mut Chip, frame: &[u8], reply: &mut Vec<u8>) {
        if let Some(mut reading) = self.reading.take() {
            // Anything but an acknowledgement ends the transfer: its client died or gave up.
            if reading.acknowledge(frame) {
                reading.send(chip, reply);
                self.reading = (!reading.is_done()).then_some(reading);
                return;
            }
        }
        let Some(request) = Request::parse(frame) else {
            return;
        };
        let dialect = self.dialect;
        let result = self.perform(chip, &request);
        packet::respond(dialect, request.op, &result, reply);
        if result.is_ok() {
            self.after(chip, &request, reply);
        }
    }

    fn perform(&mut self, chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
        if chip.registers.efuse().restricts_download() && RESTRICTED.contains(&request.op) {
            return Err(Failure::Unknown);
        }
        match (request.op, self.dialect) {
            (0x02, _) => self.flash_begin(chip, request),
            (0x03, _) => self.flash_data(chip, request),
            (0x04 | 0x12, _) => self.flash_end(chip, request),
            (0x05, _) => self.ram.begin(request),
            (0x06, _) => self.memory_end(chip, request),
            (0x07, _) => self.ram.data(request),
            (0x08, dialect) => link::sync(dialect, request),
            (0x09, _) => self.write_registers(chip, request),
            (0x0A, _) => register::read(chip, request),
            (0x0B, _) => identity::set_flash_parameters(request),
            (0x0D, _) => identity::attach_flash(chip, request),
            (0x0E, Dialect::Rom) => flash_read::slow(chip, request),
            (0x0F, _) => link::check_baud(request),
            (0x10, _) => self.deflate_begin(chip, request),
            (0x11, _) => self.deflate_data(chip, request),
            (0x13, dialect) => flash_read::digest(dialect, chip, request),
            (0x14, _) => identity::security_info(chip),
            (0xD0, Dialect::Stub) => flash_write::erase_chip(chip),
            (0xD1, Dialect::Stub) => flash_write::erase_region(chip, request),
            (0xD2, Dialect::Stub) => flash_read::check(chip, request),
            (0xD3, Dialect::Stub) => Ok(Answer::default()),
            _ => Err(Failure::Unknown),
        }
    }

    fn write_registers(&mut self, chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
        if register::write(chip, request)? {
            self.exit = Some(Exit::WatchdogReset);
        }
        Ok(Answer::default())
    }

    /// What follows once the response is on the line.
    fn after(&mut self, chip: &mut Chip, request: &Request, reply: &mut Vec<u8>) {
        match request.op {
            0x04 | 0x12 => self.leave_flash_mode(request),
            0x06 => self.start_ram_image(chip, request, reply),
            0x08 => link::repeat_sync(self.dialect, reply),
            0x0F => link::change_baud(self.dialect, chip, request),
            0xD2 => {
                self.reading = StubRead::begin(request);
                if let Some(reading) = &mut self.reading {
                    reading.send(chip, reply);
                }
                self.reading = self.reading.take().filter(|reading| !reading.is_done());
            }
            0xD3 => self.exit = Some(Exit::Reboot),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
