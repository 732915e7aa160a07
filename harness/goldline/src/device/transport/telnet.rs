//! RFC 2217, the client's side: a serial port with its rate and its control lines over Telnet.
//!
//! Pure: bytes in; payload, what is owed to the server, and its answers out.

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SUBNEGOTIATION: u8 = 250;
const END: u8 = 240;

const BINARY: u8 = 0;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT: u8 = 44;
/// What this side does, and wants of the other.
const SUPPORTED: [u8; 3] = [BINARY, SUPPRESS_GO_AHEAD, COM_PORT];

/// A server's answer has the number of the client's request plus this.
const ANSWER: u8 = 100;
const SET_BAUD_RATE: u8 = 1;
const SET_DATA_SIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOP_SIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
const FLOW_SUSPEND: u8 = 8;
const FLOW_RESUME: u8 = 9;
const PURGE_DATA: u8 = 12;
/// A subnegotiation longer than this is none.
const LONGEST_OPTION: usize = 64;

/// What is asked of the port, and acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// Its rate.
    BaudRate(u32),
    /// Eight bits.
    DataSize,
    /// No parity.
    Parity,
    /// One stop bit.
    StopSize,
    /// No flow control.
    FlowControl,
    /// Data terminal ready.
    Dtr(bool),
    /// Request to send.
    Rts(bool),
    /// What lies in its buffers is dropped.
    Purge,
}

impl Request {
    /// The RFC's name of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BaudRate(_) => "SET-BAUDRATE",
            Self::DataSize => "SET-DATASIZE",
            Self::Parity => "SET-PARITY",
            Self::StopSize => "SET-STOPSIZE",
            Self::FlowControl | Self::Dtr(_) | Self::Rts(_) => "SET-CONTROL",
            Self::Purge => "PURGE-DATA",
        }
    }

    /// Whether it asserts a line.
    pub(super) fn asserts(self) -> bool {
        matches!(self, Self::Dtr(true) | Self::Rts(true))
    }

    /// The request as it is sent.
    pub(super) fn bytes(self) -> Vec<u8> {
        let (command, value) = self.encoded();
        let mut bytes = vec![IAC, SUBNEGOTIATION, COM_PORT, command];
        bytes.extend(escaped(&value));
        bytes.extend([IAC, END]);
        bytes
    }

    fn encoded(self) -> (u8, Vec<u8>) {
        match self {
            Self::BaudRate(baud) => (SET_BAUD_RATE, baud.to_be_bytes().to_vec()),
            Self::DataSize => (SET_DATA_SIZE, vec![8]),
            Self::Parity => (SET_PARITY, vec![1]),
            Self::StopSize => (SET_STOP_SIZE, vec![1]),
            Self::FlowControl => (SET_CONTROL, vec![1]),
            Self::Dtr(on) => (SET_CONTROL, vec![if on { 8 } else { 9 }]),
            Self::Rts(on) => (SET_CONTROL, vec![if on { 11 } else { 12 }]),
            Self::Purge => (PURGE_DATA, vec![3]),
        }
    }
}

/// What a server said of its port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    command: u8,
    value: Vec<u8>,
}

impl Answer {
    /// Whether it answers such a request, with whatever value.
    pub(super) fn is_of(&self, request: Request) -> bool {
        let (command, value) = request.encoded();
        // One command sets several things: the value tells which.
        self.command == command + ANSWER && (command != SET_CONTROL || self.value == value)
    }

    /// The rate that the port has now, where that was asked.
    pub(super) fn baud(&self) -> Option<u32> {
        let value = <[u8; 4]>::try_from(self.value.as_slice()).ok()?;
        (self.command == SET_BAUD_RATE + ANSWER).then(|| u32::from_be_bytes(value))
    }

    /// Whether nothing may be sent any more, or again.
    pub(super) fn suspends(&self) -> Option<bool> {
        match self.command.checked_sub(ANSWER) {
            Some(FLOW_SUSPEND) => Some(true),
            Some(FLOW_RESUME) => Some(false),
            _ => None,
        }
    }
}

/// What came out of one piece of the connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Bytes of the unit's.
    pub(super) payload: Vec<u8>,
    /// Bytes for the server.
    pub(super) reply: Vec<u8>,
    /// In order.
    pub(super) answers: Vec<Answer>,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    #[default]
    Data,
    Command,
    Option(u8),
    Sub,
    SubCommand,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Telnet {
    state: State,
    option: Vec<u8>,
    /// Options that each side has said to be on.
    we: [bool; SUPPORTED.len()],
    they: [bool; SUPPORTED.len()],
    takes_requests: bool,
}

impl Telnet {
    /// What the client says first.
    pub(super) fn greet(&mut self) -> Vec<u8> {
        self.we = [true; SUPPORTED.len()];
        self.they = [true; SUPPORTED.len()];
        let both = |option| [IAC, WILL, option, IAC, DO, option];
        SUPPORTED.into_iter().flat_map(both).collect()
    }

    /// Whether the server said that it takes requests of its port.
    pub(super) fn takes_requests(&self) -> bool {
        self.takes_requests
    }

