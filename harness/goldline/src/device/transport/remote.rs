//! A port on the network: raw bytes, or RFC 2217 with its rate and its modem lines.
//!
//! Nothing is waited for without a limit. What comes before the server has agreed is kept for the reader.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::{
    Allowance, READ_SLICE, WRITE_LIMIT,
    stream::Stream,
    telnet::{Answer, Decoded, Request, Telnet, escaped},
};
use crate::device::port::LineError;

/// How long a server may take to agree, and to acknowledge a request.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The same of a modem line. Espressif's own server acknowledges none, and does what it was asked.
const LINE_LIMIT: Duration = Duration::from_secs(1);
/// More than any request has answers.
const ANSWERS: usize = 64;
const PIECE: usize = 16 * 1024;

/// The way to a port on the network; all clones are one.
#[derive(Clone)]
pub(in crate::device) struct Remote(Arc<Shared>);

struct Shared {
    /// Held for as long as it takes to write what belongs together.
    stream: Mutex<Stream>,
    /// Only of RFC 2217.
    server: Option<Server>,
}

#[derive(Default)]
struct Server {
    said: Mutex<Said>,
    changed: Condvar,
    lines: Mutex<Lines>,
}

/// The modem lines as they were set last.
#[derive(Default)]
struct Lines {
    dtr: Option<bool>,
    rts: Option<bool>,
    /// Whether the server was found not to acknowledge them.
    are_silent: bool,
}

#[derive(Default)]
struct Said {
    answers: VecDeque<Answer>,
    is_suspended: bool,
    is_gone: bool,
}

/// What comes from a port on the network.
pub(in crate::device) struct RemoteSource {
    stream: Stream,
    shared: Arc<Shared>,
    telnet: Option<Telnet>,
    /// Payload that nobody has read yet.
    payload: VecDeque<u8>,
}

impl Remote {
    /// Connects to a port that carries bytes and nothing else; `port` is what people call it.
    ///
    /// # Errors
    /// [`LineError::Connect`] when nobody listens there.
    pub(super) fn raw(
        address: &str,
        port: &str,
        allowed: &Allowance<'_>,
    ) -> Result<(Self, RemoteSource), LineError> {
        connect(Stream::tcp(address, allowed), None, port)
    }

    /// The same at a socket of this machine's.
    ///
    /// # Errors
    /// [`LineError::Connect`] when nobody listens there.
    pub(super) fn unix(
        path: &str,
        port: &str,
        allowed: &Allowance<'_>,
    ) -> Result<(Self, RemoteSource), LineError> {
        connect(Stream::unix(path, allowed), None, port)
    }

