//! Finds a QEMU that has the chip.
//!
//! Runs each candidate twice: `--version` and `-M help`. Not `-nic model=help`: Espressif's does not end on it.

use std::path::{Path, PathBuf};

use super::machine::Machine;
use crate::device::emulator::program::{Emulator, NoEmulator, Places, say};

/// The first program that has the machine. One that was named is the only candidate.
pub(super) fn find(
    machine: &Machine,
    machine_name: &str,
    named: Option<&Path>,
) -> Result<Emulator, NoEmulator> {
    search(machine, machine_name, named).map_err(|looked| NoEmulator::NotFound {
        emulator: "QEMU",
        can: format!("emulates {machine_name}"),
        looked,
        action: "install Espressif's QEMU (with ESP-IDF: python tools/idf_tools.py install qemu-xtensa qemu-riscv32), put it on PATH, or name it with GOLDLINE_QEMU=PATH or ?binary=PATH",
    })
}

/// The same of the chip's machine with a radio.
pub(super) fn find_with_radio(
    machine: &Machine,
    named: Option<&Path>,
) -> Result<Emulator, NoEmulator> {
    let Some((with_radio, _)) = machine.radio else {
        return Err(without_radio(machine.name, Vec::new()));
    };
    match search(machine, with_radio, named) {
        Ok(emulator) => Ok(Emulator { with_radio: true, ..emulator }),
        Err(looked) => Err(without_radio(machine.name, looked)),
    }
}

/// Else where was looked, and why it is not there.
fn search(
    machine: &Machine,
    machine_name: &str,
    named: Option<&Path>,
) -> Result<Emulator, Vec<(PathBuf, String)>> {
    let places = Places {
        program: machine.program,
        variable: "GOLDLINE_QEMU",
        at_home: None,
        tool: (machine.tool, &["qemu/bin"]),
    };
    let mut looked = Vec::new();
    for path in places.candidates(named) {
        match inspect(&path, machine_name) {
            Ok(version) => return Ok(Emulator { path, version, with_radio: false }),
            Err(reason) => looked.push((path, reason)),
        }
    }
    Err(looked)
}

/// A firmware that knows no other network would be waited for in vain, and blamed for it.
fn without_radio(machine: &str, looked: Vec<(PathBuf, String)>) -> NoEmulator {
    NoEmulator::NotFound {
        emulator: "QEMU",
        can: format!("emulates the WiFi of {machine}, the only network that this firmware has"),
        looked,
        action: "build the firmware for QEMU's Ethernet card (CONFIG_ETH_USE_OPENETH), name a QEMU that emulates WiFi with ?binary=PATH, or take [wifi] out of the profile and have its start proven alone",
    }
}

/// Its version, if it has the machine; else why not.
fn inspect(path: &Path, machine_name: &str) -> Result<String, String> {
    let version = say(path, &["--version"])?;
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    let machines = say(path, &["-M", "help"])?;
    let is_there =
        machines.lines().any(|line| line.split_whitespace().next() == Some(machine_name));
    match is_there {
        true => Ok(version),
        false => Err(format!("{version} has no machine {machine_name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Chip;

    #[test]
    fn a_chip_whose_radio_nobody_emulates_is_refused_before_it_is_looked_for() {
        let machine = Machine::of(Chip::Esp32S3).expect("QEMU has it");
        let refused = find_with_radio(&machine, None).expect_err("it has no radio");
        let said = refused.to_string();
        assert!(said.contains("emulates the WiFi of esp32s3"), "{said}");
        assert!(refused.action().contains("CONFIG_ETH_USE_OPENETH"), "{}", refused.action());
    }
}