    /// Takes a piece of the connection apart.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Decoded {
        let mut out = Decoded::default();
        for byte in bytes {
            self.push(*byte, &mut out);
        }
        out
    }

    fn push(&mut self, byte: u8, out: &mut Decoded) {
        self.state = match std::mem::take(&mut self.state) {
            State::Data if byte == IAC => State::Command,
            State::Data => {
                out.payload.push(byte);
                State::Data
            }
            State::Command => self.command(byte, out),
            State::Option(verb) => {
                self.negotiate(verb, byte, out);
                State::Data
            }
            State::Sub if byte == IAC => State::SubCommand,
            State::Sub => self.option_byte(byte),
            State::SubCommand if byte == IAC => self.option_byte(IAC),
            State::SubCommand => {
                if let [COM_PORT, command, value @ ..] = self.option.as_slice()
                    && byte == END
                {
                    out.answers.push(Answer { command: *command, value: value.to_vec() });
                }
                State::Data
            }
        };
    }

    fn command(&mut self, byte: u8, out: &mut Decoded) -> State {
        match byte {
            IAC => out.payload.push(IAC),
            WILL | WONT | DO | DONT => return State::Option(byte),
            SUBNEGOTIATION => {
                self.option.clear();
                return State::Sub;
            }
            _ => {}
        }
        State::Data
    }

    fn option_byte(&mut self, byte: u8) -> State {
        if self.option.len() == LONGEST_OPTION {
            return State::Data;
        }
        self.option.push(byte);
        State::Sub
    }

    /// Agrees to what is supported, once, and refuses the rest.
    fn negotiate(&mut self, verb: u8, option: u8, out: &mut Decoded) {
        if option == COM_PORT && matches!(verb, DO | DONT) {
            self.takes_requests = verb == DO;
        }
        let index = SUPPORTED.iter().position(|known| *known == option);
        let (side, yes, no) = match verb {
            WILL | WONT => (&mut self.they, DO, DONT),
            _ => (&mut self.we, WILL, WONT),
        };
        let wanted = matches!(verb, WILL | DO);
        match index {
            Some(index) if side[index] != wanted => {
                side[index] = wanted;
                out.reply.extend([IAC, if wanted { yes } else { no }, option]);
            }
            Some(_) => {}
            None if wanted => out.reply.extend([IAC, no, option]),
            None => {}
        }
    }
}

/// Doubles the bytes that Telnet would take for commands.
pub(super) fn escaped(payload: &[u8]) -> Vec<u8> {
    let twice = |byte: &u8| std::iter::repeat_n(*byte, if *byte == IAC { 2 } else { 1 });
    payload.iter().flat_map(twice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut, the same comes out.
    fn decoded_in_pieces(bytes: &[u8], size: usize) -> Decoded {
        let (mut telnet, mut all) = (Telnet::default(), Decoded::default());
        for piece in bytes.chunks(size) {
            let decoded = telnet.decode(piece);
            all.payload.extend(decoded.payload);
            all.reply.extend(decoded.reply);
            all.answers.extend(decoded.answers);
        }
        all
    }

    #[test]
    fn every_byte_passes_both_ways() {
        let all: Vec<u8> = (0..=255).chain([255, 255, 0]).collect();
        for size in 1..8 {
            assert_eq!(decoded_in_pieces(&escaped(&all), size).payload, all);
        }
    }

    #[test]
    fn an_answer_in_the_middle_of_data_is_kept_apart_from_it() {
        let answer = [IAC, SUBNEGOTIATION, COM_PORT, 101, 0, 7, 8, 0, IAC, END];
        let line = [b"before", &answer[..], b"after"].concat();
        for size in 1..=line.len() {
            let decoded = decoded_in_pieces(&line, size);
            assert_eq!(decoded.payload, b"beforeafter", "in {size}");
            let [answer] = decoded.answers.as_slice() else { panic!("{decoded:?}") };
            assert!(answer.is_of(Request::BaudRate(460_800)));
            assert_eq!(answer.baud(), Some(460_800));
        }
    }

    #[test]
    fn a_rate_with_the_byte_of_commands_is_escaped() {
        let request = Request::BaudRate(0xFF).bytes();
        assert_eq!(request, [IAC, SUBNEGOTIATION, COM_PORT, 1, 0, 0, 0, IAC, IAC, IAC, END]);
    }

    #[test]
    fn the_two_lines_are_told_apart() {
        let answer = Answer { command: 105, value: vec![8] };
        assert!(answer.is_of(Request::Dtr(true)));
        for other in [Request::Dtr(false), Request::Rts(true), Request::FlowControl] {
            assert!(!answer.is_of(other), "{other:?}");
        }
    }

    #[test]
    fn requests_are_taken_only_where_the_server_says_so() {
        let mut telnet = Telnet::default();
        telnet.greet();
        telnet.decode(b"SSH-2.0-OpenSSH_9.2\r\n");
        telnet.decode(&[IAC, DO, BINARY, IAC, WILL, COM_PORT]);
        assert!(!telnet.takes_requests());
        let decoded = telnet.decode(&[IAC, DO, COM_PORT, IAC, DO, 31]);
        assert!(telnet.takes_requests());
        assert_eq!(decoded.reply, [IAC, WONT, 31]);
        telnet.decode(&[IAC, DONT, COM_PORT]);
        assert!(!telnet.takes_requests());
    }

    /// Whatever comes, nothing panics, and what is kept stays small.
    #[test]
    fn noise_does_no_harm() {
        let mut telnet = Telnet::default();
        telnet.greet();
        let mut state = 1_u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Commands come often, or nothing is reached behind them.
            let byte = if state >> 30 == 0 {
                IAC
            } else {
                (state >> 16) as u8 | 0xF0 & (state >> 8) as u8
            };
            let decoded = telnet.decode(&[byte]);
            assert!(telnet.option.len() <= LONGEST_OPTION && decoded.reply.len() <= 3);
        }
    }
}
