//! What is asked of a unit in its loader, and of the bench's side of it.

use std::{path::Path, time::Instant};

use espflash::{flasher::Flasher, target::ProgressCallbacks};
use md5::{Digest, Md5};

use super::{LoaderDevice, Speaker, whole_story};
use crate::{
    device::{
        AskHand, BootMode, ChipFacts, Device, DeviceError, Fuses, Left, LineHandle, LockedLoader,
        rate::ROM_BAUD,
    },
    profile::SECTOR,
    record::Transfer,
};

/// A read-back block. espflash waits for each acknowledgement in turn; more in flight time out on a PTY.
const READ_BLOCK: u32 = 4096;

/// What the ROM reads at a time.
const ROM_BLOCK: u32 = 64;

impl Device for LoaderDevice {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.persistently(Self::enter)
    }

    fn find_locked(&mut self) -> Result<LockedLoader, DeviceError> {
        match self.identify() {
            Ok(facts) => Ok(LockedLoader::Open(facts)),
            Err(DeviceError::NoAnswer { .. } | DeviceError::NotInLoader { .. }) => {
                self.flasher = None;
                Ok(LockedLoader::Silent)
            }
            Err(DeviceError::Locked { .. }) => self.told_when_locked(),
            Err(error) => Err(error),
        }
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        let action = "erase its flash";
        self.ask(action, |device| device.with_flasher(action, Flasher::erase_flash))
    }

    fn erase_sectors(&mut self, offset: u32, size: u32) -> Result<(), DeviceError> {
        let action = "erase its flash";
        if self.speaker == Speaker::Rom {
            // It has no command for it, but erases what it is about to write.
            return self.write(offset, &vec![0xFF; size as usize], &mut |_| {});
        }
        self.ask(action, |device| {
            device.with_flasher(action, |flasher| flasher.erase_region(offset, size))
        })
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        let mut progress = Progress { report: progress, total: bytes.len(), blocks: 1 };
        let action = "write its flash";
        let speaker = self.speaker;
        self.ask(action, |device| {
            device.with_flasher(action, |flasher| {
                match flasher.write_bin_to_flash(offset, bytes, &mut progress) {
                    Err(error) if speaker == Speaker::Rom && is_refused_end(&error) => Ok(()),
                    written => written,
                }
            })
        })
    }

    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
        let action = "digest its flash";
        self.ask(action, |device| {
            device.with_flasher(action, |flasher| flasher.checksum_md5(offset, size))
        })
        .map(u128::to_be_bytes)
    }

    /// The read-back carries a digest of its own, but its request no checksum: a bit on the wire would give
    /// another place's bytes, sound.
    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
        // espflash reads into a file only. The folder is private and goes with the read-back.
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("readback");
        let action = "read its flash";
        let speaker = self.speaker;
        self.ask(action, |device| {
            let digest = device.with_flasher(action, |flasher| {
                match speaker {
                    Speaker::Stub => {
                        flasher.read_flash(offset, size, READ_BLOCK, 1, path.clone())?;
                    }
                    Speaker::Rom => read_by_rom(flasher, offset, size, &path)?,
                }
                flasher.checksum_md5(offset, size)
            })?;
            let bytes = std::fs::read(&path)?;
            match Md5::digest(&bytes)[..] == digest.to_be_bytes() {
                true => Ok(bytes),
                false => Err(device.garbled(action, "the bytes are not those of its digest")),
            }
        })
    }

    fn read_fuses(&mut self) -> Result<Option<Fuses>, DeviceError> {
        let action = "read its eFuses";
        self.ask(action, |device| device.settled_fuses(action))
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        let runs = self.flasher.take().is_none();
        self.unit.line().hang_up();
        self.unit.set_baud(ROM_BAUD)?;
        // Nobody presses buttons twice for what one press does.
        if runs && !self.unit.is_reset_by_hand() {
            self.hush()?;
        }
        self.unit.line().console().listen();
        self.unit.reset_into(BootMode::Application)?;
        self.pressed = self.unit.is_reset_by_hand().then(Instant::now);
        Ok(())
    }

    /// From the press on a unit's time counts, and not from the moment at which somebody was asked for it.
    fn last_reset(&self) -> Option<Instant> {
        self.pressed
    }

    /// It stays in the loader that digested it last: its lines are at rest already, so that closing the port, and whoever
    /// opens it next, change nothing for it. To keep EN low would start it as soon as the port is closed.
    fn hold(&mut self) -> Left {
        const LOST: Left =
            Left::MayHaveBooted("its port was lost after its final image was read back");
        let asked =
            self.with_flasher("ask whether it waits", |flasher| flasher.checksum_md5(0, SECTOR));
        self.flasher = None;
        self.unit.line().hang_up();
        match asked {
            _ if self.unit.line().has_vanished() => LOST,
            Err(_) => Left::MayHaveBooted(
                "its loader did not answer any more after its final image was read back",
            ),
            Ok(_) => self.unit.left(),
        }
    }

    fn wait_in_loader(&mut self) -> Result<(), DeviceError> {
        self.flasher = None;
        self.unit.line().hang_up();
        self.unit.set_baud(ROM_BAUD)?;
        self.unit.reset_into(BootMode::Download)
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        let sent = self.unit.line_mut().send(text);
        let port = self.unit.name();
        sent.map_err(|_| DeviceError::Vanished { port, action: "type into the console" })
    }

    fn set_hand(&mut self, hand: AskHand) {
        self.unit.set_hand(hand);
    }

    fn take_attempts(&mut self) -> u32 {
        std::mem::replace(&mut self.attempts, 1)
    }

    fn line(&self) -> LineHandle {
        self.unit.line().handle()
    }

    fn transfer(&self) -> Option<Transfer> {
        self.rate.transfer()
    }
}

/// The command that ends a write tells a ROM to run what was written, which it refuses before all is: by then
/// every block was acknowledged. esptool sends a ROM no such command.
fn is_refused_end(error: &espflash::Error) -> bool {
    whole_story(error).contains("while running FlashEnd")
}

/// espflash's own loop over the ROM's command adds up its offset wrongly: each of its calls is one command here.
fn read_by_rom(
    flasher: &mut Flasher,
    offset: u32,
    size: u32,
    path: &Path,
) -> Result<(), espflash::Error> {
    let mut all = Vec::with_capacity(size as usize);
    for at in (0..size).step_by(ROM_BLOCK as usize) {
        let length = ROM_BLOCK.min(size - at);
        flasher.read_flash_rom(offset + at, length, ROM_BLOCK, 1, path.to_owned())?;
        all.extend(std::fs::read(path)?);
    }
    Ok(std::fs::write(path, all)?)
}

/// espflash counts blocks of deflated data; people count bytes of theirs.
struct Progress<'a> {
    report: &'a mut (dyn FnMut(usize) + Send),
    total: usize,
    blocks: usize,
}

impl ProgressCallbacks for Progress<'_> {
    fn init(&mut self, _addr: u32, total: usize) {
        self.blocks = total.max(1);
    }

    fn update(&mut self, current: usize) {
        (self.report)(self.total * current.min(self.blocks) / self.blocks);
    }

    fn verifying(&mut self) {}

    fn finish(&mut self, _skipped: bool) {
        (self.report)(self.total);
    }
}
