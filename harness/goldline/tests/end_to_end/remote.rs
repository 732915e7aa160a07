//! A unit on a port of the network: RFC 2217 with its modem lines, or raw bytes.
//!
//! The unit is the simulator in a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use rstest::rstest;
use serde_json::Value;

use super::{
    program::{Ended, Station},
    resets::{NVS, is_provisioned, product, provision as provision_product, provision_command},
};

const APP: usize = 0x20000;
const DEADLINE: Duration = Duration::from_secs(60);
pub const RFC2217: [&str; 2] = ["--rfc2217", "127.0.0.1:0"];
pub const RAW: [&str; 2] = ["--tcp", "127.0.0.1:0"];

/// A unit in another process, and the URL of its port.
pub fn serve(station: &Station, port: [&str; 2], options: &[&str]) -> (ChildGuard, String) {
    let mut command = station.command();
    command.args(["simulator", "serve", "--flash-file", "unit.flash"]).args(port).args(options);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("it says its port");
    (unit, url.trim_end().to_owned())
}

fn provision(station: &Station, profile: &str, device: &str) -> Ended {
    station.unit(["provision", profile, "--json", "--device", device])
}

fn blames_the_port(ended: &Ended, code: &str, message: &str, action: &str) {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &Value::Null), "{record:#}");
    let text = |name: &str| record["diagnosis"][name].as_str().expect("a text").to_owned();
    assert_eq!(text("code"), code, "{record:#}");
    assert!(text("message").contains(message), "{}", text("message"));
    assert!(text("action").contains(action), "{}", text("action"));
}

fn refuses(ended: &Ended, message: &str, action: &str) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    let said = ended.said();
    assert!(said.contains(message) && said.contains(action), "{said}");
}

/// What a jig at the end of a network would hold: nothing of it is simulated for the harness.
#[test]
fn a_real_unit_is_provisioned_over_rfc2217_which_resets_it() {
    let station = product();
    let (_unit, url) = serve(&station, RFC2217, &["--mode", "boot"]);
    is_provisioned(&station, &provision_product(&station, &url));
    // A second time, from the application that runs now or from whatever the last reset left.
    is_provisioned(&station, &provision_product(&station, &format!("{url}?baud=921600")));
}

/// As idf.py's users have it in their shell, with what pyserial alone understands.
#[test]
fn a_unit_is_found_where_the_environment_says() {
    let station = product();
    let (_unit, url) = serve(&station, RFC2217, &[]);
    let mut command = provision_command(&station, &[]);
    command.env("ESPPORT", format!("{url}?ign_set_control")).env("ESPBAUD", "921600");
    let ended = Ended::of(&mut command);
    let taken = format!("device {url}?baud=921600 (of ESPPORT and ESPBAUD)\n");
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, taken.as_str()), "{}", ended.stdout);
}

#[test]
fn a_real_unit_that_waits_in_its_loader_is_provisioned_over_a_raw_socket() {
    let station = product();
    let (_unit, url) = serve(&station, RAW, &[]);
    is_provisioned(&station, &provision_product(&station, &url));
}

#[test]
fn a_simulated_unit_elsewhere_takes_models_and_samples() {
    let station = Station::new();
    let (_unit, url) = serve(&station, RFC2217, &[]);
    is_provisioned(&station, &provision(&station, "espvault", &format!("{url}?simulated=true")));
}

/// Its settings are typed into the firmware that was just flashed, and runs in the other process: both resets
/// work.
#[test]
fn a_simulated_unit_elsewhere_runs_what_was_flashed() {
    let station = Station::new();
    let (_unit, url) = serve(&station, RFC2217, &["--chip", "esp32s3"]);
    let ended = provision(&station, "safesignal", &format!("{url}?simulated=true"));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
}

