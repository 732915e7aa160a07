//! A unit reached through the ROM loader: espflash over the line of a [`Unit`].
//!
//! This is the one place that works round espflash's limits; each says why, and the tests of the
//! simulator's crate fail when upstream mends one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use espflash::{
    connection::{Connection, ResetAfterOperation, ResetBeforeOperation},
    flasher::Flasher,
    target::{Chip as EspChip, ProgressCallbacks},
};
use serialport::UsbPortInfo;

use super::{BootMode, ChipFacts, Device, DeviceError, LineHandle, reset::Unit};
use crate::profile::Chip;

/// The ROM listens at this rate after a reset.
pub(super) const ROM_BAUD: u32 = 115_200;
/// A read-back block. espflash waits for each acknowledgement in turn; more in flight time out on a PTY.
const READ_BLOCK: u32 = 4096;

/// espflash gives the chip 50 ms to start the stub, and little more for its other answers, which a busy
/// machine does not always keep. A unit that cannot answer fails as often as it is tried.
const CONNECT_ATTEMPTS: u32 = 3;
const IMPATIENCE: [&str; 2] = ["Timeout while running", "Failed to connect to the device"];

/// What the loader says when the flash itself fails; everything else may be the wire's fault. espflash
/// keeps the kind of error to itself, so its words must do.
const FLASH_FAILED: [&str; 3] =
    ["Bootloader failed to write to flash", "SPI operation failed", "SPI unlock failed"];

/// What espflash says when nothing answered SYNC the way the loader does, for the same reason.
const NO_SYNC: &str = "Failed to connect to the device";

/// A unit behind a port that speaks the loader's protocol.
pub(super) struct LoaderDevice {
    unit: Unit,
    /// Rate of the transfer after the stub runs; `None` stays at [`ROM_BAUD`].
    baud: Option<u32>,
    flasher: Option<Flasher>,
}

impl LoaderDevice {
    pub(super) fn new(unit: Unit, baud: Option<u32>) -> Self {
        Self { unit, baud, flasher: None }
    }

    /// Runs one espflash call: a panic inside it (it slices by lengths that the unit sends) and a
    /// port that went away become errors that say so.
    fn with_flasher<T>(
        &mut self,
        action: &'static str,
        call: impl FnOnce(&mut Flasher) -> Result<T, espflash::Error>,
    ) -> Result<T, DeviceError> {
        let flasher = self.flasher.as_mut().ok_or(DeviceError::NotIdentified { action })?;
        let outcome = catch_unwind(AssertUnwindSafe(|| call(flasher)));
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(action, &error)),
            Err(_panic) => Err(DeviceError::Garbled {
                port: self.unit.name(),
                action,
                detail: "a response of impossible length".to_owned(),
            }),
        }
    }

    fn explain(&self, action: &'static str, error: &espflash::Error) -> DeviceError {
        let port = self.unit.name();
        if self.unit.line().has_vanished() {
            return DeviceError::Vanished { port, action };
        }
        let detail = whole_story(error);
        if FLASH_FAILED.iter().any(|words| detail.ends_with(words)) {
            DeviceError::Loader { action, detail }
        } else {
            DeviceError::Garbled { port, action, detail }
        }
    }

    /// A connection that never came about: silence is another fault than noise.
    fn explain_connect(&self, error: &espflash::Error) -> DeviceError {
        let line = self.unit.line();
        // An application may talk all the while: only SYNC tells whether the loader is there.
        let unanswered = whole_story(error).ends_with(NO_SYNC);
        if self.unit.is_reset_by_hand() && unanswered && !line.has_vanished() {
            return DeviceError::NotInLoader { port: self.unit.name() };
        }
        if line.has_vanished() || line.has_answered() {
            return self.explain("connect", error);
        }
        DeviceError::NoAnswer { port: self.unit.name(), detail: whole_story(error) }
    }

    /// Connects, once more where espflash was only too impatient.
    fn connect(&mut self) -> Result<Flasher, DeviceError> {
        let mut attempt = 1;
        loop {
            match self.connect_once() {
                Err(error) if attempt < CONNECT_ATTEMPTS && is_impatience(&error) => {
                    tracing::warn!(%error, attempt, "the stub was slow to start: connecting again");
                    attempt += 1;
                }
                ended => return ended,
            }
        }
    }

    fn connect_once(&mut self) -> Result<Flasher, DeviceError> {
        self.flasher = None;
        self.unit.line().console().pause();
        self.unit.line_mut().set_baud(ROM_BAUD)?;
        self.unit.reset_into(BootMode::Download)?;
        let path = self.unit.line().attach()?;
        let serial =
            serialport::new(path.to_string_lossy(), ROM_BAUD).open_native().map_err(|source| {
                super::LineError::Open { port: path.display().to_string(), source }
            })?;
        let connection = Connection::new(
            serial,
            no_usb_facts(),
            // Not `NoReset`: it sends the chip back to the ROM after a write while the flasher still
            // speaks to the stub.
            ResetAfterOperation::NoResetNoStub,
            // The PTY has no modem lines; the reset was ours.
            ResetBeforeOperation::NoReset,
            ROM_BAUD,
        );
        // No verification by espflash: the evidence step reads the unit's own digests.
        let connected = catch_unwind(AssertUnwindSafe(|| {
            Flasher::connect(connection, true, false, false, None, None)
        }));
        match connected {
            Ok(Ok(flasher)) => Ok(flasher),
            Ok(Err(error)) => Err(self.explain_connect(&error)),
            Err(_panic) => Err(DeviceError::Garbled {
                port: self.unit.name(),
                action: "connect",
                detail: "a response of impossible length".to_owned(),
            }),
        }
    }

    /// Raises the rate on both sides; espflash only knows its own PTY.
    fn raise_baud(&mut self) -> Result<(), DeviceError> {
        if let Some(baud) = self.baud.filter(|baud| *baud != ROM_BAUD) {
            self.with_flasher("change the baud rate", |flasher| flasher.change_baud(baud))?;
            self.unit.line_mut().set_baud(baud)?;
        }
        Ok(())
    }
}

