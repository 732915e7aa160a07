//! A simulated unit in another process, behind RFC 2217 and on a wire of its own: a foreign port and a foreign TCP/IP
//! stack change no verdict.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::Stdio,
    sync::atomic::{AtomicU8, Ordering},
};

use goldline::process::ChildGuard;
use rstest::rstest;

use super::program::{Ended, Station, check};

/// What a unit has that is not sound, and where.
pub type Fault<'a> = (&'a str, &'a str);

/// A run of a profile on a unit of that chip in another process.
pub fn run_elsewhere(
    station: &Station,
    profile: &str,
    chip: &str,
    fault: Option<Fault<'_>>,
) -> Ended {
    let wire = free_address();
    let mut command = station.command();
    command.args(["simulator", "serve", "--chip", chip, "--rfc2217", "127.0.0.1:0"]);
    command.args(["--network", &wire]);
    if let Some((fault, seed)) = fault {
        command.args(["--fault", fault, "--seed", seed]);
    }
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("it says its port");
    let device = format!("{}?simulated=true", url.trim_end());
    station.unit(["run", profile, "--json", "--device", &device, "--network", &wire])
}

/// An address of the loopback that no other test listens at, with a port that is free there.
pub fn free_address() -> String {
    static COUNTER: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let last = COUNTER.fetch_add(1, Ordering::Relaxed);
    let ip = format!("127.{}.{low}.{last}", 64 + high % 64);
    let free = TcpListener::bind((ip.as_str(), 0)).and_then(|free| free.local_addr());
    format!("wire:{}", free.expect("a port"))
}

#[rstest]
#[case::flashed("espvault", "esp32")]
#[case::typed_to("safesignal", "esp32s3")]
fn a_sound_unit_passes(#[case] profile: &str, #[case] chip: &str) {
    let ended = run_elsewhere(&Station::new(), profile, chip, None);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(check(&record, "network_join")["outcome"], "pass", "{record:#}");
    assert_eq!(record["network"]["name"], "wire");
    let seen = check(&record, "network_join")["evidence"].to_string();
    for words in ["on the wire: DHCP", "on the wire: asked for", "on the wire: connected to"] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
}

#[rstest]
#[case("firmware.mqtt_password", "mqtt.bad_credentials")]
#[case("firmware.wrong_ca", "mqtt.server_untrusted")]
#[case("radio.deaf", "network.not_joined")]
#[case("firmware.boot_loop", "boot.loop")]
fn a_bad_one_fails_for_what_it_is(#[case] fault: &str, #[case] code: &str) {
    let ended = run_elsewhere(&Station::new(), "espvault", "esp32", Some((fault, "1")));
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (1, &code.into()), "{record:#}");
}
