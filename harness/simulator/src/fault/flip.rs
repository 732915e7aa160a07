//! One inverted bit on the wire, once in a unit's life.
//!
//! Knows the frames of the loader's protocol as far as it takes to find a place in them: END bytes, the
//! operation, and the words that an answer holds. Counts bytes and never looks at a clock.

use super::chance::Chance;
use super::{Fault, Faults};

const END: u8 = 0xC0;
const ESCAPE: u8 = 0xDB;
/// An unaimed bit lies among the first of so many bytes; most runs send more.
const REACH: u64 = 40_000;
/// Lines, requests and bytes of a request among which a place is chosen: of the lines, sooner an early one.
const LINES: u64 = 200;
const REQUESTS: u64 = 120;
const REQUEST_BYTES: u64 = 24;
/// Typed bytes among which a place is chosen: most dialogues are longer, some are shorter.
const TYPED: u64 = 250;
/// Where the body of an answer begins: after END, direction, operation and length comes a word.
const WORD: usize = 5;
const BODY: usize = 9;
const DIGEST_LENGTH: u64 = 16;
/// Operations: MD5 of the flash, and a register.
const DIGEST: u8 = 0x13;
const REGISTER: u8 = 0x0A;

/// A bit that is to be inverted, and where.
#[derive(Debug)]
pub(crate) struct Flip {
    target: Target,
    bit: u8,
}

#[derive(Debug)]
enum Target {
    /// Nothing more: it happens once.
    Spent,
    Incoming {
        before: u64,
    },
    Outgoing {
        before: u64,
    },
    Digest {
        at: u64,
    },
    /// The answer that holds these bytes, as they are on the wire.
    Mac {
        word: Vec<u8>,
        at: u64,
    },
    Line {
        before: u64,
        at: u64,
    },
    /// The first text of a program that holds this one, in its last byte.
    Text {
        text: Vec<u8>,
    },
    Request {
        before: u64,
        at: u64,
        inside: Option<u64>,
    },
    /// What is typed: it stands in no request.
    Typed {
        before: u64,
        in_request: bool,
    },
}

impl Flip {
    pub(crate) fn new(faults: &Faults, seed: u64, mac: [u8; 6]) -> Option<Self> {
        let aimed = [
            Fault::WireBit,
            Fault::WireBitDigest,
            Fault::WireBitMac,
            Fault::WireBitConsole,
            Fault::WireBitRequest,
            Fault::WireBitTyped,
        ];
        let fault = aimed.into_iter().find(|fault| faults.has(*fault))?;
        let mut chance = Chance::of(seed, fault);
        let target = match fault {
            Fault::WireBitDigest => Target::Digest { at: chance.below(DIGEST_LENGTH) },
            Fault::WireBitMac => {
                let word = [mac[5], mac[4], mac[3], mac[2]];
                Target::Mac { word: escaped(&word), at: chance.below(word.len() as u64) }
            }
            Fault::WireBitConsole => {
                Target::Line { before: early(&mut chance, LINES), at: chance.below(u64::MAX) }
            }
            Fault::WireBitRequest => Target::Request {
                before: chance.below(REQUESTS),
                at: chance.below(REQUEST_BYTES),
                inside: None,
            },
            Fault::WireBitTyped => Target::Typed { before: chance.below(TYPED), in_request: false },
            _ => {
                let before = early(&mut chance, REACH);
                match chance.below(2) {
                    0 => Target::Incoming { before },
                    _ => Target::Outgoing { before },
                }
            }
        };
        Some(Self { target, bit: chance.bit() })
    }

    /// The lowest bit of the last byte of a text.
    pub(crate) fn in_text(text: &str) -> Self {
        Self { target: Target::Text { text: text.as_bytes().to_vec() }, bit: 1 }
    }

    /// What the client sent.
    pub(crate) fn incoming(&mut self, bytes: &mut [u8]) {
        let place = match &mut self.target {
            Target::Incoming { before } => count_down(before, bytes.len()),
            Target::Request { before, at, inside } => in_request(bytes, before, *at, inside),
            Target::Typed { before, in_request } => in_typed(bytes, before, in_request),
            _ => None,
        };
        self.hit(bytes, place);
    }

