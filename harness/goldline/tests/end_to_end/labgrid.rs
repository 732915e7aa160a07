//! labgrid's own coordinator and exporter in front of a simulated unit: a place of a board farm is a jig's port.

use std::{
    env,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;

use super::{
    elsewhere::free_address,
    foreign_servers::{buttons, is_there, passes},
    program::Station,
    resets::serve_unit,
};

const DEADLINE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);

/// The folder of labgrid's programs.
fn programs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.labgrid");
    let folder = env::var_os("GOLDLINE_LABGRID").map_or(beside, PathBuf::from).join("bin");
    if folder.join("labgrid-exporter").is_file() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none(), "labgrid is missing, and CI must have it: run ci/install");
    println!("skipped: no labgrid at {}", folder.display());
    None
}

/// What a farm knows of its ports.
struct Farm {
    programs: PathBuf,
    coordinator: String,
    _processes: [ChildGuard; 2],
}

impl Farm {
    /// One port, in the group `jig`.
    fn start(station: &Station, programs: PathBuf, port: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let coordinator = free.expect("a port").to_string();
        let text = format!("jig:\n  RawSerialPort:\n    port: {}\n", port.display());
        let exported = station.write("exported.yaml", text);
        let start = |command: &mut Command| {
            command.current_dir(station.path(""));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            ChildGuard::spawn_group(command).expect("it starts")
        };
        let mut command = Command::new(programs.join("labgrid-coordinator"));
        let first = start(command.args(["-l", &coordinator]));
        // An exporter ends where none listens yet.
        let began = Instant::now();
        while TcpStream::connect(&coordinator).is_err() {
            assert!(began.elapsed() < DEADLINE, "labgrid's coordinator never listened");
            thread::sleep(LOOK);
        }
        let mut command = Command::new(programs.join("labgrid-exporter"));
        command.args(["-c", &coordinator, "--hostname", "127.0.0.1", "-n", "line"]);
        let second = start(command.arg(exported));
        Self { programs, coordinator, _processes: [first, second] }
    }

    fn client(&self, words: &[&str]) -> Option<String> {
        let mut command = Command::new(self.programs.join("labgrid-client"));
        command.env("LG_COORDINATOR", &self.coordinator).args(words).stdin(Stdio::null());
        let output = command.output().expect("it starts");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Where the port of a place is served, once the place is this user's.
    fn acquire(&self, place: &str) -> String {
        let began = Instant::now();
        while !self.client(&["resources"]).is_some_and(|all| all.contains("line/jig/")) {
            assert!(began.elapsed() < DEADLINE, "the port was never exported");
        }
        for words in [&["create"][..], &["add-match", "line/jig/*"], &["acquire"]] {
            let done = self.client(&[&["-p", place], words].concat());
            assert!(done.is_some(), "labgrid-client {words:?} failed");
        }
        let shown = self.client(&["-p", place, "show"]).expect("its place");
        let port = shown.split("'port': ").nth(1).and_then(|rest| rest.split([',', '}']).next());
        format!("127.0.0.1:{}", port.unwrap_or_else(|| panic!("{shown}")))
    }
}

#[test]
fn a_run_passes_at_a_place_of_a_board_farm() {
    let Some(programs) = programs().filter(|_| is_there("ser2net")) else { return };
    let station = Station::new();
    let wire = free_address();
    let mut unit = serve_unit(&station, &["--network", &wire]);
    let reset = buttons(&station, &mut unit);
    let port = station.path("unit").canonicalize().expect("its terminal");
    let farm = Farm::start(&station, programs, &port);
    let address = farm.acquire("nest1");
    let device = format!("rfc2217://{address}?simulated=true&{reset}");
    passes(&station, "run", &device, &wire);
}
