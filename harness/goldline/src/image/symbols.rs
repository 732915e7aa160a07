//! What lies at an address of the application: function, file and line, by the ELF that it was made of.
//!
//! The ELF must be that of the image: an address of another build lies in another function. Must not know why
//! somebody asks.

use std::{fs, path::Path, sync::Arc};

use addr2line::{
    Context, demangle_auto,
    gimli::{self, EndianSlice, RunTimeEndian},
};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};
use sha2::{Digest, Sha256};

use super::{
    FlashImages, ImageError,
    application::{ELF_MAGIC, read},
};
use crate::{
    hex::hex,
    profile::{AppSource, Profile},
    record::PanicFrame,
};

/// The folders that builds are made in, below a project's own.
const BUILD_FOLDERS: [&str; 3] = ["build", "target", ".pio"];
/// Behind these, a path says which part of whose sources it is.
const SOURCES: [(&str, &str); 3] =
    [("/esp-idf/", "esp-idf/"), ("/.cargo/registry/src/", ""), ("/rustc/", "rust/")];

/// The ELF of an application, or why there is none.
#[derive(Clone, Debug, Default)]
pub struct Symbols(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    /// No machine code runs.
    #[default]
    OfNone,
    Missing,
    Foreign(String),
    Elf(Elf),
}

#[derive(Clone, Debug)]
struct Elf {
    bytes: Arc<Vec<u8>>,
    digest: String,
    /// Of the project, with a slash at its end.
    root: Option<String>,
    /// Whether the image names it.
    is_named: bool,
}

impl Symbols {
    /// Those of a profile's application: of the ELF that it names beside the image, or of the application
    /// itself, if it is one.
    ///
    /// # Errors
    /// When that file cannot be read, or is no ELF.
    pub fn of(profile: &Profile, images: &FlashImages) -> Result<Self, ImageError> {
        let app = match &profile.images.app {
            AppSource::File(file) => Some(file),
            AppSource::Model { .. } => None,
        };
        if let Some(elf) = &profile.images.elf {
            let bytes = read(elf)?;
            if !bytes.starts_with(&ELF_MAGIC) {
                return Err(ImageError::NoElf { path: elf.path().to_owned() });
            }
            let named = images.description().map(|firmware| firmware.elf_sha256);
            return Ok(Self::named(elf.path(), bytes, named.as_deref()));
        }
        let Some(file) = app else { return Ok(Self::default()) };
        let bytes = read(file)?;
        Ok(Self(match bytes.starts_with(&ELF_MAGIC) {
            true => Kind::Elf(Elf::new(file.path(), bytes, true)),
            false => Kind::Missing,
        }))
    }

    /// Of an ELF beside an image that names an ELF by its SHA-256, as lowercase hex.
    pub fn named(path: &Path, bytes: Vec<u8>, named: Option<&str>) -> Self {
        let named = named.filter(|digest| digest.bytes().any(|digit| digit != b'0'));
        let elf = Elf::new(path, bytes, named.is_some());
        match named {
            Some(named) if named != elf.digest => Self(Kind::Foreign(format!(
                "the backtrace was not decoded: {} is not the ELF of the image that was flashed (its SHA-256 \
                 begins {}, the image names {})",
                path.display(),
                &elf.digest[..16],
                &named[..named.len().min(16)],
            ))),
            _ => Self(Kind::Elf(elf)),
        }
    }

    /// Whether machine code runs that could crash at an address.
    pub fn are_of_machine_code(&self) -> bool {
        !matches!(self.0, Kind::OfNone)
    }

    /// What lies at these addresses, inlined functions first, and what is to be said of it. `running` is how
    /// the SHA-256 of the ELF begins that the unit itself named.
    pub fn frames(
        &self,
        addresses: &[u32],
        running: Option<&str>,
    ) -> (Vec<PanicFrame>, Option<String>) {
        let bare = || addresses.iter().map(|address| unknown(*address)).collect();
        match &self.0 {
            Kind::OfNone => (bare(), None),
            _ if addresses.is_empty() => (Vec::new(), None),
            Kind::Missing => {
                let note =
                    "the backtrace was not decoded: name the ELF in [images] elf to decode it";
                (bare(), Some(note.to_owned()))
            }
            Kind::Foreign(why) => (bare(), Some(why.clone())),
            Kind::Elf(elf) => match running.filter(|running| !elf.digest.starts_with(*running)) {
                Some(running) => {
                    let note = format!(
                        "the backtrace was not decoded: the unit ran an image of the ELF {running}…, and the \
                         one that is named is {}…",
                        &elf.digest[..16]
                    );
                    (bare(), Some(note))
                }
                None => elf.frames(addresses, running.is_some()),
            },
        }
    }
}

