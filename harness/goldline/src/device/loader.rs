//! A unit reached through the ROM loader: espflash over the line of a [`Unit`].
//!
//! This is the one place that works round espflash's limits; each says why, and the tests of the
//! simulator's crate fail when upstream mends one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use espflash::{
    command::{Command, CommandType},
    connection::{Connection, ResetAfterOperation, ResetBeforeOperation},
    flasher::Flasher,
    target::{Chip as EspChip, ProgressCallbacks},
};
use md5::{Digest, Md5};
use serialport::UsbPortInfo;

use super::{
    AskHand, BootMode, ChipFacts, Device, DeviceError, Left, LineError, LineHandle,
    by_hand::Sign,
    rate::{ROM_BAUD, Rate, asked_of_rom},
    reset::Unit,
};
use crate::{
    profile::{Chip, SECTOR},
    record::Transfer,
};

/// A read-back block. espflash waits for each acknowledgement in turn; more in flight time out on a PTY.
const READ_BLOCK: u32 = 4096;

/// What the ROM reads at a time.
const ROM_BLOCK: u32 = 64;

/// How often a call is tried. What a machine that is busy or a bit on the wire did to one is no longer
/// there at the next; a unit that cannot answer fails as often as it is tried.
const ATTEMPTS: u32 = 3;
/// How often at a rate that is not the ROM's: then a lower one is taken.
const AT_A_RATE: u32 = 2;
/// A refusal by the flash may be a request that arrived damaged: those of the loader carry no checksum.
const REFUSALS: u32 = 2;
/// Nobody answers at all: that is seldom the wire.
const ANSWERS_AGAIN: u32 = 2;
/// How often the unit is asked who it is until two answers in a row agree.
const READINGS: u32 = 5;

/// After a reset, a line on which nothing came for so long carries nothing of the session before. Text
/// that does not end within the limit is the application's: then it is SYNC that tells.
const SILENCE: Duration = Duration::from_millis(30);
const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// Where nothing else tells that all has arrived: what comes late must not be taken for what follows.
const LATE_ANSWERS: Duration = Duration::from_millis(600);

/// What the loader says when the flash itself fails; everything else may be the wire's fault. espflash
/// keeps the kind of error to itself, so its words must do.
const FLASH_FAILED: [&str; 3] =
    ["Bootloader failed to write to flash", "SPI operation failed", "SPI unlock failed"];

/// What espflash says when nothing answered SYNC the way the loader does, for the same reason.
const NO_SYNC: &str = "Failed to connect to the device";

/// What is done when a unit says who it is.
const READ_IDENTITY: &str = "read its identity";

/// What espflash says when an answer did not come in time.
const NOT_IN_TIME: &str = "Timeout while running";

/// A unit behind a port that speaks the loader's protocol.
pub(super) struct LoaderDevice {
    unit: Unit,
    rate: Rate,
    flasher: Option<Flasher>,
    /// Who answered when the unit was first identified.
    known: Option<ChipFacts>,
    /// How often a call had to be tried at most since this was last asked.
    attempts: u32,
    speaker: Speaker,
    /// When somebody started the application, whom the bench had to ask for it.
    pressed: Option<Instant>,
}

/// Who carries the loader's commands out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The program that espflash loads first.
    Stub,
    /// The ROM itself, which is slower, and reads 64 bytes at a time.
    Rom,
}

impl LoaderDevice {
    pub(super) fn new(unit: Unit, baud: Option<u32>) -> Self {
        let speaker = Speaker::Stub;
        let rate = Rate::up_to(baud);
        Self { unit, rate, flasher: None, known: None, attempts: 1, speaker, pressed: None }
    }

    /// With another speaker than the stub.
    pub(super) fn spoken_to_by(self, speaker: Speaker) -> Self {
        Self { speaker, ..self }
    }

    /// Does what the wire may have spoilt until it comes about, each time from a reset on: a loader that
    /// may be in the middle of something else is not asked again.
    fn persistently<T>(
        &mut self,
        mut call: impl FnMut(&mut Self) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let (mut tried, mut attempt) = (1, 1);
        loop {
            self.attempts = self.attempts.max(tried);
            let error = match call(self) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let most = self.most_attempts(&error);
            tracing::info!(%error, attempt, "it failed");
            tried += 1;
            attempt += 1;
            if most > 1 && attempt > AT_A_RATE && self.leave_rate(&error) {
                // At that rate the wire was at fault, if it was.
                attempt = 1;
            } else if attempt > most {
                return Err(error);
            }
        }
    }

