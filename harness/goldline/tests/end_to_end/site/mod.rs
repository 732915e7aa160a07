//! Units on a site's own network, which is the machine's: the bench listens there, and knows who comes by what it says
//! of itself. Units and their TCP/IP stacks are other processes'.

mod namespaces;
pub mod place;
mod services;

use rstest::rstest;
use serde_json::Value;

use super::{
    external_broker::account,
    mosquitto::{self, BENCH, Mosquitto, Wanted},
    program::{Ended, Station, check},
    redirects::{product, redirect},
    rival::Client,
};
use goldline::process::ChildGuard;
use namespaces::Floor;
use place::{Site, has_names};

/// As the profile `safesignal` has its broker.
const NAME: &str = "broker.example.test";
const MAC: &str = "24:0a:c4:00:02:10";
const OTHER: &str = "24:0a:c4:00:02:14";
/// Where no unit is, so that what is refused is refused before any is touched.
const NOBODY: &str = "rfc2217://127.0.0.1:1?simulated=true";
/// What a real port is given.
const REAL: [&str; 3] =
    ["wifi_ssid=Line", "wifi_password=@password", "mqtt_broker=mqtts://broker.example.test:8883"];

fn code_of(record: &Value) -> &str {
    record["diagnosis"]["code"].as_str().unwrap_or_default()
}

fn evidence(record: &Value, id: &str) -> String {
    check(record, id)["evidence"].to_string()
}

fn run(station: &Station, file: &str, profile: &str, device: &str, more: &[&str]) -> Ended {
    let words = ["run", profile, "--json", "--station", file, "--network", "site"];
    station.unit(words.into_iter().chain(["--device", device]).chain(more.iter().copied()))
}

/// A run of `espvault`, whose units are given the bench's address.
fn by_address(station: &Station, site: &mut Site, fault: &[&str]) -> (i32, Value) {
    let file = site.station_file(station, &site.address.to_string());
    let device = site.unit(station, "esp32", fault);
    let broker = format!("mqtt_broker={}", site.broker());
    let ended = run(station, &file, "espvault", &device, &["--set", &broker]);
    assert!(ended.stdout.starts_with('{'), "{ended:?}");
    (ended.code(), ended.json())
}

#[test]
fn a_sound_unit_that_was_given_an_address_passes() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let (code, record) = by_address(&station, &mut site, &[]);
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["network"]["name"], "site");
    assert_eq!(record["network"]["radio"], "not_proven");
    let join = evidence(&record, "network_join");
    for words in ["its own console says, and it came to a service", "on the site's network: came"] {
        assert!(join.contains(words), "{words}: {record:#}");
    }
}

#[test]
fn a_sound_unit_that_was_given_a_name_passes() {
    if !has_names() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::with_name(NAME));
    let file = site.station_file(&station, NAME);
    let device = site.unit(&station, "esp32s3", &[]);
    let ended = run(&station, &file, "safesignal", &device, &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let named = &check(&record, "mqtt_connect")["measurements"];
    assert!(named.to_string().contains(NAME), "{named:#}");
}

#[rstest]
#[case::password("firmware.mqtt_password", "mqtt.bad_credentials")]
#[case::ca("firmware.wrong_ca", "mqtt.server_untrusted")]
fn a_bad_one_fails_for_what_it_is(#[case] fault: &str, #[case] code: &str) {
    let (station, mut site) = (Station::new(), Site::without_names());
    let (exit, record) = by_address(&station, &mut site, &["--fault", fault]);
    assert_eq!((exit, code_of(&record)), (1, code), "{record:#}");
}

