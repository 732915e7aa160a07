//! NOR flash: a write only clears bits, an erase sets whole sectors.
//!
//! Knows nothing of partitions or images. Offsets and lengths are bytes from the start of the chip.

mod busy_time;
mod defect;
pub(crate) mod encryption;
mod file;
pub mod mapped;

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

pub use file::FileError;
use file::FlashFile;

use crate::fault::Faults;
use crate::journal::Journal;
use defect::Defects;

/// Bytes that one sector erase sets.
pub const SECTOR_SIZE: u32 = 0x1000;
/// Bytes that one block erase sets.
pub const BLOCK_SIZE: u32 = 0x1_0000;

/// An access that is not wholly inside the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("flash access at {offset:#x} of {length:#x} bytes passes the end at {size:#x}")]
pub struct OutOfRange {
    /// First byte of the access.
    pub offset: u32,
    /// Bytes asked for.
    pub length: u32,
    /// Size of the chip.
    pub size: u32,
}

/// One flash chip with its contents and its wear.
#[derive(Debug)]
pub struct Nor {
    cells: Vec<u8>,
    backing: Option<FlashFile>,
    erase_counts: Vec<u32>,
    defects: Defects,
    /// How long the chip was busy, when that takes time.
    busy: Option<Duration>,
    journal: Journal,
}

impl Nor {
    /// A blank chip whose contents end with the process. `size` is a multiple of the sector size.
    pub fn in_memory(size: u32) -> Self {
        Self::over(vec![0xFF; size as usize], None)
    }

    /// A chip whose contents live in `path`, which is created blank when it is not there.
    ///
    /// Every change goes to the file at once, so that a kill leaves what a power cut would leave.
    pub fn in_file(path: &Path, size: u32) -> Result<Self, FileError> {
        let (backing, cells) = FlashFile::open(path, size)?;
        Ok(Self::over(cells, Some(backing)))
    }

    /// Says whether [`Nor::in_file`] would take `path`, so that a wrong one is known before anything is
    /// touched. Makes and changes nothing.
    pub fn refuse_unusable_file(path: &Path, size: u32) -> Result<(), FileError> {
        FlashFile::look(path, size)
    }

    fn over(cells: Vec<u8>, backing: Option<FlashFile>) -> Self {
        let sectors = cells.len().div_ceil(SECTOR_SIZE as usize);
        Self {
            cells,
            backing,
            erase_counts: vec![0; sectors],
            defects: Defects::default(),
            busy: None,
            journal: Journal::default(),
        }
    }

