//! What can go wrong in `goldline nvs`, as miette shows it: message, stable code, advice.
//!
//! No message and no label repeats a line of a CSV or a value: they may be secret.

use std::{io, path::PathBuf};

use goldline_nvs::{
    crypt::{DecryptError, KeysError},
    csv::WriteError,
    document::{DocumentError, EncodingError},
    dump::{self, DumpError},
    edit::EditError,
    generate::GenerateError,
    identify::Kind,
    image::DecodeError,
};
use miette::Diagnostic;

use crate::output_file::OutputError;

/// Why a command did not do what was asked. Nothing was written then.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(super) enum NvsProblem {
    #[error("cannot read {}: {error}", .path.display())]
    #[diagnostic(code("file.unreadable"))]
    Read { path: PathBuf, error: io::Error },
    #[error(transparent)]
    #[diagnostic(code("file.unwritable"))]
    Output(#[from] OutputError),
    #[error("{} is an input and would be overwritten", .path.display())]
    #[diagnostic(code("file.output_is_input"), help("name another output"))]
    OutputIsInput { path: PathBuf },
    #[error("{} exists: a key file is never overwritten, units may depend on it", .path.display())]
    #[diagnostic(code("key.exists"), help("name another file, or remove this one yourself"))]
    KeyFileExists { path: PathBuf },
    #[error("the operating system gives no random bytes: {0}")]
    #[diagnostic(code("random.unavailable"))]
    Random(getrandom::Error),

    /// The errors themselves are printed before, one a line.
    #[error("{} has {}; nothing was written", .path.display(), counted(*errors))]
    #[diagnostic(code("csv.invalid"))]
    Csv { path: PathBuf, errors: usize },
    #[error("cannot make an image of {}: {error}", .path.display())]
    #[diagnostic(code("image.not_made"))]
    Generate { path: PathBuf, error: GenerateError },

    #[error("{}: {why}", .path.display())]
    #[diagnostic(forward(why))]
    Key { path: PathBuf, why: BadKey },
    #[error("{}: {why}", .path.display())]
    #[diagnostic(forward(why))]
    Unreadable { path: PathBuf, why: Unreadable },
    #[error("{}: {error}", .path.display())]
    #[diagnostic(code("dump.no_table"))]
    Dump { path: PathBuf, error: DumpError },
    #[error("{} is a dump of the flash with several partitions: {partitions}", .path.display())]
    #[diagnostic(
        code("dump.which"),
        help("name one with --partition LABEL, or with --offset BYTES --size BYTES")
    )]
    IsDump { path: PathBuf, partitions: String },
    #[error("{} is a dump of the flash without an NVS partition", .path.display())]
    #[diagnostic(
        code("dump.no_nvs"),
        help("if its partition table is not at 0x8000, say where with --table-offset")
    )]
    NoNvsInDump { path: PathBuf },
    #[error("{} is no dump of the flash that could have a partition {label}", .path.display())]
    #[diagnostic(
        code("dump.not_one"),
        help("leave out --partition; or say where the partition table is with --table-offset")
    )]
    NoDump { path: PathBuf, label: String },
    #[error("{} has no partition {label}; its NVS partitions: {partitions}", .path.display())]
    #[diagnostic(code("dump.no_such_partition"))]
    NoSuchPartition { path: PathBuf, label: String, partitions: String },
    #[error("{}: the partition {label} is {kind}; its NVS partitions: {partitions}", .path.display())]
    #[diagnostic(code("dump.not_nvs"), help("nothing was changed"))]
    NotAnNvsPartition { path: PathBuf, label: String, kind: dump::Kind, partitions: String },
    #[error("{} has several partitions {label}: {partitions}", .path.display())]
    #[diagnostic(code("dump.which"), help("name one with --offset BYTES --size BYTES"))]
    AmbiguousLabel { path: PathBuf, label: String, partitions: String },
    #[error("{} has the NVS partitions {of_a}, {} has {of_b}", .a.display(), .b.display())]
    #[diagnostic(code("dump.other_partitions"), help("name the one to compare with --partition"))]
    OtherPartitions { a: PathBuf, of_a: String, b: PathBuf, of_b: String },
    #[error("{}: no partition table speaks of {part}, whose extent is a guess", .path.display())]
    #[diagnostic(code("dump.guess"), help("say where it is with --offset BYTES --size BYTES"))]
    Guess { path: PathBuf, part: String },
    #[error("{} has {bytes:#x} bytes and does not hold all of {part}", .path.display())]
    #[diagnostic(code("dump.cut_short"), help("read the flash again, all of it"))]
    BeyondTheFile { path: PathBuf, part: String, bytes: usize },
    #[error("{}: {place} are no NVS partition; its NVS partitions: {partitions}", .path.display())]
    #[diagnostic(code("dump.not_nvs"), help("nothing was changed"))]
    NoNvsPlace { path: PathBuf, place: String, partitions: String },
    #[error("{} is damaged, and a change would lose {}", .path.display(), listed(.lost))]
    #[diagnostic(
        code("image.damaged"),
        help(
            "nothing was changed; goldline nvs repair mends what one bit explains, salvage makes a fresh image of what is readable, and --force changes it all the same"
        )
    )]
    Damaged { path: PathBuf, lost: Vec<String> },
    #[error("an image that was read from standard input cannot be written back")]
    #[diagnostic(code("file.standard_input"), help("name a file to write with --output FILE"))]
    NoPlaceToWrite,
    #[error("{} has nothing that a flipped bit explains, so nothing was written", .path.display())]
    #[diagnostic(
        code("repair.nothing"),
        help(
            "goldline nvs check says what is wrong; goldline nvs salvage makes a fresh image of what is readable"
        )
    )]
    NothingToRepair { path: PathBuf },
    #[error("{} is sound: there is nothing to repair, and nothing was written", .path.display())]
    #[diagnostic(code("repair.sound"))]
    NothingDamaged { path: PathBuf },
    #[error("nothing of {} is readable, so nothing was written", .path.display())]
    #[diagnostic(code("salvage.nothing"))]
    NothingToSalvage { path: PathBuf },
    #[error("{name} is secret")]
    #[diagnostic(code("get.secret"), help("--secrets shows it"))]
    IsSecret { name: String },
    #[error("a device does not open {}: {why}", .path.display())]
    #[diagnostic(
        code("image.does_not_open"),
        help("goldline nvs check says what is wrong with it")
    )]
    DoesNotOpen { path: PathBuf, why: &'static str },
    #[error("{} is encrypted already", .path.display())]
    #[diagnostic(code("image.encrypted"))]
    AlreadyEncrypted { path: PathBuf },
    #[error("none of the images is encrypted, and keys were given")]
    #[diagnostic(code("image.not_encrypted"), help("leave out the keys"))]
    KeysUnused,
    #[error("no keys were given")]
    #[diagnostic(code("key.missing"), help("give --keys FILE or --hmac-key FILE"))]
    NoKeys,

    #[error("the CSV would show {secrets} secret values")]
    #[diagnostic(
        code("csv.secret"),
        help("a CSV without them would make another image; --secrets writes them into it")
    )]
    CsvShowsSecrets { secrets: usize },
    #[error("--raw has no CSV form")]
    #[diagnostic(code("csv.raw"), help("use --format text or --format json"))]
    CsvOfRaw,
    #[error(transparent)]
    #[diagnostic(code("csv.not_expressible"), help("--format json holds everything"))]
    NotCsv(WriteError),

    #[error("an argument of {option} is not of the form {form}")]
    #[diagnostic(code("edit.form"))]
    Form { option: &'static str, form: &'static str },
    #[error("{name} looks like a secret, and arguments can be read by every user of the machine")]
    #[diagnostic(
        code("edit.secret_in_arguments"),
        help("give it as @FILE, or as '$VARIABLE' of the environment")
    )]
    SecretInArguments { name: String },
    #[error("the environment has no variable {variable}, or it is not UTF-8 text")]
    #[diagnostic(code("edit.variable"))]
    Variable { variable: String },
    #[error("the content of {place} for {name} is not UTF-8 text")]
    #[diagnostic(code("edit.not_text"), help("the encoding binary takes any bytes of a file"))]
    NotText { name: String, place: String },
    #[error("{name}: {error}")]
    #[diagnostic(code("edit.value"))]
    Value { name: String, error: EncodingError },
    #[error("{} has no key {name}", .path.display())]
    #[diagnostic(
        code("edit.no_such_key"),
        help("nothing was changed; goldline nvs show lists the keys there are")
    )]
    NoSuchKey { path: PathBuf, name: String },
    #[error("cannot change {}: {error}", .path.display())]
    #[diagnostic(code("edit.failed"))]
    Edit { path: PathBuf, error: EditError },
    #[error("no fresh image can be made of {}: {error}", .path.display())]
    #[diagnostic(code("edit.not_compactable"), help("leave out --compact"))]
    Compact { path: PathBuf, error: DocumentError },
    #[error("nothing to do")]
    #[diagnostic(code("edit.nothing"), help("give --set, --remove or --compact"))]
    NothingToDo,
    #[error("{found} bytes are too few to look for: they turn up by chance")]
    #[diagnostic(code("leftovers.short"), help("give at least 6 bytes"))]
    ShortNeedle { found: usize },
}

