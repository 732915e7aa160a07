//! The real esptool, espefuse and pytest-embedded as clients of simulated chips.
//!
//! They are found in the virtual environment that `GOLDLINE_VENV` names, else in `.venv` at the
//! root of the repository. Where they are not, each case is listed as ignored; with `CI=true` it
//! fails instead, because there the install script has to provide them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use goldline_simulator::chip::{self, MODELS, Model};
use goldline_simulator::world::Silence;
use goldline_simulator::{Config, Mode, NetworkPort, Protocol, Simulator};
use libtest_mimic::{Arguments, Failed, Trial};

type Outcome = Result<(), Failed>;

/// Whether the client loads its stub.
#[derive(Clone, Copy, PartialEq)]
enum Loader {
    Stub,
    Rom,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for model in MODELS {
        for (loader, name) in [(Loader::Stub, "stub"), (Loader::Rom, "rom")] {
            let whole = [chip::ESP32.name, chip::ESP32C3.name].contains(&model.name);
            let case = move |tool: Tool| {
                if whole { thorough(&tool, model, loader) } else { brief(&tool, model, loader) }
            };
            trials.push(trial(format!("{}::{name}", model.name), "esptool", case));
        }
    }
    for model in [chip::ESP32, chip::ESP32C3] {
        let name = format!("{}::burns_fuses", model.name);
        trials.push(trial(name, "espefuse", move |tool| fuses(&tool, model)));
    }
    for (model, key) in [
        (chip::ESP32, "flash_encryption"),
        (chip::ESP32C3, "XTS_AES_128_KEY"),
        (chip::ESP32S3, "XTS_AES_256_KEY"),
    ] {
        let name = format!("{}::encrypts_flash", model.name);
        trials.push(trial(name, "esptool", move |tool| encryption(&tool, model, key)));
    }
    trials.push(trial("esp32c3::locks_downloads".to_owned(), "esptool", |tool| {
        locks_downloads(&tool)
    }));
    trials.push(trial("esp32::ram_application".to_owned(), "esptool", |tool| ram(&tool)));
    trials.push(trial("esp32::rfc2217".to_owned(), "esptool", |tool| rfc2217(&tool)));
    trials
        .push(trial("esp32::pytest_embedded".to_owned(), "pytest", |tool| pytest_embedded(&tool)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A case that is ignored where its tool is missing.
fn trial(
    name: String,
    program: &'static str,
    case: impl FnOnce(Tool) -> Outcome + Send + 'static,
) -> Trial {
    let found = find(program);
    let ignored = found.is_none() && env::var_os("CI").is_none_or(|ci| ci != "true");
    Trial::test(name, move || match found {
        Some(path) => case(Tool { path }),
        None => Err(format!("{program} is missing: run ci/install, or set GOLDLINE_VENV").into()),
    })
    .with_ignored_flag(ignored)
}

fn find(program: &str) -> Option<PathBuf> {
    let venv = env::var_os("GOLDLINE_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"), PathBuf::from);
    let path = venv.join("bin").join(program);
    path.exists().then_some(path)
}

struct Tool {
    path: PathBuf,
}

impl Tool {
    /// Runs the tool on a unit's pseudo-terminal, without resets.
    fn on(
        &self,
        simulator: &Simulator,
        loader: Loader,
        arguments: &[&str],
    ) -> Result<String, Failed> {
        let mut command = Command::new(&self.path);
        command.arg("--port").arg(simulator.port_path());
        command.args(["--before", "no-reset", "--after", "no-reset"]);
        if loader == Loader::Rom {
            command.arg("--no-stub");
        }
        checked(command.args(arguments).output()?, arguments)
    }
}

fn checked(output: Output, arguments: &[&str]) -> Result<String, Failed> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{arguments:?} failed:\n{text}\n{errors}").into())
}

fn expect(text: &str, expected: &str) -> Outcome {
    if text.contains(expected) {
        Ok(())
    } else {
        Err(format!("{expected:?} is missing in:\n{text}").into())
    }
}

fn unit(model: &'static Model) -> Simulator {
    let world = Arc::new(Silence);
    Simulator::start(Config::new(model), world).expect("a unit needs only a pseudo-terminal")
}

/// A file that does not deflate well, with a length that is no multiple of anything.
fn sample(folder: &Path, length: u32) -> PathBuf {
    let mut state = 1_u32;
    let bytes: Vec<u8> = (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let path = folder.join("sample.bin");
    fs::write(&path, bytes).expect("the folder is ours");
    path
}

fn brief(tool: &Tool, model: &'static Model, loader: Loader) -> Outcome {
    let simulator = unit(model);
    let folder = tempfile::tempdir()?;
    let sample = sample(folder.path(), 20_001);
    let id = tool.on(&simulator, loader, &["flash-id"])?;
    expect(&id, &format!("Connected to {}", model.title))?;
    expect(&id, "24:0a:c4:00:01:10")?;
    expect(&id, "Detected flash size: 4MB")?;
    let written = tool.on(&simulator, loader, &["write-flash", "0x10000", text(&sample)])?;
    expect(&written, "Hash of data verified.")
}

fn thorough(tool: &Tool, model: &'static Model, loader: Loader) -> Outcome {
    brief(tool, model, loader)?;
    let simulator = unit(model);
    let folder = tempfile::tempdir()?;
    let sample = sample(folder.path(), 70_003);
    let back = folder.path().join("back.bin");
    let run = |arguments: &[&str]| tool.on(&simulator, loader, arguments);
    run(&["write-flash", "--no-compress", "0x20000", text(&sample)])?;
    run(&["verify-flash", "0x20000", text(&sample)])?;
    // The ROM gives 64 bytes a time, so a little must do there.
    let length = if loader == Loader::Stub { 70_003 } else { 1000 };
    run(&["read-flash", "0x20000", &length.to_string(), text(&back)])?;
    if fs::read(&back)? != fs::read(&sample)?[..length] {
        return Err("read-flash gave something else than was written".into());
    }
    run(&["erase-region", "0x20000", "0x12000"])?;
    run(&["read-flash", "0x20000", "64", text(&back)])?;
    if fs::read(&back)? != [0xFF; 64] {
        return Err("erase-region left something".into());
    }
    expect(&run(&["read-flash-sfdp", "0", "4"])?, "0x53 0x46 0x44 0x50")?;
    run(&["write-flash-status", "--non-volatile", "--bytes", "2", "0x0240"])?;
    expect(&run(&["read-flash-status", "--bytes", "2"])?, "0x0240")?;
    run(&["dump-mem", "0x40001000", "16", text(&back)])?;
    Ok(())
}

/// The program goes on talking, so that a client which comes later hears it.
fn ram(tool: &Tool) -> Outcome {
    let simulator = unit(chip::ESP32);
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("ram.bin");
    fs::write(&image, ram_image())?;
    expect(
        &tool.on(&simulator, Loader::Rom, &["load-ram", text(&image)])?,
        "executing at 0x40080000",
    )?;
    let path = text(simulator.port_path());
    let mut port = serialport::new(path, 115_200).timeout(Duration::from_secs(10)).open()?;
    port.clear(serialport::ClearBuffer::Input)?;
    let mut heard = [0; 2 * RAM_TEXT.len()];
    port.read_exact(&mut heard)?;
    expect(&String::from_utf8_lossy(&heard), "Hello from RAM!\n")
}

const RAM_TEXT: [u8; 16] = *b"Hello from RAM!\n";

/// An ESP image with one segment in RAM.
fn ram_image() -> Vec<u8> {
    let data = RAM_TEXT;
    let mut image = vec![0xE9, 1, 0, 0];
    image.extend(0x4008_0000_u32.to_le_bytes());
    image.extend([0xEE, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0]);
    image.extend(0x3FFB_0000_u32.to_le_bytes());
    image.extend((data.len() as u32).to_le_bytes());
    image.extend(data);
    image.resize((image.len() | 15) + 1, 0);
    let checksum = data.iter().fold(0xEF, |sum, byte| sum ^ byte);
    *image.last_mut().expect("it was just filled") = checksum;
    image
}

fn fuses(tool: &Tool, model: &'static Model) -> Outcome {
    let simulator = unit(model);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&tool.path);
        command.arg("--port").arg(simulator.port_path());
        command.args(["--before", "no-reset", "--chip", model.name, "--do-not-confirm"]);
        checked(command.args(arguments).output()?, arguments)
    };
    expect(&run(&["summary"])?, "24:0a:c4:00:01:10")?;
    run(&["burn-custom-mac", "AA:CD:EF:01:02:03"])?;
    expect(&run(&["summary"])?, "aa:cd:ef:01:02:03")?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key.bin");
    fs::write(&key, [0x5A; 32])?;
    let burn: &[&str] = match model.name {
        "esp32" => &["burn-key", "flash_encryption", text(&key)],
        _ => &["burn-key", "BLOCK_KEY0", text(&key), "XTS_AES_128_KEY"],
    };
    run(burn)?;
    expect(&run(&["summary"])?, "?? ?? ?? ??")
}

