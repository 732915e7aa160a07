//! What espflash cannot wait for, between it and the line.
//!
//! It loses its place when text stands before the first answer of the loader, and gives a chip 50 ms to
//! start the stub, which a busy machine or a jig behind a network does not keep. Pure: bytes in, bytes
//! out; knows the frames of SYNC and MEM_END and no others. Nothing is claimed that is not proven: without
//! the stub's own greeting no stub runs, whatever espflash was told before.

const END: u8 = 0xC0;
const REQUEST: u8 = 0x00;
const RESPONSE: u8 = 0x01;
const SYNC: u8 = 0x08;
const MEM_END: u8 = 0x06;
/// Direction, operation, length and a word; a status follows.
const HEADER: usize = 8;
/// Longer frames than a block of flash data, escaped, are text without an end.
const LONGEST_FRAME: usize = 0x1_0000;
/// The ROM of every chip says why it was reset before it does anything else.
const BOOT_LOG: &[u8] = b"rst:0x";
/// The ROM's answer to a MEM_END that it carries out.
const STARTING: &[u8] = &[END, RESPONSE, MEM_END, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, END];

/// What is kept from espflash, and what it is told early. A new one for each session.
#[derive(Debug, Default)]
pub(super) struct Patience {
    stage: Stage,
    to_unit: Frames,
    from_unit: Frames,
    talk: Talk,
}

#[derive(Debug, Default, PartialEq)]
enum Stage {
    /// Until the loader answers SYNC, all else is text, or an answer of the session before.
    #[default]
    Entering,
    /// Everything passes.
    Talking,
    /// The unit still owes its answer to MEM_END, which espflash has already.
    Starting,
}

impl Patience {
    /// Whether the loader has answered.
    pub(super) fn has_begun(&self) -> bool {
        self.stage != Stage::Entering
    }

    /// Whether a boot log came in the place of an answer: the loader that was spoken to is there no more.
    pub(super) fn was_reset(&self) -> bool {
        self.talk.was_reset
    }

    /// How many ENDs came before what has begun to come and not ended, if anything has.
    pub(super) fn unended(&self) -> Option<usize> {
        (self.stage == Stage::Talking && self.talk.has_begun).then_some(self.talk.ends)
    }

    /// Sees what goes to the unit, and says what espflash is to be told before it goes.
    pub(super) fn sent(&mut self, bytes: &[u8]) -> Option<&'static [u8]> {
        let mut starts = false;
        for byte in bytes {
            if let Some(frame) = self.to_unit.push(*byte) {
                starts |= frame.starts_with(&[REQUEST, MEM_END]);
            }
        }
        if !starts || self.stage == Stage::Entering {
            return None;
        }
        self.stage = Stage::Starting;
        self.from_unit = Frames::default();
        Some(STARTING)
    }

    /// What espflash gets of what came from the unit.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        for (at, byte) in bytes.iter().enumerate() {
            if self.stage == Stage::Talking {
                self.talk.hear(&bytes[at..]);
                passed.extend(&bytes[at..]);
                return passed;
            }
            let Some(frame) = self.from_unit.push(*byte) else { continue };
            let passes = match self.stage {
                Stage::Entering => answers(&frame, SYNC),
                Stage::Talking => true,
                Stage::Starting => !(answers(&frame, MEM_END) && frame[HEADER] == 0),
            };
            if passes {
                self.stage = Stage::Talking;
                self.talk = Talk::default();
                passed.push(END);
                passed.extend(frame);
                passed.push(END);
            }
        }
        passed
    }
}

/// Whether it is a whole answer to an operation. No such answer is longer than a few words.
fn answers(frame: &[u8], operation: u8) -> bool {
    let Some((header, rest)) = frame.split_at_checked(HEADER) else { return false };
    let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
    header.starts_with(&[RESPONSE, operation]) && length == rest.len() && length > 1
}

/// What comes of a loader that answers: frames, and nothing between them. What a frame holds may be any text.
#[derive(Debug, Default)]
struct Talk {
    is_in_frame: bool,
    ends: usize,
    /// Whether a byte came since the last END.
    has_begun: bool,
    /// The end of what stands outside of frames.
    outside: Vec<u8>,
    was_reset: bool,
}

impl Talk {
    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == END {
                // Two of them hold no frame between them: where one was lost, the place is found again.
                self.is_in_frame = !(self.is_in_frame && self.has_begun);
                self.has_begun = false;
                self.ends += 1;
                self.outside.clear();
                continue;
            }
            self.has_begun = true;
            if self.is_in_frame {
                continue;
            }
            self.outside.push(*byte);
            self.was_reset |= self.outside == BOOT_LOG;
            if !BOOT_LOG.starts_with(&self.outside) {
                self.outside.clear();
                self.outside.extend(BOOT_LOG.first().filter(|first| *first == byte));
            }
        }
    }
}