    /// Connects to a port with rate and modem lines.
    ///
    /// # Errors
    /// [`LineError::Connect`] when nobody listens there, and [`LineError::NotRfc2217`] when whoever does
    /// speaks another protocol.
    pub(super) fn rfc2217(
        address: &str,
        baud: u32,
        port: &str,
        allowed: &Allowance<'_>,
    ) -> Result<(Self, RemoteSource), LineError> {
        let stream = Stream::tcp(address, allowed);
        let (remote, mut source) = connect(stream, Some(Server::default()), port)?;
        let port = || port.to_owned();
        let agreed = source.agree(&remote, allowed);
        agreed
            .map_err(|error| LineError::NotRfc2217 { port: port(), detail: error.to_string() })?;
        let setup = [
            Request::BaudRate(baud),
            Request::DataSize,
            Request::Parity,
            Request::StopSize,
            Request::FlowControl,
            Request::Purge,
        ];
        for request in setup {
            let done = remote.send(&[request]).and_then(|()| {
                let is_answered =
                    |said: &Said| said.answers.iter().any(|answer| answer.is_of(request));
                source.read_until(is_answered, allowed)
            });
            done.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => {
                    LineError::Unacknowledged { port: port(), request: request.name() }
                }
                _ => LineError::Connect { port: port(), source: error },
            })?;
        }
        // What was printed before anyone asked was in the buffers that were purged.
        source.payload.clear();
        Ok((remote, source))
    }

    /// Ends the connection, for all clones.
    pub(super) fn close(&self) {
        self.0.stream().shutdown();
    }

    /// Sets the rate of the unit's port. A raw port has its own.
    ///
    /// # Errors
    /// When the server has gone, does not answer in time, or sets another rate.
    pub(super) fn set_baud(&self, baud: u32) -> serialport::Result<()> {
        if self.0.server.is_none() {
            return Ok(());
        }
        let request = Request::BaudRate(baud);
        let answer = self.ask(&[request], ANSWER_LIMIT)?;
        match answer.and_then(|answer| answer.baud()) {
            Some(set) if set != baud => Err(serialport::Error::new(
                serialport::ErrorKind::InvalidInput,
                format!("the server set {set} baud"),
            )),
            _ => Ok(()),
        }
    }

    /// Sets DTR and RTS in one write, each only where it changes: Espressif's server resets the unit itself, and
    /// takes what is said twice for another reset. One that is not named stays as it is. What is asserted comes
    /// first: the server sets them in turn, and between the two no line may seem released that is not meant to
    /// be, which a chip's own USB takes for the wish to start its application.
    ///
    /// # Errors
    /// When the server has gone, and on a raw port, which has no such lines.
    pub(super) fn set_lines(&self, dtr: Option<bool>, rts: Option<bool>) -> serialport::Result<()> {
        let Some(server) = &self.0.server else {
            return Err(serialport::Error::new(
                serialport::ErrorKind::InvalidInput,
                "a raw socket has no modem lines",
            ));
        };
        let mut lines = server.lines.lock().expect("no thread panics while it sets lines");
        let dtr = dtr.filter(|dtr| lines.dtr.replace(*dtr) != Some(*dtr)).map(Request::Dtr);
        let rts = rts.filter(|rts| lines.rts.replace(*rts) != Some(*rts)).map(Request::Rts);
        let mut requests: Vec<Request> = dtr.into_iter().chain(rts).collect();
        requests.sort_by_key(|request| !request.asserts());
        if lines.are_silent {
            return Ok(self.send(&requests)?);
        }
        // In one piece: what lies between them on the way is time in which a unit may start otherwise.
        match self.ask(&requests, LINE_LIMIT) {
            Err(error) if error.kind == serialport::ErrorKind::Io(io::ErrorKind::TimedOut) => {
                lines.are_silent = true;
                Ok(())
            }
            asked => asked.map(drop),
        }
    }

    /// Sends bytes to the unit, whatever they are.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let Some(server) = &self.0.server else {
            return self.0.stream().write(bytes);
        };
        server.wait(ANSWER_LIMIT, |said| !said.is_suspended)?;
        // A part of what is escaped would be none of what is not.
        self.0.stream().write_all(&escaped(bytes))?;
        Ok(bytes.len())
    }

    /// The last answer to the requests; each is waited for.
    fn ask(&self, requests: &[Request], limit: Duration) -> serialport::Result<Option<Answer>> {
        let Some(server) = &self.0.server else { return Ok(None) };
        server.said().answers.clear();
        self.send(requests)?;
        let mut last = None;
        for request in requests {
            let answered =
                server.wait(limit, |said| said.answers.iter().any(|answer| answer.is_of(*request)));
            answered.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => {
                    let text = format!("the server did not acknowledge {} in time", request.name());
                    serialport::Error::new(serialport::ErrorKind::Io(error.kind()), text)
                }
                _ => error.into(),
            })?;
            last = server.said().answers.iter().find(|answer| answer.is_of(*request)).cloned();
        }
        Ok(last)
    }

    fn send(&self, requests: &[Request]) -> io::Result<()> {
        let bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes()).collect();
        self.0.stream().write_all(&bytes)
    }
}