impl Device for LoaderDevice {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.flasher = Some(self.connect()?);
        self.raise_baud()?;
        let port = self.unit.name();
        let info = self.with_flasher("read its identity", |flasher| flasher.device_info())?;
        let chip = known_chip(info.chip).ok_or_else(|| DeviceError::UnknownChip {
            port: port.clone(),
            chip: info.chip.to_string(),
        })?;
        let mac = info.mac_address.as_deref().unwrap_or_default();
        let mac = mac.parse().map_err(|error| DeviceError::Garbled {
            port,
            action: "read its MAC address",
            detail: format!("{error}"),
        })?;
        Ok(ChipFacts { chip, revision: info.revision, mac, flash_size: info.flash_size.size() })
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        self.with_flasher("erase its flash", Flasher::erase_flash)
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        let mut progress = Progress { report: progress, total: bytes.len(), blocks: 1 };
        self.with_flasher("write its flash", |flasher| {
            flasher.write_bin_to_flash(offset, bytes, &mut progress)
        })
    }

    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
        self.with_flasher("digest its flash", |flasher| flasher.checksum_md5(offset, size))
            .map(u128::to_be_bytes)
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
        // espflash reads into a file only. The folder is private and goes with the read-back.
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("readback");
        self.with_flasher("read its flash", |flasher| {
            flasher.read_flash(offset, size, READ_BLOCK, 1, path.clone())
        })?;
        Ok(std::fs::read(path)?)
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        self.flasher = None;
        self.unit.line().hang_up();
        self.unit.line_mut().set_baud(ROM_BAUD)?;
        self.unit.line().console().listen();
        self.unit.reset_into(BootMode::Application)
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        let sent = self.unit.line_mut().send(text);
        let port = self.unit.name();
        sent.map_err(|_| DeviceError::Vanished { port, action: "type into the console" })
    }

    fn line(&self) -> LineHandle {
        self.unit.line().handle()
    }
}

fn is_impatience(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Garbled { detail, .. } if IMPATIENCE.iter().any(|words| detail.contains(words)))
}

/// An error with all that led to it: espflash's outermost words alone say little.
fn whole_story(error: &espflash::Error) -> String {
    let mut story = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !story.ends_with(&words) {
            story = format!("{story}: {words}");
        }
        cause = error.source();
    }
    story
}

/// espflash asks for USB facts to choose a reset; we reset ourselves.
fn no_usb_facts() -> UsbPortInfo {
    UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None }
}

fn known_chip(chip: EspChip) -> Option<Chip> {
    Some(match chip {
        EspChip::Esp32 => Chip::Esp32,
        EspChip::Esp32s2 => Chip::Esp32S2,
        EspChip::Esp32s3 => Chip::Esp32S3,
        EspChip::Esp32c2 => Chip::Esp32C2,
        EspChip::Esp32c3 => Chip::Esp32C3,
        EspChip::Esp32c6 => Chip::Esp32C6,
        EspChip::Esp32h2 => Chip::Esp32H2,
        _ => return None,
    })
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
