//! `goldline device info`, `flash`, `read`, `erase`, `reset` and `monitor`: a unit without a profile.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use goldline::process::ChildGuard;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{
    jig::{CP2102N, Jig, Terminal, Usb},
    panics::elf,
    program::{Ended, Station},
    remote::esptool,
};

const MAC: &str = "24:0a:c4:00:00:07";
const FLASH: usize = 4 << 20;

/// Bytes that compress badly, so that none of them is guessed.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

/// A unit in another process, and the first line that it says: its port.
fn serve(station: &Station, options: &[&str]) -> (ChildGuard, String) {
    let mut command = station.command();
    command.args(["simulator", "serve", "--mac", MAC, "--flash-file", "unit.flash"]).args(options);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut port = String::new();
    BufReader::new(output).read_line(&mut port).expect("it says its port");
    (unit, port.trim_end().to_owned())
}

/// Each kind of device that may be had without a profile.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Simulator,
    Terminal,
    Rfc2217,
    Socket,
    Qemu,
}

/// What must live for as long as the unit is needed, and its URL.
fn unit(station: &Station, kind: Kind) -> (Option<ChildGuard>, String) {
    let address = "127.0.0.1:0";
    let of_process = |(unit, port): (ChildGuard, String), options| (Some(unit), port + options);
    match kind {
        Kind::Simulator => (None, format!("simulator:?flash-file=unit.flash&mac={MAC}")),
        Kind::Terminal => of_process(serve(station, &[]), "?reset=none"),
        Kind::Rfc2217 => of_process(serve(station, &["--rfc2217", address, "--mode", "boot"]), ""),
        Kind::Socket => of_process(serve(station, &["--tcp", address]), ""),
        Kind::Qemu => {
            let built = Path::new(env!("CARGO_BIN_EXE_goldline")).with_file_name("examples");
            let program = built.join("qemu_stand_in");
            assert!(
                program.is_file(),
                "{} is not built: cargo build --examples",
                program.display()
            );
            symlink(&program, station.path("qemu-system-riscv32")).expect("a link");
            let binary = station.path("qemu-system-riscv32");
            let url =
                format!("qemu:?chip=esp32c3&flash-file=unit.flash&binary={}", binary.display());
            (None, url)
        }
    }
}

fn done(ended: &Ended) -> &str {
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    &ended.stdout
}

