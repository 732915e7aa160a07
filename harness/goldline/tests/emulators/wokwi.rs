//! Runs of units that Wokwi simulates, against the stand-in for its service. The unit runs a firmware description,
//! which lies in its flash like any other application: to the harness it is an image of the product's own. It has
//! no network there, and goes on without.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;
use serde_json::Value;

use super::{
    parts::image,
    wokwi_stand_in::{Service, TOKEN},
};
use crate::end_to_end::program::{Ended, Station, check};

/// Only a program that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(120);
/// What nobody can prove there.
pub const WITHOUT: &str = "flash_integrity,nvs_readback,wifi_join,mqtt_connect";
const FIRMWARE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/firmware/safesignal.toml"));
const PROFILE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/safesignal.toml"));

/// A station with safesignal's images as files, and a profile that flashes its values.
pub struct Site {
    pub station: Station,
}

impl Site {
    pub fn new() -> Self {
        Self::with(|profile| profile)
    }

    /// With another profile.
    fn with(edit: impl Fn(String) -> String) -> Self {
        Self::of("safesignal", Station::new(), edit)
    }

    /// With the images of another product of the same flash.
    fn of(product: &str, station: Station, edit: impl Fn(String) -> String) -> Self {
        let unit = "simulator:?flash-file=unit.bin";
        let made = station.unit(["provision", product, "--device", unit]);
        assert_eq!(made.code(), 0, "{made:?}");
        let flash = fs::read(station.path("unit.bin")).expect("a flash");
        station.write("bootloader.bin", image(&flash, 0, 0x8000));
        station.write("app.bin", image(&flash, 0x1_0000, 0x21_0000));
        station.write("button.toml", edit(flashed()));
        Self { station }
    }

    fn command(&self, service: &Service, words: &[&str]) -> Command {
        let common = ["run", "button.toml", "--json", "--device"];
        let mut command = self.station.unit_command([&common, words].concat());
        service.admit(&mut command);
        command
    }

    fn run(&self, service: &Service, device: &str) -> Ended {
        Ended::of(&mut self.command(service, &[device, "--without", WITHOUT]))
    }
}

/// safesignal, as if its factory flashed the values; what is typed into the console only asks.
fn flashed() -> String {
    let mut text = String::new();
    for section in sections(PROFILE) {
        let head = section.lines().next().unwrap_or_default();
        let gone = ["console.provision", "console.wifi", "console.factory_reset"];
        let is_gone = gone.iter().any(|name| head == format!("[[{name}]]"))
            || ["[alert]", "[reprovision]"].contains(&head)
            || ["factory_reset", "test_alert"]
                .iter()
                .any(|id| head == "[[check]]" && section.contains(&format!("id = \"{id}\"")));
        if !is_gone {
            text += &section;
        }
    }
    text.replace("name = \"safesignal\"\n", "name = \"button\"\n")
        .replace("method = \"console\"", "method = \"factory_image\"")
        .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"")
        .replace("app = { model = \"safesignal\" }", "app = { file = \"app.bin\" }")
}

/// The parts of a TOML file, each from its head to the next.
fn sections(text: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    for line in text.lines() {
        if line.starts_with('[') {
            sections.push(String::new());
        }
        let last = sections.last_mut().expect("there is one");
        *last += line;
        *last += "\n";
    }
    sections
}

pub fn why(record: &Value) -> (&str, &str) {
    let verdict = record["verdict"].as_str().unwrap_or("none");
    (verdict, record["diagnosis"]["code"].as_str().unwrap_or("none"))
}

