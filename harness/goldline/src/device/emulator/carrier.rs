//! The console of an emulated unit, carried to a pseudo terminal that outlives the emulator's process: to the
//! bench it is one port, however often the unit is switched off and on.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rustix::event::{PollFd, PollFlags, poll};

/// What a guest's console is carried to.
pub(in crate::device) struct Console<'a> {
    /// The master of the pseudo terminal; taken out of here when the guest dies by itself.
    pub(in crate::device) master: &'a File,
    /// Told when the guest dies by itself.
    pub(in crate::device) vanished: Arc<dyn Fn() + Send + Sync>,
}

/// Carries bytes between a guest's console and the bench's terminal.
pub(in crate::device) struct Carrier {
    expected: Arc<AtomicBool>,
    serial: UnixStream,
    thread: JoinHandle<()>,
}

impl Carrier {
    /// From here on what either says, the other hears.
    pub(in crate::device) fn new(serial: UnixStream, console: Console<'_>) -> io::Result<Self> {
        let expected = Arc::new(AtomicBool::new(false));
        let (socket, terminal) = (serial.try_clone()?, console.master.try_clone()?);
        let thread = std::thread::Builder::new().name("emulated-console".to_owned()).spawn({
            let expected = Arc::clone(&expected);
            move || {
                carry(socket, terminal);
                if !expected.load(Ordering::Acquire) {
                    (console.vanished)();
                }
            }
        })?;
        Ok(Self { expected, serial, thread })
    }

    /// From now on its end is no failure.
    pub(in crate::device) fn expect_end(&self) {
        self.expected.store(true, Ordering::Release);
    }

    /// Nothing more is carried.
    pub(in crate::device) fn end(self) {
        self.expect_end();
        // Both fail only when it has ended already.
        let _ended = self.serial.shutdown(std::net::Shutdown::Both);
        let _ended = self.thread.join();
    }
}

/// Until the guest's end closes.
fn carry(mut socket: UnixStream, mut terminal: File) {
    let mut buffer = [0; 4096];
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(terminal.as_fd(), PollFlags::IN),
        ];
        if poll(&mut fds, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
            return;
        }
        let [from_guest, from_bench] = fds.map(|fd| !fd.revents().is_empty());
        if from_guest {
            match socket.read(&mut buffer) {
                Ok(count @ 1..) if terminal.write_all(&buffer[..count]).is_ok() => {}
                _ => return,
            }
        }
        if from_bench {
            match terminal.read(&mut buffer) {
                Ok(count @ 1..) if socket.write_all(&buffer[..count]).is_ok() => {}
                _ => return,
            }
        }
    }
}
