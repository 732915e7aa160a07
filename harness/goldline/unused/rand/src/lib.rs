//! What rumqttd names of `rand` 0.8, and no more: it draws one of the subscribers that share a filter, if it
//! is configured to. Not for secrets.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
};

/// Draws from the keys that the standard library gives its hash maps.
#[derive(Debug)]
pub struct ThreadRng;

/// As it is called.
pub fn thread_rng() -> ThreadRng {
    ThreadRng
}

/// What draws numbers.
pub trait Rng {
    /// One of a range that is not empty.
    fn gen_range(&mut self, range: Range<usize>) -> usize;
}

impl Rng for ThreadRng {
    fn gen_range(&mut self, range: Range<usize>) -> usize {
        // The keys differ for each state; the width is a usize, so the remainder fits into one.
        let drawn = RandomState::new().hash_one(range.end);
        range.start + (drawn % range.len() as u64) as usize
    }
}
