//! What a writing command changes: a file that is one NVS image, or one partition of a dump.
//!
//! Everything is refused here, before a byte is written: a dump of which no partition was named,
//! what is no NVS partition, and an image that is damaged, which a change would rewrite without what
//! a device drops.

use std::{ops::Range, path::Path};

use clap::Args;
use goldline_nvs::{
    crypt::{self, Keys},
    dump::{Dump, Md5, Table, is_nvs_partition},
    limits::PAGE_BYTES,
    salvage::{Lost, would_be_lost},
};
use zeroize::Zeroizing;

use super::{
    input::{Chosen, Input, Part, PartArguments},
    opened::OpenedImage,
    problem::NvsProblem,
    soundness::Soundness,
};
use crate::{cli::output::complain, output_file::Existing};

/// Whether the user insists on a change.
#[derive(Args)]
pub(super) struct ForceArgument {
    /// Overwrite output files that exist, and change a damaged image
    #[arg(long)]
    force: bool,
}

impl ForceArgument {
    /// What becomes of files that exist.
    pub(super) fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Refuse }
    }
}

/// A file with the one image in it that may be changed.
pub(super) struct Writable {
    input: Input,
    image: OpenedImage,
}

impl Writable {
    /// Opens the image that the arguments name, as [`OpenedImage::open`] does.
    ///
    /// # Errors
    /// What may not be written, see above. Damage is no reason where the user insists (`force`);
    /// what is lost then is said on standard error.
    pub(super) fn open(
        path: &Path,
        arguments: &PartArguments,
        keys: Option<&Keys>,
        force: &ForceArgument,
    ) -> Result<Self, NvsProblem> {
        let writable = Self::open_unjudged(path, arguments, keys)?;
        writable.refuse_damage(force.force)?;
        Ok(writable)
    }

    /// The same for those who mend damage, or change no item.
    pub(super) fn open_unjudged(
        path: &Path,
        arguments: &PartArguments,
        keys: Option<&Keys>,
    ) -> Result<Self, NvsProblem> {
        let input = Input::read(path, arguments)?;
        let part = match input.choose(arguments)? {
            Chosen::Whole => None,
            // Its extent is a guess, which nobody but the user can make good.
            Chosen::One(part) if part.is_guess && !arguments.gives_a_place() => {
                let (path, part) = (path.to_owned(), part.to_string());
                return Err(NvsProblem::Guess { path, part });
            }
            Chosen::One(part) => Some(part),
            Chosen::Every(_) => {
                let partitions = input.nvs_partitions();
                return Err(NvsProblem::IsDump { path: path.to_owned(), partitions });
            }
        };
        if let Some(part) = &part {
            refuse_part(&input, part)?;
        }
        input.remark();
        let image = OpenedImage::open(&input, part, keys)?;
        Ok(Self { input, image })
    }

    pub(super) fn image(&self) -> &OpenedImage {
        &self.image
    }

    /// The whole file with the image replaced by another plain one, encrypted as it was.
    pub(super) fn file_with(&self, plain: &[u8]) -> Zeroizing<Vec<u8>> {
        match self.image.keys() {
            Some(keys) => self.file_with_bytes(&crypt::encrypt(plain, keys)),
            None => self.file_with_bytes(plain),
        }
    }

    /// The whole file with the image's bytes replaced.
    pub(super) fn file_with_bytes(&self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        let Some(part) = self.image.part() else { return Zeroizing::new(bytes.to_vec()) };
        let mut file = Zeroizing::new(self.input.bytes().to_vec());
        file[part.range.clone()].copy_from_slice(bytes);
        file
    }

    fn refuse_damage(&self, force: bool) -> Result<(), NvsProblem> {
        let image = self.image.image();
        if Soundness::of(&image.findings()) != Soundness::Damaged {
            return Ok(());
        }
        let lost: Vec<String> = would_be_lost(&image).iter().map(lost_item).collect();
        if !force {
            return Err(NvsProblem::Damaged { path: self.image.path().to_owned(), lost });
        }
        for lost in lost {
            complain(&format!("{}: lost: {lost}", self.image.path().display()));
        }
        Ok(())
    }
}

/// Refuses a part of a file that a partition table does not call NVS, or that does not look so.
fn refuse_part(input: &Input, part: &Part) -> Result<(), NvsProblem> {
    let path = || input.path().to_owned();
    if part.is_cut_short() {
        return Err(NvsProblem::BeyondTheFile {
            path: path(),
            part: part.to_string(),
            bytes: input.bytes().len(),
        });
    }
    let bytes = &input.bytes()[part.range.clone()];
    let is_nvs = match input.dump() {
        None => is_nvs_partition(bytes),
        Some(dump) => is_sure(dump, part, bytes),
    };
    if is_nvs {
        return Ok(());
    }
    Err(NvsProblem::NoNvsPlace {
        path: path(),
        place: format!("{:#x} bytes at {:#x}", part.size, part.range.start),
        partitions: input.nvs_partitions(),
    })
}

/// Whether nothing speaks against a part of a dump being an NVS partition of just this extent.
fn is_sure(dump: &Dump, part: &Part, bytes: &[u8]) -> bool {
    let Table::At { offset, md5 } = dump.table else { return is_nvs_partition(bytes) };
    let is_known = dump.nvs().any(|known| known.range == part.range);
    let overlaps =
        |other: &Range<usize>| other.start < part.range.end && part.range.start < other.end;
    let others = dump.partitions.iter().filter(|other| other.range != part.range);
    let is_apart = !overlaps(&(offset..offset + PAGE_BYTES))
        && !others.into_iter().any(|other| overlaps(&other.range));
    // Rows that may be damaged, and addresses that rest on where the file begins, are believed only
    // where NVS pages bear them out.
    let is_proven = md5 == Md5::Right && dump.flash_base == 0 || is_nvs_partition(bytes);
    let is_blank_of_a_whole_flash = dump.flash_base == 0 && bytes.iter().all(|byte| *byte == 0xFF);
    is_known && is_apart && (is_proven || md5 == Md5::Missing && is_blank_of_a_whole_flash)
}

/// Key and place of what is lost, and why.
pub(super) fn lost_item(lost: &Lost) -> String {
    let named =
        |name: Option<goldline_nvs::Key>| name.map_or("?".to_owned(), |name| name.to_string());
    let Lost { namespace, key, location, why } = lost;
    format!("{}/{} ({location}): {why}", named(*namespace), named(*key))
}