    /// Says what changes it.
    pub(crate) fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = journal;
        self
    }

    /// Gives the chip cells that do not do what they are told.
    pub(crate) fn with_defects(mut self, faults: &Faults, seed: u64) -> Self {
        self.defects = Defects::new(faults, seed);
        self
    }

    /// Lets erasing and digesting take the time that they take on real chips.
    pub(crate) fn with_busy_times(mut self) -> Self {
        self.busy = Some(Duration::ZERO);
        self
    }

    /// So many bytes are digested.
    pub(crate) fn spend_on_digest(&mut self, length: u32) {
        self.spend(busy_time::of_digest(length));
    }

    /// How long the chip was busy since this was last asked.
    pub(crate) fn take_busy_time(&mut self) -> Duration {
        self.busy.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// An application is started, which wears some chips out.
    pub(crate) fn begin_to_run(&mut self) {
        self.defects.begin_to_run();
    }

    /// No application runs any more.
    pub(crate) fn rest(&mut self) {
        self.defects.rest();
    }

    /// Lets something change the cells, whatever a client could; it says where, if anywhere.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut [u8]) -> Option<u32>) -> Option<u32> {
        let at = change(&mut self.cells)?;
        self.persist(0..self.cells.len());
        Some(at)
    }

    /// Size of the chip in bytes.
    pub fn size(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Everything on the chip.
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// Reads `length` bytes.
    pub fn read(&self, offset: u32, length: u32) -> Result<&[u8], OutOfRange> {
        Ok(&self.cells[self.range(offset, length)?])
    }

    /// Writes: clears each bit that is 0 in `data`, and leaves the others.
    pub fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), OutOfRange> {
        let range = self.range(offset, data.len() as u32)?;
        for (cell, byte) in self.cells[range.clone()].iter_mut().zip(data) {
            *cell &= byte;
        }
        self.journal.note(format_args!("write {offset:#x} {:#x}", data.len()));
        self.defects.after_program(&mut self.cells, offset, data.len() as u32);
        self.persist(range);
        Ok(())
    }

    /// Sets the sector that holds `offset`.
    pub fn erase_sector(&mut self, offset: u32) -> Result<(), OutOfRange> {
        self.erase(offset / SECTOR_SIZE * SECTOR_SIZE, SECTOR_SIZE)
    }

    fn set_sector(&mut self, offset: u32) -> Result<(), OutOfRange> {
        let start = offset / SECTOR_SIZE * SECTOR_SIZE;
        let range = self.range(start, SECTOR_SIZE)?;
        self.cells[range.clone()].fill(0xFF);
        self.defects.after_erase(&mut self.cells, start);
        self.erase_counts[(start / SECTOR_SIZE) as usize] += 1;
        self.persist(range);
        Ok(())
    }

    /// Sets the 64 KB block that holds `offset`.
    pub fn erase_block(&mut self, offset: u32) -> Result<(), OutOfRange> {
        self.erase(offset / BLOCK_SIZE * BLOCK_SIZE, BLOCK_SIZE)
    }

    /// Sets every sector that `length` bytes from `offset` touch.
    pub fn erase(&mut self, offset: u32, length: u32) -> Result<(), OutOfRange> {
        self.range(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let start = offset / SECTOR_SIZE * SECTOR_SIZE;
        let end = (offset + length).next_multiple_of(SECTOR_SIZE);
        self.journal.note(format_args!("erase {start:#x} {:#x}", end - start));
        self.set_sectors(start, end)?;
        self.spend(busy_time::of_sectors(start, end));
        Ok(())
    }

    fn set_sectors(&mut self, start: u32, end: u32) -> Result<(), OutOfRange> {
        (start..end).step_by(SECTOR_SIZE as usize).try_for_each(|sector| self.set_sector(sector))
    }

    fn spend(&mut self, time: Duration) {
        if let Some(busy) = &mut self.busy {
            *busy += time;
        }
    }

    /// Sets the whole chip.
    pub fn erase_chip(&mut self) {
        let size = self.size();
        self.journal.note(format_args!("erase 0x0 {size:#x}"));
        self.set_sectors(0, size).expect("the chip lies inside itself by definition");
        self.spend(busy_time::of_chip(size));
    }

    /// How often the sector that holds `offset` was erased since the simulator started.
    pub fn erase_count(&self, offset: u32) -> u32 {
        let sector = (offset / SECTOR_SIZE) as usize;
        self.erase_counts.get(sector).copied().unwrap_or(0)
    }

    /// Replaces whole sectors as firmware's flash driver does: erases only those that need a set bit.
    pub fn rewrite(&mut self, offset: u32, data: &[u8]) -> Result<(), OutOfRange> {
        self.range(offset, data.len() as u32)?;
        for (index, sector) in data.chunks(SECTOR_SIZE as usize).enumerate() {
            let at = offset + index as u32 * SECTOR_SIZE;
            let old = self.read(at, sector.len() as u32)?;
            if old == sector {
                continue;
            }
            if old.iter().zip(sector).any(|(old, new)| new & !old != 0) {
                self.erase_sector(at)?;
            }
            self.program(at, sector)?;
        }
        Ok(())
    }

    /// Inverts bits as a defect does, against the rules of NOR flash.
    pub(crate) fn disturb(&mut self, offset: u32, mask: u8) -> Result<(), OutOfRange> {
        let range = self.range(offset, 1)?;
        self.cells[range.start] ^= mask;
        self.persist(range);
        Ok(())
    }

    fn range(&self, offset: u32, length: u32) -> Result<Range<usize>, OutOfRange> {
        let size = self.size();
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(offset as usize..end as usize),
            _ => Err(OutOfRange { offset, length, size }),
        }
    }

    fn persist(&mut self, range: Range<usize>) {
        if let Some(file) = &mut self.backing {
            file.store(&self.cells, range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_only_clears_bits() {
        let mut nor = Nor::in_memory(0x2000);
        nor.program(4, &[0b1010_1010]).unwrap();
        nor.program(4, &[0b1111_0000]).unwrap();
        assert_eq!(nor.read(4, 1).unwrap(), [0b1010_0000]);
    }

    #[test]
    fn an_erase_sets_its_sector_only_and_counts() {
        let mut nor = Nor::in_memory(0x3000);
        nor.program(0, &[0; 0x3000]).unwrap();
        nor.erase_sector(0x1ABC).unwrap();
        assert_eq!(nor.read(0xFFF, 1).unwrap(), [0]);
        assert!(nor.read(0x1000, 0x1000).unwrap().iter().all(|b| *b == 0xFF));
        assert_eq!(nor.read(0x2000, 1).unwrap(), [0]);
        assert_eq!(nor.erase_count(0x1000), 1);
        assert_eq!(nor.erase_count(0x2000), 0);
    }

    #[test]
    fn an_erase_of_nothing_erases_nothing() {
        let mut nor = Nor::in_memory(0x2000);
        nor.program(0, &[0; 0x2000]).unwrap();
        nor.erase(0x1234, 0).unwrap();
        assert!(nor.cells().iter().all(|cell| *cell == 0));
    }

    #[test]
    fn erasing_takes_time_only_when_that_was_asked_for() {
        let mut nor = Nor::in_memory(1 << 20);
        nor.erase_chip();
        assert_eq!(nor.take_busy_time(), Duration::ZERO);
        let mut nor = nor.with_busy_times();
        nor.erase_sector(0x5000).unwrap();
        nor.erase_block(0x1_0000).unwrap();
        assert_eq!(nor.take_busy_time(), Duration::from_millis(45 + 150));
        assert_eq!(nor.take_busy_time(), Duration::ZERO);
        nor.erase_chip();
        assert_eq!(nor.take_busy_time(), Duration::from_millis(2500));
    }

    #[test]
    fn an_access_past_the_end_is_refused() {
        let mut nor = Nor::in_memory(0x1000);
        assert!(nor.read(0xFFF, 2).is_err());
        assert!(nor.program(u32::MAX, &[0, 0]).is_err());
        assert!(nor.erase(0x800, 0x1000).is_err());
    }

    #[test]
    fn a_rewrite_erases_only_when_a_bit_must_be_set() {
        let mut nor = Nor::in_memory(0x1000);
        nor.rewrite(0, &[0x0F; 0x1000]).unwrap();
        assert_eq!(nor.erase_count(0), 0);
        nor.rewrite(0, &[0xF0; 0x1000]).unwrap();
        assert_eq!(nor.erase_count(0), 1);
        assert_eq!(nor.read(0, 1).unwrap(), [0xF0]);
    }

    #[test]
    fn a_flash_file_outlives_its_chip_and_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.bin");
        let mut nor = Nor::in_file(&path, 0x2000).unwrap();
        nor.program(0x1001, b"kept").unwrap();
        assert!(matches!(Nor::in_file(&path, 0x2000), Err(FileError::InUse { .. })));
        drop(nor);
        let nor = Nor::in_file(&path, 0x2000).unwrap();
        assert_eq!(nor.read(0x1001, 4).unwrap(), b"kept");
    }

    #[test]
    fn a_new_flash_file_is_its_owners_alone_and_nothing_lies_beside_it() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.bin");
        let beside = folder.path().join("flash.bin.new");
        std::fs::write(&beside, "somebody's").unwrap();
        let nor = Nor::in_file(&path, 0x2000).unwrap();
        assert!(nor.cells().iter().all(|cell| *cell == 0xFF));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read(&beside).unwrap(), b"somebody's");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_look_at_a_flash_file_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.bin");
        Nor::refuse_unusable_file(&path, 0x2000).unwrap();
        let nowhere = folder.path().join("missing/flash.bin");
        assert!(matches!(Nor::refuse_unusable_file(&nowhere, 0x2000), Err(FileError::Io { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(Nor::in_file(&path, 0x2000).unwrap());
        Nor::refuse_unusable_file(&path, 0x2000).unwrap();
        assert!(Nor::refuse_unusable_file(&path, 0x4000).is_err());
    }

    /// `/dev/zero` became a file of 4 MB once: its length is nought, and it was replaced as an empty file.
    #[test]
    fn what_is_no_regular_file_is_refused_and_stays() {
        use std::os::unix::fs::{FileTypeExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("folder")).unwrap();
        std::fs::write(path("file"), [0; 0x2000]).unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), fifo, mode, 0).unwrap();
        for name in ["folder", "link", "dangling", "pipe"] {
            let before = std::fs::symlink_metadata(path(name)).unwrap().file_type();
            for error in [
                Nor::in_file(&path(name), 0x2000).unwrap_err(),
                Nor::refuse_unusable_file(&path(name), 0x2000).unwrap_err(),
            ] {
                assert!(matches!(error, FileError::NotRegular { .. }), "{name}: {error}");
            }
            let after = std::fs::symlink_metadata(path(name)).unwrap().file_type();
            assert_eq!(before, after, "{name}");
        }
        assert!(std::fs::symlink_metadata(path("pipe")).unwrap().file_type().is_fifo());
        assert!(!path("nowhere").exists());
        assert_eq!(std::fs::read(path("file")).unwrap(), [0; 0x2000]);
    }

    #[test]
    fn a_flash_file_of_another_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash.bin");
        std::fs::write(&path, [0; 100]).unwrap();
        assert!(matches!(
            Nor::in_file(&path, 0x2000),
            Err(FileError::WrongSize { actual: 100, .. })
        ));
    }

    /// One change of a chip of two sectors.
    #[derive(Debug, Clone)]
    enum Change {
        Program(u32, Vec<u8>),
        Erase(u32),
        Rewrite(u32, Vec<u8>),
    }

    fn any_change() -> impl proptest::strategy::Strategy<Value = Change> {
        use proptest::prelude::*;
        let bytes = || proptest::collection::vec(any::<u8>(), 0..64);
        prop_oneof![
            (0..0x2000_u32, bytes()).prop_map(|(at, data)| Change::Program(at, data)),
            (0..0x2000_u32).prop_map(Change::Erase),
            (0..2_u32, bytes()).prop_map(|(sector, data)| Change::Rewrite(sector * 0x1000, data)),
        ]
    }

    proptest::proptest! {
        #[test]
        fn any_changes_give_what_a_plain_model_gives(
            changes in proptest::collection::vec(any_change(), 0..60),
        ) {
            let mut nor = Nor::in_memory(0x2000);
            let mut model = vec![0xFF_u8; 0x2000];
            for change in changes {
                match change {
                    Change::Program(at, data) => {
                        let fits = at as usize + data.len() <= model.len();
                        proptest::prop_assert_eq!(nor.program(at, &data).is_ok(), fits);
                        if fits {
                            let cells = model[at as usize..].iter_mut();
                            cells.zip(&data).for_each(|(cell, byte)| *cell &= byte);
                        }
                    }
                    Change::Erase(at) => {
                        nor.erase_sector(at).unwrap();
                        model[at as usize / 0x1000 * 0x1000..][..0x1000].fill(0xFF);
                    }
                    Change::Rewrite(at, data) => {
                        let old = &mut model[at as usize..][..0x1000];
                        if old.iter().zip(&data).any(|(old, new)| new & !*old != 0) {
                            old.fill(0xFF);
                        }
                        old[..data.len()].copy_from_slice(&data);
                        nor.rewrite(at, &data).unwrap();
                    }
                }
            }
            proptest::prop_assert!(nor.cells() == model);
        }
    }
}
