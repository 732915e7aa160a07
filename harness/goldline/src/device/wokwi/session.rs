//! One connection to the service: commands with their answers, and the console's bytes.
//!
//! A thread of its own owns the socket. The console is carried to a pseudo terminal, which ends with the
//! connection; why it ended is kept. Must not know what lies in the flash.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;

use super::{
    error::WokwiError,
    protocol::{Command, Message, RESTART, RESUME, UPLOAD, VERSION},
    server::Server,
    socket::Socket,
};
use crate::secret::Secret;

/// A service that has room says hello at once.
const HELLO_LIMIT: Duration = Duration::from_secs(20);
/// For what the service has at hand.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Longer than 16 MB take on a slow line.
const UPLOAD_LIMIT: Duration = Duration::from_secs(180);
/// How soon a run that is stopped stops waiting.
const SLICE: Duration = Duration::from_millis(20);
/// How many characters of what is not understood are shown.
const SHOWN: usize = 120;

/// An open connection; it is closed when this is dropped.
pub(super) struct Session {
    url: String,
    app: String,
    commands: Sender<Pending>,
    wake: UnixStream,
    ending: Ending,
    next_id: u64,
    thread: Option<JoinHandle<()>>,
}

/// Why a connection ended, once it has.
#[derive(Clone, Default)]
pub(super) struct Ending(Arc<Mutex<Option<WokwiError>>>);