impl Shared {
    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().expect("no thread panics while it writes")
    }
}

impl Server {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no thread panics while it listens")
    }

    fn hear(&self, answers: Vec<Answer>) {
        let mut said = self.said();
        for answer in answers {
            if let Some(suspends) = answer.suspends() {
                said.is_suspended = suspends;
            } else if said.answers.len() < ANSWERS {
                said.answers.push_back(answer);
            }
        }
        self.changed.notify_all();
    }

    fn vanish(&self) {
        self.said().is_gone = true;
        self.changed.notify_all();
    }

    /// Waits for what the reader hears.
    fn wait(&self, limit: Duration, heard: impl Fn(&Said) -> bool) -> io::Result<()> {
        let unheard = |said: &mut Said| !heard(said) && !said.is_gone;
        let waited = self.changed.wait_timeout_while(self.said(), limit, unheard);
        let (said, _) = waited.expect("no thread panics while it listens");
        match (heard(&said), said.is_gone) {
            (true, _) => Ok(()),
            (false, true) => Err(io::ErrorKind::ConnectionReset.into()),
            (false, false) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl RemoteSource {
    /// How many bytes came that were not read yet, as far as is known here.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX)
    }

    /// Negotiates, until the server takes requests of its port.
    fn agree(&mut self, remote: &Remote, allowed: &Allowance<'_>) -> io::Result<()> {
        let greeting = self.telnet.as_mut().map(Telnet::greet).unwrap_or_default();
        remote.0.stream().write_all(&greeting)?;
        let until = Instant::now() + ANSWER_LIMIT;
        while !self.telnet.as_ref().is_some_and(Telnet::takes_requests) {
            self.receive_by(until, allowed)?;
        }
        Ok(())
    }

    /// Reads on until the server said something.
    fn read_until(
        &mut self,
        heard: impl Fn(&Said) -> bool,
        allowed: &Allowance<'_>,
    ) -> io::Result<()> {
        let until = Instant::now() + ANSWER_LIMIT;
        loop {
            if self.shared.server.as_ref().is_none_or(|server| heard(&server.said())) {
                return Ok(());
            }
            self.receive_by(until, allowed)?;
        }
    }

    fn receive_by(&mut self, until: Instant, allowed: &Allowance<'_>) -> io::Result<()> {
        let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed");
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer came in time");
        allowed.step(READ_SLICE).map_err(|_| late())?;
        match self.receive() {
            Ok(0) => Err(closed()),
            Ok(_) if Instant::now() < until => Ok(()),
            Ok(_) => Err(late()),
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut if Instant::now() < until => Ok(()),
                io::ErrorKind::TimedOut => Err(late()),
                // How a server closes that did not hear what was said to it.
                io::ErrorKind::ConnectionReset => Err(closed()),
                _ => Err(error),
            },
        }
    }

    /// Takes one piece from the connection; how long it was.
    fn receive(&mut self) -> io::Result<usize> {
        let mut piece = [0; PIECE];
        let count = self.stream.read(&mut piece).map_err(|error| match error.kind() {
            // What a socket calls it.
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
        let Some(telnet) = &mut self.telnet else {
            self.payload.extend(&piece[..count]);
            return Ok(count);
        };
        let Decoded { payload, reply, answers } = telnet.decode(&piece[..count]);
        self.payload.extend(payload);
        if !reply.is_empty() {
            self.shared.stream().write_all(&reply)?;
        }
        if let Some(server) = self.shared.server.as_ref().filter(|_| !answers.is_empty()) {
            server.hear(answers);
        }
        Ok(count)
    }
}

impl Read for RemoteSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.payload.is_empty() && self.receive()? == 0 {
            return Ok(0);
        }
        match self.payload.read(buffer)? {
            // Only answers came.
            0 => Err(io::ErrorKind::Interrupted.into()),
            count => Ok(count),
        }
    }
}

