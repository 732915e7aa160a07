//! The commands of espefuse and espsecure that are missing of a demand, in an order in which a unit survives that the
//! power goes between any two of them.
//!
//! Keys before what makes the chip use them, then secure boot, flash encryption, JTAG, and the download mode at last,
//! over which all of them are burnt. Nothing here runs anything.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use super::{Burnt, Finding, Missing};
use crate::{
    identity::Mac,
    profile::{Chip, KeyPurpose},
};

/// Bits of a key that takes a whole block, and of one that takes half of it.
const WHOLE_KEY: &str = "256";
const HALF_KEY: &str = "128";

/// How espefuse reaches the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// As esptool takes it after `--port`.
    pub name: String,
    /// Whether espefuse resets the unit into its loader; otherwise it is put there before.
    pub resets: bool,
}

/// Whose keys are in which files, by the names of their blocks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyFiles(BTreeMap<String, PathBuf>);

/// A key file is not named as BLOCK=FILE.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" names no key file: expected BLOCK=FILE, such as BLOCK_KEY0=key.bin")]
pub struct KeyFilesError {
    text: String,
}

impl KeyFiles {
    /// Takes each as `BLOCK=FILE`. No file is opened.
    ///
    /// # Errors
    /// When one has no block or no file.
    pub fn parse(texts: &[String]) -> Result<Self, KeyFilesError> {
        let pair = |text: &String| {
            let named =
                text.split_once('=').filter(|(block, file)| !block.is_empty() && !file.is_empty());
            let (block, file) = named.ok_or_else(|| KeyFilesError { text: text.clone() })?;
            Ok((block.to_owned(), PathBuf::from(file)))
        };
        texts.iter().map(pair).collect::<Result<_, _>>().map(Self)
    }
}

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Program and arguments.
    pub command: Vec<String>,
    /// What it does, in a sentence.
    pub what: String,
    /// Whether it burns fuses, which nothing undoes.
    pub burns: bool,
}

impl fmt::Display for Step {
    /// As a shell takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte| {
            matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
                || b"-_./:=?,+@%".contains(&byte)
        };
        for (index, word) in self.command.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            // A shell takes ? for a pattern.
            if !word.is_empty() && word.bytes().all(plain) && !word.contains('?') {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// What is left to do of a demand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Commands {
    /// The unit is as demanded.
    AsDemanded,
    /// These, in this order.
    Missing(Vec<Step>),
    /// Nothing makes this unit what is demanded.
    Never(Vec<Burnt>),
}

/// What is left to do for a unit of which this was found.
pub fn commands(
    findings: &[Finding],
    (chip, mac): (Chip, Mac),
    port: &Port,
    files: &KeyFiles,
) -> Commands {
    let excess: Vec<Burnt> = findings.iter().flat_map(|one| one.excess.clone()).collect();
    if !excess.is_empty() {
        return Commands::Never(excess);
    }
    let mut missing: Vec<(&Finding, &Missing)> =
        findings.iter().flat_map(|one| one.missing.iter().map(move |it| (one, it))).collect();
    missing.sort_by_key(|(one, missing)| rank(one, missing));
    let writer = Writer { chip, mac, port, files };
    // Both keys of a chip may lie in one block, and be missing twice.
    let mut steps: Vec<Step> = Vec::new();
    for (index, (one, lacks)) in missing.iter().enumerate() {
        let shared = missing.iter().enumerate().any(|(other, (_, it))| {
            other != index && matches!((lacks, it), (Missing::Key { block, .. }, Missing::Key { block: same, .. }) if block == same)
        });
        for step in writer.steps(one, lacks, shared) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    if steps.is_empty() { Commands::AsDemanded } else { Commands::Missing(steps) }
}

/// What comes before what: the smaller first, and the fuses of one thing in their own order.
fn rank(finding: &Finding, missing: &Missing) -> usize {
    match (missing, finding.what) {
        (Missing::Key { .. } | Missing::ReadProtection { .. }, _) => 0,
        (_, "secure_boot") => 1,
        (_, "flash_encryption") => 2,
        (_, "jtag") => 3,
        _ => 4,
    }
}

struct Writer<'a> {
    chip: Chip,
    mac: Mac,
    port: &'a Port,
    files: &'a KeyFiles,
}

