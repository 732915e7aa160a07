//! How a unit gets into its loader or its application: modem lines, a program of the jig, the control
//! lines of a simulated unit, or nothing that the bench has.
//!
//! A program is told what is wanted and which port it is, and nothing else; what it prints is nobody's.
//! Must not know what a unit answers once it was reset, other than the ROM's own words.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    Absence, BootMode, CustomReset, DeviceError, Left, ResetMethod,
    by_hand::{self, AskHand, Pressing, Sign},
    line::Line,
    reset_error::{BOOT_LOG, ResetError},
    sequence::Sequence,
};
use crate::process::ChildGuard;

/// Long enough for a jig that moves a relay or asks a power supply over the network.
const PROGRAM_LIMIT: Duration = Duration::from_secs(10);
/// The ROM speaks within milliseconds; a power supply may take its time to come up.
const BOOT_LOG_LIMIT: Duration = Duration::from_secs(5);
/// How often a sequence is begun in which the port went away; esptool's number.
const RESETS: u32 = 3;
/// What resets a unit.
pub(super) enum Reset {
    /// DTR and RTS.
    Lines {
        /// Into the loader.
        download: Sequence,
        /// Into the application.
        application: Sequence,
    },
    /// Nothing: somebody presses the unit's buttons.
    None {
        /// How long that may take.
        within: Duration,
    },
    /// A program, called with `download` or `application` and the port's path.
    Command {
        /// The program.
        program: PathBuf,
        /// How long it may take.
        limit: Duration,
    },
    /// Control lines of another kind than a port's.
    Control(Box<dyn FnMut(BootMode) -> Result<(), ResetError> + Send>),
}

impl From<ResetMethod> for Reset {
    fn from(method: ResetMethod) -> Self {
        match method {
            // What was not settled is what esptool does without a configuration.
            ResetMethod::Lines | ResetMethod::AsEsptool | ResetMethod::Esptool => {
                Self::Lines { download: Sequence::classic(), application: Sequence::hard() }
            }
            ResetMethod::UsbJtag => Self::Lines {
                download: Sequence::usb_jtag(),
                application: Sequence::usb_jtag_hard(),
            },
            ResetMethod::Custom(CustomReset { download, application, .. }) => {
                Self::Lines { download, application }
            }
            ResetMethod::None { within } => Self::None { within },
            ResetMethod::Command(program) => Self::Command { program, limit: PROGRAM_LIMIT },
        }
    }
}

impl Reset {
    /// Resets the unit on the line. Into the loader, SYNC is the proof, which is the caller's to ask for;
    /// into the application by a program, the ROM's boot log.
    pub(super) fn lead_into(
        &mut self,
        mode: BootMode,
        line: &mut Line,
        port: &str,
    ) -> Result<(), ResetError> {
        match (self, mode) {
            (Self::Lines { download, .. }, BootMode::Download) => play(download, line),
            (Self::Lines { application, .. }, BootMode::Application) => play(application, line),
            (Self::None { .. }, BootMode::Download) => Ok(()),
            (Self::None { .. }, BootMode::Application) => Err(ResetError::NoMeans),
            (Self::Control(control), _) => control(mode),
            (Self::Command { program, limit }, _) => {
                run(program, mode, port, *limit, line)?;
                match mode {
                    BootMode::Download => Ok(()),
                    BootMode::Application => await_boot_log(program, BOOT_LOG_LIMIT, line),
                }
            }
        }
    }
}

/// A native USB may go as soon as its chip is reset, before the sequence is at its end: then the rest of it, to a
/// port that came back, is no reset.
fn play(sequence: &Sequence, line: &mut Line) -> Result<(), ResetError> {
    let mut left = RESETS;
    loop {
        left -= 1;
        let returns = line.returns();
        let Err(error) = sequence.play(line) else { return Ok(()) };
        if line.is_cancelled() {
            return Err(ResetError::Stopped);
        }
        let came_back = !line.has_vanished() && line.returns() != returns;
        if left == 0 || !came_back {
            return Err(error.into());
        }
    }
}

