//! The base MAC, which the harness reads where an ESP32-C3 has its eFuses. This machine has no memory there: the two words
//! lie at the end of its RAM, and the harness's question goes on to QEMU with that address in it.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, IntoRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Command, Stdio},
    thread,
};

use rustix::io::{FdFlags, fcntl_setfd};

/// What makes this program the way between the harness's control connection and QEMU's.
pub const SERVE: &str = "--serve-control";
/// The one that QEMU gives to its first card.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
/// Where the harness looks, and where they are.
const ASKED: &str = "xp /2xw 0x60008844";
const HERE: &str = "xp /2xw 0x80fffff8";
const END_OF_RAM: &str = "0x80fffff8";

pub fn mac() -> String {
    MAC.map(|byte| format!("{byte:02x}")).join(":")
}

/// The device that writes the words into RAM at each reset.
pub fn as_device() -> String {
    let words = MAC.iter().fold(0_u64, |words, byte| words << 8 | u64::from(*byte));
    format!("loader,addr={END_OF_RAM},data={words:#x},data-len=8")
}

/// `socket,id=qmp,path=PATH` as a connection that this program stands in; any other as it is.
pub fn between(chardev: &str) -> Result<String, String> {
    let Some(path) = chardev.strip_prefix("socket,id=qmp,path=") else {
        return Ok(chardev.to_owned());
    };
    let connect = || {
        let (qemu, ours) = UnixStream::pair()?;
        let mut program = Command::new(env::current_exe()?);
        program.args([SERVE, &path.replace(",,", ",")]);
        program.stdin(Stdio::from(OwnedFd::from(ours))).spawn()?;
        // QEMU inherits it, and closes it when it ends.
        fcntl_setfd(&qemu, FdFlags::empty())?;
        Ok(qemu.into_raw_fd())
    };
    let qemu = connect().map_err(|error: io::Error| format!("-chardev {chardev}: {error}"))?;
    Ok(format!("socket,id=qmp,fd={qemu}"))
}

/// Carries lines between the harness at this path and QEMU on descriptor 0, until QEMU ends.
pub fn serve(path: &str) -> Result<(), String> {
    let serve = || {
        let harness = UnixStream::connect(path)?;
        let qemu = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let back = thread::spawn({
            let (mut qemu, mut harness) = (qemu.try_clone()?, harness.try_clone()?);
            move || {
                // Whoever went first, the other is told.
                let _ended = io::copy(&mut qemu, &mut harness);
                let _told = harness.shutdown(Shutdown::Both);
            }
        });
        for line in BufReader::new(harness).lines() {
            writeln!(&qemu, "{}", line?.replace(ASKED, HERE))?;
        }
        let _ended = back.join();
        Ok(())
    };
    serve().map_err(|error: io::Error| format!("the control connection {path}: {error}"))
}
