//! Into the loader: by a reset or a hand, SYNC, the rate, and who answers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use espflash::{
    command::{Command, CommandType},
    connection::{Connection, ResetAfterOperation, ResetBeforeOperation},
    flasher::Flasher,
};
use serialport::UsbPortInfo;

use super::{LATE_ANSWERS, LoaderDevice, Speaker, whole_story};
use crate::device::{
    BootMode, ChipFacts, DeviceError, LineError,
    by_hand::Sign,
    rate::{ROM_BAUD, asked_of_rom},
};

/// After a reset, a line on which nothing came for so long carries nothing of the session before. Text
/// that does not end within the limit is the application's: then it is SYNC that tells.
const SILENCE: Duration = Duration::from_millis(30);
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// What espflash says when nothing answered SYNC the way the loader does. It keeps the kind of error to itself, so its
/// words must do.
const NO_SYNC: &str = "Failed to connect to the device";

impl LoaderDevice {
    /// Enters the loader, raises the rate, and reads who answers. A bit on the wire makes no other unit: who
    /// is not known yet, or seems to be another one, is asked until two answers in a row agree.
    pub(super) fn enter(&mut self) -> Result<ChipFacts, DeviceError> {
        self.flasher = Some(self.connect()?);
        self.refuse_locked()?;
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
        let serial = serial
            .map_err(|source| LineError::Open { port: path.display().to_string(), source })?;
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
    pub(super) fn hush(&mut self) -> Result<(), DeviceError> {
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

/// espflash asks for USB facts to choose a reset; we reset ourselves.
fn no_usb_facts() -> UsbPortInfo {
    UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None }
}