/// The tool that burns the switch sees the mode begin, and later tools keep to it.
fn locks_downloads(tool: &Tool) -> Outcome {
    let simulator = unit(chip::ESP32C3);
    let burn = ["burn-efuse", "ENABLE_SECURITY_DOWNLOAD", "1"];
    let mut espefuse = Command::new(tool.path.with_file_name("espefuse"));
    espefuse.arg("--port").arg(simulator.port_path());
    espefuse.args(["--before", "no-reset", "--chip", "esp32c3"]);
    let burnt = checked(espefuse.arg("--do-not-confirm").args(burn).output()?, &burn)?;
    expect(&burnt, "Secure download mode is enabled.")?;
    let folder = tempfile::tempdir()?;
    let sample = sample(folder.path(), 5000);
    let run = |arguments: &[&str]| tool.on(&simulator, Loader::Stub, arguments);
    let written = run(&["write-flash", "0", text(&sample)])?;
    expect(&written, "ESP32-C3 in Secure Download Mode")?;
    if run(&["read-flash", "0", "16", "unused"]).is_ok() {
        return Err("flash was read in secure download mode".into());
    }
    Ok(())
}

/// What is written encrypted reads back as the ciphertext that Espressif's own tool computes.
fn encryption(tool: &Tool, model: &'static Model, purpose: &str) -> Outcome {
    let simulator = unit(model);
    let folder = tempfile::tempdir()?;
    let sample = sample(folder.path(), 0x3040);
    let place = |name: &str| folder.path().join(name);
    let (key, expected, back) = (place("key"), place("expected"), place("back"));
    let key_length = if purpose == "XTS_AES_256_KEY" { 64 } else { 32 };
    fs::write(&key, (1..=key_length).collect::<Vec<u8>>())?;

    let espefuse = |arguments: &[&str]| {
        let mut command = Command::new(tool.path.with_file_name("espefuse"));
        command.arg("--port").arg(simulator.port_path());
        command.args(["--before", "no-reset", "--chip", model.name]);
        checked(command.arg("--do-not-confirm").args(arguments).output()?, arguments)
    };
    let algorithm: &[&str] = if model.name == "esp32" {
        espefuse(&["burn-key", purpose, text(&key)])?;
        espefuse(&["burn-efuse", "FLASH_CRYPT_CONFIG", "0xF"])?;
        &["--flash-crypt-conf", "0xF"]
    } else {
        espefuse(&["burn-key", "BLOCK_KEY0", text(&key), purpose])?;
        &["--aes-xts"]
    };
    let mut espsecure = Command::new(tool.path.with_file_name("espsecure"));
    espsecure.args(["encrypt-flash-data", "--address", "0x10020"]);
    espsecure.args(["--keyfile", text(&key), "--output", text(&expected)]);
    checked(espsecure.args(algorithm).arg(&sample).output()?, &["encrypt-flash-data"])?;

    for compression in ["--compress", "--no-compress"] {
        let run = |arguments: &[&str]| tool.on(&simulator, Loader::Stub, arguments);
        let options = ["write-flash", "--encrypt", compression];
        run(&[&options[..], &["0x10020", text(&sample)]].concat())?;
        run(&["read-flash", "0x10020", "0x3040", text(&back)])?;
        if fs::read(&back)? != fs::read(&expected)? {
            return Err(format!("{compression} gave another ciphertext than espsecure").into());
        }
        run(&["erase-flash"])?;
    }
    Ok(())
}