impl Writer<'_> {
    fn steps(&self, finding: &Finding, missing: &Missing, shared: bool) -> Vec<Step> {
        match missing {
            Missing::Fuse { name, must_be, .. } => {
                let value = match must_be {
                    1 => "1".to_owned(),
                    bits => format!("{bits:#x}"),
                };
                let what = format!("{}: {}", finding.what, meaning(name));
                vec![self.burn(&["burn-efuse", name, &value], what)]
            }
            Missing::ReadProtection { block } => {
                let block = if *block == "flash_encryption" { "BLOCK1" } else { block };
                let what = format!("{}: hides the key in {block} from every tool", finding.what);
                vec![self.burn(&["read-protect-efuse", block], what)]
            }
            Missing::Key { block, purpose: Some(purpose), .. } => {
                self.key_with_purpose(block, *purpose)
            }
            Missing::Key { block, purpose: None, .. } => self.key_by_use(finding, block, shared),
        }
    }

    fn key_with_purpose(&self, block: &str, purpose: KeyPurpose) -> Vec<Step> {
        let what = format!("{block}: burns the key as {purpose}, and protects it");
        if purpose.is_digest() {
            let file = self.file(block, "pem");
            let command = ["burn-key-digest", block, &file, purpose.name()];
            let what = format!(
                "{block}: burns the digest of the public secure boot key in {file} as {purpose}"
            );
            return vec![self.burn(&command, what)];
        }
        let file = self.file(block, "bin");
        let burn = self.burn(&["burn-key", block, &file, purpose.name()], what);
        let made =
            purpose.encrypts_flash().then(|| self.flash_key(block, &file, WHOLE_KEY)).flatten();
        made.into_iter().chain([burn]).collect()
    }

    /// Of chips whose blocks say no purpose.
    fn key_by_use(&self, finding: &Finding, block: &str, shared: bool) -> Vec<Step> {
        let (pem, bin) = (self.file("secure_boot", "pem"), self.file("flash_encryption", "bin"));
        let key = |bits| self.flash_key("flash_encryption", &bin, bits);
        match (self.chip, finding.what, shared) {
            (Chip::Esp32C2, _, true) => {
                // The whole block is write-protected at once.
                let digest = self.file("secure_boot_digest", "bin");
                let made = Step {
                    command: words(&[
                        "espsecure",
                        "digest-sbv2-public-key",
                        "--keyfile",
                        &pem,
                        "--output",
                        &digest,
                    ]),
                    what: format!("makes the digest of the public secure boot key in {pem}"),
                    burns: false,
                };
                let half = "XTS_AES_128_KEY_DERIVED_FROM_128_EFUSE_BITS";
                let command = ["burn-key", block, &bin, half, block, &digest, "SECURE_BOOT_DIGEST"];
                let what = format!(
                    "{block}: burns half a block of flash encryption key and half of digest, and protects them"
                );
                key(HALF_KEY).into_iter().chain([made, self.burn(&command, what)]).collect()
            }
            (_, "secure_boot", _) => {
                let what = format!("burns the digest of the public secure boot key in {pem}");
                vec![self.burn(&["burn-key-digest", &pem], what)]
            }
            (Chip::Esp32, ..) => {
                let what = "burns the flash encryption key, and protects it".to_owned();
                key(WHOLE_KEY)
                    .into_iter()
                    .chain([self.burn(&["burn-key", block, &bin], what)])
                    .collect()
            }
            _ => {
                let what = "burns the flash encryption key, and protects it".to_owned();
                let burn = self.burn(&["burn-key", block, &bin, "XTS_AES_128_KEY"], what);
                key(WHOLE_KEY).into_iter().chain([burn]).collect()
            }
        }
    }

    /// A key of this unit's own, unless somebody has one.
    fn flash_key(&self, block: &str, file: &str, bits: &str) -> Option<Step> {
        let command = ["espsecure", "generate-flash-encryption-key", "--keylen", bits, file];
        let what = format!(
            "makes a flash encryption key for this unit alone in {file}: keep it where nobody else reads it"
        );
        let is_named = self.files.0.contains_key(block);
        (!is_named).then(|| Step { command: words(&command), what, burns: false })
    }

    /// The named file, or one whose name says whose key it holds.
    fn file(&self, block: &str, kind: &str) -> String {
        let named = self.files.0.get(block).map(|path| path.display().to_string());
        named.unwrap_or_else(|| {
            let mac: String = self.mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{mac}-{}.{kind}", block.to_ascii_lowercase())
        })
    }

    fn burn(&self, command: &[&str], what: String) -> Step {
        let mut all = words(&["espefuse", "--chip", self.chip.name(), "--port", &self.port.name]);
        if !self.port.resets {
            all.extend(words(&["--before", "no-reset"]));
        }
        all.extend(words(command));
        Step { command: all, what, burns: true }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a fuse does once it is burnt.
fn meaning(fuse: &str) -> &'static str {
    match fuse {
        "ABS_DONE_1" | "SECURE_BOOT_EN" => {
            "from now on the ROM starts a bootloader only with a good signature"
        }
        "FLASH_CRYPT_CNT" | "SPI_BOOT_CRYPT_CNT" => {
            "from now on the chip decrypts what lies in its flash: plain text there no longer starts"
        }
        "FLASH_CRYPT_CONFIG" => "lets the address change every part of the flash encryption key",
        "DISABLE_DL_ENCRYPT" | "DIS_DOWNLOAD_MANUAL_ENCRYPT" => {
            "the loader encrypts no flash any more"
        }
        "DISABLE_DL_DECRYPT" => "the loader decrypts no flash any more",
        "DISABLE_DL_CACHE"
        | "DIS_DOWNLOAD_ICACHE"
        | "DIS_DOWNLOAD_DCACHE"
        | "SPI_DOWNLOAD_MSPI_DIS" => {
            "the loader reads no decrypted flash through the cache any more"
        }
        "DIS_DIRECT_BOOT" | "DIS_LEGACY_SPI_BOOT" => "the ROM starts nothing past its bootloader",
        "JTAG_DISABLE" | "HARD_DIS_JTAG" | "DIS_PAD_JTAG" => {
            "no debugger at the pins any more, for good"
        }
        "DIS_USB_JTAG" => "no debugger over the chip's own USB any more, for good",
        "ENABLE_SECURITY_DOWNLOAD" => {
            "the loader writes, and neither reads nor runs anything any more: nothing can be burnt over it after this"
        }
        "DIS_DOWNLOAD_MODE" | "UART_DOWNLOAD_DIS" => {
            "there is no loader any more: nothing can be flashed or burnt over a cable after this"
        }
        _ => "is burnt",
    }
}
