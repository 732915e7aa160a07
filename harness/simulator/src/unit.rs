//! The life of one unit: reset, a session as loader or application, reset again.
//!
//! The only place where chip, port, boot and firmware meet. A reset drops the running session, and
//! with it everything that the session held open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::boot::{self, ResetReason};
use crate::chip::Chip;
use crate::circuit::ResetCircuit;
use crate::fault::{Fault, Faults};
use crate::firmware::{self, Console, Keyboard};
use crate::journal::Journal;
use crate::loader::{Exit, Loader};
use crate::port::{Link, Port, Pty};
use crate::start::{Mode, StartError};
use crate::world::World;

/// How long a boot that failed lasts until the watchdog resets the chip; a real one takes longer,
/// but no client waits for more than the repetition.
const WATCHDOG: Duration = Duration::from_millis(150);
/// With `wire.vanish`, the port goes instead of answering one of so many blocks of flash data. They are few
/// because a small image, deflated, has only one.
const VANISHING_BLOCKS: u64 = 3;
/// How often a program in RAM says its text. A real one may do so without a pause, which would keep
/// a processor of the host busy for nothing.
const RAM_PROGRAM_PERIOD: Duration = Duration::from_millis(250);
/// How long a native USB is away at a reset.
const USB_ABSENCE: Duration = Duration::from_millis(100);
const CHUNK: usize = 0x4000;

/// One unit.
pub(crate) struct Unit {
    chip: Chip,
    faults: Faults,
    world: Arc<dyn World>,
    /// The name under which clients find the port.
    link: Option<Link>,
    /// Whether clients reset the chip by opening the port and sending SYNC.
    sync_resets: bool,
    /// Whether the port is a native USB, which goes with each reset.
    is_native_usb: bool,
    journal: Journal,
}

/// Why a session ended, and into which mode the chip goes.
type Reset = (Mode, ResetReason);

impl Unit {
    pub(crate) fn new(
        chip: Chip,
        faults: Faults,
        world: Arc<dyn World>,
        link: Option<Link>,
        sync_resets: bool,
        is_native_usb: bool,
    ) -> Self {
        let journal = Journal::default();
        Self { chip, faults, world, link, sync_resets, is_native_usb, journal }
    }

