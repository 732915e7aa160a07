//! The real esptool as client of a simulated unit, and of a peer in Python that answers as one.
//!
//! Must not know what the seconds are compared with.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use crate::{Failure, OFFSET, start};

const PEER: &str = "esp32-mock-bootloader";

/// Seconds of a whole esptool process that writes and verifies an image on a simulated unit.
pub fn write_to_simulator(image: &[u8]) -> Result<f64, Failure> {
    let esptool = find("esptool")?;
    let unit = start()?;
    write(&esptool, &unit.port_path().to_string_lossy(), image)
}

/// The same on the peer, behind a pseudo-terminal as well.
pub fn write_to_peer(image: &[u8]) -> Result<f64, Failure> {
    let (esptool, peer) = (find("esptool")?, find(PEER)?);
    let peer = Peer::start(&peer)?;
    write(&esptool, &peer.port, image)
}

fn write(esptool: &Path, port: &str, image: &[u8]) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("image.bin");
    fs::write(&file, image)?;
    let mut command = Command::new(esptool);
    // Neither side has control lines to reset with.
    command.args(["--chip", "esp32", "--before", "no-reset", "--after", "no-reset"]);
    command.args(["--port", port, "write-flash", &format!("{OFFSET:#x}")]).arg(&file);
    let started = Instant::now();
    let output = command.output()?;
    let took_s = started.elapsed().as_secs_f64();
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        return Err(format!("esptool: {}: {printed}", output.status).into());
    }
    Ok(took_s)
}

fn find(program: &str) -> Result<PathBuf, Failure> {
    let venv = env::var_os("GOLDLINE_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"), PathBuf::from);
    let path = venv.join("bin").join(program);
    if path.exists() { Ok(path) } else { Err(format!("skipped, no {program} in the venv").into()) }
}

/// The peer, until it is dropped.
struct Peer {
    process: Child,
    port: String,
}

impl Peer {
    fn start(program: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.args(["run", "--pty", "--chip", "esp32"]).env("PYTHONUNBUFFERED", "1");
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        // Only borrowed: the peer would end when nobody holds the other end of its pipe.
        let read =
            process.stdout.as_mut().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let peer = Self { process, port: line.trim_end().to_owned() };
        read.transpose()?;
        if peer.port.starts_with('/') {
            return Ok(peer);
        }
        Err(format!("{PEER} printed {:?}: expected the path of its port", peer.port).into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // One that has ended by itself is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