impl Drop for RemoteSource {
    /// Nobody hears answers any more.
    fn drop(&mut self) {
        if let Some(server) = &self.shared.server {
            server.vanish();
        }
    }
}

fn connect(
    stream: io::Result<Stream>,
    server: Option<Server>,
    port: &str,
) -> Result<(Remote, RemoteSource), LineError> {
    let is_telnet = server.is_some();
    let opened = stream.and_then(|stream| {
        stream.set_write_timeout(WRITE_LIMIT)?;
        let source = stream.try_clone()?;
        source.set_read_timeout(READ_SLICE)?;
        Ok((stream, source))
    });
    let (stream, source) =
        opened.map_err(|source| LineError::Connect { port: port.to_owned(), source })?;
    let shared = Arc::new(Shared { stream: Mutex::new(stream), server });
    let source = RemoteSource {
        stream: source,
        shared: Arc::clone(&shared),
        telnet: is_telnet.then(Telnet::default),
        payload: VecDeque::new(),
    };
    Ok((Remote(shared), source))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc, thread};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    /// A server that acknowledges everything; what came in each piece.
    fn server() -> (String, mpsc::Receiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let (pieces, received) = mpsc::channel();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            client.write_all(&[255, 251, 44, 255, 253, 44]).expect("it listens");
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = client.read(&mut buffer) {
                let mut piece = buffer[..count].to_vec();
                let _heard = pieces.send(piece.clone());
                // An answer has the number of its request plus 100.
                for at in 3..piece.len() {
                    if piece[at - 3..at] == [255, 250, 44] {
                        piece[at] += 100;
                    }
                }
                let _answered = client.write_all(&piece);
            }
        });
        (address, received)
    }

    /// A port that returns within 10 s took 40 s to say that it does not, whoever wanted no more of it.
    #[test]
    fn a_server_that_says_nothing_is_left_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let took = |allowed: &Allowance<'_>| {
            let began = Instant::now();
            let opened = Remote::rfc2217(&address, 115_200, "rfc2217://test", allowed);
            assert!(opened.is_err(), "nobody agreed");
            began.elapsed()
        };
        let in_time = took(&Allowance::new(Duration::from_millis(50), &|| false));
        assert!(in_time < ANSWER_LIMIT, "{in_time:?}");
        let given_up = took(&Allowance::new(DEADLINE, &|| true));
        assert!(given_up < ANSWER_LIMIT, "{given_up:?}");
    }

    /// Between two segments lies time in which a unit may start otherwise; and a chip's own USB starts its
    /// application when no line is asserted.
    #[test]
    fn both_lines_change_in_one_piece_and_what_is_asserted_comes_first() {
        let (address, pieces) = server();
        let allowed = Allowance::new(DEADLINE, &|| false);
        let (remote, mut source) =
            Remote::rfc2217(&address, 115_200, "rfc2217://test", &allowed).expect("it agrees");
        thread::spawn(move || while !matches!(source.read(&mut [0; 64]), Ok(0)) {});
        let set = |dtr, rts| {
            while pieces.try_recv().is_ok() {}
            remote.set_lines(dtr, rts).expect("acknowledged");
            pieces.try_recv().expect("what was acknowledged has come")
        };
        let bytes = |requests: &[Request]| -> Vec<u8> {
            requests.iter().flat_map(|request| request.bytes()).collect()
        };
        let (on, off) = (Some(true), Some(false));
        assert_eq!(set(off, on), bytes(&[Request::Rts(true), Request::Dtr(false)]));
        assert_eq!(set(on, off), bytes(&[Request::Dtr(true), Request::Rts(false)]));
        assert_eq!(set(off, on), bytes(&[Request::Rts(true), Request::Dtr(false)]));
        assert_eq!(set(None, off), bytes(&[Request::Rts(false)]), "the other stays as it is");
        assert_eq!(set(on, off), bytes(&[Request::Dtr(true)]), "and what is so is not said again");
    }
}