    /// An answer of the loader.
    pub(crate) fn answer(&mut self, bytes: &mut [u8]) {
        let place = match &self.target {
            Target::Digest { at } => {
                find(bytes, &[END, 1, DIGEST]).map(|start| start + BODY + *at as usize)
            }
            Target::Mac { word, at } => find(bytes, &[END, 1, REGISTER])
                .filter(|start| bytes[start + WORD..].starts_with(word))
                .map(|start| start + WORD + *at as usize),
            _ => None,
        };
        self.hit(bytes, place);
        self.outgoing(bytes);
    }

    /// A text that a program prints.
    pub(crate) fn text(&mut self, bytes: &mut [u8]) {
        let place = match &mut self.target {
            Target::Line { before, at } => in_line(bytes, before, *at),
            Target::Text { text } => find(bytes, text).map(|start| start + text.len() - 1),
            _ => None,
        };
        self.hit(bytes, place);
        self.outgoing(bytes);
    }

    fn outgoing(&mut self, bytes: &mut [u8]) {
        if let Target::Outgoing { before } = &mut self.target {
            let place = count_down(before, bytes.len());
            self.hit(bytes, place);
        }
    }

    fn hit(&mut self, bytes: &mut [u8], place: Option<usize>) {
        if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
            *byte ^= self.bit;
            self.target = Target::Spent;
        }
    }
}

/// A place up to a limit, skewed to the small ones: a run of few bytes is to be hit too.
fn early(chance: &mut Chance, limit: u64) -> u64 {
    chance.below(limit + 1) * chance.below(limit + 1) / limit
}

/// The place that comes when so many more bytes have gone before it.
fn count_down(before: &mut u64, length: usize) -> Option<usize> {
    let place = usize::try_from(*before).ok().filter(|place| *place < length);
    *before = before.saturating_sub(length as u64);
    place
}

/// A byte of the line before which so many more are to end. Programs print whole lines.
fn in_line(bytes: &[u8], before: &mut u64, at: u64) -> Option<usize> {
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let length = line.trim_ascii_end().len();
        if *before == 0 && length > 0 {
            return Some(start + (at % length as u64) as usize);
        }
        *before = before.saturating_sub(1);
        start += line.len();
    }
    None
}

/// A byte of the first request that is long enough, when so many more have begun before it.
fn in_request(bytes: &[u8], before: &mut u64, at: u64, inside: &mut Option<u64>) -> Option<usize> {
    for (place, byte) in bytes.iter().enumerate() {
        match inside {
            _ if *byte == END => {
                // An END that ends a request and one that begins it: an empty frame is no request.
                *before = before.saturating_sub(u64::from(inside.is_some_and(|count| count > 0)));
                *inside = Some(0);
            }
            Some(count) if *before == 0 && *count == at => return Some(place),
            Some(count) => *count += 1,
            // Text that is typed is no request.
            None => {}
        }
    }
    None
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Bytes as they are on the wire.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match *byte {
        END => vec![ESCAPE, 0xDC],
        ESCAPE => vec![ESCAPE, 0xDD],
        byte => vec![byte],
    };
    bytes.iter().flat_map(escape).collect()
}

