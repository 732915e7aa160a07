//! What can be wrong with a profile, and where it stands in the file.
//!
//! Must not know how a problem is shown: the command line renders it.

use std::{fmt, ops::Range};

use super::{
    accepted::MutantPatternError,
    chip::{Chip, Feature},
    endpoint::EndpointError,
    flash_map::FlashMapError,
    host::HostError,
    nearest::suggestion,
    position::LineColumn,
    resource::NoResource,
    template::TemplateError,
};

/// A profile that is not valid: its text and all that was found wrong with it, never nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct ProfileError {
    file: String,
    text: String,
    problems: Vec<Located>,
}

/// One problem and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Located {
    /// Bytes of the file's text.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a profile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Problem {
    /// No TOML, an unknown or missing key, or a value of another type.
    #[error("{message}")]
    Form { message: String },
    #[error("schema {found} is not known: expected 1")]
    Schema { found: u32 },
    #[error(
        "the name \"{name}\" cannot be one of a profile: expected lowercase letters, digits and dashes"
    )]
    ProfileName { name: String },
    #[error("unknown {what} \"{found}\": expected one of {}", .expected.join(", "))]
    Unknown { what: &'static str, found: String, expected: Vec<String> },
    #[error(transparent)]
    FlashMap(#[from] FlashMapError),
    /// A build or its partition table cannot be taken; the words are the build's.
    #[error("{reason}")]
    Build { reason: String },
    #[error(
        "the profile has no partition table: expected `build` or `partitions` in [images], or [[partition]]"
    )]
    NoTable,
    #[error("partition \"{name}\" is {found} here, and {built} in the table of {place}")]
    PartitionDiffers { name: String, found: String, built: String, place: String },
    #[error("`{key}` has no meaning beside `build`, which has it")]
    BesideBuild { key: &'static str },
    #[error("[images] names no application: expected `build`, or `app`")]
    NoApp,
    #[error("the chip is {found}, and {place} is built for {built}")]
    BuiltForChip { found: Chip, built: String, place: String },
    #[error("the flash has {found} bytes, and {place} is built for {built}: it would not start")]
    BuiltForFlash { found: u32, built: String, place: String },
    #[error("{file} goes to {offset:#x}, and {expected}")]
    Placement { file: String, offset: u32, expected: String },
    #[error("{file} goes into the partition \"{partition}\", which is made for each unit")]
    OverOwn { file: String, partition: String },
    #[error("{file} is to be encrypted on its way into the flash, which is not served yet")]
    ToBeEncrypted { file: String },
    #[error("the application goes to \"{found}\", and {place} has \"{built}\" started")]
    StartsOther { found: String, built: String, place: String },
    #[error("{place} flashes nothing into \"{name}\": it flashes {}", .flashed.join(", "))]
    ExceptNothing { name: String, place: String, flashed: Vec<String> },
    #[error("the profile has no partition \"{name}\": it has {}", .existing.join(", "))]
    NoPartition { name: String, existing: Vec<String> },
    #[error("partition \"{name}\" is {kind}/{subtype}: expected {expected}")]
    PartitionType { name: String, kind: String, subtype: String, expected: &'static str },
    #[error("app names both or neither of `model` and `file`: expected one of them")]
    AppSource,
    #[error(
        "the file \"{path}\" has no folder to stand in: a built-in profile carries no images of its own"
    )]
    NoFolder { path: String },
    #[error(
        "the value name \"{name}\" is taken or not well formed: expected lowercase letters, digits and `_`, and none of unit, issued, observed, ota, nonce"
    )]
    ValueName { name: String },
    #[error(
        "the value \"{name}\" names none or several of `source`, `template` and `scheme`: expected one of them"
    )]
    ValueSource { name: String },
    #[error("`{key}` has no meaning for the value \"{name}\", which comes from {source_name}")]
    Pointless { name: String, key: &'static str, source_name: &'static str },
    #[error("the random value \"{name}\" has {found} bytes: expected `bytes` from 16 to 64")]
    RandomBytes { name: String, found: usize },
    #[error(
        "the salted value \"{name}\" lacks `of` or `salt`: expected the id and the name of a secret"
    )]
    SaltedParts { name: String },
    #[error("the salt of \"{name}\" is not secret: expected the name of a secret value in braces")]
    PublicSalt { name: String },
    #[error("the value \"{name}\" is secret and cannot be a public id")]
    SecretId { name: String },
    #[error("the value \"{name}\" allows {min} to {max} bytes, which no text has")]
    EmptyRange { name: String, min: usize, max: usize },
    #[error("the {what} of \"{name}\" is {length} bytes long: expected {min} to {max}")]
    Length { what: &'static str, name: String, length: usize, min: usize, max: usize },
    #[error("the sample of \"{name}\" holds {what}, which no value may hold")]
    Character { name: String, what: &'static str },
    #[error("the sample \"{sample}\" of \"{name}\" is not a number: expected 0 to 4294967295")]
    SampleNumber { name: String, sample: String },
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(
        "\"{{{name}}}\" names a value that stands later in the file: expected one of those before it"
    )]
    LaterValue { name: String },
    #[error("the {what} \"{name}\" is {length} characters long: NVS allows 1 to 15")]
    NvsName { what: &'static str, name: String, length: usize },
    #[error("the {what} \"{name}\" holds a character that is not printable ASCII")]
    NvsNameCharacter { what: &'static str, name: String },
    #[error("the key \"{key}\" stands twice in namespace \"{namespace}\"")]
    KeyTwice { key: String, namespace: String },
    #[error("\"{text}\" is no number that {encoding} holds: expected {min} to {max}")]
    OutOfRange { text: String, encoding: &'static str, min: i128, max: i128 },
    #[error("\"{text}\" is not hexadecimal: expected an even number of digits")]
    NotHexadecimal { text: String },
    #[error("the string for \"{key}\" is at least {length} bytes long: NVS strings end at 3967")]
    StringTooLong { key: String, length: usize },
    #[error("the SSID \"{template}\" can be {longest} bytes long: WiFi allows 1 to 32")]
    SsidLength { template: String, longest: usize },
    #[error(
        "the passphrase \"{template}\" can be {shortest} to {longest} bytes long: WPA2 allows 8 to 63, or 64 hexadecimal digits"
    )]
    PassphraseLength { template: String, shortest: usize, longest: usize },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the endpoint \"{template}\" holds a secret, and records show the endpoint")]
    SecretEndpoint { template: String },
    #[error(
        "the topic \"{topic}\" is empty or holds a wildcard, and a message needs one exact topic"
    )]
    Topic { topic: String },
    #[error("{place} lacks {{nonce}}, without which an old answer would pass for a fresh one")]
    NoNonce { place: &'static str },
    #[error("the pattern has {found} groups: expected one, which holds the id")]
    PatternGroups { found: usize },
    #[error("the pattern is no regular expression: {reason}")]
    Pattern { reason: String },
    #[error("the answer may be anything: expected at least one text, and none empty")]
    NothingExpected,
    #[error(
        "the prompt is blank: expected what the console shows, such as \"esp32> \", or no prompt at all"
    )]
    BlankPrompt,
    #[error("{what} is not secret: expected the name of a secret value in braces")]
    NotSecret { what: &'static str },
    #[error("\"{template}\" holds a secret, and records show it")]
    SecretShown { template: String },
    #[error("\"{found}\" is no address of this service: expected {expected} and a host")]
    Url { found: String, expected: String },
    #[error("\"{found}\" is plain http, and this service is marked as production")]
    InsecureProduction { found: String },
    #[error(
        "\"{found}\" is no address: expected an IPv4 address and a port, such as 192.168.4.1:80"
    )]
    SocketAddress { found: String },
    #[error("\"{found}\" is no path: expected one that begins with a slash")]
    Path { found: String },
    #[error("\"{found}\" is no host and port: expected HOST:PORT")]
    HostAndPort { found: String },
    #[error("the method {method} needs the section {section}")]
    MethodNeeds { method: &'static str, section: &'static str },
    #[error("the section {section} needs {needed}")]
    SectionNeeds { section: &'static str, needed: &'static str },
    #[error("this line says that its answer needs the section {section}, which is missing")]
    LineNeeds { section: &'static str },
    #[error("{chip} has no {feature}, which {needed_by} needs: {instead}")]
    ChipLacks { chip: Chip, feature: Feature, needed_by: &'static str, instead: &'static str },
    #[error(
        "[security] demands nothing: expected one of secure_boot, flash_encryption, download_mode, jtag and keys"
    )]
    NothingDemanded,
    #[error(
        "{leaf} = \"{value}\" needs a key block for it in [security.keys]: expected {expected}, without which the chip never starts again"
    )]
    SecurityNeedsKey { leaf: &'static str, value: &'static str, expected: &'static str },
    #[error(
        "two key blocks are {purpose}, which the chip takes from one: expected another purpose"
    )]
    PurposeTwice { purpose: &'static str },
    #[error(
        "BLOCK_KEY5 cannot hold a flash encryption key, by a fault of these chips: expected another block"
    )]
    KeyBlockFive,
    #[error("the check {id} needs the section {section}")]
    CheckNeeds { id: &'static str, section: &'static str },
    #[error(
        "the scheme nvs_keys needs `partition`, and hmac has none: expected the name of a data/nvs_keys partition, or nothing"
    )]
    KeyPartition,
    #[error("the sample of the key is not {digits} hexadecimal digits long")]
    KeyDigits { digits: usize },
    #[error("the deadline {found} s is not one to wait for: expected 1 to 600")]
    Deadline { found: u64 },
    #[error(
        "the check \"{id}\" is missing: every product's flash is judged, so that no bad one is booted"
    )]
    MissingCheck { id: &'static str },
    #[error("the check {id} stands twice")]
    CheckTwice { id: &'static str },
    #[error("the check {id} has no `silent`: only start waits for a line of the application")]
    SilentCheck { id: &'static str },
    #[error("the check {id} has no `{key}`: only command has")]
    KeyOfCommand { key: &'static str, id: &'static str },
    #[error("the check command needs `{key}`")]
    CommandLacks { key: &'static str },
    #[error(
        "the name \"{name}\" cannot be one of a test: expected lowercase letters, digits and `_`, and no name of another check"
    )]
    TestName { name: String },
    #[error(transparent)]
    Resource(#[from] NoResource),
    #[error("the command is empty: expected a program and its arguments")]
    EmptyCommand,
    #[error(
        "{name} is demanded to be nothing, or two things at once: expected `equals`, or lower, upper or both with a `unit`"
    )]
    Demand { name: String },
    #[error("a number is measured in the answers of [[console.status]] only")]
    MeasuredElsewhere,
    #[error(
        "[bench_values] names \"{name}\", which {found}: expected values of the site or of the generator that are no public id"
    )]
    BenchValue { name: String, found: &'static str },
    #[error(
        "the bench's value of \"{name}\" names {{{found}}}: expected a text, or {{{}}}",
        super::BENCH_ROOT
    )]
    BenchSymbol { name: String, found: String },
    #[error(
        "the policy test_then_final needs [bench_values]: at least what the unit is told of its broker while it is tested"
    )]
    NoBenchValues,
    #[error(
        "the policy test_then_final is not for this product: {why}; expected the bench to write all of its NVS, by the method factory_image or ca_registration and without [[console.provision]]"
    )]
    NotFinishable { why: &'static str },
    #[error(
        "the limits of {name} let nothing pass, or bind nothing: expected lower, upper or both, lower not above upper"
    )]
    Limits { name: String },
    #[error(transparent)]
    MutantPattern(#[from] MutantPatternError),
    #[error("\"{mutant}\" is accepted twice: expected one reason")]
    AcceptedTwice { mutant: String },
    #[error("nothing says why \"{mutant}\" may pass: expected because = \"…\"")]
    NoReason { mutant: String },
}