/// Names in a sentence: the first ones, and how many more.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "nothing that can be named".to_owned(),
        all if all <= SHOWN => names.join("; "),
        all => format!("{}; and {} more", names[..SHOWN].join("; "), all - SHOWN),
    }
}

fn counted(errors: usize) -> String {
    match errors {
        1 => "1 error".to_owned(),
        more => format!("{more} errors"),
    }
}

/// A key file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub(super) struct BadKey(#[from] KeysError);

impl BadKey {
    fn stable_code(self) -> &'static str {
        match self.0 {
            KeysError::IsHmacKey => "key.is_hmac_key",
            KeysError::IsKeyPartition => "key.is_key_partition",
            KeysError::TooShort { .. } => "key.too_short",
            KeysError::Blank => "key.erased",
            KeysError::Crc { .. } => "key.crc",
            KeysError::HmacKeyLength { .. } => "key.hmac_length",
        }
    }
}

impl Diagnostic for BadKey {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.stable_code()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(match self.0 {
            KeysError::IsHmacKey => "give it with --hmac-key",
            KeysError::IsKeyPartition => "give it with --keys",
            _ => return None,
        }))
    }
}

/// Why a file's content cannot be judged as an NVS image at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Diagnostic)]
pub(super) enum Unreadable {
    #[error("the image is encrypted, and no key was given")]
    #[diagnostic(
        code("image.looks_encrypted"),
        help("give its keys with --keys FILE or --hmac-key FILE")
    )]
    LooksEncrypted,
    #[error("the image is not encrypted, and a key was given")]
    #[diagnostic(
        code("image.not_encrypted"),
        help("leave out the key, if it was meant to be plain; else it was never encrypted")
    )]
    NotEncrypted,
    #[error("these are not the keys of this image: nothing readable comes out")]
    #[diagnostic(code("image.wrong_key"), help("look up which unit the key file belongs to"))]
    WrongKey,
    #[error("this is {0}, not an NVS image")]
    #[diagnostic(code("image.not_nvs"), help("read the NVS partition, all of it"))]
    NotNvs(Kind),
    #[error("this is not an NVS image: no page of it looks like one")]
    #[diagnostic(code("image.not_nvs"), help("read the NVS partition, all of it"))]
    NoNvsPage,
    #[error("this is {0}, not an NVS image")]
    #[diagnostic(
        code("image.is_a_key"),
        help(
            "the arguments may be in the wrong order: the image comes first, the key follows --keys or --hmac-key"
        )
    )]
    IsKey(Kind),
    #[error(transparent)]
    #[diagnostic(code("image.too_short"))]
    TooShort(DecodeError),
}

impl From<DecryptError> for Unreadable {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::NotEncrypted => Unreadable::NotEncrypted,
            DecryptError::WrongKey => Unreadable::WrongKey,
            DecryptError::NotNvs(kind) => Unreadable::NotNvs(kind),
        }
    }
}
