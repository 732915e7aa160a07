//! SLIP: frames between C0 bytes.

const END: u8 = 0xC0;
const ESCAPE: u8 = 0xDB;
const ESCAPED_END: u8 = 0xDC;
const ESCAPED_ESCAPE: u8 = 0xDD;
/// Longer frames than any command are junk and dropped.
const LONGEST_FRAME: usize = 0x1_0000;

/// Appends one frame.
pub(super) fn encode(frame: &[u8], out: &mut Vec<u8>) {
    out.push(END);
    for byte in frame {
        match *byte {
            END => out.extend([ESCAPE, ESCAPED_END]),
            ESCAPE => out.extend([ESCAPE, ESCAPED_ESCAPE]),
            byte => out.push(byte),
        }
    }
    out.push(END);
}

/// Collects bytes into frames.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    frame: Vec<u8>,
    state: State,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// Before the first frame, or after a broken one: skips to the next END.
    #[default]
    Hunting,
    Inside,
    Escaped,
}

impl Decoder {
    /// Takes one byte; gives a frame when the byte ends one that is not empty.
    pub(super) fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte == END {
            let whole = self.state == State::Inside && !self.frame.is_empty();
            self.state = State::Inside;
            let frame = std::mem::take(&mut self.frame);
            return whole.then_some(frame);
        }
        match (&self.state, byte) {
            (State::Hunting, _) => {}
            (State::Inside, ESCAPE) => self.state = State::Escaped,
            (State::Inside, byte) => self.append(byte),
            (State::Escaped, ESCAPED_END) => self.unescape(END),
            (State::Escaped, ESCAPED_ESCAPE) => self.unescape(ESCAPE),
            (State::Escaped, _) => self.drop_frame(),
        }
        None
    }

    fn unescape(&mut self, byte: u8) {
        self.state = State::Inside;
        self.append(byte);
    }

    fn append(&mut self, byte: u8) {
        if self.frame.len() == LONGEST_FRAME {
            self.drop_frame();
        } else {
            self.frame.push(byte);
        }
    }

    fn drop_frame(&mut self) {
        self.frame.clear();
        self.state = State::Hunting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let frame = [0xC0, 0xDB, 0xDC, 0xDD, 0];
        let mut line = Vec::new();
        encode(&frame, &mut line);
        assert_eq!(frames(&line), [frame.to_vec()]);
    }

    #[test]
    fn noise_before_a_frame_and_broken_escapes_are_dropped() {
        let line = [1, 2, END, 3, END, END, 4, ESCAPE, 5, 6, END, 7, END];
        assert_eq!(frames(&line), [vec![3], vec![7]]);
    }

    #[test]
    fn a_frame_that_never_ends_is_dropped() {
        let mut line = vec![END];
        line.extend(vec![1; LONGEST_FRAME + 5]);
        line.extend([END, 9, END]);
        assert_eq!(frames(&line), [vec![9]]);
    }
}