impl Ending {
    /// What is known of it.
    pub(super) fn get(&self) -> Option<WokwiError> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<WokwiError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command on its way, and who waits for its answer.
struct Pending {
    command: Command,
    id: String,
    answer: Answer,
}

/// Where the answer of a command goes.
type Answer = Sender<Result<Value, WokwiError>>;

impl Session {
    /// Connects, and waits until the service has said hello.
    ///
    /// # Errors
    /// [`WokwiError`] says how far it came.
    pub(super) fn open(
        server: &Server,
        console: File,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Self, WokwiError> {
        let socket = Socket::open(server)?;
        let (wake, woken) = UnixStream::pair().map_err(WokwiError::system)?;
        for end in [&wake, &woken] {
            end.set_nonblocking(true).map_err(WokwiError::system)?;
        }
        let (commands, taken) = channel();
        let (greet, greeted) = channel();
        let ending = Ending::default();
        let carrier = Carrier {
            url: server.url.clone(),
            socket,
            woken,
            taken,
            greet: Some(greet),
            waiting: BTreeMap::new(),
            console,
            token: server.token.clone(),
            restarts: false,
            stands_still: false,
        };
        let thread = std::thread::Builder::new().name("wokwi".to_owned()).spawn({
            let ending = ending.clone();
            move || carrier.run(&ending)
        });
        let thread = Some(thread.map_err(WokwiError::system)?);
        let url = server.url.clone();
        let mut session =
            Self { url, app: String::new(), commands, wake, ending, next_id: 0, thread };
        let within_s = HELLO_LIMIT.as_secs();
        let late = || WokwiError::NoHello { url: session.url.clone(), within_s };
        session.app = session.wait(&greeted, HELLO_LIMIT, late, stopped)?;
        Ok(session)
    }

    /// What the service says that it is.
    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// Why it ended, once it has.
    pub(super) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// [`WokwiError::Refused`] with the service's words, or why no answer came.
    pub(super) fn execute(
        &mut self,
        command: Command,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Value, WokwiError> {
        self.next_id += 1;
        let (answer, answered) = channel();
        let name = command.name;
        let pending = Pending { command, id: self.next_id.to_string(), answer };
        self.commands.send(pending).map_err(|_| self.ended())?;
        self.wake();
        let limit = if name == UPLOAD { UPLOAD_LIMIT } else { ANSWER_LIMIT };
        let within_s = limit.as_secs();
        let late = || WokwiError::NoAnswer { url: self.url.clone(), command: name, within_s };
        self.wait(&answered, limit, late, stopped)?
    }

    fn wait<T>(
        &self,
        comes: &Receiver<T>,
        limit: Duration,
        late: impl Fn() -> WokwiError,
        stopped: &dyn Fn() -> bool,
    ) -> Result<T, WokwiError> {
        let began = Instant::now();
        loop {
            match comes.recv_timeout(SLICE) {
                Ok(came) => return Ok(came),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if stopped() => return Err(WokwiError::Stopped),
                Err(RecvTimeoutError::Timeout) if began.elapsed() >= limit => return Err(late()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn ended(&self) -> WokwiError {
        let lost = || WokwiError::Lost { url: self.url.clone(), reason: "it is over".to_owned() };
        self.ending.get().unwrap_or_else(lost)
    }

    fn wake(&self) {
        // A pipe that is full wakes too, and one that is closed has nobody to wake.
        let _woken = (&self.wake).write(&[0]);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (closed, _) = channel();
        self.commands = closed;
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed already; there is nobody left to tell.
            let _ended = thread.join();
        }
    }
}

/// The thread's side of a session.
struct Carrier {
    url: String,
    socket: Socket,
    woken: UnixStream,
    taken: Receiver<Pending>,
    /// Who waits for the hello.
    greet: Option<Sender<String>>,
    waiting: BTreeMap<String, (&'static str, Answer)>,
    console: File,
    /// Never to be repeated, even if the service does.
    token: Secret,
    /// From a restart to its answer: what comes is of the boot before.
    restarts: bool,
    /// From a restart until it is resumed.
    stands_still: bool,
}

impl Carrier {
    fn run(mut self, ending: &Ending) {
        match self.carry() {
            Ok(()) => self.socket.close(),
            Err(error) => {
                self.socket.close();
                // Before the console ends, and those who wait, who will ask.
                *ending.lock() = Some(error);
            }
        }
    }

    /// Until nobody needs the session any more, or the service breaks off.
    fn carry(&mut self) -> Result<(), WokwiError> {
        loop {
            while let Some(text) = self.socket.read().map_err(|error| self.lost(&error))? {
                self.hear(&text)?;
            }
            if self.take_commands()? {
                return Ok(());
            }
            let is_sent = self.socket.flush().map_err(|error| self.lost(&error))?;
            self.sleep(is_sent)?;
        }
    }

    /// Until something comes from either side, or the rest can be sent.
    fn sleep(&mut self, is_sent: bool) -> Result<(), WokwiError> {
        let wanted = if is_sent { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut fds = [PollFd::new(&self.socket, wanted), PollFd::new(&self.woken, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(WokwiError::system(error.into())),
        }
        let mut buffer = [0; 64];
        while matches!(self.woken.read(&mut buffer), Ok(1..)) {}
        Ok(())
    }

    /// Sends what was commanded; whether the session is over.
    fn take_commands(&mut self) -> Result<bool, WokwiError> {
        loop {
            match self.taken.try_recv() {
                Ok(Pending { command, id, answer }) => {
                    let message = command.message(&id);
                    let is_restart = command.name == RESTART;
                    self.restarts |= is_restart;
                    self.stands_still |= is_restart;
                    self.waiting.insert(id, (command.name, answer));
                    self.socket.send(message).map_err(|error| self.lost(&error))?;
                }
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => return Ok(true),
            }
        }
    }

    fn hear(&mut self, text: &str) -> Result<(), WokwiError> {
        let url = self.url.clone();
        let text = &*text.replace(self.token.expose(), "(the token)");
        let not_understood = || WokwiError::NotUnderstood {
            url: self.url.clone(),
            said: text.chars().take(SHOWN).collect(),
        };
        match (Message::parse(text).ok_or_else(not_understood)?, &self.greet) {
            (Message::Hello { version: Some(VERSION), app }, Some(greet)) => {
                // One that does not wait any more is about to end the session.
                let _greeted = greet.send(app);
                self.greet = None;
            }
            (Message::Hello { version, .. }, Some(_)) => {
                let found = version.map_or_else(|| "none".to_owned(), |it| it.to_string());
                return Err(WokwiError::Version { url, found, expected: VERSION });
            }
            (Message::Error(message), _) => return Err(WokwiError::Said { url, message }),
            (_, Some(_)) => return Err(not_understood()),
            (Message::Response { id, result }, None) => {
                let Some((command, answer)) = self.waiting.remove(&id) else { return Ok(()) };
                self.restarts &= command != RESTART;
                self.stands_still &= command != RESUME;
                let result = result.map_err(|refusal| WokwiError::Refused {
                    url,
                    command,
                    code: refusal.code,
                    message: refusal.message,
                });
                // As above.
                let _answered = answer.send(result);
            }
            (Message::Console(_), None) if self.restarts => {}
            (Message::Paused { .. }, None) if self.stands_still => {}
            (Message::Console(bytes), None) => {
                self.console.write_all(&bytes).map_err(|error: io::Error| {
                    WokwiError::System(format!("the console's terminal failed: {error}"))
                })?;
            }
            (Message::Paused { at_s }, None) => return Err(WokwiError::Paused { url, at_s }),
            (Message::Hello { .. } | Message::Other, None) => {}
        }
        Ok(())
    }

    fn lost(&self, error: &tungstenite::Error) -> WokwiError {
        WokwiError::Lost { url: self.url.clone(), reason: error.to_string() }
    }
}