/// The bench of an attempt has left the port when the next one comes.
#[test]
fn another_attempt_finds_the_port_free() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let device = site.unit(&station, "esp32", &["--fault", "radio.deaf"]);
    let broker = format!("mqtt_broker={}", site.broker());
    let more = ["--set", &broker, "--retry-errors", "2"];
    let record = run(&station, &file, "espvault", &device, &more).json();
    assert_eq!(code_of(&record), "testbed.network", "{record:#}");
    let retries = record["retries"].as_array().expect("it was tried again");
    assert_eq!(retries.len(), 2, "{record:#}");
    assert!(retries.iter().all(|run| run["code"] == "testbed.network"), "{record:#}");
}

/// Units that were registered with a CA before, and units that call it themselves: their UUID tells who they are, at the
/// CA and at the broker.
#[rstest]
#[case::of_the_bench("zeroconf-ca", "esp32s3", "16", "", 0, "")]
#[case::of_the_unit("zeroconf", "esp32", "4", "", 0, "")]
#[case::with_another_key(
    "zeroconf",
    "esp32",
    "4",
    "firmware.ca_call_wrong_psk",
    1,
    "ca.not_registered"
)]
#[case::of_nobody("zeroconf", "esp32", "4", "firmware.ca_call_missing", 1, "ca.not_registered")]
fn a_ca_is_told_who_calls(
    #[case] profile: &str,
    #[case] chip: &str,
    #[case] megabytes: &str,
    #[case] fault: &str,
    #[case] exit: i32,
    #[case] code: &str,
) {
    if !has_names() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::with_name(NAME));
    let file = site.station_file(&station, NAME);
    let fault = fault.split(' ').filter(|fault| !fault.is_empty());
    let mut more = vec!["--flash-size", megabytes];
    more.extend(fault.flat_map(|fault| ["--fault", fault]));
    let device = site.unit(&station, chip, &more);
    let ca = format!("ca_url=https://{NAME}:8443");
    let set = if profile == "zeroconf" { &["--set", &ca][..] } else { &[] };
    let ended = run(&station, &file, profile, &device, set);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (exit, code), "{record:#}");
}

/// The certificate that it shows is its own.
#[test]
fn a_unit_with_a_certificate_passes() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let device = site.unit(&station, "esp32", &[]);
    let broker = format!("mqtt_broker={}", site.broker());
    let ended = run(&station, &file, "espvault-certificates", &device, &["--set", &broker]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let measured = check(&record, "mqtt_connect")["measurements"].to_string();
    assert!(measured.contains("client_certificate"), "{measured}");
}

/// Its access point may be off, and what the bench does by itself goes nowhere near it.
#[test]
fn a_unit_that_does_not_come_is_not_blamed_where_nobody_came() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let (exit, record) = by_address(&station, &mut site, &["--fault", "radio.deaf"]);
    assert_eq!((exit, code_of(&record)), (3, "testbed.network"), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("no other station reached the bench over the site's network"));
}

/// Two units at once from one address: each is told by what it was given, and the one vouches for the way of the other.
#[rstest]
#[case::that_does_not_come("radio.deaf", "network.not_joined")]
#[case::with_another_password("firmware.mqtt_password", "mqtt.bad_credentials")]
fn a_sound_one_beside_a_bad_one(#[case] fault: &str, #[case] code: &str) {
    let (station, mut site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let sound = site.unit(&station, "esp32", &["--mac", MAC]);
    let bad = site.unit(&station, "esp32", &["--mac", OTHER, "--fault", fault]);
    let broker = format!("mqtt_broker={}", site.broker());
    let more = ["--set", &broker, "--device", &bad];
    let records = run(&station, &file, "espvault", &sound, &more).json();
    assert_eq!((&records[0]["verdict"], &records[0]["unit"]["mac"]), (&"PASS".into(), &MAC.into()));
    assert_eq!((&records[1]["verdict"], code_of(&records[1])), (&"FAIL".into(), code));
    assert_eq!(records[1]["unit"]["mac"], OTHER);
    if fault == "radio.deaf" {
        let witness = format!("the station {MAC} reached the bench over the site's network");
        let said = evidence(&records[1], "network_join");
        assert!(said.to_lowercase().contains(&witness), "{said}");
    }
}

/// What each was given tells eight units apart that all come from one address.
#[test]
fn eight_at_once_are_told_apart() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let units: Vec<String> = (0..8)
        .map(|number| {
            site.unit(&station, "esp32", &["--mac", &format!("24:0a:c4:00:03:{number}0")])
        })
        .collect();
    let broker = format!("mqtt_broker={}", site.broker());
    let mut more = vec!["--set", &broker];
    more.extend(units[1..].iter().flat_map(|unit| ["--device", unit.as_str()]));
    let ended = run(&station, &file, "espvault", &units[0], &more);
    let records = ended.json();
    assert_eq!(ended.code(), 0, "{records:#}");
    let names = |record: &Value| record["unit"]["ids"].to_string();
    let told: std::collections::BTreeSet<String> =
        records.as_array().expect("several").iter().map(names).collect();
    assert_eq!(told.len(), 8, "{told:?}");
}