/// A typed byte, when so many more have come before it.
fn in_typed(bytes: &[u8], before: &mut u64, in_request: &mut bool) -> Option<usize> {
    for (place, byte) in bytes.iter().enumerate() {
        if *byte == END {
            *in_request ^= true;
        } else if !*in_request {
            if *before == 0 {
                return Some(place);
            }
            *before -= 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10];
    const MAC_ANSWER: [u8; 12] = [END, 1, REGISTER, 2, 0, 0x10, 0x01, 0x00, 0xC4, 0, 0, END];

    fn flip(fault: Fault, seed: u64) -> Flip {
        Flip::new(&[fault].into_iter().collect(), seed, MAC).expect("it is one of them")
    }

    /// Where bits of what was sent differ from what arrived.
    fn differing(sent: &[u8], arrived: &[u8]) -> Vec<usize> {
        let differ = |place: &usize| sent[*place] != arrived[*place];
        let places: Vec<_> = (0..sent.len()).filter(differ).collect();
        assert!(places.iter().all(|at| (sent[*at] ^ arrived[*at]).count_ones() == 1));
        places
    }

    #[test]
    fn only_the_answer_that_is_aimed_at_is_hit_and_once() {
        for seed in 0..20 {
            let mut flip = flip(Fault::WireBitMac, seed);
            let mut other = [END, 1, REGISTER, 2, 0, 0x10, 0x02, 0, 0, 0, 0, END];
            flip.answer(&mut other);
            assert_eq!(other[6], 2);
            for expected in [1, 0] {
                let mut answer = MAC_ANSWER;
                flip.answer(&mut answer);
                let places = differing(&MAC_ANSWER, &answer);
                assert_eq!(places.len(), expected, "seed {seed}");
                assert!(places.iter().all(|place| (WORD..BODY).contains(place)), "{places:?}");
            }
        }
    }

    #[test]
    fn a_digest_is_hit_in_its_sixteen_bytes() {
        let mut sent = vec![END, 1, DIGEST, 18, 0, 0, 0, 0, 0];
        sent.extend([0x55; 16]);
        sent.extend([0, 0, END]);
        for seed in 0..20 {
            let mut arrived = sent.clone();
            flip(Fault::WireBitDigest, seed).answer(&mut arrived);
            let places = differing(&sent, &arrived);
            assert!(matches!(places[..], [place] if (9..25).contains(&place)), "{places:?}");
        }
    }

    #[test]
    fn a_line_is_hit_in_its_text_and_only_where_a_program_prints() {
        let lines = "a line of text\r\n".repeat(LINES as usize + 1).into_bytes();
        for seed in 0..20 {
            let mut flip = flip(Fault::WireBitConsole, seed);
            let mut answer = lines.clone();
            flip.answer(&mut answer);
            assert_eq!(answer, lines);
            let mut arrived = lines.clone();
            flip.text(&mut arrived);
            let places = differing(&lines, &arrived);
            assert!(matches!(places[..], [place] if place % 16 < 14), "{places:?}");
        }
    }

    #[test]
    fn a_text_is_hit_in_its_last_byte_and_once() {
        let mut flip = Flip::in_text("rssi: -4");
        for (printed, heard) in
            [("rssi: 4", "rssi: 4"), ("a rssi: -45", "a rssi: -55"), ("rssi: -45", "rssi: -45")]
        {
            let mut text = printed.as_bytes().to_vec();
            flip.text(&mut text);
            assert_eq!(text, heard.as_bytes());
        }
    }

    #[test]
    fn a_request_is_hit_behind_its_begin_however_it_is_cut() {
        let mut sent = b"typed\n".to_vec();
        for _ in 0..200 {
            sent.push(END);
            sent.extend([7; 30]);
            sent.push(END);
        }
        for seed in 0..20 {
            let mut whole = sent.clone();
            flip(Fault::WireBitRequest, seed).incoming(&mut whole);
            let places = differing(&sent, &whole);
            assert!(matches!(places[..], [place] if place > 6), "{places:?}");
            let mut cut = sent.clone();
            let mut flip = flip(Fault::WireBitRequest, seed);
            cut.chunks_mut(7).for_each(|chunk| flip.incoming(chunk));
            assert_eq!(cut, whole);
        }
    }

    #[test]
    fn a_typed_line_is_hit_outside_of_every_request() {
        let mut sent = vec![END];
        sent.extend([7; 300]);
        sent.push(END);
        sent.extend(b"a typed line of text\n".repeat(TYPED as usize / 20));
        for seed in 0..20 {
            let mut arrived = sent.clone();
            flip(Fault::WireBitTyped, seed).incoming(&mut arrived);
            let places = differing(&sent, &arrived);
            assert!(matches!(places[..], [place] if place > 301), "{places:?}");
            let mut cut = sent.clone();
            let mut flip = flip(Fault::WireBitTyped, seed);
            cut.chunks_mut(7).for_each(|chunk| flip.incoming(chunk));
            assert_eq!(cut, arrived);
        }
    }

    #[test]
    fn another_seed_hits_another_place_in_either_direction() {
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let sent = vec![0; REACH as usize + 1];
            let mut both = [sent.clone(), sent.clone()];
            let mut flip = flip(Fault::WireBit, seed);
            flip.incoming(&mut both[0]);
            flip.text(&mut both[1]);
            let hits: Vec<_> = both.iter().map(|arrived| differing(&sent, arrived)).collect();
            assert_eq!(hits.concat().len(), 1, "once");
            places.insert((hits[0].is_empty(), hits.concat()));
        }
        assert!(places.len() > 40);
        assert!(places.iter().any(|(out, _)| *out) && places.iter().any(|(out, _)| !out));
    }
}