#[test]
fn a_good_unit_passes_by_its_console_and_the_record_says_what_is_not_proven() {
    let site = Site::new();
    let notes = site.station.path("notes");
    let service = Service::that(&["--notes", notes.to_str().expect("a path")]);
    let junit = site.station.path("junit.xml");
    let mut command = site.command(&service, &["wokwi:", "--without", WITHOUT]);
    let ended = Ended::of(command.arg("--junit").arg(&junit));
    let record = ended.json();
    assert_eq!((ended.code(), why(&record)), (0, ("PASS", "none")), "{record:#}");
    let read: goldline_record::Record =
        serde_json::from_value(record.clone()).expect("others understand it");
    assert_eq!(serde_json::to_value(read).expect("JSON"), record, "and lose nothing of it");
    assert_eq!(record["network"]["name"], "none");
    assert_eq!(record["emulator"], "Wokwi (a stand-in) 1.0.0");
    assert_eq!(record["unit"]["mac"], "24:0a:c4:00:01:10");
    let gone: Vec<&str> = record["not_proven"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["id"].as_str().expect("a name"))
        .collect();
    assert_eq!(gone.join(","), WITHOUT);
    let because = record["not_proven"][0]["because"].as_str().expect("a reason");
    assert!(because.contains("cannot be read back"), "{because}");
    assert_eq!(check(&record, "console_status")["outcome"], "pass");
    assert_eq!(check(&record, "secret_hygiene")["outcome"], "pass");
    let junit = fs::read_to_string(junit).expect("a file");
    assert_eq!(junit.matches("not proven: ").count(), 4, "{junit}");
    let notes = fs::read_to_string(notes).expect("it was told something");
    let told: Vec<&str> = notes.lines().filter(|line| *line != "file:upload").collect();
    let start = ["serial-monitor:listen", "sim:start", "sim:resume", "serial-monitor:write"];
    assert_eq!(told[..4], start, "{notes}");
    assert_eq!(notes.matches("file:upload").count(), 5, "diagram, bootloader, table, app and NVS");
}

#[test]
fn without_json_a_pass_names_what_it_does_not_prove() {
    let (site, service) = (Site::new(), Service::start());
    let words = ["run", "button.toml", "--device", "wokwi:", "--without", WITHOUT];
    let ended = Ended::of(service.admit(&mut site.station.unit_command(words)));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("not proven flash_integrity: the flash of the unit"), "{said}");
    let dry = Ended::of(
        service.admit(&mut site.station.unit_command([&words[..], &["--dry-run"]].concat())),
    );
    assert!(dry.stdout.contains("not proven\n  flash_integrity: "), "{dry:?}");
}

#[test]
fn a_diagram_of_one_s_own_says_which_unit_it_is() {
    let (site, service) = (Site::new(), Service::start());
    let diagram = r#"{"version": 1, "author": "a", "editor": "wokwi",
        "parts": [{"type": "board-esp32-s3-devkitc-1", "id": "mcu", "attrs": {"macAddress": "24:0a:c4:12:45:56"}}],
        "connections": [["mcu:TX", "$serialMonitor:RX", "", []], ["$serialMonitor:TX", "mcu:RX", ""]]}"#;
    site.station.write("diagram.json", diagram);
    let record = site.run(&service, "wokwi:?diagram=diagram.json").json();
    assert_eq!(why(&record), ("PASS", "none"), "{record:#}");
    assert_eq!(record["unit"]["mac"], "24:0a:c4:12:45:56");
    let record = site.run(&service, "wokwi:?mac=24:0a:c4:12:45:57").json();
    assert_eq!(record["unit"]["mac"], "24:0a:c4:12:45:57");
}

#[test]
fn a_wrong_answer_of_the_console_fails_the_unit() {
    let (site, service) = (
        Site::with(|profile| profile.replace("key = \"room_id\"", "key = \"room\"")),
        Service::start(),
    );
    let ended = site.run(&service, "wokwi:");
    let record = ended.json();
    assert_eq!(
        (ended.code(), why(&record)),
        (1, ("FAIL", "console.not_provisioned")),
        "{record:#}"
    );
}

#[rstest]
#[case("firmware.boot_loop", "boot.loop")]
#[case("chip.watchdog", "boot.loop")]
#[case("firmware.console_silent", "console.not_provisioned")]
fn a_bad_unit_fails(#[case] fault: &str, #[case] code: &str) {
    let (site, service) = (Site::new(), Service::that(&["--fault", fault]));
    let ended = site.run(&service, "wokwi:");
    let record = ended.json();
    assert_eq!((ended.code(), why(&record)), (1, ("FAIL", code)), "{record:#}");
}

