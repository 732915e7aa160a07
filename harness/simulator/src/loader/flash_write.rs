//! Writing and erasing flash, plain and deflated.
//!
//! The ROM erases everything at BEGIN; the stub erases each sector as it comes to it, or a
//! whole block where it has one to write.

use flate2::{Decompress, FlushDecompress, Status};

use super::packet::{Answer, Failure, Request};
use super::{Dialect, Exit, Loader};
use crate::chip::{Chip, ESP32};
use crate::flash::encryption::{ENCRYPTION_BLOCK, FlashCipher};
use crate::flash::{BLOCK_SIZE, Nor, SECTOR_SIZE};

/// A transfer between BEGIN and END.
#[derive(Debug)]
pub(super) struct Download {
    /// Where the next byte goes.
    at: u32,
    /// Bytes that are still to come.
    remaining: u32,
    /// First byte that is not erased yet, for a loader that erases as it goes.
    erased_to: Option<u32>,
    inflate: Option<Decompress>,
    encryption: Option<Encryption>,
}

/// Encryption on the way into flash, which takes whole blocks only.
#[derive(Debug)]
struct Encryption {
    cipher: FlashCipher,
    /// The beginning of a block whose end is still to come.
    pending: Vec<u8>,
}

impl Encryption {
    /// Takes plain bytes and gives what now belongs at `offset`.
    fn encrypt(&mut self, offset: u32, data: &[u8]) -> Vec<u8> {
        self.pending.extend(data);
        let whole = self.pending.len() / ENCRYPTION_BLOCK * ENCRYPTION_BLOCK;
        let mut blocks: Vec<u8> = self.pending.drain(..whole).collect();
        self.cipher.encrypt(offset, &mut blocks);
        blocks
    }
}

impl Download {
    fn store(&mut self, flash: &mut Nor, data: &[u8]) -> Result<(), Failure> {
        // Clients pad the last block; what passes the announced size is not written.
        let data = &data[..data.len().min(self.remaining as usize)];
        self.remaining -= data.len() as u32;
        match &mut self.encryption {
            Some(encryption) => {
                let blocks = encryption.encrypt(self.at, data);
                self.write(flash, &blocks)
            }
            None => self.write(flash, data),
        }
    }

    fn write(&mut self, flash: &mut Nor, data: &[u8]) -> Result<(), Failure> {
        if data.is_empty() {
            return Ok(());
        }
        let end = self.at + data.len() as u32;
        let announced = end + self.remaining;
        if let Some(erased_to) = &mut self.erased_to {
            while *erased_to < end {
                let whole_block =
                    erased_to.is_multiple_of(BLOCK_SIZE) && announced - *erased_to >= BLOCK_SIZE;
                let length = if whole_block { BLOCK_SIZE } else { SECTOR_SIZE };
                flash.erase(*erased_to, length).map_err(|_| Failure::Flash)?;
                *erased_to += length;
            }
        }
        flash.program(self.at, data).map_err(|_| Failure::Flash)?;
        self.at = end;
        Ok(())
    }

    fn store_deflated(&mut self, flash: &mut Nor, mut data: &[u8]) -> Result<(), Failure> {
        let mut inflate = self.inflate.take().ok_or(Failure::NotInFlashMode)?;
        let mut plain = vec![0; 0x8000];
        loop {
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(data, &mut plain, FlushDecompress::None)
                .map_err(|_| Failure::Inflate)?;
            let read = (inflate.total_in() - read) as usize;
            let written = (inflate.total_out() - written) as usize;
            self.store(flash, &plain[..written])?;
            data = &data[read..];
            let stuck = read == 0 && written == 0;
            let drained = data.is_empty() && written < plain.len();
            if status == Status::StreamEnd || stuck || drained {
                break;
            }
        }
        self.inflate = Some(inflate);
        Ok(())
    }
}

impl Loader {
    pub(super) fn flash_begin(
        &mut self,
        chip: &mut Chip,
        request: &Request,
    ) -> Result<Answer, Failure> {
        self.begin(chip, request, None)
    }