#[rstest]
#[case::another_name(
    "mqtt_broker=mqtts://prod.broker.com:8883",
    "its DNS would lead them elsewhere"
)]
#[case::another_address("mqtt_broker=mqtts://192.0.2.9:8883", "are to find a service at 192.0.2.9")]
fn units_that_would_go_elsewhere_are_refused(#[case] set: &str, #[case] words: &str) {
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let device = NOBODY;
    let ended = run(&station, &file, "espvault", device, &["--set", set]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(words), "{}", ended.said());
}

#[test]
fn a_port_that_is_in_use_names_its_holder() {
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let _holder = std::net::TcpListener::bind((site.address, place::BROKER_PORT)).expect("free");
    let broker = format!("mqtt_broker={}", site.broker());
    let device = NOBODY;
    let ended = run(&station, &file, "espvault", device, &["--set", &broker]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    let holder = format!("(process {}) listens there", std::process::id());
    assert!(ended.said().contains(&holder), "{}", ended.said());
}

/// As any user without that right, and as root without it.
#[test]
fn a_port_without_the_right_to_it_is_refused_with_the_command_that_gives_it() {
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, &site.address.to_string());
    let broker = format!("mqtt_broker=mqtts://{}:443", site.address);
    let words = ["run", "espvault", "--json", "--station", &file, "--network", "site"];
    let plain = station.unit_command(words);
    let mut command = std::process::Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--inh-caps=-net_bind_service", "--bounding-set=-net_bind_service"]);
    }
    command.arg(plain.get_program()).args(plain.get_args());
    command.args(["--device", NOBODY, "--set", &broker]);
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code(), 2, "{ended:?}");
    for words in ["ports below 1024 need a right", "sudo setcap cap_net_bind_service+ep"] {
        assert!(ended.said().contains(words), "{words}: {}", ended.said());
    }
}

/// Machines with addresses, a DNS server at its own port, and the bench at every address of its machine.
#[test]
fn a_unit_on_another_machine_passes() {
    if !has_names() || !namespaces::can_be_had() {
        return;
    }
    let (station, mut floor) = (Station::new(), Floor::with_name(NAME));
    let text = format!("[network]\nuse = \"site\"\nadvertise = \"{NAME}\"\n");
    let file = station.write("station.toml", text);
    let device = floor.unit(&station, "esp32s3");
    let mut command = station.unit_command(["run", "safesignal", "--json", "--device", &device]);
    let ended = Ended::of(&mut floor.at_bench(command.arg("--station").arg(file)));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["network"]["name"], "site", "the station file says so");
    let seen = evidence(&record, "network_join");
    let came = format!("came to {}:8883 from {}", namespaces::BENCH, namespaces::UNITS);
    assert!(seen.contains(&came), "{seen}");
}

#[test]
fn the_simulator_of_this_process_is_not_on_it() {
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file(&station, NAME);
    let ended = run(&station, &file, "espvault", "simulator:", &[]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("leads to units outside"), "{}", ended.said());
}

