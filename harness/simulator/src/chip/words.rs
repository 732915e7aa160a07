//! Words by address: the memory behind registers and fuses.

use std::collections::BTreeMap;

/// A line that sends junk must not fill the memory of the machine.
const MOST_WORDS: usize = 4096;

/// A sparse array of words that reads 0 where nothing was written.
#[derive(Debug, Default, Clone)]
pub(super) struct Words(BTreeMap<u32, u32>);

impl Words {
    pub(super) fn get(&self, address: u32) -> u32 {
        self.0.get(&address).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, address: u32, value: u32) {
        if self.0.len() < MOST_WORDS || self.0.contains_key(&address) {
            self.0.insert(address, value);
        }
    }
}