    /// Goes on at a lower rate, if there is one. A refusal of the flash may be a damaged request too; it is
    /// asked for once more, at the lowest.
    fn leave_rate(&mut self, error: &DeviceError) -> bool {
        // Who cannot reset the unit cannot tell it another rate either.
        if self.unit.is_reset_by_hand() {
            return false;
        }
        match error {
            DeviceError::Garbled { .. } | DeviceError::TimedOut { .. } => self.rate.lower(),
            DeviceError::Loader { .. } => self.rate.lowest(),
            DeviceError::Line(LineError::Baud { .. }) => self.rate.lower(),
            _ => false,
        }
    }

    fn most_attempts(&self, error: &DeviceError) -> u32 {
        if self.unit.line().is_cancelled() || self.unit.line().has_vanished() {
            return 1;
        }
        // Without a reset nobody can enter the loader once more.
        if self.unit.is_reset_by_hand() && self.flasher.is_none() {
            return 1;
        }
        match error {
            DeviceError::Garbled { .. } | DeviceError::TimedOut { .. } => ATTEMPTS,
            // It answered before in this run: its supply may have failed for a moment.
            DeviceError::NoAnswer { .. } if self.known.is_some() => ANSWERS_AGAIN,
            DeviceError::Loader { .. } => REFUSALS,
            // A bridge that does not take a rate takes a lower one.
            DeviceError::Line(LineError::Baud { .. }) if self.rate.is_raised() => ATTEMPTS,
            _ => 1,
        }
    }

    /// One call of the unit's loader, as often as it takes.
    fn ask<T>(
        &mut self,
        action: &'static str,
        mut call: impl FnMut(&mut Self) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        if self.flasher.is_none() {
            return Err(DeviceError::NotIdentified { action });
        }
        let mut first = true;
        self.persistently(|device| {
            if !std::mem::take(&mut first) {
                device.begin_anew()?;
            }
            call(device)
        })
    }

    /// Brings the loader to where nothing of a failed call is left.
    fn begin_anew(&mut self) -> Result<(), DeviceError> {
        let line = self.unit.line();
        if !self.unit.is_reset_by_hand() || line.broken().is_some() {
            return self.enter().map(drop);
        }
        line.stillness().begin();
        line.stillness().wait_out(LATE_ANSWERS, || line.is_cancelled());
        // Whoever laid in another unit put it into its loader too.
        let facts = self.reading()?;
        self.same_as_before(&facts)
    }