fn run(
    program: &Path,
    mode: BootMode,
    port: &str,
    limit: Duration,
    line: &Line,
) -> Result<(), ResetError> {
    let failed = |error| ResetError::Program { program: program.to_owned(), error };
    let (program, mode) = (program.to_owned(), mode.name());
    let mut command = Command::new(&program);
    command.args([mode, port]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = ChildGuard::spawn_group(&mut command).map_err(failed)?;
    match child.wait_within(limit, || line.is_cancelled()).map_err(failed)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(ResetError::ProgramFailed { program, mode, status }),
        None if line.is_cancelled() => Err(ResetError::Stopped),
        None => Err(ResetError::ProgramTooSlow { program, mode, limit }),
    }
}

/// A program that ended well need not have reset anything. A port that went and came back did: what the ROM said
/// meanwhile was not heard.
fn await_boot_log(program: &Path, limit: Duration, line: &Line) -> Result<(), ResetError> {
    let stopped = || line.is_cancelled();
    let shows =
        |text: &str| text.contains(BOOT_LOG) || Absence::told_by(text) == Some(Absence::Port);
    let proven = line.console().wait_for_line(limit, shows, stopped);
    match proven {
        true => Ok(()),
        false if stopped() => Err(ResetError::Stopped),
        false => Err(ResetError::Unproven { program: program.to_owned(), limit }),
    }
}

/// A unit's line and what resets it.
pub(super) struct Unit {
    name: String,
    // Before the reset, which may own the unit itself: the line is closed before it is switched off.
    line: Line,
    reset: Reset,
    hand: AskHand,
}

impl Unit {
    /// `name` is what people call the port.
    pub(super) fn new(name: String, line: Line, reset: Reset) -> Self {
        Self { name, line, reset, hand: by_hand::told() }
    }