#[test]
fn a_unit_that_is_misheard_is_restarted_and_heard_once_more() {
    let id = "device_id = { pattern = 'Provisioning (\\w+) initialized', expected = \"{device_id}\", within_s = 10 }\n";
    let site = Site::with(|profile| {
        let profile =
            profile.replace("prompt = \"esp32> \"\n", &format!("prompt = \"esp32> \"\n{id}"));
        profile + "\n[[check]]\nid = \"device_id\"\n"
    });
    let notes = site.station.path("notes");
    let service = Service::that(&["--notes", notes.to_str().expect("a path")]);
    let record = site.run(&service, "wokwi:").json();
    assert_eq!(why(&record), ("FAIL", "device_id.differs"), "{record:#}");
    let told = fs::read_to_string(notes).expect("it was told something");
    let after: Vec<&str> = told.lines().skip_while(|line| *line != "sim:restart").collect();
    assert_eq!(after[..2], ["sim:restart", "sim:resume"], "{told}");
    let evidence = check(&record, "device_id")["evidence"].to_string();
    assert!(evidence.contains("at the 1st attempt"), "{evidence}");
}

/// Many a firmware does, and no network of the plan can be there.
#[test]
fn a_unit_that_restarts_for_want_of_its_network_is_not_blamed() {
    let station = Station::new();
    let firmware = FIRMWARE.replace("attempts = 5\n", "attempts = 2\nrestarts = true\n");
    assert!(firmware.contains("restarts = true"));
    let firmware = station.write("firmware.toml", firmware);
    let model = format!("model = \"{}\"", firmware.display());
    station.write("made.toml", PROFILE.replace("model = \"safesignal\"", &model));
    let site = Site::of("made.toml", station, |profile| profile);
    let ended = site.run(&Service::start(), "wokwi:");
    let record = ended.json();
    assert_eq!((ended.code(), why(&record)), (3, ("ERROR", "emulator.failed")), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("its network cannot be there"), "{message}");
}

#[test]
fn a_service_without_room_is_asked_again_where_that_is_wanted() {
    let (site, service) = (Site::new(), Service::that(&["--status", "503"]));
    let words = ["wokwi:", "--without", WITHOUT, "--retry-errors", "2"];
    let record = Ended::of(&mut site.command(&service, &words)).json();
    assert_eq!(why(&record), ("ERROR", "emulator.failed"), "{record:#}");
    assert_eq!(record["retries"].as_array().map(Vec::len), Some(2));
}

#[rstest]
#[case(&["--status", "403"], "emulator.refused", "answers 403", "make a new token")]
#[case(&["--status", "402"], "emulator.refused", "answers 402", "simulation time that is left")]
#[case(&["--status", "503"], "emulator.failed", "no room at the moment", "run again later")]
#[case(&["--status", "404"], "emulator.failed", "is no Wokwi", "correct WOKWI_CLI_SERVER")]
#[case(&["--version", "2"], "emulator.failed", "version 2 of its protocol: expected 1", "take a Goldline")]
#[case(&["--silent"], "emulator.failed", "expected its hello", "run again")]
#[case(&["--lose-after", "200"], "emulator.failed", "was lost", "run again")]
#[case(&["--pause-after", "200"], "emulator.failed", "paused the simulation by itself", "simulation time that is left")]
#[case(&["--freeze-after", "200"], "emulator.failed", "was not given the time", "more room")]
#[case(&["--mute-after", "200"], "emulator.failed", "did not answer", "run again")]
#[case(&["--refuse", "sim:start"], "emulator.refused", "refuses sim:start: Not in the plan of (the token) (code 402)", "what the service refuses")]
#[case(&["--refuse", "serial-monitor:write"], "emulator.refused", "refuses serial-monitor:write", "what the service refuses")]
fn what_the_service_does_wrong_is_an_error_with_its_own_advice(
    #[case] conduct: &[&str],
    #[case] code: &str,
    #[case] message: &str,
    #[case] action: &str,
) {
    let (site, service) = (Site::new(), Service::that(conduct));
    let ended = site.run(&service, "wokwi:");
    let record = ended.json();
    assert_eq!((ended.code(), why(&record)), (3, ("ERROR", code)), "{record:#}");
    assert!(!format!("{ended:?}").contains(TOKEN));
    let said = |field: &str| record["diagnosis"][field].as_str().unwrap_or_default().to_owned();
    assert!(said("message").contains(message), "{record:#}");
    assert!(said("action").contains(action), "{record:#}");
}