impl Problem {
    /// What to do about it, when there is more to say than the message does.
    pub fn help(&self) -> Option<String> {
        let advice = match self {
            Self::Form { message } => return form_help(message),
            Self::Unknown { found, expected, .. } => {
                return suggestion(found, expected.iter().map(String::as_str))
                    .map(|near| format!("did you mean \"{near}\"?"));
            }
            Self::NoPartition { name, existing } => {
                return suggestion(name, existing.iter().map(String::as_str))
                    .map(|near| format!("did you mean \"{near}\"?"));
            }
            Self::FlashMap(error) => return flash_map_help(error).map(str::to_owned),
            Self::PartitionType { .. } => {
                "name another partition, or correct its type in the table; writing there would destroy what the firmware keeps in it"
            }
            Self::PartitionDiffers { .. } => {
                "correct one of the two, or take [[partition]] out: the build's own table is flashed"
            }
            Self::BesideBuild { .. } => "take it out, or take `build` out",
            Self::BuiltForChip { .. } => "correct chip.model, or build for that chip",
            Self::BuiltForFlash { .. } => "correct chip.flash_size, or the flash size of the build",
            Self::OverOwn { partition, .. } => {
                return Some(format!(
                    "leave it to Goldline with except = [\"{partition}\"], and put what every unit has of it into [nvs]"
                ));
            }
            Self::ToBeEncrypted { .. } => {
                "build without flash encryption, or leave the file out with `except`"
            }
            Self::StartsOther { .. } => {
                "take app_partition out, or build the OTA data for that slot"
            }
            Self::NoFolder { .. } => {
                "copy the profile into a folder of your own and name it by its path"
            }
            Self::RandomBytes { .. } => "a secret of fewer than 16 bytes can be guessed",
            Self::SecretId { .. } => "ids are shown in records; leave out `id` or `secret`",
            Self::InsecureProduction { .. } => {
                "give an https address; a secret would cross the network in the clear"
            }
            Self::LaterValue { .. } => "move that value up",
            Self::NvsName { .. } => {
                "shorten it here and in the firmware; NVS stores 15 characters and a NUL"
            }
            Self::SsidLength { .. } => {
                "give the values in it a smaller max_bytes, such as max_bytes = 32, or what the firmware's buffer holds"
            }
            Self::PassphraseLength { .. } => {
                "give the value in it min_bytes = 8 and max_bytes = 63, or what the firmware's buffer holds; min_bytes = 0 where the network may be open, and no password at all where it is"
            }
            Self::CommandLacks { key: "name" } => "say what records are to call it: name = \"led\"",
            Self::CommandLacks { key: "command" } => "name the program: command = [\"./led.sh\"]",
            Self::CommandLacks { key: "limits" } => {
                "say what must be measured: limits = { brightness = { lower = 200, upper = 900, unit = \"lx\" } }"
            }
            Self::NoNonce { .. } => "let the firmware repeat an id of the command in its answer",
            Self::Length { what: "sample", .. } => {
                "correct the sample, or min_bytes and max_bytes, to what the firmware's buffer holds"
            }
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

fn flash_map_help(error: &FlashMapError) -> Option<&'static str> {
    match error {
        FlashMapError::EncryptedNvs { .. } => Some(
            "leave the flag out; NVS is encrypted with an nvs_keys partition or the HMAC scheme",
        ),
        FlashMapError::Overlap { .. } => Some("move one of the two, or make the first one smaller"),
        FlashMapError::OutsideFlash { .. } => {
            Some("make the partition smaller, or correct chip.flash_size")
        }
        _ => None,
    }
}

/// Finds the nearest of the keys that a message of the TOML reader lists.
fn form_help(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown key")?.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    suggestion(found, quoted).map(|near| format!("did you mean `{near}`?"))
}

impl ProfileError {
    /// # Panics
    /// When there is no problem: then there is no error either.
    pub(super) fn new(file: &str, text: &str, mut problems: Vec<Located>) -> Self {
        assert!(!problems.is_empty(), "an error needs a problem");
        problems.sort_by_key(|located| located.span.start);
        Self { file: file.to_owned(), text: text.to_owned(), problems }
    }

    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The file's whole text, for a renderer that shows the place.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Everything that was found wrong, in the file's order; at least one.
    pub fn problems(&self) -> &[Located] {
        &self.problems
    }

    /// Where a problem of this error stands.
    pub fn line_column(&self, located: &Located) -> LineColumn {
        LineColumn::of(&self.text, located.span.start)
    }
}

impl fmt::Display for ProfileError {
    /// One line each: `espvault.toml:12:10: unknown chip …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, located) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let place = self.line_column(located);
            write!(f, "{separator}{}:{place}: {}", self.file, located.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}
