//! A file sector by sector, for where no table can be read: which runs of
//! sectors are NVS partitions, and whether they are part of a larger whole.
//!
//! Takes linear time. Must not know of partition tables.

use std::collections::HashMap;
use std::ops::Range;

use super::sector::{Content, may_be_damaged_page, sequence};
use super::{Kind, Partition, TABLE_ADDRESS};
use crate::limits::PAGE_BYTES;

/// The whole sectors of a file and what they hold.
pub(super) struct Survey<'a> {
    sectors: &'a [[u8; PAGE_BYTES]],
    /// Of each sector; none where a table already says whose it is.
    contents: Vec<Option<Content>>,
}

impl<'a> Survey<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        let (sectors, _) = bytes.as_chunks();
        Self { sectors, contents: sectors.iter().map(|it| Some(Content::of(it))).collect() }
    }

    /// The same without what belongs to the `known` partitions: all of those for
    /// NVS and its keys, and what is blank of the others.
    pub fn without(mut self, known: &[Partition]) -> Self {
        for partition in known {
            let Range { start, end } = partition.range;
            let is_of_nvs = matches!(partition.kind, Kind::Nvs | Kind::NvsKeys);
            for content in &mut self.contents[start / PAGE_BYTES..end / PAGE_BYTES] {
                if is_of_nvs || *content == Some(Content::Blank) {
                    *content = None;
                }
            }
        }
        self
    }

    /// Whether NVS pages stand beside what no NVS partition holds, damaged as it
    /// may be: a part of another partition, or as much noise as an encrypted
    /// application has.
    pub fn holds_more_than_nvs(&self) -> bool {
        let is_foreign = |content: &Content| content.is_of_another_partition();
        self.contents.contains(&Some(Content::NvsPage))
            && (self.contents.iter().flatten().any(is_foreign) || self.holds_long_noise())
    }

    /// The flash address at which the file begins, if the flash is encrypted.
    pub fn flash_encryption(&self) -> Option<usize> {
        if self.begins_with_noise_for_a_table() {
            return Some(TABLE_ADDRESS);
        }
        self.holds_noise_for_a_boot().then_some(0)
    }

    fn begins_with_noise_for_a_table(&self) -> bool {
        self.is(0, Content::Noise) && self.is(1, Content::NvsPage) && self.holds_long_noise()
    }

    fn holds_noise_for_a_boot(&self) -> bool {
        // The chips differ in where their bootloader is; it is longer than a sector.
        const BOOTLOADERS: [usize; 3] = [0, 1, 2];
        const TABLE: usize = TABLE_ADDRESS / PAGE_BYTES;
        let is_plain = BOOTLOADERS.iter().any(|at| self.is(*at, Content::AppImage));
        let is_noise = |at: usize| self.is(at, Content::Noise) && self.is(at + 1, Content::Noise);
        // A compressed file is noise too, but has no blank sectors and no NVS.
        let is_flash = self.contents.contains(&Some(Content::NvsPage))
            || (0..TABLE).any(|at| self.is(at, Content::Blank));
        !is_plain
            && BOOTLOADERS.into_iter().any(is_noise)
            && self.is(TABLE, Content::Noise)
            && is_flash
    }

    fn holds_long_noise(&self) -> bool {
        // Less than any application has, and more than damage makes.
        const LONG: usize = 16;
        let mut runs = self.contents.chunk_by(|left, right| left == right);
        runs.any(|run| run[0] == Some(Content::Noise) && run.len() >= LONG)
    }

    fn is(&self, sector: usize, content: Content) -> bool {
        self.contents.get(sector) == Some(&Some(content))
    }

    /// The NVS and the key partitions in the order of the file, extents guessed.
    pub fn partitions(&self, flash_base: usize) -> Vec<Partition> {
        let sectors = 0..self.contents.len();
        let keys = sectors.filter(|at| self.is(*at, Content::Keys)).map(|at| at..at + 1);
        let keys = keys.map(|run| (Kind::NvsKeys, run));
        let nvs = self.nvs_runs().into_iter().map(|run| (Kind::Nvs, run));
        let in_bytes = |run: Range<usize>| run.start * PAGE_BYTES..run.end * PAGE_BYTES;
        let mut found: Vec<Partition> = nvs
            .chain(keys)
            .map(|(kind, run)| Partition::found(kind, in_bytes(run), flash_base))
            .collect();
        found.sort_by_key(|partition| partition.flash_offset);
        found
    }

    /// Sectors of each NVS partition: sound pages, what may be a damaged one
    /// beside them, and the blank sectors behind.
    fn nvs_runs(&self) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut end = 0;
        while let Some(sound) = (end..self.contents.len()).find(|at| self.is(*at, Content::NvsPage))
        {
            let in_front = (end..sound).rev().take_while(|at| self.may_be_damaged(*at));
            let start = in_front.last().unwrap_or(sound);
            let belongs = |at: &usize| {
                matches!(self.contents[*at], Some(Content::Blank | Content::NvsPage))
                    || self.may_be_damaged(*at)
            };
            let behind = (sound..self.contents.len()).take_while(belongs);
            end = behind.last().map_or(sound, |last| last + 1);
            self.split(start..end, &mut runs);
        }
        runs
    }

    fn may_be_damaged(&self, sector: usize) -> bool {
        let is_candidate = matches!(self.contents[sector], Some(Content::Unknown | Content::Noise));
        is_candidate && may_be_damaged_page(&self.sectors[sector])
    }

    /// Splits a run where a sequence number comes again, since no two pages of
    /// one partition share one: behind the last blank sectors in between, for
    /// every partition in use has some, or right there.
    fn split(&self, run: Range<usize>, runs: &mut Vec<Range<usize>>) {
        let mut start = run.start;
        let mut last_seen = HashMap::new();
        let mut behind_blank = start;
        for at in run.clone() {
            let is_blank = self.is(at, Content::Blank);
            if !is_blank && at > run.start && self.is(at - 1, Content::Blank) {
                behind_blank = at;
            }
            if !self.is(at, Content::NvsPage) {
                continue;
            }
            let earlier = last_seen.insert(sequence(&self.sectors[at]), at);
            if let Some(earlier) = earlier.filter(|earlier| *earlier >= start) {
                let border = if behind_blank > earlier { behind_blank } else { at };
                runs.push(start..border);
                start = border;
            }
        }
        runs.push(start..run.end);
    }
}