#[test]
fn a_service_that_is_not_there_is_an_error() {
    let site = Site::new();
    // A port that nobody listens at any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", free.local_addr().expect("its address"));
    drop(free);
    let words = ["run", "button.toml", "--json", "--device", "wokwi:", "--without", WITHOUT];
    let mut command = site.station.unit_command(words);
    let ended = Ended::of(command.env("WOKWI_CLI_SERVER", url).env("WOKWI_CLI_TOKEN", TOKEN));
    let record = ended.json();
    assert_eq!(why(&record), ("ERROR", "emulator.failed"), "{record:#}");
    assert!(record["diagnosis"]["message"].to_string().contains("is not reachable"), "{record:#}");
}

#[test]
fn a_wrong_token_is_an_error_and_shown_nowhere() {
    let (site, service) = (Site::new(), Service::start());
    let other = "wok_another_token_of_nobody";
    let mut command = site.command(&service, &["wokwi:", "--without", WITHOUT]);
    let ended = Ended::of(command.env("WOKWI_CLI_TOKEN", other));
    assert_eq!(why(&ended.json()), ("ERROR", "emulator.refused"), "{ended:?}");
    assert!(!format!("{ended:?}").contains(other));
}

#[test]
fn the_token_appears_in_no_output_record_or_process() {
    let site = Site::new();
    let service = Service::start();
    let out = site.station.path("out");
    let mut command = site.command(&service, &["wokwi:", "--without", WITHOUT]);
    command.args(["--out".as_ref(), out.as_os_str()]).env("RUST_LOG", "trace");
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let (began, mut looked) = (Instant::now(), 0);
    while child.try_wait().expect("it is ours").is_none() {
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&line).contains(TOKEN), "in an argument");
        }
        looked += 1;
        assert!(began.elapsed() < PATIENCE, "it hangs");
    }
    assert!(looked > 0, "it ran while it was looked at");
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(!format!("{ended:?}").contains(TOKEN));
    for file in [site.station.files(&out), site.station.files(&site.station.state())].concat() {
        let content = fs::read(&file).expect("a file");
        let holds = content.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!holds, "{}", file.display());
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_touched() {
    let (site, service) = (Site::new(), Service::start());
    site.station.write("trust.pem", "");
    let broker =
        |url| ["wokwi:", "--without", WITHOUT, "--broker", url, "--broker-trust", "trust.pem"];
    let cases: [(&[&str], &str); 11] = [
        (&["wokwi:"], "--without flash_integrity,nvs_readback,wifi_join,mqtt_connect"),
        (&["wokwi:", "--without", "flash_integrity"], "proves nothing of flash_integrity"),
        (&["wokwi:", "--without", "console_status"], "this device can prove it"),
        (&["wokwi:", "--without", "ota_update"], "has no such check"),
        (&["wokwi:", "--without", "nvs_readbak"], "did you mean \"nvs_readback\"?"),
        (&["simulator:", "--without", "mqtt_connect"], "this one can prove mqtt_connect"),
        (&["wokwi:", "--without", WITHOUT, "--network", "air"], "leave --network out"),
        (&["wokwi:", "--without", WITHOUT, "--fault", "wire.silent"], "the simulator's"),
        (&["wokwi:?chip=esp32c2", "--without", WITHOUT], "no board with esp32c2"),
        (&broker("mqtts://127.0.0.1:8883"), "does not reach an address of this machine"),
        (&broker("mqtts://broker.example.test:8883"), "no unit of this order reaches"),
    ];
    for (words, part) in cases {
        let ended = Ended::of(&mut site.command(&service, words));
        assert_eq!(ended.code(), 2, "{words:?}: {ended:?}");
        assert!(ended.said().contains(part), "{words:?}: {}", ended.said());
    }
    let words = ["wokwi:", "--device", "qemu:", "--without", WITHOUT];
    let mixed = Ended::of(&mut site.command(&service, &words));
    assert!(mixed.code() == 2 && mixed.said().contains("one order cannot have both"), "{mixed:?}");
    for command in ["provision", "check"] {
        let words = [command, "button.toml", "--device", "wokwi:"];
        let ended = Ended::of(service.admit(&mut site.station.unit_command(words)));
        assert!(ended.code() == 2 && ended.said().contains("nothing stays"), "{ended:?}");
    }
}

