//! Requests and responses inside SLIP frames.

use super::{Dialect, slip};

const REQUEST: u8 = 0x00;
const RESPONSE: u8 = 0x01;
const HEADER: usize = 8;
/// Length, sequence number and two unused words before the body of a DATA request.
const DATA_HEADER: usize = 16;
const CHECKSUM_SEED: u8 = 0xEF;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) op: u8,
    pub(super) checksum: u32,
    pub(super) data: Vec<u8>,
}

impl Request {
    /// Reads a frame; frames that are no requests are line noise to a loader.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let (header, data) = frame.split_at_checked(HEADER)?;
        let length = u16::from_le_bytes([header[2], header[3]]);
        if header[0] != REQUEST || usize::from(length) != data.len() {
            return None;
        }
        Some(Self {
            op: header[1],
            checksum: u32::from_le_bytes([header[4], header[5], header[6], header[7]]),
            data: data.to_vec(),
        })
    }

    /// The arguments as little-endian words, or the error for a request that is too short.
    pub(super) fn words<const N: usize>(&self) -> Result<[u32; N], Failure> {
        let mut words = [0; N];
        let mut chunks = self.data.chunks_exact(4);
        for word in &mut words {
            let bytes = chunks.next().ok_or(Failure::BadLength)?;
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(words)
    }

    /// An argument that not all clients send.
    pub(super) fn word(&self, index: usize) -> Option<u32> {
        let bytes = self.data.chunks_exact(4).nth(index)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The body of a DATA request, when length and checksum fit it.
    pub(super) fn body(&self) -> Result<&[u8], Failure> {
        let [length, ..] = self.words::<4>()?;
        let body = &self.data[DATA_HEADER..];
        if length as usize != body.len() {
            return Err(Failure::BadLength);
        }
        let sum = body.iter().fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
        if u32::from(sum) == self.checksum { Ok(body) } else { Err(Failure::BadChecksum) }
    }
}

/// Why a request failed, in neither dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Length of the request, or of its body.
    BadLength,
    /// Checksum of the body.
    BadChecksum,
    /// Data without a BEGIN.
    NotInFlashMode,
    /// The compressed stream is broken.
    Inflate,
    /// The flash refused: out of range, or not attached.
    Flash,
    /// No such operation.
    Unknown,
}

impl Failure {
    fn code(self, dialect: Dialect) -> u8 {
        match (dialect, self) {
            (Dialect::Rom, Self::BadLength | Self::Unknown) => 0x05,
            (Dialect::Rom, Self::NotInFlashMode | Self::Flash) => 0x06,
            (Dialect::Rom, Self::BadChecksum) => 0x07,
            (Dialect::Rom, Self::Inflate) => 0x0B,
            (Dialect::Stub, Self::BadLength) => 0xC0,
            (Dialect::Stub, Self::BadChecksum) => 0xC1,
            (Dialect::Stub, Self::Flash) => 0xC4,
            (Dialect::Stub, Self::NotInFlashMode) => 0xC6,
            (Dialect::Stub, Self::Inflate) => 0xC7,
            (Dialect::Stub, Self::Unknown) => 0xFF,
        }
    }
}

/// What a successful request gives back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answer {
    pub(super) value: u32,
    pub(super) data: Vec<u8>,
}

impl Answer {
    pub(super) fn value(value: u32) -> Self {
        Self { value, data: Vec::new() }
    }

    pub(super) fn data(data: impl Into<Vec<u8>>) -> Self {
        Self { value: 0, data: data.into() }
    }
}

/// Appends the response to a request.
///
/// Clients tell the dialects apart by the length of the frame, so every byte counts.
pub(super) fn respond(
    dialect: Dialect,
    op: u8,
    result: &Result<Answer, Failure>,
    out: &mut Vec<u8>,
) {
    let nothing = Answer::default();
    let (answer, status) = match result {
        Ok(answer) => (answer, [0, 0]),
        Err(failure) => (&nothing, [1, failure.code(dialect)]),
    };
    let mut frame = vec![RESPONSE, op];
    let length = answer.data.len() + dialect.status_length();
    frame.extend((length as u16).to_le_bytes());
    frame.extend(answer.value.to_le_bytes());
    frame.extend(&answer.data);
    frame.extend(status);
    frame.resize(HEADER + length, 0);
    slip::encode(&frame, out);
}
