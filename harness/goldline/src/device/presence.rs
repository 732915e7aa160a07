//! Whether a line's port is there: a native USB goes when its chip is reset, and a server may be restarted.
//!
//! What was under way when it went is lost, unless nothing was.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    console::Absence,
    port::LineError,
    transport::{Allowance, Source, Transport},
};

/// How long a port may stay away. A hub that is slow, and a machine that is busy, take seconds.
pub(super) const RETURN_LIMIT: Duration = Duration::from_secs(10);
/// So often it is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// How a port that went is opened anew.
pub(super) struct Reopen {
    /// Opens it, at a rate.
    pub(super) open: Open,
    /// What it is that goes.
    pub(super) absence: Absence,
}

/// Opens a port at a rate, in the time that it may take.
pub(super) type Open =
    Box<dyn Fn(u32, &Allowance<'_>) -> Result<(Transport, Source), LineError> + Send + Sync>;

/// A port went, or came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// It went at that moment; whether for good is not known yet.
    Went(Instant),
    /// It is back.
    Back,
}

/// Hears of each move at once.
pub type OnMove = Box<dyn Fn(Move) + Send + Sync>;

/// The port of a line, and where it is.
pub(super) struct Presence {
    reopen: Option<Reopen>,
    on_move: OnceLock<OnMove>,
    state: Mutex<State>,
    changed: Condvar,
    /// What is under way cannot be taken up again.
    is_fragile: AtomicBool,
}

struct State {
    place: Place,
    baud: u32,
    returns: u32,
}

enum Place {
    There(Transport),
    Away,
    Gone,
}

impl Presence {
    pub(super) fn new(transport: Transport, baud: u32, reopen: Option<Reopen>) -> Self {
        let state = State { place: Place::There(transport), baud, returns: 0 };
        let (changed, is_fragile) = (Condvar::new(), AtomicBool::new(false));
        Self { reopen, on_move: OnceLock::new(), state: Mutex::new(state), changed, is_fragile }
    }

    /// Says who hears when the port goes and comes; the first who asks does.
    pub(super) fn tell(&self, on_move: OnMove) {
        let _other = self.on_move.set(on_move);
    }

    fn moved(&self, moved: Move) {
        if let Some(tell) = self.on_move.get() {
            tell(moved);
        }
    }

    /// How often the port came back.
    pub(super) fn returns(&self) -> u32 {
        self.state().returns
    }

    /// Whether a port that goes now is waited for.
    pub(super) fn may_return(&self) -> bool {
        self.reopen.is_some() && !self.is_fragile.load(Ordering::Acquire)
    }

    /// Says whether what is under way can be taken up again.
    pub(super) fn be_fragile(&self, is_fragile: bool) {
        self.is_fragile.store(is_fragile, Ordering::Release);
    }

    /// The way to the port, with the number of its returns; `None` while it is away.
    pub(super) fn transport(&self) -> Option<(u32, serialport::Result<Transport>)> {
        let state = self.state();
        match &state.place {
            Place::There(transport) => Some((state.returns, transport.try_clone())),
            Place::Away | Place::Gone => None,
        }
    }

    /// Does something to the port, which is waited for where it is away.
    ///
    /// # Errors
    /// What the port says, or that it is gone.
    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&mut Transport) -> serialport::Result<T>,
    ) -> serialport::Result<T> {
        match self.settled() {
            // A clone: an answer may take its time, and the port may go meanwhile.
            Some(transport) => act(&mut transport?),
            None => {
                Err(serialport::Error::new(serialport::ErrorKind::NoDevice, "the port went away"))
            }
        }
    }

    /// Keeps the rate at which the port is opened anew.
    pub(super) fn keep_baud(&self, baud: u32) {
        self.state().baud = baud;
    }

    /// Whether the port is gone for good; waits while it may return.
    pub(super) fn is_gone(&self) -> bool {
        self.settled().is_none()
    }

    fn settled(&self) -> Option<serialport::Result<Transport>> {
        let away = |state: &mut State| matches!(state.place, Place::Away);
        let state = self.changed.wait_while(self.state(), away);
        match &state.expect("no thread panics while it holds the port").place {
            Place::There(transport) => Some(transport.try_clone()),
            Place::Away | Place::Gone => None,
        }
    }

    /// What it is that goes and comes back, where anything does.
    pub(super) fn absence(&self) -> Option<Absence> {
        self.reopen.as_ref().map(|reopen| reopen.absence)
    }

    /// The port went away. Whoever asks for it waits until it is clear whether it returns.
    pub(super) fn leave(&self) {
        let place = std::mem::replace(&mut self.state().place, Place::Away);
        if let Place::There(transport) = place {
            self.moved(Move::Went(Instant::now()));
            transport.close();
        }
    }

    /// Looks for a port that left until it is back, or the time is up, or somebody ends it.
    pub(super) fn look_for(&self, given_up: impl Fn() -> bool) -> Option<Source> {
        let reopen = self.reopen.as_ref().filter(|_| self.may_return())?;
        let baud = self.state().baud;
        let began = Instant::now();
        while began.elapsed() < RETURN_LIMIT && !given_up() {
            let allowed = Allowance::new(RETURN_LIMIT.saturating_sub(began.elapsed()), &given_up);
            if let Ok((transport, source)) = (reopen.open)(baud, &allowed) {
                let mut state = self.state();
                state.place = Place::There(transport);
                state.returns += 1;
                self.changed.notify_all();
                drop(state);
                self.moved(Move::Back);
                return Some(source);
            }
            sleep(LOOK);
        }
        None
    }

    /// It will not return.
    pub(super) fn give_up(&self) {
        let place = std::mem::replace(&mut self.state().place, Place::Gone);
        if let Place::There(_) = place {
            self.moved(Move::Went(Instant::now()));
        }
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the port")
    }
}