/// The account that the unit of `espvault` has: who it is, and its password.
fn unit_account(station: &Station) -> [String; 3] {
    let (user, password) = account(station, "espvault", "mqtt_username", "mqtt_password");
    [user.replace("device_vault_", "VAULT-"), user, password]
}

/// Another client has what only the unit was given; one that has an old password is turned away in the unit's name.
#[rstest]
#[case::with_the_same_password(true, &[])]
#[case::with_another_password(false, &["--fault", "firmware.mqtt_password"])]
fn one_identity_twice_is_seen(#[case] same: bool, #[case] fault: &[&str]) {
    let (station, mut site) = (Station::new(), Site::without_names());
    let [id, user, password] = unit_account(&station);
    let password = if same { password.as_str() } else { "of last year" };
    let broker = (site.address.to_string(), place::BROKER_PORT);
    let other = (id.as_str(), user.as_str(), password);
    let _twin = Client::at((&broker.0, broker.1), &Site::ca(&station), other);
    let (exit, record) = by_address(&station, &mut site, fault);
    assert_eq!((exit, code_of(&record)), (3, "testbed.identity_in_use"), "{record:#}");
    let message = check(&record, "mqtt_connect")["diagnosis"]["message"].to_string();
    assert!(message.contains(&id) && message.contains("held in reset"), "{message}");
}

/// A unit that does not come is not taken for one that came because another has its identity.
#[test]
fn who_comes_in_the_place_of_a_unit_does_not_pass_for_it() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let [id, user, password] = unit_account(&station);
    let broker = (site.address.to_string(), place::BROKER_PORT);
    let other = (id.as_str(), user.as_str(), password.as_str());
    let _twin = Client::at((&broker.0, broker.1), &Site::ca(&station), other);
    let (exit, record) = by_address(&station, &mut site, &["--fault", "radio.deaf"]);
    assert_eq!((exit, code_of(&record)), (3, "testbed.network"), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("another unit with this identity"), "{message}");
}

/// mosquitto's own client, on the same network and with a name of its own.
#[test]
fn a_foreign_client_gets_nothing_and_is_nobodys_evidence() {
    if !mosquitto::is_there() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::without_names());
    let _ca = unit_account(&station);
    let listen = format!(
        "while :; do timeout 0.3 mosquitto_sub -h {} -p {} --cafile {} -i stranger -u stranger -P guess -t '#'; sleep 0.05; done",
        site.address,
        place::BROKER_PORT,
        Site::ca(&station).display()
    );
    let file = |name: &str| std::fs::File::create(station.path(name)).expect("a file");
    let mut stranger = std::process::Command::new("sh");
    stranger.args(["-c", &listen]).stdout(file("heard")).stderr(file("told"));
    let stranger = ChildGuard::spawn(&mut stranger).expect("it starts");
    let (exit, record) = by_address(&station, &mut site, &[]);
    drop(stranger);
    assert_eq!((exit, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let seen = evidence(&record, "network_join");
    let read = |name: &str| std::fs::read_to_string(station.path(name)).expect("it is there");
    assert!(seen.contains("and not this unit, came to"), "{}: {seen}", read("told"));
    assert_eq!(read("heard"), "", "it hears nothing of the unit");
}

/// Units go to it by themselves; the bench is one of its clients.
#[rstest]
#[case::sound(&[], 0, "")]
#[case::with_another_password(&["--fault", "firmware.mqtt_password"], 3, "testbed.network")]
fn a_broker_that_is_already_there(#[case] fault: &[&str], #[case] exit: i32, #[case] code: &str) {
    if !mosquitto::is_there() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::without_names());
    let [_, user, password] = unit_account(&station);
    let accounts = [(user.as_str(), password.as_str())];
    let broker = Mosquitto::start(&Wanted { accounts: &accounts, ..Wanted::default() });
    let login = station.write("bench.login", format!("{}:{}\n", BENCH.0, BENCH.1));
    let (file, device) = (site.station_file(&station, NAME), site.unit(&station, "esp32", fault));
    let (url, login, ca) = (broker.url(), format!("@{}", login.display()), broker.ca());
    let given = format!("mqtt_broker={url}");
    let ca = ca.to_str().expect("UTF-8");
    let more = ["--set", &given, "--broker", &url, "--broker-login", &login, "--broker-trust", ca];
    let ended = run(&station, &file, "espvault", &device, &more);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (exit, code), "{record:#}");
    if exit == 0 {
        assert_eq!(record["endpoints"][0]["answered_by"], url.as_str());
        assert!(evidence(&record, "mqtt_connect").contains("by which name was not seen"));
    }
    // Units would go where nobody asked.
    let elsewhere = ["--set", "mqtt_broker=mqtts://127.0.0.1:1"];
    let refused = run(&station, &file, "espvault", NOBODY, &[&elsewhere, &more[2..]].concat());
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(refused.said().contains("units go to mqtts://127.0.0.1:1"), "{}", refused.said());
}

