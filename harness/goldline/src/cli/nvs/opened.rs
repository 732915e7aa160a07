//! A partition's bytes → a plain NVS image, or the answer why it is none.
//!
//! Keys come from the command's arguments, or else from a key partition in the same dump.

use std::path::{Path, PathBuf};

use goldline_nvs::{
    Image,
    crypt::{self, Keys},
    device::{DeviceView, Opening},
    dump::{Dump, Partition},
    identify::{Kind, identify},
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    input::{Chosen, Input, Part, PartArguments},
    problem::{NvsProblem, Unreadable},
};
use crate::cli::{
    exit,
    output::{complain, print_json},
};

/// An image that can be judged: plain, or decrypted with its keys.
pub(super) struct OpenedImage {
    /// The file, with the partition in it.
    name: PathBuf,
    part: Option<Part>,
    plain: Zeroizing<Vec<u8>>,
    keys: Option<Keys>,
}

/// What a reading command works on.
pub(super) struct Opened {
    /// Whether these are the partitions of a dump, each to be shown under its label.
    pub(super) is_dump: bool,
    /// Those that can be read.
    pub(super) images: Vec<OpenedImage>,
    /// Answers to the others of a dump.
    pub(super) unreadable: Vec<NvsProblem>,
    /// NVS pages of a dump that lie in none of its partitions.
    pub(super) stray: Vec<OpenedImage>,
}

impl Opened {
    /// Reads a file and in it what the arguments ask for.
    ///
    /// # Errors
    /// Nothing of it can be read.
    pub(super) fn read(
        path: &Path,
        arguments: &PartArguments,
        keys: Option<&Keys>,
    ) -> Result<Self, NvsProblem> {
        let input = Input::read(path, arguments)?;
        input.remark();
        Self::of(&input, arguments, keys)?.readable(path)
    }

    /// The same with the NVS pages of a dump that lie in none of its partitions.
    ///
    /// # Errors
    /// As [`read`](Self::read), unless there are such pages.
    pub(super) fn read_with_stray(
        path: &Path,
        arguments: &PartArguments,
        keys: Option<&Keys>,
    ) -> Result<Self, NvsProblem> {
        let input = Input::read(path, arguments)?;
        input.remark();
        let opened = Self::of(&input, arguments, keys)?;
        let stray = if opened.is_dump { stray(&input, keys) } else { Vec::new() };
        match stray.is_empty() {
            true => opened.readable(path),
            false => Ok(Self { stray, ..opened }),
        }
    }

    /// Opens what the arguments ask for. With keys an image must be encrypted, without it must be
    /// plain; an erased partition is both. Of a dump's partitions none need be readable.
    pub(super) fn of(
        input: &Input,
        arguments: &PartArguments,
        keys: Option<&Keys>,
    ) -> Result<Self, NvsProblem> {
        let parts = match input.choose(arguments)? {
            Chosen::Whole => return Ok(Self::one(OpenedImage::open(input, None, keys)?)),
            Chosen::One(part) => {
                return Ok(Self::one(OpenedImage::open(input, Some(part), keys)?));
            }
            Chosen::Every(parts) => parts,
        };
        let (mut images, mut unreadable) = (Vec::new(), Vec::new());
        for part in parts {
            // Keys serve whichever partition of a dump is encrypted.
            let opened = match OpenedImage::open(input, Some(part.clone()), keys) {
                Err(NvsProblem::Unreadable { why: Unreadable::NotEncrypted, .. }) => {
                    OpenedImage::open(input, Some(part), None)
                }
                outcome => outcome,
            };
            match opened {
                Ok(image) => images.push(image),
                Err(problem) => unreadable.push(problem),
            }
        }
        Ok(Self { is_dump: true, images, unreadable, stray: Vec::new() })
    }

    fn readable(mut self, path: &Path) -> Result<Self, NvsProblem> {
        match (self.images.is_empty(), self.unreadable.is_empty()) {
            (false, _) => Ok(self),
            (true, false) => Err(self.unreadable.remove(0)),
            (true, true) => Err(NvsProblem::NoNvsInDump { path: path.to_owned() }),
        }
    }