#[rstest]
#[case::simulator(Kind::Simulator)]
#[case::terminal(Kind::Terminal)]
#[case::rfc2217(Kind::Rfc2217)]
#[case::socket(Kind::Socket)]
#[case::qemu(Kind::Qemu)]
fn a_flash_is_written_read_and_erased_on_every_kind_of_device(#[case] kind: Kind) {
    let station = Station::new();
    let (_unit, device) = unit(&station, kind);
    let device_command = |words: &[&str]| {
        station.goldline(["device"].iter().chain(words).chain(&["--device", &device]))
    };
    let [first, second] = [noise(70_001, 1), noise(4096, 2)];
    station.write("first.bin", &first);
    station.write("second.bin", &second);

    let ended = device_command(&["flash", "0x30000", "second.bin", "64K", "first.bin"]);
    let lines: Vec<&str> = done(&ended).lines().collect();
    assert!(lines[0].starts_with("0x00010000     70001 bytes  md5 "), "{lines:?}");
    assert!(lines[1].starts_with("0x00030000      4096 bytes  md5 "), "{lines:?}");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    assert!(flash[0x1_0000..][..first.len()] == first, "the first file is there");
    assert!(flash[0x3_0000..][..second.len()] == second, "the second file is there");

    // More than a piece, and neither beginning nor end at a sector.
    let ended = device_command(&["read", "0x10003", "300000", "out.bin"]);
    assert!(done(&ended).contains("300000 bytes  md5 "), "{ended:?}");
    let out = fs::read(station.path("out.bin")).expect("what was read");
    assert!(out == flash[0x1_0003..][..300_000], "what was read is what is there");
    let mode = fs::metadata(station.path("out.bin")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let ended = device_command(&["erase", "0x11000", "8K", "--yes"]);
    assert_eq!(done(&ended), "erased 0x2000 bytes at 0x11000\n");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    assert!(flash[0x1_1000..0x1_3000].iter().all(|byte| *byte == 0xFF));
    assert!(flash[0x1_0000..0x1_1000] == first[..0x1000], "the sector before it stays");
    assert!(flash[0x1_3000..][..0x1000] == first[0x3000..0x4000], "the sector behind it stays");

    let ended = device_command(&["erase", "--yes"]);
    assert_eq!(done(&ended), "erased the whole flash\n");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    assert!(flash.len() == FLASH && flash.iter().all(|byte| *byte == 0xFF));
}

/// Another program is the judge of what is in the flash, and takes turns with Goldline on one port.
#[test]
fn esptool_finds_what_goldline_flashed_and_goldline_reads_what_esptool_wrote() {
    let Some(esptool) = esptool() else { return };
    let station = Station::new();
    let (_unit, port) = serve(&station, &[]);
    let device = format!("{port}?reset=none");
    let [ours, theirs] = [noise(30_000, 6), noise(8192, 7)];
    station.write("ours.bin", &ours);
    station.write("theirs.bin", &theirs);
    let by_esptool = |words: &[&str]| {
        let mut command = Command::new(&esptool);
        command.args(["--port", &port, "--before", "no-reset", "--after", "no-reset"]).args(words);
        let ended = Ended::of(command.current_dir(station.path("")));
        assert_eq!(ended.code(), 0, "{ended:?}");
    };
    done(&station.goldline(["device", "flash", "0x10000", "ours.bin", "--device", &device]));
    by_esptool(&["verify-flash", "0x10000", "ours.bin"]);
    by_esptool(&["write-flash", "0x20000", "theirs.bin"]);
    done(&station.goldline(["device", "read", "0x20000", "8K", "out.bin", "--device", &device]));
    assert!(fs::read(station.path("out.bin")).expect("what was read") == theirs);
}

#[rstest]
#[case::simulator(Kind::Simulator)]
#[case::terminal(Kind::Terminal)]
#[case::rfc2217(Kind::Rfc2217)]
#[case::socket(Kind::Socket)]
fn a_unit_says_who_it_is(#[case] kind: Kind) {
    let station = Station::new();
    let (_unit, device) = unit(&station, kind);
    let ended = station.goldline(["device", "info", "--json", "--device", &device]);
    let expected = json!({ "chip": "esp32", "revision": "3.0", "mac": MAC, "flash_size": FLASH });
    done(&ended);
    assert_eq!(ended.json(), expected);
    let ended = station.goldline(["device", "info", "--device", &device]);
    let rows = ["chip      esp32", "MAC       24:0a:c4:00:00:07", "flash     4194304 bytes (4 MB)"];
    for row in rows {
        assert!(done(&ended).lines().any(|line| line == row), "{ended:?}");
    }
}

#[test]
fn a_build_is_flashed_as_it_says_and_for_its_chip_only() {
    let station = Station::new();
    let built =
        station.goldline(["device", "flash", "build", "--device", "simulator:?flash-file=x"]);
    assert_eq!(built.code(), 2, "there is none yet: {built:?}");
    // The flash of a unit is a build too: a merged binary.
    let device = "simulator:?flash-file=made.flash";
    assert_eq!(station.unit(["provision", "--device", device]).code(), 0);
    let made = fs::read(station.path("made.flash")).expect("a flash");
    station.write("merged.bin", &made[..0x1A_0000]);
    let into = format!("simulator:?flash-file=unit.flash&mac={MAC}");
    let ended = station.goldline(["device", "flash", "merged.bin", "--device", &into]);
    assert!(done(&ended).lines().count() >= 3, "{ended:?}");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    for (what, at) in [("bootloader", 0x1000), ("table", 0x8000), ("application", 0x2_0000)] {
        assert!(flash[at..][..0x100] == made[at..][..0x100], "the {what} is not there");
    }
    let other = "simulator:?flash-file=other.flash&chip=esp32c3";
    let ended = station.goldline(["device", "flash", "merged.bin", "--device", other]);
    refuses(&ended, "and the unit is a esp32c3");
    let flash = fs::read(station.path("other.flash")).expect("a new flash");
    assert!(flash.iter().all(|byte| *byte == 0xFF), "nothing was written");
}

fn refuses(ended: &Ended, message: &str) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.said().contains(message), "no \"{message}\" in {}", ended.said());
}

