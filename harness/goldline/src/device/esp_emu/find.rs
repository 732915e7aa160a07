//! Finds an esp-emu, and asks it once what it knows: it ends on an argument that its version lacks.

use std::path::Path;

use crate::{
    device::emulator::program::{Emulator, NoEmulator, Places, say},
    profile::Chip,
};

/// What every unit is started with.
const ARGUMENTS: [&str; 6] =
    ["--chip", "--firmware", "--save-state", "--net", "--wifi-ssid", "--wifi-password"];
/// What a unit with eFuses of its own is started with besides.
const EFUSE: &str = "--efuse";

/// The first program that knows the arguments. One that was named is the only candidate.
pub(super) fn find(
    chip: Chip,
    with_efuse: bool,
    named: Option<&Path>,
) -> Result<Emulator, NoEmulator> {
    let places = Places {
        program: "esp-emu",
        variable: "GOLDLINE_ESP_EMU",
        at_home: Some(".local/bin"),
        tool: ("esp-emu", &["", "bin", "esp-emu/bin"]),
    };
    let needed: Vec<&str> = ARGUMENTS.into_iter().chain(with_efuse.then_some(EFUSE)).collect();
    let mut looked = Vec::new();
    for path in places.candidates(named) {
        match inspect(&path, chip, &needed) {
            Ok(version) => return Ok(Emulator { path, version, with_radio: false }),
            Err(reason) => looked.push((path, reason)),
        }
    }
    Err(NoEmulator::NotFound {
        emulator: "esp-emu",
        can: format!("emulates {chip}"),
        looked,
        action: "install Espressif's esp-emu (its installer puts it into ~/.local/bin; esp-emu update brings an old one up to date), put it on PATH, or name it with GOLDLINE_ESP_EMU=PATH or ?binary=PATH",
    })
}

/// Its version, if it knows what it is to be told; else what it lacks.
fn inspect(path: &Path, chip: Chip, needed: &[&str]) -> Result<String, String> {
    let version = say(path, &["--version"])?;
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    let help = say(path, &["--help"])?;
    if let Some(lacks) = lacking(&help, needed) {
        return Err(format!("{version} knows no {}", lacks.join(", no ")));
    }
    // A help that names chips at all names all that it has.
    let names_chips = help.contains("esp32");
    if names_chips && !names(&help, chip.name()) {
        return Err(format!("{version} names no {chip} in its --help"));
    }
    Ok(version)
}

fn lacking<'a>(help: &str, needed: &[&'a str]) -> Option<Vec<&'a str>> {
    let lacks: Vec<&str> = needed.iter().copied().filter(|one| !names(help, one)).collect();
    (!lacks.is_empty()).then_some(lacks)
}

/// Whether a text has that as a whole word: `--net` is not in `--net-log`, nor esp32c6 in esp32c61.
fn names(text: &str, word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].bytes().next_back();
        let after = text[at + word.len()..].bytes().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_known_by_its_whole_name() {
        let help = "      --net-log <FILE>\n      --chip <CHIP>  [esp32c3, esp32c61]";
        assert!(names(help, "--chip") && names(help, "esp32c3"));
        assert!(!names(help, "--net") && !names(help, "esp32c6") && !names(help, "-chip"));
        assert_eq!(lacking(help, &["--chip", "--net"]), Some(vec!["--net"]));
        assert_eq!(lacking(help, &["--chip"]), None);
    }
}
