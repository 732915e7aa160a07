//! The reference firmware in an emulator, good and bad: machine code, a network stack of others, mutual TLS.
//!
//! Needs `cargo xtask firmware`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::qemu::Emulator;
use crate::end_to_end::program::{Ended, Station};

const PROFILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/reference");
const BUILT: &str = "../../../target/firmware/reference";
const ELF: &str = "goldline-reference.elf";

/// A text of the profile, and what stands in its place.
pub type Edit = (&'static str, &'static str);

pub const SAME: Edit = ("schema = 1", "schema = 1");
pub const WRONG_PASSWORD: Edit = ("value = \"{mqtt_password}\"", "value = \"x{mqtt_password}\"");
pub const WRONG_CA: Edit =
    ("value = \"{issued.root_certificate}\"", "value = \"{issued.certificate}\"");
pub const MISSING_KEY: Edit =
    ("  { key = \"mqtt_username\", encoding = \"string\", value = \"{mqtt_username}\" },\n", "");
pub const PANIC: Edit = (
    "  { key = \"wifi_ssid\"",
    "  { key = \"panic\", encoding = \"u8\", value = \"1\" },\n  { key = \"wifi_ssid\"",
);
pub const OTHER_IDENTITY: Edit = (
    "encoding = \"string\", value = \"{device_id}\"",
    "encoding = \"string\", value = \"VAULT-99999\"",
);

/// A board that runs the firmware, and what was built for it.
pub enum Board {
    /// An ESP32-C3, emulated.
    Chip(Emulator),
    /// The machine `virt` of a distribution's QEMU, which is no ESP32.
    Virt {
        /// What translates the harness's arguments for it.
        program: PathBuf,
    },
}

impl Board {
    /// The firmware's profile for this board, edited.
    pub fn profile(&self, name: &str, edits: &[Edit]) -> String {
        let path = Path::new(PROFILES).join(name).with_extension("toml");
        let mut profile = fs::read_to_string(path).expect("it ships");
        let folder = Path::new(PROFILES).join(BUILT);
        let built = match self {
            Self::Chip(_) => folder,
            Self::Virt { .. } => folder.join("virt"),
        };
        let built = fs::canonicalize(built).expect("cargo xtask firmware was run");
        let elf = (format!("{BUILT}/{ELF}"), built.join(ELF).display().to_string());
        let bootloader = format!("bootloader = \"{}\"", built.join("bootloader.bin").display());
        let bootloader = ("bootloader = \"esp-idf\"".to_owned(), bootloader);
        let of_board = match self {
            Self::Chip(_) => vec![elf],
            Self::Virt { .. } => vec![elf, bootloader],
        };
        let edits = edits.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned()));
        for (old, new) in of_board.into_iter().chain(edits) {
            assert!(profile.contains(&old), "the profile has no {old}");
            profile = profile.replacen(&old, &new, 1);
        }
        profile
    }

    /// Its device, with more options.
    pub fn device(&self, options: &str) -> String {
        match self {
            Self::Chip(_) => format!("qemu:?chip=esp32c3{options}"),
            Self::Virt { program } => {
                format!("qemu:?machine=virt&binary={}{options}", program.display())
            }
        }
    }

    /// `run` or `check`, and more words, for a unit with this profile.
    pub fn command(&self, station: &Station, profile: &str, words: &[&str]) -> Command {
        station.write("reference.toml", profile);
        let mut command = station.unit_command([words, &["reference.toml", "--json"]].concat());
        if let Self::Chip(emulator) = self {
            command.env("GOLDLINE_QEMU", emulator.folder());
        }
        command
    }

    /// Runs a unit to its end.
    pub fn run(&self, edit: Edit) -> Ended {
        self.run_profile(&self.profile("reference", &[edit]), &[])
    }

    /// As [`Self::run`], of any profile and with more words.
    pub fn run_profile(&self, profile: &str, words: &[&str]) -> Ended {
        let device = self.device("");
        let words = [&["run", "--device", &device], words].concat();
        Ended::of(&mut self.command(&Station::new(), profile, &words))
    }
}

#[test]
fn the_reference_firmware_is_judged_in_a_real_one() {
    let Some(emulator) = Emulator::real() else { return };
    let board = Board::Chip(emulator);
    let good = board.run(SAME);
    assert_eq!(good.json()["verdict"], "PASS", "{good:?}");
    for (edit, code) in [
        (WRONG_PASSWORD, "mqtt.bad_credentials"),
        (WRONG_CA, "mqtt.server_untrusted"),
        (MISSING_KEY, "firmware.configuration"),
        (PANIC, "boot.loop"),
        (OTHER_IDENTITY, "mqtt.identity_differs"),
    ] {
        let bad = board.run(edit);
        let record = bad.json();
        assert_eq!((bad.code(), &record["diagnosis"]["code"]), (1, &code.into()), "{record:#}");
    }
}