    /// Runs one espflash call: a panic inside it (it slices by lengths that the unit sends) and a
    /// port that went away become errors that say so.
    fn with_flasher<T>(
        &mut self,
        action: &'static str,
        call: impl FnOnce(&mut Flasher) -> Result<T, espflash::Error>,
    ) -> Result<T, DeviceError> {
        let flasher = self.flasher.as_mut().ok_or(DeviceError::NotIdentified { action })?;
        self.unit.line().be_fragile(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| call(flasher)));
        self.unit.line().be_fragile(false);
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(action, &error)),
            Err(_panic) => Err(self.garbled(action, "a response of impossible length")),
        }
    }

    fn garbled(&self, action: &'static str, detail: impl Into<String>) -> DeviceError {
        DeviceError::Garbled { port: self.unit.name(), action, detail: detail.into() }
    }

    fn explain(&self, action: &'static str, error: &espflash::Error) -> DeviceError {
        let port = self.unit.name();
        if self.unit.line().has_vanished() {
            return DeviceError::Vanished { port, action };
        }
        if let Some(broken) = self.unit.line().broken() {
            return DeviceError::TimedOut { port, action, detail: broken.words().to_owned() };
        }
        let detail = whole_story(error);
        if FLASH_FAILED.iter().any(|words| detail.ends_with(words)) {
            DeviceError::Loader { action, detail }
        } else if detail.contains(NOT_IN_TIME) {
            DeviceError::TimedOut { port, action, detail }
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
        // It answered at the ROM's own rate: what it does not hear at this one, it may at a lower.
        if self.rate.is_raised() {
            return self.garbled("connect", whole_story(error));
        }
        DeviceError::NoAnswer { port: self.unit.name(), detail: whole_story(error) }
    }

    /// Enters the loader, raises the rate, and reads who answers. A bit on the wire makes no other unit: who
    /// is not known yet, or seems to be another one, is asked until two answers in a row agree.
    fn enter(&mut self) -> Result<ChipFacts, DeviceError> {
        self.flasher = Some(self.connect()?);
        if let Some(known) = self.is_still_known()? {
            self.raise_baud()?;
            return Ok(known);
        }
        let mut facts = self.first_reading()?;
        self.raise_baud()?;
        if self.known.as_ref() != Some(&facts) {
            facts = self.settled_reading(facts)?;
        }
        self.same_as_before(&facts)?;
        Ok(self.known.insert(facts).clone())
    }

    fn same_as_before(&self, facts: &ChipFacts) -> Result<(), DeviceError> {
        match &self.known {
            Some(known) if known.mac != facts.mac => Err(DeviceError::Exchanged {
                port: self.unit.name(),
                was: known.mac,
                is: facts.mac,
            }),
            _ => Ok(()),
        }
    }

    /// The unit that was identified before, if its address is what answers: a few commands, where all that it says
    /// of itself are some forty.
    fn is_still_known(&mut self) -> Result<Option<ChipFacts>, DeviceError> {
        let Some(known) = self.known.clone() else { return Ok(None) };
        let (chip, mac) = self.with_flasher(READ_IDENTITY, |flasher| {
            let chip = flasher.chip();
            Ok((chip, chip.mac_address(flasher.connection())?))
        })?;
        let same = known_chip(chip) == Some(known.chip) && mac.parse() == Ok(known.mac);
        Ok(same.then_some(known))
    }

    fn settled_reading(&mut self, first: ChipFacts) -> Result<ChipFacts, DeviceError> {
        let mut before = first;
        for _ in 1..READINGS {
            let reading = self.reading()?;
            if reading == before {
                return Ok(reading);
            }
            self.attempts = self.attempts.max(2);
            before = reading;
        }
        Err(self.garbled(READ_IDENTITY, "it says something else each time"))
    }

    /// What espflash heard of the unit while it connected, and its address.
    fn first_reading(&mut self) -> Result<ChipFacts, DeviceError> {
        let (info, chip) = self.with_flasher(READ_IDENTITY, |flasher| {
            Ok((flasher.device_info()?, flasher.connection().detect_chip(true)?))
        })?;
        // What espflash took it for decides which stub it loaded, and which registers it reads.
        let Some(mac) = info.mac_address.filter(|_| info.chip == chip) else {
            return Err(
                self.garbled(READ_IDENTITY, "it was taken for another chip or a locked one")
            );
        };
        self.facts(chip, info.revision, &mac, info.flash_size.size())
    }

    /// What the unit says of itself now.
    fn reading(&mut self) -> Result<ChipFacts, DeviceError> {
        let reading = self.with_flasher(READ_IDENTITY, |flasher| {
            let flash = flasher.flash_detect()?;
            let connection = flasher.connection();
            let chip = connection.detect_chip(true)?;
            Ok((chip, chip.revision(connection)?, chip.mac_address(connection)?, flash))
        })?;
        let (chip, revision, mac, flash) = reading;
        let flash = flash.ok_or_else(|| self.garbled(READ_IDENTITY, "its flash names no size"))?;
        self.facts(chip, Some(revision), &mac, flash.size())
    }

    fn facts(
        &self,
        chip: EspChip,
        revision: Option<(u32, u32)>,
        mac: &str,
        flash_size: u32,
    ) -> Result<ChipFacts, DeviceError> {
        let port = || self.unit.name();
        let chip = known_chip(chip)
            .ok_or_else(|| DeviceError::UnknownChip { port: port(), chip: chip.to_string() })?;
        let mac = mac.parse().map_err(|error| self.garbled(READ_IDENTITY, format!("{error}")))?;
        Ok(ChipFacts { chip, revision, mac, flash_size })
    }

    fn connect(&mut self) -> Result<Flasher, DeviceError> {
        self.flasher = None;
        self.unit.line().console().pause();
        self.unit.set_baud(ROM_BAUD)?;
        self.rate.begin_anew();
        self.unit.line().hang_up();
        self.unit.line().stillness().begin();
        self.unit.reset_into(BootMode::Download)?;
        if !self.unit.is_reset_by_hand() {
            let line = self.unit.line();
            line.stillness().wait(SILENCE, SILENCE_LIMIT, || line.is_cancelled());
        }
        let returns = self.unit.line().returns();
        match self.speak() {
            // A native USB that was away meanwhile waits in its loader now; one more reset would take it away again.
            Err(_) if !self.unit.line().has_vanished() && self.unit.line().returns() != returns => {
                self.speak()
            }
            Err(DeviceError::NotInLoader { .. }) => self.connect_by_hand(),
            connected => connected,
        }
    }

    /// Has somebody put the unit into its loader; an answer to SYNC is the proof.
    fn connect_by_hand(&mut self) -> Result<Flasher, DeviceError> {
        let Some(pressing) = self.unit.ask_for(BootMode::Download) else {
            return Err(DeviceError::NotInLoader { port: self.unit.name() });
        };
        let mut pressing = pressing?;
        loop {
            let unit = &self.unit;
            let sign = pressing.sign(unit.line()).map_err(|source| unit.not_pressed(source))?;
            if let Sign::Booted(BootMode::Application, line) = sign {
                pressing.again(&format!("it started its application (\"{line}\")"));
                continue;
            }
            match self.speak() {
                Err(DeviceError::NotInLoader { .. }) if sign == Sign::None => pressing.go_on(),
                Err(DeviceError::NotInLoader { .. }) => {
                    pressing.again("no loader answered SYNC");
                }
                connected => return connected,
            }
        }
    }

    /// Has espflash speak to the loader.
    fn speak(&mut self) -> Result<Flasher, DeviceError> {
        if self.rate.differs() && self.speaker == Speaker::Stub && !self.unit.is_reset_by_hand() {
            self.raise_baud_of_rom()?;
        }
        let connection = self.connection()?;
        // No verification by espflash: the evidence step reads the unit's own digests.
        let stub = self.speaker == Speaker::Stub;
        let connected = catch_unwind(AssertUnwindSafe(|| {
            Flasher::connect(connection, stub, false, false, None, None)
        }));
        match connected {
            Ok(Ok(flasher)) => Ok(flasher),
            Ok(Err(error)) => Err(self.explain_connect(&error)),
            Err(_panic) => Err(self.garbled("connect", "a response of impossible length")),
        }
    }

    /// A session at the rate at which the unit listens now; espflash only knows its own PTY.
    fn connection(&self) -> Result<Connection, DeviceError> {
        let path = self.unit.line().attach()?;
        let baud = self.rate.now();
        let serial = serialport::new(path.to_string_lossy(), baud).open_native();
        let serial = serial.map_err(|source| super::LineError::Open {
            port: path.display().to_string(),
            source,
        })?;
        Ok(Connection::new(
            serial,
            no_usb_facts(),
            // Not `NoReset`: it sends the chip back to the ROM after a write while the flasher still
            // speaks to the stub.
            ResetAfterOperation::NoResetNoStub,
            // The PTY has no modem lines; the reset was ours.
            ResetBeforeOperation::NoReset,
            baud,
        ))
    }

    /// Raises the rate before the stub is sent, which takes most of a second at the ROM's own. A ROM that is
    /// not known to reckon its rate right keeps it.
    fn raise_baud_of_rom(&mut self) -> Result<(), DeviceError> {
        let mut connection = self.connection()?;
        let baud = self.rate.wanted();
        let answered = catch_unwind(AssertUnwindSafe(|| {
            connection.begin()?;
            // Who restricts its ROM has no registers to read.
            let Ok(Some(new_baud)) = asked_of_rom(&mut connection, baud) else { return Ok(false) };
            connection.with_timeout(CommandType::ChangeBaudrate.timeout(), |connection| {
                connection.command(Command::ChangeBaudrate { new_baud, prior_baud: 0 })
            })?;
            Ok(true)
        }));
        match answered {
            Ok(Ok(true)) => {
                self.rate.is_raised_now();
                self.unit.set_baud(baud)
            }
            Ok(Ok(false)) => Ok(()),
            Ok(Err(error)) => Err(self.explain_connect(&error)),
            Err(_panic) => Err(self.garbled("connect", "a response of impossible length")),
        }
    }

    /// What an application printed may still be on its way, and would be heard as the next one's: its
    /// address, its crash. In its loader a unit says nothing more once it waits.
    fn hush(&mut self) -> Result<(), DeviceError> {
        self.unit.line().console().pause();
        self.unit.line().stillness().begin();
        self.unit.reset_into(BootMode::Download)?;
        let line = self.unit.line();
        line.stillness().wait_out(LATE_ANSWERS, || line.is_cancelled());
        Ok(())
    }

    /// Raises the rate on both sides, unless it is raised.
    fn raise_baud(&mut self) -> Result<(), DeviceError> {
        let baud = self.rate.wanted();
        if baud != self.rate.now() {
            self.rate.is_raised_now();
            self.with_flasher("change the baud rate", |flasher| flasher.change_baud(baud))?;
            self.unit.set_baud(baud)?;
        }
        Ok(())
    }
}

impl Device for LoaderDevice {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.persistently(Self::enter)
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
        EspChip::Esp32c5 => Chip::Esp32C5,
        EspChip::Esp32c6 => Chip::Esp32C6,
        EspChip::Esp32c61 => Chip::Esp32C61,
        EspChip::Esp32h2 => Chip::Esp32H2,
        EspChip::Esp32p4 => Chip::Esp32P4,
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