/// A port that says nothing of a simulation, and an application that is a file: the way of every real unit.
#[test]
fn a_real_port_passes_by_the_right_of_its_maker_and_not_without() {
    if !has_names() {
        return;
    }
    let ((station, _), mut site) = (product(), Site::with_name(NAME));
    let device = site.unit(&station, "esp32", &[]);
    let port = device.trim_end_matches("?simulated=true");
    let network = format!("[network]\nlisten = \"{}\"\nadvertise = \"{NAME}\"\n", site.address);
    let by_right = "ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\naccept_redirect = \"closed\"\n";
    let values: Vec<&str> = REAL.iter().flat_map(|value| ["--set", value]).collect();
    for (right, exit) in [("ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\n", 2), (by_right, 0)] {
        redirect(&station, &format!("{right}{network}"));
        let ended = run(&station, "jig.toml", "espvault.toml", port, &values);
        assert_eq!(ended.code(), exit, "{ended:?}");
        if exit == 0 {
            let record = ended.json();
            assert_eq!(record["verdict"], "PASS", "{record:#}");
            assert!(record["simulation"].is_null(), "{record:#}");
        }
    }
}

/// Who vouches for contacts and supply knows nothing of an access point; the last unit that came from there does.
#[test]
fn a_unit_that_does_not_come_is_blamed_where_another_passed_in_its_nest() {
    if !has_names() {
        return;
    }
    let ((station, _), mut site) = (product(), Site::with_name(NAME));
    let deaf = site.unit(&station, "esp32", &["--mac", MAC, "--fault", "radio.deaf"]);
    let sound = site.unit(&station, "esp32", &["--mac", OTHER]);
    let values: Vec<&str> = REAL.iter().flat_map(|value| ["--set", value]).collect();
    let run_in_nest = |device: &str| {
        let port = device.trim_end_matches("?simulated=true");
        redirect(
            &station,
            &format!(
                "ca = \"ca.pem\"\nkey = {{ file = \"ca.key\" }}\naccept_redirect = \"closed\"\n\
                 [network]\nlisten = \"{}\"\nadvertise = \"{NAME}\"\n\
                 [[nest]]\nname = \"1\"\ndevice = \"{port}\"\nwitness = [\"/bin/true\"]\n",
                site.address
            ),
        );
        let ended = run(&station, "jig.toml", "espvault.toml", "nest:1", &values);
        (ended.code(), ended.json())
    };
    let (code, record) = run_in_nest(&deaf);
    assert_eq!((code, code_of(&record)), (3, "testbed.network"), "{record:#}");
    let (code, record) = run_in_nest(&sound);
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let (code, record) = run_in_nest(&deaf);
    assert_eq!((code, code_of(&record)), (1, "network.not_joined"), "{record:#}");
    let said = evidence(&record, "network_join");
    assert!(said.contains("witness: the nest 1 passed another unit"), "{said}");
}
