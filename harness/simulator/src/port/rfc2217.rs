//! RFC 2217: a serial port with its control lines over Telnet.
//!
//! Pure: bytes in, payload, replies and line changes out. Client settings that a simulated UART
//! does not have (parity, flow control) are acknowledged and ignored.

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
const SUPPORTED: [u8; 3] = [BINARY, SUPPRESS_GO_AHEAD, COM_PORT];

const SET_BAUD_RATE: u8 = 1;
const SET_CONTROL: u8 = 5;
const NOTIFY_MODEM_STATE: u8 = 7;
/// A server's answer has the number of the client's command plus this.
const ANSWER: u8 = 100;
const DTR_ON: u8 = 8;
const DTR_OFF: u8 = 9;
const RTS_ON: u8 = 11;
const RTS_OFF: u8 = 12;
/// Queries of DTR and RTS.
const DTR_QUERY: u8 = 7;
const RTS_QUERY: u8 = 10;
/// Neither CTS nor any other line comes from a unit.
const NO_LINES: u8 = 0;
/// A subnegotiation longer than this is none.
const LONGEST_OPTION: usize = 64;

/// What came out of one piece of the connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes for the serial port.
    pub(crate) payload: Vec<u8>,
    /// Bytes for the client.
    pub(crate) reply: Vec<u8>,
    /// Each new state of (DTR, RTS), in order.
    pub(crate) lines: Vec<(bool, bool)>,
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

/// One client's connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    state: State,
    option: Vec<u8>,
    /// Options that each side has been told to be on, so that nothing is agreed twice.
    we: [bool; SUPPORTED.len()],
    they: [bool; SUPPORTED.len()],
    baud: [u8; 4],
    /// Whether the client knows which lines come from the unit; some ask for them without asking.
    has_told_lines: bool,
    dtr: bool,
    rts: bool,
}

impl Session {
    /// What the server says first.
    pub(crate) fn greet(&mut self) -> Vec<u8> {
        self.we = [true; SUPPORTED.len()];
        self.they = [true; SUPPORTED.len()];
        self.baud = 115_200_u32.to_be_bytes();
        let both = |option| [IAC, WILL, option, IAC, DO, option];
        SUPPORTED.into_iter().flat_map(both).collect()
    }

    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Decoded {
        let mut out = Decoded::default();
        for byte in bytes {
            self.push(*byte, &mut out);
        }
        out
    }

    /// Doubles the bytes that Telnet would take for commands.
    pub(crate) fn encode(payload: &[u8]) -> Vec<u8> {
        let escaped = |byte: &u8| std::iter::repeat_n(*byte, if *byte == IAC { 2 } else { 1 });
        payload.iter().flat_map(escaped).collect()
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
                if byte == END {
                    self.com_port(out);
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

    fn com_port(&mut self, out: &mut Decoded) {
        let option = std::mem::take(&mut self.option);
        let [COM_PORT, command, value @ ..] = option.as_slice() else {
            return;
        };
        let answer = match (*command, value) {
            (SET_BAUD_RATE, [0, 0, 0, 0]) => self.baud.to_vec(),
            (SET_BAUD_RATE, baud) => {
                if let Ok(baud) = baud.try_into() {
                    self.baud = baud;
                }
                baud.to_vec()
            }
            (SET_CONTROL, [control]) => vec![self.control(*control, out)],
            (NOTIFY_MODEM_STATE, _) => vec![NO_LINES],
            (_, value) => value.to_vec(),
        };
        Self::answer(*command, &answer, out);
        if !std::mem::replace(&mut self.has_told_lines, true) {
            Self::answer(NOTIFY_MODEM_STATE, &[NO_LINES], out);
        }
    }

    fn answer(command: u8, value: &[u8], out: &mut Decoded) {
        out.reply.extend([IAC, SUBNEGOTIATION, COM_PORT, command.wrapping_add(ANSWER)]);
        out.reply.extend(Self::encode(value));
        out.reply.extend([IAC, END]);
    }

    /// Sets or tells a control line.
    fn control(&mut self, control: u8, out: &mut Decoded) -> u8 {
        match control {
            DTR_ON | DTR_OFF => self.dtr = control == DTR_ON,
            RTS_ON | RTS_OFF => self.rts = control == RTS_ON,
            DTR_QUERY => return if self.dtr { DTR_ON } else { DTR_OFF },
            RTS_QUERY => return if self.rts { RTS_ON } else { RTS_OFF },
            _ => return control,
        }
        out.lines.push((self.dtr, self.rts));
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_passes_and_a_doubled_iac_is_one() {
        let mut session = Session::default();
        let all: Vec<u8> = (0..=255).collect();
        let decoded = session.decode(&Session::encode(&all));
        assert_eq!(decoded.payload, all);
        assert!(decoded.reply.is_empty());
    }

    #[test]
    fn an_option_is_agreed_once_and_an_unknown_one_refused() {
        let mut session = Session::default();
        session.greet();
        let decoded = session.decode(&[IAC, WILL, BINARY, IAC, DO, COM_PORT]);
        assert!(decoded.reply.is_empty());
        let decoded = session.decode(&[IAC, WILL, 31, IAC, DO, 1]);
        assert_eq!(decoded.reply, [IAC, DONT, 31, IAC, WONT, 1]);
    }

    #[test]
    fn control_lines_are_set_and_acknowledged() {
        let mut session = Session::default();
        let set = |control| [IAC, SUBNEGOTIATION, COM_PORT, SET_CONTROL, control, IAC, END];
        let bytes: Vec<u8> = [DTR_ON, RTS_ON, DTR_OFF].into_iter().flat_map(set).collect();
        let decoded = session.decode(&bytes);
        assert_eq!(decoded.lines, [(true, false), (true, true), (false, true)]);
        assert_eq!(decoded.reply[3..5], [SET_CONTROL + ANSWER, DTR_ON]);
        assert_eq!(session.decode(&set(RTS_QUERY)).reply[4], RTS_ON);
    }

    /// pyserial's own server in front of a unit asks its client for them, and ended for want of an answer.
    #[test]
    fn the_lines_that_come_from_the_unit_are_told_unasked_and_when_asked() {
        let mut session = Session::default();
        let told = [IAC, SUBNEGOTIATION, COM_PORT, NOTIFY_MODEM_STATE + ANSWER, NO_LINES, IAC, END];
        let set = [IAC, SUBNEGOTIATION, COM_PORT, SET_CONTROL, DTR_ON, IAC, END];
        assert!(session.decode(&set).reply.ends_with(&told));
        assert!(!session.decode(&set).reply.ends_with(&told));
        let ask = [IAC, SUBNEGOTIATION, COM_PORT, NOTIFY_MODEM_STATE, IAC, END];
        assert_eq!(session.decode(&ask).reply, told);
    }

    #[test]
    fn the_baud_rate_is_kept_and_told() {
        let mut session = Session::default();
        session.greet();
        let mut set = vec![IAC, SUBNEGOTIATION, COM_PORT, SET_BAUD_RATE];
        set.extend(Session::encode(&460_800_u32.to_be_bytes()));
        set.extend([IAC, END]);
        session.decode(&set);
        let query = [IAC, SUBNEGOTIATION, COM_PORT, SET_BAUD_RATE, 0, 0, 0, 0, IAC, END];
        let reply = session.decode(&query).reply;
        assert_eq!(reply[4..8], 460_800_u32.to_be_bytes());
    }

    proptest::proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500)) {
            let mut session = Session::default();
            session.greet();
            session.decode(&noise);
        }
    }
}