impl Elf {
    fn new(path: &Path, bytes: Vec<u8>, is_named: bool) -> Self {
        let digest = hex(&Sha256::digest(&bytes));
        Self { bytes: Arc::new(bytes), digest, root: project_of(path), is_named }
    }

    fn frames(&self, addresses: &[u32], is_confirmed: bool) -> (Vec<PanicFrame>, Option<String>) {
        let Ok(file) = object::File::parse(&**self.bytes) else {
            let note = "the backtrace was not decoded: the ELF is damaged".to_owned();
            return (addresses.iter().map(|address| unknown(*address)).collect(), Some(note));
        };
        let lines = context(&file);
        let frames = addresses.iter().flat_map(|&address| {
            let mut found =
                lines.as_ref().map(|lines| self.lines(lines, address)).unwrap_or_default();
            if found.is_empty() {
                let function = symbol(&file, address);
                found.push(PanicFrame { function, ..unknown(address) });
            }
            found
        });
        let frames: Vec<_> = frames.collect();
        let note = match frames.iter().any(|frame| frame.function.is_some()) {
            false => Some("the ELF has no function at any address of the backtrace".to_owned()),
            true if !self.is_named && !is_confirmed => Some(
                "neither image nor unit says which ELF it is of: it was not compared".to_owned(),
            ),
            true => None,
        };
        (frames, note)
    }

    fn lines(&self, lines: &Lines<'_>, address: u32) -> Vec<PanicFrame> {
        let mut found = Vec::new();
        let frames = lines.find_frames(address.into()).skip_all_loads();
        let Ok(mut frames) = frames else { return found };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.and_then(|function| {
                let name = function.raw_name().ok()?;
                Some(as_written(&name))
            });
            let place = frame.location.and_then(|place| {
                let file = self.shortened(place.file?);
                Some(place.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
            });
            found.push(PanicFrame { function, place, ..unknown(address) });
        }
        // A line without a function is the symbol table's to name.
        if found.iter().all(|frame| frame.function.is_none()) {
            found.clear();
        }
        found
    }

    /// A path of the machine that built it, from the project's folder on, or from that of its parts; at
    /// least without the name of who built it.
    fn shortened(&self, path: &str) -> String {
        let path = path.replace('\\', "/");
        if let Some(rest) = self.root.as_deref().and_then(|root| path.strip_prefix(root)) {
            return rest.to_owned();
        }
        for (mark, name) in SOURCES {
            if let Some((_, rest)) = path.split_once(mark) {
                // Behind Cargo's and Rust's marks stands a hash.
                let rest = match mark {
                    "/esp-idf/" => rest,
                    _ => rest.split_once('/').map_or(rest, |(_, rest)| rest),
                };
                return format!("{name}{rest}");
            }
        }
        for homes in ["/home/", "/Users/"] {
            if let Some((_, rest)) = path.split_once(homes) {
                return format!("~/{}", rest.split_once('/').map_or(rest, |(_, rest)| rest));
            }
        }
        path.strip_prefix("/root/").map_or_else(|| path.clone(), |rest| format!("~/{rest}"))
    }
}

type Lines<'a> = Context<EndianSlice<'a, RunTimeEndian>>;

/// Its lines, where it has any.
fn context<'a>(file: &object::File<'a>) -> Option<Lines<'a>> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let load = |id: gimli::SectionId| {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok::<_, gimli::Error>(EndianSlice::new(data.unwrap_or(&[]), endian))
    };
    Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()
}

/// The function whose symbol covers an address.
fn symbol(file: &object::File<'_>, address: u32) -> Option<String> {
    let address = u64::from(address);
    let covers = |start: u64, size: u64| start <= address && address < start + size.max(1);
    let mut functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let found = functions.find(|symbol| covers(symbol.address(), symbol.size()))?;
    Some(as_written(found.name().ok()?))
}

/// The name as it stands in the source. It tells by itself whose it is, for C calls what C++ or Rust named; a
/// short one of C would be read as one of C++'s types.
fn as_written(name: &str) -> String {
    match name.starts_with("_Z") || name.starts_with("_R") {
        true => demangle_auto(name.into(), None).into_owned(),
        false => name.to_owned(),
    }
}

fn unknown(address: u32) -> PanicFrame {
    PanicFrame { address: format!("{address:#010x}"), function: None, place: None }
}

/// The folder that a build folder is in.
fn project_of(elf: &Path) -> Option<String> {
    let absolute = fs::canonicalize(elf).ok()?;
    let is_build = |folder: &&Path| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| BUILD_FOLDERS.contains(&name))
    };
    let project = absolute.ancestors().find(is_build)?.parent()?;
    Some(format!("{}/", project.to_str()?))
}