    /// The one image that there is.
    ///
    /// # Errors
    /// There are several, and none was named.
    pub(super) fn the_only(&self, path: &Path) -> Result<&OpenedImage, NvsProblem> {
        match (&self.images[..], &self.unreadable[..]) {
            ([image], []) => Ok(image),
            (images, _) => {
                let readable = images.iter().filter_map(|image| Some(image.part()?.to_string()));
                let unreadable = self.unreadable.iter().map(ToString::to_string);
                let partitions = readable.chain(unreadable).collect::<Vec<_>>().join("; ");
                Err(NvsProblem::IsDump { path: path.to_owned(), partitions })
            }
        }
    }

    /// The same where every partition must be readable.
    ///
    /// # Errors
    /// The first that is not.
    pub(super) fn whole(mut self, path: &Path) -> Result<Self, NvsProblem> {
        match self.unreadable.is_empty() {
            true => self.readable(path),
            false => Err(self.unreadable.remove(0)),
        }
    }

    /// What a command makes of each image.
    pub(super) fn each<'o, T>(&'o self, of: impl Fn(&'o OpenedImage) -> T) -> Vec<T> {
        self.images.iter().map(of).collect()
    }

    /// The same, and of the stray pages behind.
    pub(super) fn each_and_stray<'o, T>(
        &'o self,
        of: impl Fn(&'o OpenedImage) -> T,
        of_stray: impl Fn(&'o OpenedImage) -> T,
    ) -> Vec<T> {
        self.images.iter().map(of).chain(self.stray.iter().map(of_stray)).collect()
    }

    /// The texts of [`each`](Self::each), those of a dump under their labels.
    pub(super) fn sections(&self, texts: Vec<String>) -> String {
        let section = |(image, text): (&OpenedImage, String)| match image.part() {
            Some(part) if self.is_dump => format!("{part}:\n{text}"),
            _ => text,
        };
        let sections = self.images.iter().chain(&self.stray).zip(texts).map(section);
        sections.collect::<Vec<_>>().join("\n")
    }

    /// Prints the documents of [`each`](Self::each); of a dump one that holds them all.
    pub(super) fn print_documents<D: Serialize>(&self, documents: &[D]) -> miette::Result<()> {
        match documents {
            [only] if !self.is_dump => print_json(only),
            partitions => print_json(&DumpDocument { schema: 1, partitions }),
        }
    }

    fn one(image: OpenedImage) -> Self {
        Self { is_dump: false, images: vec![image], unreadable: Vec::new(), stray: Vec::new() }
    }

    /// Says what could not be read, and gives the exit code that tells it.
    pub(super) fn finish(self, code: u8) -> u8 {
        let any = !self.unreadable.is_empty();
        for problem in self.unreadable {
            complain(&format!("{:?}", miette::Report::from(problem)));
        }
        if any { exit::USAGE } else { code }
    }
}

/// Those that can be read; what is encrypted with keys that nobody has stays closed.
fn stray(input: &Input, keys: Option<&Keys>) -> Vec<OpenedImage> {
    let open = |part: Part| {
        let plain = OpenedImage::open(input, Some(part.clone()), None);
        plain.or_else(|_| OpenedImage::open(input, Some(part), keys)).ok()
    };
    input.stray().into_iter().filter_map(open).collect()
}

/// `{ "schema": 1, "partitions": [what the command says of each] }`.
#[derive(Serialize)]
struct DumpDocument<'d, D> {
    schema: u32,
    partitions: &'d [D],
}

/// `{ "label", "flash_offset", "size" }`.
#[derive(Serialize)]
pub(super) struct PartOfDump<'p> {
    label: &'p str,
    flash_offset: usize,
    size: usize,
}

impl<'p> PartOfDump<'p> {
    pub(super) fn of(part: &'p Part) -> Self {
        Self { label: &part.label, flash_offset: part.flash_offset, size: part.size }
    }
}