/// With real control lines: the chip runs, is reset into the loader, and runs again.
fn rfc2217(tool: &Tool) -> Outcome {
    let mut config = Config::new(chip::ESP32);
    config.mode = Mode::Boot;
    let simulator = Simulator::start(config, Arc::new(Silence))?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = NetworkPort::serve(&simulator, listener, Protocol::Rfc2217)?;
    let mut command = Command::new(&tool.path);
    let arguments = ["--no-stub", "read-mac"];
    command.args(["--port", &port.url()]).args(arguments);
    let read = checked(command.output()?, &arguments)?;
    expect(&read, "24:0a:c4:00:01:10")?;
    expect(&read, "Hard resetting via RTS pin...")
}

/// A test of somebody's firmware, as pytest-embedded runs it: it resets the chip into the loader to
/// learn what it is, and then into the application.
fn pytest_embedded(tool: &Tool) -> Outcome {
    let mut config = Config::new(chip::ESP32);
    config.mode = Mode::Boot;
    let simulator = Simulator::start(config, Arc::new(Silence))?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = NetworkPort::serve(&simulator, listener, Protocol::Rfc2217)?;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("test_unit.py"), TEST_OF_A_BLANK_UNIT)?;
    let arguments = ["-p", "no:cacheprovider", "--embedded-services", "esp,serial"];
    let mut command = Command::new(&tool.path);
    command.current_dir(folder.path()).args(arguments);
    command.args(["--target", "esp32", "--port", &port.url()]);
    command.arg("--root-logdir").arg(folder.path());
    expect(&checked(command.output()?, &arguments)?, "1 passed")
}

const TEST_OF_A_BLANK_UNIT: &str = "
def test_a_blank_unit(dut):
    dut.expect('invalid header: 0xffffffff', timeout=30)
    dut.serial.hard_reset()
    dut.expect_exact('rst:0x1 (POWERON_RESET)', timeout=30)
    dut.serial.erase_flash()
";

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
