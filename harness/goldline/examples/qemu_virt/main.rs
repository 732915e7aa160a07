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
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
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
    let program = find()?;
    let mut qemu = Command::new(&program);
    qemu.args(arguments::translate(given)?);
    Err(format!("{} does not start: {}", program.display(), qemu.exec()))
}

/// The first on the path that is not Espressif's: that has a machine `virt` too, and aborts on its processor.
fn find() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut programs = env::split_paths(&path).map(|folder| folder.join(QEMU));
    let found = programs.find(|program| program.is_file() && has_virt_alone(program));
    found.ok_or_else(|| {
        format!(
            "no {QEMU} on PATH with the machine virt, but Espressif's: install qemu-system-misc"
        )
    })
}

fn has_virt_alone(program: &Path) -> bool {
    let said = Command::new(program).args(["-M", "help"]).stdin(Stdio::null()).output();
    let machines = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let has = |text: &str, name: &str| text.lines().any(|line| line.starts_with(name));
    machines.is_ok_and(|text| has(&text, "virt ") && !has(&text, "esp32"))
}