impl OpenedImage {
    pub(super) fn open(
        input: &Input,
        part: Option<Part>,
        keys: Option<&Keys>,
    ) -> Result<Self, NvsProblem> {
        let name = input.name_of(part.as_ref());
        let range = part.as_ref().map_or(0..input.bytes().len(), |part| part.range.clone());
        let bytes = &input.bytes()[range];
        let unreadable = |why| NvsProblem::Unreadable { path: name.clone(), why };
        let kind = identify(bytes);
        refuse(bytes, kind, part.is_some()).map_err(unreadable)?;
        let (plain, keys) = match (kind, keys) {
            (Kind::EncryptedNvs, None) => {
                let found = input.dump().and_then(|dump| keys_in(input.bytes(), dump, bytes));
                let (from, keys, plain) = found.ok_or(unreadable(Unreadable::LooksEncrypted))?;
                let Partition { label, flash_offset, .. } = from;
                complain(&format!(
                    "{}: decrypted with the keys of {label} at {flash_offset:#x}",
                    name.display()
                ));
                (plain, Some(keys))
            }
            (_, None) => (bytes.to_vec(), None),
            (_, Some(keys)) => {
                let plain =
                    crypt::decrypt(bytes, keys).map_err(|error| unreadable(error.into()))?;
                (plain, (kind == Kind::EncryptedNvs).then(|| keys.clone()))
            }
        };
        Ok(Self { name, part, plain: Zeroizing::new(plain), keys })
    }

    /// The file, and in a dump the partition.
    pub(super) fn path(&self) -> &Path {
        &self.name
    }

    /// The partition, of a dump or by its place.
    pub(super) fn part(&self) -> Option<&Part> {
        self.part.as_ref()
    }

    /// The image as it is without encryption.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Whether the file is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.keys.is_some()
    }

    /// The keys that decrypted it.
    pub(super) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// The image split into pages and items.
    pub(super) fn image(&self) -> Image<'_> {
        Image::decode(&self.plain).expect("what was identified as NVS or erased has a page")
    }

    /// What a device reads.
    ///
    /// # Errors
    /// A device reads nothing, because it does not open the partition.
    pub(super) fn device_view(&self) -> Result<DeviceView, NvsProblem> {
        let view = self.image().device_view();
        match why_closed(view.opening()) {
            None => Ok(view),
            Some(why) => Err(NvsProblem::DoesNotOpen { path: self.name.clone(), why }),
        }
    }
}

/// The key partition of a dump that decrypts an image, and what it makes of it.
fn keys_in<'d>(
    bytes: &[u8],
    dump: &'d Dump,
    image: &[u8],
) -> Option<(&'d Partition, Keys, Vec<u8>)> {
    dump.key_partitions().find_map(|partition| {
        let keys = Keys::from_partition(&bytes[partition.range.clone()]).ok()?;
        let plain = crypt::decrypt(image, &keys).ok()?;
        Some((partition, keys, plain))
    })
}

/// Why a device does not open a partition, if it does not.
pub(super) fn why_closed(opening: Opening) -> Option<&'static str> {
    match opening {
        Opening::ReadWrite | Opening::ReadOnly => None,
        Opening::NewVersion { .. } => Some("ESP_ERR_NVS_NEW_VERSION_FOUND"),
        Opening::NoFreePages => Some("ESP_ERR_NVS_NO_FREE_PAGES"),
    }
}

/// The answers for what is no NVS image.
fn refuse(bytes: &[u8], kind: Kind, is_part: bool) -> Result<(), Unreadable> {
    match kind {
        // A partition of a dump has the size that its table gives it, whatever that resembles.
        Kind::HmacKey if is_part => Err(Unreadable::NotNvs(Kind::Other)),
        Kind::KeyPartition | Kind::DamagedKeyPartition | Kind::HmacKey => {
            Err(Unreadable::IsKey(kind))
        }
        Kind::Empty => Err(Unreadable::NotNvs(kind)),
        Kind::Nvs | Kind::EncryptedNvs => Ok(()),
        Kind::Blank | Kind::Other => {
            Image::decode(bytes).map_err(Unreadable::TooShort)?;
            match kind {
                Kind::Blank => Ok(()),
                _ => Err(Unreadable::NoNvsPage),
            }
        }
    }
}