    pub(super) fn deflate_begin(
        &mut self,
        chip: &mut Chip,
        request: &Request,
    ) -> Result<Answer, Failure> {
        self.begin(chip, request, Some(Decompress::new(true)))
    }

    fn begin(
        &mut self,
        chip: &mut Chip,
        request: &Request,
        inflate: Option<Decompress>,
    ) -> Result<Answer, Failure> {
        let [size, blocks, block_size, offset] = request.words()?;
        require_attached(chip)?;
        let length = match (self.dialect, inflate.is_some()) {
            (Dialect::Stub, _) | (Dialect::Rom, true) => size,
            (Dialect::Rom, false) => blocks.saturating_mul(block_size),
        };
        chip.flash.read(offset, size).map_err(|_| Failure::Flash)?;
        let erased_to = match self.dialect {
            Dialect::Rom => {
                chip.flash.erase(offset, size).map_err(|_| Failure::Flash)?;
                None
            }
            Dialect::Stub => Some(offset / SECTOR_SIZE * SECTOR_SIZE),
        };
        let encrypted = takes_encryption(self.dialect, chip) && request.word(4) == Some(1);
        chip.writing_began();
        self.download = Some(Download {
            at: offset,
            remaining: length.min(chip.flash.size() - offset),
            erased_to,
            inflate,
            encryption: encrypted.then(|| Encryption {
                cipher: chip.registers.efuse().flash_cipher(),
                pending: Vec::new(),
            }),
        });
        Ok(Answer::default())
    }

    pub(super) fn flash_data(
        &mut self,
        chip: &mut Chip,
        request: &Request,
    ) -> Result<Answer, Failure> {
        self.data_blocks += 1;
        let body = request.body()?;
        let download = self.download.as_mut().ok_or(Failure::NotInFlashMode)?;
        download.store(&mut chip.flash, body)?;
        Ok(Answer::default())
    }

    pub(super) fn deflate_data(
        &mut self,
        chip: &mut Chip,
        request: &Request,
    ) -> Result<Answer, Failure> {
        self.data_blocks += 1;
        let body = request.body()?;
        let download = self.download.as_mut().ok_or(Failure::NotInFlashMode)?;
        let result = download.store_deflated(&mut chip.flash, body);
        if result == Err(Failure::Inflate) {
            self.download = None;
        }
        result.map(|()| Answer::default())
    }

    pub(super) fn flash_end(
        &mut self,
        chip: &mut Chip,
        request: &Request,
    ) -> Result<Answer, Failure> {
        let [_stay] = request.words()?;
        if self.download.take().is_none() && self.dialect == Dialect::Stub {
            return Err(Failure::NotInFlashMode);
        }
        chip.writing_ended();
        Ok(Answer::default())
    }

    /// An END of 0 asks to leave: the ROM resets the chip, the stub gives way to the ROM.
    pub(super) fn leave_flash_mode(&mut self, request: &Request) {
        match (request.words(), self.dialect) {
            (Ok([0]), Dialect::Rom) => self.exit = Some(Exit::Reboot),
            (Ok([0]), Dialect::Stub) => self.dialect = Dialect::Rom,
            _ => {}
        }
    }
}

pub(super) fn erase_chip(chip: &mut Chip) -> Result<Answer, Failure> {
    require_attached(chip)?;
    chip.flash.erase_chip();
    Ok(Answer::default())
}

pub(super) fn erase_region(chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
    let [offset, size] = request.words()?;
    require_attached(chip)?;
    if !offset.is_multiple_of(SECTOR_SIZE) || !size.is_multiple_of(SECTOR_SIZE) {
        return Err(Failure::Flash);
    }
    chip.flash.erase(offset, size).map_err(|_| Failure::Flash)?;
    Ok(Answer::default())
}

/// Whether BEGIN has a fifth word; the ROM of the ESP32 is older than that.
fn takes_encryption(dialect: Dialect, chip: &Chip) -> bool {
    dialect == Dialect::Stub || chip.model.id != ESP32.id
}

pub(super) fn require_attached(chip: &Chip) -> Result<(), Failure> {
    if chip.registers.flash_attached { Ok(()) } else { Err(Failure::Flash) }
}
