//! Finds a QEMU that has the chip.
//!
//! Runs each candidate twice: `--version` and `-M help`. Not `-nic model=help`: Espressif's does not end on it.

use std::path::Path;

use super::machine::Machine;
use crate::device::emulator::program::{Emulator, NoEmulator, Places, say};

/// The first program that has the machine. One that was named is the only candidate.
pub(super) fn find(
    machine: &Machine,
    machine_name: &str,
    named: Option<&Path>,
) -> Result<Emulator, NoEmulator> {
    let places = Places {
        program: machine.program,
        variable: "GOLDLINE_QEMU",
        at_home: None,
        tool: (machine.tool, &["qemu/bin"]),
    };
    let mut looked = Vec::new();
    for path in places.candidates(named) {
        match inspect(&path, machine_name) {
            Ok(version) => return Ok(Emulator { path, version }),
            Err(reason) => looked.push((path, reason)),
        }
    }
    Err(NoEmulator::NotFound {
        emulator: "QEMU",
        can: format!("emulates {machine_name}"),
        looked,
        action: "install Espressif's QEMU (with ESP-IDF: python tools/idf_tools.py install qemu-xtensa qemu-riscv32), put it on PATH, or name it with GOLDLINE_QEMU=PATH or ?binary=PATH",
    })
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