#[rstest]
#[case::rfc2217("rfc2217://127.0.0.1:9")]
#[case::raw("socket://127.0.0.1:9")]
#[case::said_to_be_real("rfc2217://127.0.0.1:9?simulated=false")]
fn what_is_not_said_to_be_simulated_is_real(#[case] device: &str) {
    let station = Station::new();
    let ended = station.unit(["provision", "espvault", "--device", device]);
    refuses(&ended, "the firmware model \"espvault\" runs in the simulator only", "own firmware");
    let ended = station.unit(["provision", "--device", device]);
    refuses(&ended, "a real port needs its profile named", "goldline profile list");
}

#[rstest]
#[case::fault(&["provision", "espvault", "--fault", "firmware.wrong_ca"], "the fault firmware.wrong_ca")]
#[case::seed(&["provision", "espvault", "--seed", "7"], "--seed is of a unit")]
#[case::network(&["run", "espvault"], "does not hear the network air")]
#[case::cable(&["run", "espvault", "--network", "cable"], "does not hear the network cable")]
#[case::own_network(&["provision", "ble-gateway-portal"], "does not hear the network air")]
fn what_only_the_other_process_can_do_is_refused(#[case] asked: &[&str], #[case] message: &str) {
    let station = Station::new();
    let device = ["--device", "rfc2217://127.0.0.1:9?simulated=true"];
    let ended = station.unit(asked.iter().chain(&device));
    refuses(&ended, message, "goldline simulator serve");
}

#[test]
fn a_port_is_one_unit_however_it_is_talked_to() {
    let devices = ["--device", "rfc2217://127.0.0.1:9", "--device", "socket://127.0.0.1:9"];
    let ended = Station::new().unit(["provision", "espvault"].iter().chain(&devices));
    refuses(&ended, "are the same unit", "name each unit once");
}

#[rstest]
#[case::rfc2217("rfc2217://")]
#[case::raw("socket://")]
fn a_port_where_nobody_listens(#[case] scheme: &str) {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let device = format!("{scheme}{}", free.expect("an address"));
    let message = format!("cannot connect to {device}: Connection refused");
    let ended = provision_product(&product(), &device);
    blames_the_port(&ended, "port.unusable", &message, "start what serves the port");
}

/// What comes to whoever asks there, and then silence, or the end.
fn babble(words: &'static [u8], then_ends: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let Ok((mut client, _)) = listener.accept() else { return };
        let _said = client.write_all(words);
        if !then_ends {
            // Until the client has enough of it.
            let _rest = client.read_to_end(&mut Vec::new());
        }
    });
    format!("rfc2217://{address}")
}

#[rstest]
#[case::another_protocol(b"SSH-2.0-OpenSSH_9.2\r\n", false, "no answer came in time")]
#[case::silence(b"", false, "no answer came in time")]
#[case::an_end(b"too many clients\r\n", true, "the connection was closed")]
#[case::telnet_without_a_port(&[255, 251, 1, 255, 254, 44, 255, 250, 44, 101], false, "no answer")]
fn a_server_of_another_kind_is_named(
    #[case] words: &'static [u8],
    #[case] then_ends: bool,
    #[case] detail: &str,
) {
    let url = babble(words, then_ends);
    let message = format!("{url} does not speak RFC 2217: {detail}");
    let ended = provision_product(&product(), &url);
    blames_the_port(&ended, "port.unusable", &message, "socket://HOST:PORT");
}

#[test]
fn a_server_that_does_not_acknowledge_is_named() {
    // WILL and DO of the three options, and nothing more.
    let url = babble(&[255, 251, 0, 255, 253, 0, 255, 251, 44, 255, 253, 44], false);
    let ended = provision_product(&product(), &url);
    let message = format!("{url} does not acknowledge SET-BAUDRATE");
    blames_the_port(&ended, "port.unusable", &message, "look at the server");
}

