//! Finds a QEMU that has the chip.
//!
//! Runs each candidate twice: `--version` and `-M help`. Not `-nic model=help`: Espressif's does not end on it.

use std::path::{Path, PathBuf};

use super::machine::Machine;
use crate::device::emulator::program::{Emulator, NoEmulator, Places, say};

/// The first program that has the machine. One that was named is the only candidate. `for_radio` says that the
/// machine is asked for its radio alone.
pub(super) fn find(
    machine: &Machine,
    machine_name: &str,
    named: Option<&Path>,
    for_radio: bool,
) -> Result<Emulator, NoEmulator> {
    let places = Places {
        program: machine.program,
        variable: "GOLDLINE_QEMU",
        at_home: None,
        tool: (machine.tool, &["qemu/bin"]),
    };
    let mut looked = Vec::new();
    if for_radio && machine.radio.is_none() {
        return Err(without_radio(machine.name, looked));
    }
    for path in places.candidates(named) {
        match inspect(&path, machine_name) {
            Ok(version) => return Ok(Emulator { path, version }),
            Err(reason) => looked.push((path, reason)),
        }
    }
    if for_radio {
        return Err(without_radio(machine.name, looked));
    }
    Err(NoEmulator::NotFound {
        emulator: "QEMU",
        can: format!("emulates {machine_name}"),
        looked,
        action: "install Espressif's QEMU (with ESP-IDF: python tools/idf_tools.py install qemu-xtensa qemu-riscv32), put it on PATH, or name it with GOLDLINE_QEMU=PATH or ?binary=PATH",
    })
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
        let refused = find(&machine, machine.name, None, true).expect_err("it has no radio");
        let said = refused.to_string();
        assert!(said.contains("emulates the WiFi of esp32s3"), "{said}");
        assert!(refused.action().contains("CONFIG_ETH_USE_OPENETH"), "{}", refused.action());
    }
}