#[rstest]
#[case(None, None, "WOKWI_CLI_TOKEN is not set")]
#[case(Some(TOKEN), Some("ws://wokwi.example.test/"), "the token would pass in clear")]
#[case(Some(TOKEN), Some("wss://u:p@wokwi.example.test/"), "a user name or a query")]
#[case(Some(TOKEN), Some("https://wokwi.example.test/"), "is no address")]
fn a_service_that_must_not_be_asked_is_refused(
    #[case] token: Option<&str>,
    #[case] server: Option<&str>,
    #[case] part: &str,
) {
    let site = Site::new();
    let words = ["run", "button.toml", "--device", "wokwi:", "--without", WITHOUT];
    let mut command = site.station.unit_command(words);
    command.env_remove("WOKWI_CLI_TOKEN").env_remove("WOKWI_CLI_SERVER");
    command.envs(token.map(|token| ("WOKWI_CLI_TOKEN", token)));
    command.envs(server.map(|server| ("WOKWI_CLI_SERVER", server)));
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(part), "{}", ended.said());
    assert!(!format!("{ended:?}").contains(TOKEN));
}

/// safesignal as it is: its values are typed, and it is tried without a reset, which could lose them.
#[rstest]
#[case("", "PASS", "none")]
#[case("firmware.console_garbled", "FAIL", "console.unexpected_answer")]
fn a_unit_is_given_its_values_over_the_console_and_tried_as_it_runs(
    #[case] fault: &str,
    #[case] verdict: &str,
    #[case] code: &str,
) {
    let own = PROFILE
        .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"")
        .replace("app = { model = \"safesignal\" }", "app = { file = \"app.bin\" }");
    let site = Site::with(|_| own.clone());
    let notes = site.station.path("notes");
    let mut conduct = vec!["--notes", notes.to_str().expect("a path")];
    conduct.extend(["--fault", fault].into_iter().filter(|_| !fault.is_empty()));
    let without = format!("{WITHOUT},factory_reset,test_alert");
    let words = ["wokwi:", "--without", &without];
    let record = Ended::of(&mut site.command(&Service::that(&conduct), &words)).json();
    assert_eq!(why(&record), (verdict, code), "{record:#}");
    let told = fs::read_to_string(notes).expect("it was told something");
    assert_eq!(told.matches("sim:restart").count(), 0, "{told}");
    if verdict == "PASS" {
        assert_eq!(check(&record, "console_status")["outcome"], "pass");
        assert_eq!(check(&record, "secret_hygiene")["outcome"], "pass");
    }
}

#[test]
fn a_unit_with_a_portal_is_refused() {
    let (site, service) = (Site::new(), Service::start());
    let portal = include_str!("../../../../fixtures/profiles/zeroconf-portal.toml");
    site.station.write("button.toml", portal);
    let ended = site.run(&service, "wokwi:");
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("given their values by a web portal"), "{}", ended.said());
}