    /// Says each of its starts.
    pub(crate) fn with_journal(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// Lives until it is dropped.
    pub(crate) async fn live(mut self, mut port: Port, mut circuit: ResetCircuit, power_on: Mode) {
        let mut mode = power_on;
        let mut reason = ResetReason::PowerOn;
        loop {
            self.chip.reset();
            self.journal.note(format_args!("start {}", mode.name()));
            port.set_baud(self.chip.registers.baud());
            let ended = tokio::select! {
                biased;
                () = circuit.asserted() => None,
                reset = self.session(mode, reason, &mut port) => Some(reset),
            };
            (mode, reason) = match ended {
                Some(reset) => reset,
                None => {
                    port.reset_uart();
                    (circuit.released().await, ResetReason::PowerOn)
                }
            };
            if self.is_native_usb
                && let Err(error) = self.come_back(&mut port).await
            {
                tracing::error!(%error, "simulated port did not return");
            }
        }
    }

    /// Takes the port away for a while, as a native USB does while its chip starts.
    async fn come_back(&self, port: &mut Port) -> Result<(), StartError> {
        if let Some(link) = &self.link {
            // First the name: who sees the hang-up must not find the old terminal by it.
            link.hide();
            port.hang_up();
            sleep(USB_ABSENCE).await;
            let pty = Pty::open(true)?;
            link.point_to(pty.path())?;
            port.replace(pty)?;
        }
        Ok(())
    }

    async fn session(&mut self, mode: Mode, reason: ResetReason, port: &mut Port) -> Reset {
        match mode {
            Mode::Download => self.download(reason, port).await,
            Mode::Boot => self.boot(reason, port).await,
        }
    }

    async fn download(&mut self, reason: ResetReason, port: &mut Port) -> Reset {
        if self.chip.registers.efuse().has_no_download() {
            // What a real ROM says there is not known; that no loader answers, is.
            let mut lost = [0; 64];
            loop {
                port.receive(&mut lost).await;
            }
        }
        port.answer(boot::download_log(self.chip.model, reason).as_bytes());
        let mut loader = Loader::new(!self.faults.has(Fault::ChipStubRefused));
        let mut buffer = vec![0; CHUNK];
        let mut reply = Vec::new();
        // What an application erased, it waited for itself.
        self.chip.flash.take_busy_time();
        self.chip.flash.rest();
        loop {
            let count = port.receive(&mut buffer).await;
            if self.sync_resets && is_sync(&buffer[..count]) && port.was_opened() {
                port.put_back(&buffer[..count]);
                return INTO_DOWNLOAD;
            }
            reply.clear();
            let exit = loader.receive(&mut self.chip, &buffer[..count], &mut reply);
            let before = self.faults.pick(Fault::WireVanish, VANISHING_BLOCKS);
            if self.faults.has(Fault::WireVanish) && u64::from(loader.data_blocks()) > before {
                port.hang_up();
            }
            sleep(self.chip.flash.take_busy_time()).await;
            port.answer(&reply);
            port.set_baud(self.chip.registers.baud());
            match exit {
                // A reset from inside finds the strapping pin released.
                Some(Exit::Reboot) => return (Mode::Boot, ResetReason::Software),
                Some(Exit::WatchdogReset) => return (Mode::Boot, ResetReason::Watchdog),
                Some(Exit::RunFromRam { output, .. }) => {
                    return self.run_from_ram(&output, port, &mut buffer).await;
                }
                None => {}
            }
        }
    }

    async fn boot(&mut self, reason: ResetReason, port: &mut Port) -> Reset {
        self.chip.settle_flash();
        self.chip.flash.begin_to_run();
        boot::begin(&mut self.chip);
        let boot = boot::boot(&self.chip, reason);
        port.print(boot.log.as_bytes());
        let program =
            boot.application.and_then(|application| firmware::load(&self.chip, application));
        let mut buffer = vec![0; CHUNK];
        let Some(program) = program else {
            return tokio::select! {
                reset = self.idle(port, &mut buffer) => reset,
                () = sleep(WATCHDOG) => {
                    flush(port).await;
                    (Mode::Boot, ResetReason::Watchdog)
                }
            };
        };
        let (output, mut printed) = mpsc::unbounded_channel();
        let console = Console::new(boot.uptime_ms, output);
        let (typed, input) = mpsc::unbounded_channel();
        let keyboard = Keyboard::new(input);
        let world = self.world.clone();
        let run = firmware::run(program, &mut self.chip, console, keyboard, &self.faults, world);
        tokio::pin!(run);
        loop {
            tokio::select! {
                biased;
                Some(text) = printed.recv() => port.print(&text),
                // Who prints waits for the UART, and does nothing else meanwhile.
                reason = &mut run, if port.has_room() => {
                    while let Ok(text) = printed.try_recv() {
                        port.print(&text);
                    }
                    flush(port).await;
                    return (Mode::Boot, reason);
                }
                moved = port.step(&mut buffer) => {
                    let Some(count) = moved else { continue };
                    if self.sync_resets && is_sync(&buffer[..count]) {
                        port.put_back(&buffer[..count]);
                        return INTO_DOWNLOAD;
                    }
                    // A firmware without a console never takes it: what is typed is lost.
                    let _ = typed.send(buffer[..count].to_vec());
                }
            }
        }
    }

    /// A program in RAM has nothing to return to: it says its text for ever.
    async fn run_from_ram(&self, output: &str, port: &mut Port, buffer: &mut [u8]) -> Reset {
        loop {
            if port.is_drained() {
                port.print(output.as_bytes());
            }
            tokio::select! {
                reset = self.idle(port, buffer) => return reset,
                () = sleep(RAM_PROGRAM_PERIOD) => {}
            }
        }
    }

    /// Lets a client talk to nobody.
    async fn idle(&self, port: &mut Port, buffer: &mut [u8]) -> Reset {
        loop {
            let count = port.receive(buffer).await;
            if self.sync_resets && is_sync(&buffer[..count]) {
                port.put_back(&buffer[..count]);
                return INTO_DOWNLOAD;
            }
        }
    }
}

/// Lets all that was printed leave the chip, as a program does before it resets it. What is typed
/// meanwhile is lost.
async fn flush(port: &mut Port) {
    let mut lost = [0; 64];
    while !port.has_left() {
        port.step(&mut lost).await;
    }
}

/// What DTR and RTS would have done before a SYNC.
const INTO_DOWNLOAD: Reset = (Mode::Download, ResetReason::PowerOn);

/// Whether a client is trying to reach the ROM loader.
fn is_sync(bytes: &[u8]) -> bool {
    const GREETING: [u8; 8] = [0x07, 0x07, 0x12, 0x20, 0x55, 0x55, 0x55, 0x55];
    bytes.windows(GREETING.len()).any(|window| window == GREETING)
}
