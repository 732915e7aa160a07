//! For CIs, which can have no QEMU of Espressif's: takes the arguments that the harness gives that one, and becomes a
//! distribution's own QEMU with its machine `virt`.
//!
//! What runs then is the reference firmware's machine code, built for that board (`cargo xtask firmware`), and no ESP32.
//! The harness is told: `--device 'qemu:?machine=virt&binary=PATH'`. Nothing of a guest is imitated here but one thing,
//! the two words of eFuses that hold the base MAC (`efuse`).

#![forbid(unsafe_code)]

mod arguments;
mod efuse;

use std::{
    convert::Infallible,
    env,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// In Debian's package qemu-system-misc.
const QEMU: &str = "qemu-system-riscv32";

fn main() -> ExitCode {
    let given: Result<Vec<String>, _> =
        env::args_os().skip(1).map(|word| word.into_string()).collect();
    let ended = match given {
        Ok(given) => match &given[..] {
            [word, path] if word == efuse::SERVE => efuse::serve(path),
            given => become_qemu(given).map(|never| match never {}),
        },
        Err(word) => Err(format!("{}: it is no text", word.display())),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("qemu_virt: {words}");
            ExitCode::FAILURE
        }
    }
}

fn become_qemu(given: &[String]) -> Result<Infallible, String> {
    let mut qemu = Command::new(QEMU);
    qemu.args(arguments::translate(given)?);
    Err(format!("{QEMU} does not start, install qemu-system-misc: {}", qemu.exec()))
}