    /// Name for people.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// The line, to look at.
    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// The line, to use.
    pub(super) fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }

    /// What becomes of a unit that waits in its loader once its port is closed.
    pub(super) fn left(&self) -> Left {
        match &self.reset {
            Reset::Lines { download, .. } if *download == Sequence::classic() => {
                Left::Held("it waits in its loader, with DTR and RTS at rest")
            }
            Reset::Lines { download, .. } if *download == Sequence::usb_jtag() => {
                Left::MayHaveBooted(
                    "its own USB resets it with the port, and nothing outside of the chip holds it",
                )
            }
            Reset::Lines { .. } => Left::MayHaveBooted(
                "what its own reset sequence leaves on DTR and RTS may start it when the port is closed",
            ),
            Reset::Control(_) => Left::Held("it is switched off where it was simulated"),
            Reset::None { .. } => Left::MayHaveBooted("reset=none leaves it to others to start it"),
            Reset::Command { .. } => Left::MayHaveBooted(
                "a program of the jig resets it, on lines that are not the bench's",
            ),
        }
    }

    /// Whether somebody must put the unit into its loader.
    pub(super) fn is_reset_by_hand(&self) -> bool {
        matches!(self.reset, Reset::None { .. })
    }

    /// Says who presses its buttons.
    pub(super) fn set_hand(&mut self, hand: AskHand) {
        self.hand = hand;
    }

    /// Asks for a mode, of whoever presses the unit's buttons; `None` where nobody is to be asked.
    pub(super) fn ask_for(&self, mode: BootMode) -> Option<Result<Pressing, DeviceError>> {
        let Reset::None { within } = self.reset else { return None };
        let ask = || Pressing::ask(&self.hand, mode, within, &self.line);
        (!within.is_zero()).then(|| ask().map_err(|source| self.not_pressed(source)))
    }

    /// What became of a request.
    pub(super) fn not_pressed(&self, source: ResetError) -> DeviceError {
        let port = self.name.clone();
        match self.line.has_vanished() {
            true => DeviceError::Vanished { port, action: "reset the unit" },
            false => DeviceError::NotPressed { port, source },
        }
    }

    /// Has somebody start the application; a boot log is the proof.
    fn start_by_hand(&self) -> Result<(), DeviceError> {
        let Some(pressing) = self.ask_for(BootMode::Application) else {
            return Err(DeviceError::Reset {
                port: self.name.clone(),
                source: ResetError::NoMeans,
            });
        };
        let mut pressing = pressing?;
        loop {
            match pressing.sign(&self.line).map_err(|source| self.not_pressed(source))? {
                Sign::Booted(BootMode::Application, _) => return Ok(()),
                Sign::Booted(BootMode::Download, line) => {
                    pressing.again(&format!("it waits in its download mode (\"{line}\")"));
                    // What was printed so far is of another start.
                    self.line.console().listen();
                }
                Sign::Maybe if self.line.came_back_since_it_listened() => return Ok(()),
                Sign::Maybe => pressing.again("no boot log was seen"),
                Sign::None => pressing.go_on(),
            }
        }
    }

    /// Sets the rate of its port; of one that went and came back once more.
    pub(super) fn set_baud(&mut self, baud: u32) -> Result<(), DeviceError> {
        let returns = self.line.returns();
        let Err(error) = self.line.set_baud(baud) else { return Ok(()) };
        if self.line.has_vanished() {
            return Err(DeviceError::Vanished { port: self.name.clone(), action: "set its rate" });
        }
        match self.line.returns() == returns {
            true => Err(error.into()),
            false => Ok(self.line.set_baud(baud)?),
        }
    }

    /// Resets the unit.
    pub(super) fn reset_into(&mut self, mode: BootMode) -> Result<(), DeviceError> {
        if self.is_reset_by_hand() && mode == BootMode::Application {
            return self.start_by_hand();
        }
        let reset = self.reset.lead_into(mode, &mut self.line, &self.name);
        reset.map_err(|source| match self.line.has_vanished() {
            true => DeviceError::Vanished { port: self.name.clone(), action: "reset the unit" },
            false => DeviceError::Reset { port: self.name.clone(), source },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{fd::OwnedFd, unix::fs::PermissionsExt},
        time::Instant,
    };

    use rustix::{
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::{OptionalActions, tcgetattr, tcsetattr},
    };
    use tempfile::TempDir;

    use super::*;

    /// Only a program that hangs meets it.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A port without modem lines, and the unit's end of it.
    struct Jig {
        folder: TempDir,
        unit: OwnedFd,
        port: PathBuf,
        line: Line,
    }

    impl Jig {
        fn new() -> Self {
            let unit = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
            grantpt(&unit).and_then(|()| unlockpt(&unit)).expect("it may be used");
            let name = ptsname(&unit, Vec::new()).expect("a name");
            let mut attributes = tcgetattr(&unit).expect("its settings");
            attributes.make_raw();
            tcsetattr(&unit, OptionalActions::Now, &attributes).expect("it is raw");
            let port = PathBuf::from(name.to_string_lossy().into_owned());
            let line = Line::open(&port, 115_200).expect("it opens");
            Self { folder: tempfile::tempdir().expect("a folder"), unit, port, line }
        }

        fn program(&self, script: &str) -> PathBuf {
            let path = self.folder.path().join("jig");
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("its mode");
            path
        }

        fn reset(&mut self, mut reset: Reset, mode: BootMode) -> Result<(), ResetError> {
            self.line.console().listen();
            let port = self.port.display().to_string();
            reset.lead_into(mode, &mut self.line, &port)
        }

        fn command(&mut self, script: &str, mode: BootMode) -> Result<(), ResetError> {
            let program = self.program(script);
            self.reset(Reset::Command { program, limit: PATIENCE }, mode)
        }
    }

    #[test]
    fn a_program_is_told_what_is_wanted_and_where() {
        let mut jig = Jig::new();
        let told = jig.folder.path().join("told");
        let script = format!("echo \"$# $1 $2\" > '{}'", told.display());
        jig.command(&script, BootMode::Download).expect("it ends well");
        let expected = format!("2 download {}\n", jig.port.display());
        assert_eq!(fs::read_to_string(told).expect("it was called"), expected);
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_exit_code() {
        let error = Jig::new().command("exit 7", BootMode::Download).expect_err("it failed");
        let said = error.to_string();
        assert!(said.contains("jig download ended with exit status: 7"), "{said}");
        assert!(error.action().contains("by hand"), "{}", error.action());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut jig = Jig::new();
        let program = jig.folder.path().join("none");
        let reset = Reset::Command { program: program.clone(), limit: PATIENCE };
        let error = jig.reset(reset, BootMode::Download).expect_err("there is none");
        assert!(error.to_string().contains(&program.display().to_string()), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_given_up() {
        let mut jig = Jig::new();
        let program = jig.program("sleep 600");
        let limit = Duration::from_millis(300);
        let error = jig.reset(Reset::Command { program, limit }, BootMode::Download);
        let error = error.expect_err("it hangs");
        assert!(error.to_string().ends_with("jig download did not end within 0.3 s"), "{error}");
    }

    /// What the script itself started would have outlived it.
    #[test]
    fn a_stopped_run_ends_its_program_with_all_that_it_started() {
        let mut jig = Jig::new();
        let file = jig.folder.path().join("pid");
        let script =
            format!("sleep 600 &\necho $! > '{0}.new'\nmv '{0}.new' '{0}'\nwait", file.display());
        let handle = jig.line.handle();
        let (began, pid) = (Instant::now(), file.clone());
        let stopper = std::thread::spawn(move || {
            while !pid.exists() && began.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
            handle.hang_up();
        });
        let error = jig.command(&script, BootMode::Download);
        assert!(matches!(error, Err(ResetError::Stopped)), "{error:?}");
        stopper.join().expect("it stopped the run");
        let pid = fs::read_to_string(file).expect("the script began");
        let stat = || fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        while stat().is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(began.elapsed() < PATIENCE, "process {pid} lives on");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_reset_into_the_application_is_believed_by_its_boot_log() {
        let mut jig = Jig::new();
        let log = b"ets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n";
        let unit = jig.unit.try_clone().expect("the unit's end");
        let speaks: Box<dyn FnOnce() + Send> = Box::new(move || {
            rustix::io::write(&unit, log).expect("the unit speaks");
        });
        let called = jig.folder.path().join("called");
        let script = format!(": > '{}'", called.display());
        let speaker = std::thread::spawn(move || {
            while !called.exists() {
                std::thread::yield_now();
            }
            speaks();
        });
        jig.command(&script, BootMode::Application).expect("the boot log shows it");
        speaker.join().expect("the unit spoke");
    }

    /// An application that ran on all the while is no sign of a reset.
    #[test]
    fn a_program_that_ended_well_without_a_boot_log_is_not_believed() {
        let jig = Jig::new();
        rustix::io::write(&jig.unit, b"I (5000) app: still here\r\n").expect("the unit speaks");
        jig.line.console().listen();
        let program = jig.program("");
        let limit = Duration::from_millis(300);
        let error = await_boot_log(&program, limit, &jig.line);
        assert!(matches!(error, Err(ResetError::Unproven { .. })), "{error:?}");
    }

    #[test]
    fn a_port_without_modem_lines_says_which_resets_there_are() {
        let reset = ResetMethod::Lines.into();
        let error = Jig::new().reset(reset, BootMode::Download).expect_err("it has none");
        assert!(error.action().contains("?reset=none"), "{}", error.action());
    }

    #[test]
    fn without_a_reset_the_loader_is_taken_as_it_is_and_no_application_starts() {
        let mut jig = Jig::new();
        assert!(jig.reset(Reset::None { within: PATIENCE }, BootMode::Download).is_ok());
        let refused = jig.reset(Reset::None { within: PATIENCE }, BootMode::Application);
        assert!(matches!(refused, Err(ResetError::NoMeans)), "{refused:?}");
    }
}