/// Neither hangs, nor is the unit blamed.
#[rstest]
#[case::rfc2217(RFC2217)]
#[case::raw(RAW)]
fn a_unit_that_is_killed_while_it_is_written_vanished(#[case] port: [&str; 2]) {
    let station = product();
    let (mut unit, url) = serve(&station, port, &["--pace"]);
    let flash = station.path("unit.flash");
    let killer = thread::spawn(move || {
        let began = Instant::now();
        while !is_being_written(&flash) {
            assert!(began.elapsed() < DEADLINE, "nothing was written");
            thread::sleep(Duration::from_millis(5));
        }
        unit.child().kill().expect("it runs");
        unit.child().wait().expect("it ended");
    });
    let ended = provision_product(&station, &url);
    killer.join().expect("it was killed");
    blames_the_port(&ended, "port.vanished", "went away while the bench tried to write", "");
}

fn is_being_written(flash: &Path) -> bool {
    let written = |flash: Vec<u8>| {
        flash.get(APP..APP + 4096).is_some_and(|app| app.iter().any(|byte| *byte != 0xFF))
    };
    fs::read(flash).is_ok_and(written)
}

/// Each leaves the port as the other needs it.
#[test]
fn esptool_and_goldline_take_turns_on_one_port() {
    let Some(esptool) = esptool() else { return };
    let station = product();
    let (_unit, url) = serve(&station, RFC2217, &[]);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&esptool);
        command.current_dir(station.path("")).args(["--port", &url]).args(arguments);
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code(), 0, "{}{}", ended.stdout, ended.stderr);
        ended.stdout
    };
    let said = run(&["flash-id"]);
    assert!(said.contains("24:0a:c4:00:01:10"), "{said}");
    is_provisioned(&station, &provision_product(&station, &url));
    run(&["read-flash", "0x10000", "0x6000", "nvs.bin"]);
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    assert!(fs::read(station.path("nvs.bin")).expect("what it read") == flash[NVS]);
    is_provisioned(&station, &provision_product(&station, &url));
}

/// Espressif's own server between the two: it resets the unit itself, at its own pace, and acknowledges no line.
#[rstest]
#[case::into_the_loader("espvault", "esp32")]
#[case::and_into_the_application("safesignal", "esp32s3")]
fn a_unit_behind_espressifs_server_is_provisioned(#[case] profile: &str, #[case] chip: &str) {
    let Some(esptool) = esptool() else { return };
    let station = Station::new();
    let (_unit, unit) = serve(&station, RFC2217, &["--chip", chip]);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = free.expect("an address").port();
    // The reset that it makes by itself needs a terminal, which its client's end of RFC 2217 is not.
    let sequence = "[esptool]\ncustom_reset_sequence = D0|R1|W0.1|D1|R0|W0.05|D0\n";
    // Not where Goldline would find it: its own reset is to be seen.
    let configuration = station.write("server.cfg", sequence);
    let mut command = Command::new(esptool.with_file_name("esp_rfc2217_server"));
    command.args(["-p", &port.to_string(), &unit]).env("ESPTOOL_CFGFILE", configuration);
    command.env("PYTHONUNBUFFERED", "1").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = ChildGuard::spawn(&mut command).expect("it starts");
    let mut said = BufReader::new(server.child().stdout.take().expect("stdout is a pipe")).lines();
    let waits = |line: &std::io::Result<String>| {
        line.as_ref().is_ok_and(|line| line.starts_with("Waiting for connection"))
    };
    assert!(said.any(|line| waits(&line)), "it ended");
    let device = format!("rfc2217://127.0.0.1:{port}?simulated=true");
    let ended = provision(&station, profile, &device);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
}

pub fn esptool() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let venv = std::env::var_os("GOLDLINE_VENV").map_or(beside, PathBuf::from);
    let program = venv.join("bin/esptool");
    if program.exists() {
        return Some(program.canonicalize().expect("it is there"));
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "a CI needs esptool: run ci/install");
    println!("skipped: no esptool at {}", program.display());
    None
}