#[rstest]
#[case::no_file(&["flash", "0x1000", "missing.bin"], "cannot read missing.bin")]
#[case::no_build(&["flash", "missing"], "missing")]
#[case::odd_words(&["flash", "0x1000", "file", "0x2000"], "expected OFFSET FILE")]
#[case::no_offset(&["flash", "file", "0x1000"], "\"file\" is no offset")]
#[case::within_a_sector(&["flash", "0x1800", "file"], "expected a multiple of 0x1000")]
#[case::shared_sectors(&["flash", "0x2000", "file", "0x1000", "file"], "file begins at 0x2000")]
#[case::empty(&["flash", "0x1000", "empty"], "empty is empty")]
#[case::written_past_the_end(&["flash", "0x3ff000", "file"], "file ends at 0x400388, and the flash at 0x400000")]
#[case::read_past_the_end(&["read", "0x3ff000", "0x1001", "out"], "ends at 0x400001")]
#[case::read_far_past_the_end(&["read", "4095M", "1M", "out"], "ends at 0x100000000")]
#[case::nothing_to_read(&["read", "0", "0", "out"], "no byte is to be read")]
#[case::taken(&["read", "0", "16", "file"], "file exists and stays as it is")]
#[case::part_of_a_sector(&["erase", "0x1000", "0x800", "--yes"], "not whole sectors")]
#[case::erased_past_the_end(&["erase", "0x3ff000", "8K", "--yes"], "ends at 0x401000")]
#[case::nobody_to_ask(&["erase"], "nothing was erased")]
fn what_cannot_be_done_is_refused_and_nothing_is_written(
    #[case] words: &[&str],
    #[case] message: &str,
) {
    let station = Station::new();
    station.write("file", noise(5000, 3));
    station.write("empty", "");
    let before = noise(FLASH, 4);
    station.write("unit.flash", &before);
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let ended = station.goldline(["device"].iter().chain(words).chain(&device));
    refuses(&ended, message);
    assert!(fs::read(station.path("unit.flash")).expect("its flash") == before, "it was changed");
    assert!(!station.path("out").exists());
}

#[rstest]
#[case::no_flash("simulator:", "expected simulator:?flash-file=FILE")]
#[case::no_chip("qemu:?flash-file=unit.flash", "nothing says which chip")]
#[case::esp_emu("esp-emu:", "in a run only")]
#[case::wokwi("wokwi:", "in a run only")]
#[case::no_device("usb0", "unknown device")]
#[case::no_port("/dev/null/x", "cannot open")]
#[case::a_folder("/tmp", "is a folder, not a port")]
fn a_unit_that_cannot_be_had_without_a_profile(#[case] device: &str, #[case] message: &str) {
    let ended = Station::new().goldline(["device", "info", "--device", device]);
    let code = if device == "/dev/null/x" { 3 } else { 2 };
    assert_eq!(ended.code(), code, "{ended:?}");
    assert!(ended.said().contains(message), "no \"{message}\" in {}", ended.said());
}