/// What stands between two END bytes, each of which may end a frame and begin one.
#[derive(Debug, Default)]
struct Frames {
    frame: Option<Vec<u8>>,
}

impl Frames {
    fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte == END {
            return self.frame.replace(Vec::new()).filter(|frame| !frame.is_empty());
        }
        let frame = self.frame.as_mut()?;
        frame.push(byte);
        if frame.len() > LONGEST_FRAME {
            self.frame = None;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNCED: &[u8] = &[END, 1, 8, 4, 0, 7, 7, 0x12, 0x20, 0, 0, 0, 0, END];
    const START: &[u8] = &[END, 0, 6, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, END];
    const STARTED: &[u8] = &[END, 1, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, END];
    const REFUSED: &[u8] = &[END, 1, 6, 4, 0, 0, 0, 0, 0, 1, 5, 0, 0, END];
    const GREETING: &[u8] = &[END, b'O', b'H', b'A', b'I', END];
    const TEXT: &[u8] = b"I (531) wifi:state: init -> auth\r\nwaiting for download\r\n";

    fn talking() -> Patience {
        let mut patience = Patience::default();
        assert_eq!(patience.received(SYNCED), SYNCED);
        patience
    }

    /// However the bytes are cut, the same ones pass.
    fn received_in_pieces(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut patience = Patience::default();
        bytes.chunks(size).flat_map(|piece| patience.received(piece)).collect()
    }

    #[test]
    fn text_and_late_answers_before_the_first_answer_to_sync_are_dropped() {
        let digest = [&[END, 1, 0x13, 18, 0, 0, 0, 0, 0][..], &[7; 18], &[END]].concat();
        let noises: [&[u8]; 6] = [b"", TEXT, &digest, &[END], &[END, b'x'], &SYNCED[..9]];
        for noise in noises {
            let line = [noise, SYNCED, SYNCED, b"raw"].concat();
            for size in 1..=line.len() {
                let passed = received_in_pieces(&line, size);
                assert_eq!(passed, [SYNCED, SYNCED, b"raw"].concat(), "{noise:?} in {size}");
            }
        }
    }

    #[test]
    fn without_an_answer_to_sync_nothing_passes() {
        for size in 1..8 {
            assert_eq!(received_in_pieces(&[TEXT, STARTED, GREETING].concat(), size), b"");
        }
    }

    #[test]
    fn espflash_is_told_at_once_that_the_stub_starts_and_the_late_answer_is_kept_from_it() {
        for size in 1..=START.len() {
            let mut patience = talking();
            let told = START.chunks(size).filter_map(|piece| patience.sent(piece));
            assert_eq!(told.collect::<Vec<_>>(), [STARTING], "in {size}");
            let line = [STARTED, GREETING, STARTED].concat();
            let passed: Vec<_> =
                line.chunks(size).flat_map(|piece| patience.received(piece)).collect();
            assert_eq!(passed, [GREETING, STARTED].concat(), "in {size}");
        }
    }

    /// Then espflash misses the greeting, and says so.
    #[test]
    fn a_refusal_to_start_the_stub_passes() {
        let mut patience = talking();
        assert!(patience.sent(START).is_some());
        assert_eq!(patience.received(REFUSED), REFUSED);
    }

    #[test]
    fn a_greeting_without_an_answer_before_it_passes() {
        let mut patience = talking();
        assert!(patience.sent(START).is_some());
        assert_eq!(patience.received(GREETING), GREETING);
        assert_eq!(patience.received(b"anything"), b"anything");
    }

    #[test]
    fn other_requests_are_answered_by_the_unit_alone() {
        let mut patience = talking();
        assert_eq!(patience.sent(&[END, 0, 7, 2, 0, 0, 0, 0, 0, 6, 6, END]), None);
        assert_eq!(patience.received(STARTED), STARTED);
    }

    /// However it is cut; and a read-back may hold such text.
    #[test]
    fn a_boot_log_between_frames_is_a_reset_and_one_within_a_frame_is_none() {
        let held = [&[END][..], b"\r\nrst:0x1 (POWERON_RESET)", &[END], STARTED].concat();
        let printed =
            [STARTED, b"ets Jun  8 2016\r\n\r\nrrst:0x1 (POWERON_RESET),boot:0x13"].concat();
        for size in 1..=printed.len() {
            let (mut sound, mut reset) = (talking(), talking());
            held.chunks(size).for_each(|piece| drop(sound.received(piece)));
            assert!(!sound.was_reset() && sound.unended().is_none(), "in {size}");
            printed.chunks(size).for_each(|piece| drop(reset.received(piece)));
            assert!(reset.was_reset() && reset.unended().is_some(), "in {size}");
        }
    }

    #[test]
    fn the_place_is_found_again_where_an_end_was_lost() {
        let mut patience = talking();
        let held = [&[END][..], b"rst:0x", &[END]].concat();
        drop(patience.received(&[&STARTED[1..], STARTED, &held].concat()));
        assert!(!patience.was_reset());
    }
}