/// That the write went well says little: the unit's own digest is what counts.
#[test]
fn a_flash_that_does_not_keep_its_bytes_is_the_units_fault() {
    let station = Station::new();
    let (_unit, device) =
        serve(&station, &["--rfc2217", "127.0.0.1:0", "--fault", "flash.stuck_bit"]);
    station.write("file", noise(70_000, 5));
    let ended = station.goldline(["device", "flash", "128K", "file", "--device", &device]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{ended:?}");
    assert!(ended.said().contains("does not hold file: its MD5 is "), "{ended:?}");
    let ended = station.goldline(["device", "erase", "--yes", "--device", &device]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{ended:?}");
    assert!(ended.said().contains("the whole flash is not blank after it was erased"), "{ended:?}");
}

#[test]
fn a_unit_waits_in_its_loader_for_somebody_else_or_runs() {
    let station = Station::new();
    let options = ["--rfc2217", "127.0.0.1:0", "--firmware", "espvault", "--mode", "boot"];
    let (_unit, device) = serve(&station, &options);
    let ended = station.goldline(["device", "reset", "--download", "--device", &device]);
    assert_eq!(done(&ended), format!("the esp32 {MAC} waits in its download mode\n"));
    // Without a reset of its own the next one finds it there.
    let in_loader = format!("{device}?reset=none:0");
    done(&station.goldline(["device", "info", "--device", &in_loader]));
    let ended = station.goldline(["device", "reset", "--device", &device]);
    assert_eq!(done(&ended), "reset into its application\n");
    let ended = station.goldline(["device", "info", "--device", &in_loader]);
    assert_eq!(ended.code(), 3, "it runs, and no loader answers: {ended:?}");
    assert!(ended.said().contains("no loader answered SYNC"), "{ended:?}");
}

#[test]
fn without_a_device_the_only_port_that_may_have_a_unit_is_taken() {
    let station = Station::new();
    let jig = Jig::new(&station);
    let info = || Ended::of(jig.command().args(["device", "info"]));
    refuses(
        &info(),
        "no serial port has an ESP32 or a bridge to one: there is no serial port at all",
    );
    let usb = |hub| Usb { hub, id: CP2102N, names: None, serial: Some("0001") };
    let terminal = Terminal::new();
    jig.uart("ttyAMA0", 32);
    jig.tty_usb("ttyUSB0", "cp210x", &usb("1-1.2"), 0);
    jig.wire("ttyUSB0", &terminal.path);
    let ended = info();
    let port = jig.port("ttyUSB0");
    let line = format!("the unit at {port}, CP210x, serial:usb=0001, serial:hub=1-1.2:0");
    assert!(ended.stderr.starts_with(&line), "{ended:?}");
    // A pseudo terminal has no modem lines: it was this port that was tried.
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.said().contains(&format!("cannot reset the unit on {port}")), "{ended:?}");
    jig.tty_usb("ttyUSB1", "cp210x", &usb("1-1.3"), 0);
    let ended = info();
    refuses(&ended, "2 serial ports may have the unit");
    assert!(ended.said().contains("serial:hub=1-1.3:0"), "{ended:?}");
}

/// A unit that says "ready" until it is heard, then what it is told to, and then nothing more, or ends.
struct Talker {
    url: String,
    heard: Sender<()>,
}

impl Talker {
    fn new(words: &'static str, then_ends: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("socket://{}", listener.local_addr().expect("its address"));
        let (heard, is_heard) = channel();
        thread::spawn(move || {
            let Ok((mut client, _)) = listener.accept() else { return };
            // Whoever comes again finds nobody.
            drop(listener);
            while is_heard.recv_timeout(Duration::from_millis(10)).is_err() {
                if client.write_all(b"ready\r\n").is_err() {
                    return;
                }
            }
            client.write_all(words.as_bytes()).expect("it listens");
            if !then_ends {
                // Until the client has enough of it.
                let _rest = io::copy(&mut client, &mut io::sink());
            }
        });
        Self { url, heard }
    }

    /// A monitor that has heard it, in a folder.
    fn monitor(&self, folder: &Path, options: &[&str]) -> (ChildGuard, BufReader<ChildStdout>) {
        let mut command = Station::new().command();
        command.current_dir(folder).args([
            "device",
            "monitor",
            "--no-reset",
            "--device",
            &self.url,
        ]);
        command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut monitor = ChildGuard::spawn(&mut command).expect("it starts");
        let mut output = BufReader::new(monitor.child().stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it prints");
        assert!(line.ends_with("  ready\n"), "{line}");
        (monitor, output)
    }

    /// What a monitor prints of what is said to it, to its end, and its exit code.
    fn heard_by_monitor(&self, folder: &Path, options: &[&str]) -> (Option<i32>, String, String) {
        let (mut monitor, mut output) = self.monitor(folder, options);
        self.heard.send(()).expect("the unit waits for it");
        let (mut printed, mut said) = (String::new(), String::new());
        output.read_to_string(&mut printed).expect("UTF-8");
        let mut stderr = monitor.child().stderr.take().expect("stderr is a pipe");
        stderr.read_to_string(&mut said).expect("UTF-8");
        (monitor.child().wait().expect("it ends").code(), printed, said)
    }
}

#[test]
fn a_monitor_prints_lines_with_their_times_until_a_text_comes() {
    let station = Station::new();
    let options = ["--rfc2217", "127.0.0.1:0", "--firmware", "espvault"];
    let (_unit, device) = serve(&station, &options);
    let monitor = |more: &[&str]| {
        station.goldline(["device", "monitor", "--device", &device].iter().chain(more))
    };
    let ended = monitor(&["--until", "boot:0x13", "--seconds", "60"]);
    let last = done(&ended).lines().last().expect("a line");
    let (time, text) = last.trim_start().split_once("  ").expect("a time and a line");
    assert!(time.parse::<f64>().is_ok_and(|seconds| seconds < 60.0), "{last}");
    assert!(text.contains("boot:0x13"), "{last}");
    let ended = monitor(&["--until", "never said", "--seconds", "1"]);
    assert_eq!(
        (ended.code(), ended.said().as_str()),
        (1, "\"never said\" did not come"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("boot:0x13"), "{ended:?}");
    assert_eq!(monitor(&["--seconds", "1"]).code(), 0, "time alone is no failure");
}

#[test]
fn a_prompt_without_a_line_s_end_is_a_text_that_came() {
    let unit = Talker::new("done\r\nlogin: ", false);
    let (code, printed, said) = unit.heard_by_monitor(Path::new("/"), &["--until", "login:"]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{printed}");
    assert!(printed.ends_with("  done\nlogin: \n"), "{printed}");
}

#[test]
fn a_port_that_goes_away_ends_a_monitor_as_the_bench_s_fault() {
    let unit = Talker::new("last words\n", true);
    let (code, printed, said) = unit.heard_by_monitor(Path::new("/"), &["--until", "never said"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(printed.ends_with("  last words\n"), "{printed}");
    assert!(said.contains("went away"), "{said}");
}

#[rstest]
#[case::interrupt(Signal::INT)]
#[case::terminate(Signal::TERM)]
fn a_signal_ends_a_monitor_and_is_no_failure(#[case] signal: Signal) {
    let unit = Talker::new("", false);
    let (mut monitor, _output) = unit.monitor(Path::new("/"), &["--until", "never said"]);
    kill_process(Pid::from_child(monitor.child()), signal).expect("it lives");
    assert_eq!(monitor.child().wait().expect("it ends").code(), Some(0));
}

const CRASH: &str = "I (31) main: connecting\r\n\
    Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\
    Backtrace: 0x400d5e28:0x3ffb1f50 0x400d5f06:0x3ffb1f70 0x400e1a3e:0x3ffb1f90\r\n\
    rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n\
    Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\
    Backtrace: 0x400e1a3e:0x3ffb1f90\r\n\
    once more\r\n";

#[test]
fn a_crash_is_followed_by_functions_and_lines_where_the_elf_is_named() {
    let station = Station::new();
    elf(&station);
    let options = ["--until", "once more", "--elf", "build/app.elf"];
    let unit = Talker::new(CRASH, false);
    let (code, printed, said) = unit.heard_by_monitor(&station.path(""), &options);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{printed}");
    let decoded: Vec<&str> =
        printed.lines().filter_map(|line| line.split_once("-> ")).map(|(_, call)| call).collect();
    let expected = [
        "0x400d5e28 wifi_start at main/wifi.c:2",
        "0x400d5f06 wifi_connect at main/wifi.c:5",
        "0x400e1a3e app_main at main/wifi.c:8",
        "0x400e1a3e app_main at main/wifi.c:8",
    ];
    assert_eq!(decoded, expected, "{printed}");
    let words = ["device", "monitor", "--elf", "main/wifi.c", "--device", &unit.url];
    refuses(&station.goldline(words), "main/wifi.c is no ELF");
}
