//! The station asked by a program: no arguments, no terminal.

use std::{fs, path::Path, sync::Arc, time::Instant};

use goldline_simulator::flash::SECTOR_SIZE;
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock, engine::Event, output_file::Existing, plan::Scope, profile::Part, record::Verdict,
};

const REAL: &str = "/dev/ttyUSB7";
const OTHER: &str = "/dev/ttyUSB8";

/// A profile of one's own: a shipped one with some texts replaced.
fn changed(folder: &Path, shipped: &str, changes: &[(&str, &str)]) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles");
    let mut text = fs::read_to_string(fixtures.join(format!("{shipped}.toml"))).expect("a profile");
    for (from, to) in changes {
        assert!(text.contains(from), "{shipped} has no {from}");
        text = text.replace(from, to);
    }
    let path = folder.join(format!("{shipped}.toml"));
    fs::write(&path, text).expect("a profile of one's own");
    path.display().to_string()
}

const OWN_APP: (&str, &str) = ("app = { model = \"espvault\" }", "app = { file = \"app.elf\" }");

fn own_app(folder: &Path) -> Request {
    real(&changed(folder, "espvault", &[OWN_APP]))
}

fn own_app_with_policy(folder: &Path, policy: &str) -> Request {
    let policy = format!("policy = \"{policy}\"");
    real(&changed(folder, "espvault", &[OWN_APP, ("policy = \"redirected\"", &policy)]))
}

fn of(profile: &str) -> Request {
    Request { profile: Some(profile.to_owned()), ..Request::default() }
}

fn real(profile: &str) -> Request {
    Request { devices: vec![REAL.to_owned()], ..of(profile) }
}

fn on_cable(request: Request) -> Request {
    Request { network: Some("cable".to_owned()), ..request }
}

fn units(folder: &Path, csv: &str) -> Request {
    let path = folder.join("units.csv");
    fs::write(&path, csv).expect("a file of units");
    Request { units: Some(path), ..of("espvault") }
}

fn broker(folder: &Path, login: &str) -> Request {
    let trust = folder.join("none.pem");
    let url = "mqtts://broker.example.test:8883".to_owned();
    let broker = BrokerRequest { url, trust, login: Some(login.to_owned()), identity: None };
    Request { broker: Some(broker), ..of("espvault") }
}

/// Every refusal that an order can meet, with what it says and what it says to do.
#[rstest]
#[case::no_profile(
    |_: &Path| Request { devices: vec![REAL.to_owned()], ..Request::default() },
    Scope::Provision, "a real port needs its profile named", "goldline profile list shows all"
)]
#[case::unknown_profile(|_: &Path| of("espvalt"), Scope::Run, "unknown profile \"espvalt\"", "")]
#[case::unknown_device(
    |_: &Path| Request { devices: vec!["usb:1".to_owned()], ..of("espvault") },
    Scope::Run, "unknown device \"usb:1\"", ""
)]
#[case::one_unit_twice(
    |_: &Path| Request { devices: vec![REAL.to_owned(), format!("serial:{REAL}")], ..of("espvault") },
    Scope::Provision, "the devices /dev/ttyUSB7 and serial:/dev/ttyUSB7 are the same unit",
    "name each unit once"
)]
#[case::flash_file_of_another_size(
    |folder: &Path| {
        let file = folder.join("short.bin");
        fs::write(&file, vec![0; SECTOR_SIZE as usize]).expect("a short flash");
        Request {
            devices: vec![format!("simulator:?flash-file={}", file.display())],
            ..of("espvault")
        }
    },
    Scope::Run, "short.bin", ""
)]
#[case::unknown_fault(
    |_: &Path| Request { faults: vec!["flash.app_bits".to_owned()], ..of("espvault") },
    Scope::Run, "unknown fault \"flash.app_bits\"", "goldline simulator faults lists them all"
)]
#[case::fault_of_no_service(
    |_: &Path| Request { faults: vec!["ca.down".to_owned()], ..of("espvault") },
    Scope::Run, "--fault ca.down: the profile espvault has no CA", "choose a profile whose units use it"
)]
#[case::fault_of_anothers_service(
    |_: &Path| {
        let url = "http://ca.example.test".to_owned();
        let ca = Some(ServiceRequest { url, trust: None });
        Request { ca, faults: vec!["ca.down".to_owned()], ..of("zeroconf-ca") }
    },
    Scope::Run, "--fault ca.down: --ca names a CA that is not the testbed's",
    "leave out --ca, or --fault"
)]
#[case::fault_on_a_real_port(
    |folder: &Path| Request { faults: vec!["flash.app_bit".to_owned()], ..own_app(folder) },
    Scope::Provision, "the fault flash.app_bit is for simulated units", "leave --fault out"
)]
#[case::seed_on_a_real_port(
    |folder: &Path| Request { seed: Some(7), ..own_app(folder) },
    Scope::Provision, "--seed is for simulated units", "leave --seed out"
)]
#[case::model_on_a_real_port(
    |_: &Path| real("espvault"),
    Scope::Provision, "the firmware model \"espvault\" runs in the simulator only",
    "name the product's own firmware"
)]
#[case::bench_address_on_a_real_port(
    |folder: &Path| own_app_with_policy(folder, "bench"),
    Scope::Provision, "the endpoint policy bench is for simulated units", "choose the policy redirected"
)]
#[case::qc_on_a_real_port(
    own_app,
    Scope::Run,
    "the network air is in this process: a real unit cannot reach it",
    "choose --network nic:NAME"
)]
#[case::check_without_a_radio(
    |folder: &Path| {
        let own = [("without_radio = \"network_join\"\n", "")];
        on_cable(of(&changed(folder, "espvault", &own)))
    },
    Scope::Run,
    "the network cable has no radio: it cannot prove the check wifi_join of the profile espvault",
    "let network_join stand in for it, without_radio = \"network_join\" in the profile's [[check]]"
)]
#[case::portal_without_a_radio(
    |_: &Path| on_cable(of("ble-gateway-portal")),
    Scope::Run,
    "which the bench cannot join on the network cable",
    "choose --network air"
)]
#[case::fault_of_a_radio_that_is_not_there(
    |_: &Path| Request { faults: vec!["radio.deaf".to_owned()], ..on_cable(of("espvault")) },
    Scope::Run,
    "--fault radio.deaf: the network cable has no radio",
    "choose --network air"
)]
#[case::fault_of_an_access_point_that_is_not_there(
    |_: &Path| Request { faults: vec!["ap.absent".to_owned()], ..on_cable(of("espvault")) },
    Scope::Run,
    "--fault ap.absent: the network cable has no radio",
    "choose --network air"
)]
#[case::radio_required(
    |folder: &Path| {
        let station = folder.join("station.toml");
        fs::write(&station, "[require]\nradio = true\n").expect("it is written");
        Request { station_file: Some(station), ..on_cable(of("espvault")) }
    },
    Scope::Run,
    "the station file requires the radio to be proven, and the network cable has none",
    "choose --network air, or take radio = true out of [require]"
)]
#[case::unknown_network(
    |_: &Path| Request { network: Some("tap".to_owned()), ..of("espvault") },
    Scope::Run,
    "--network: unknown network \"tap\": expected air, cable, nat, nic:NAME, site or wire:HOST:PORT",
    ""
)]
#[case::interface_without_a_name(
    |folder: &Path| Request { network: Some("nic".to_owned()), ..own_app(folder) },
    Scope::Run,
    "--network: nic names no interface",
    "such as --network nic:wlan1"
)]
#[case::network_of_the_station_file(
    |folder: &Path| {
        let station = folder.join("station.toml");
        fs::write(&station, "[network]\nuse = \"nic\"\n").expect("a file");
        Request { station_file: Some(station), ..own_app(folder) }
    },
    Scope::Run,
    "[network] use in the station file: nic names no interface",
    "such as --network nic:wlan1"
)]
#[case::network_that_overrides_it(
    |folder: &Path| {
        let station = folder.join("station.toml");
        fs::write(&station, "[network]\nuse = \"nic:wlan1\"\n").expect("a file");
        let (station_file, network) = (Some(station), Some("air".to_owned()));
        Request { station_file, network, ..own_app(folder) }
    },
    Scope::Run,
    "the network air is in this process",
    "choose --network nic:NAME"
)]
#[case::interface_to_a_unit_of_this_process(
    |_: &Path| Request { network: Some("nic:wlan1".to_owned()), ..of("espvault") },
    Scope::Run,
    "--network: simulator: is in this process, and an interface leads to units outside",
    "choose --network air or cable for it"
)]
#[case::wire_to_a_unit_of_this_process(
    |_: &Path| Request { network: Some("wire:127.0.0.1:7700".to_owned()), ..of("espvault") },
    Scope::Run,
    "--network: simulator: is in this process, and a wire leads to a unit in another",
    "choose --network air or cable for it"
)]
#[case::wire_without_an_address(
    |folder: &Path| Request { network: Some("wire".to_owned()), ..own_app(folder) },
    Scope::Run,
    "finds no wire: nobody said where it is",
    "such as --network wire:127.0.0.1:7700"
)]
#[case::wire_at_no_address(
    |folder: &Path| Request { network: Some("wire:here".to_owned()), ..own_app(folder) },
    Scope::Run,
    "--network: \"here\" is no address to listen at",
    "such as --network wire:127.0.0.1:7700"
)]
#[case::wire_at_any_port(
    |folder: &Path| Request { network: Some("wire:127.0.0.1:0".to_owned()), ..own_app(folder) },
    Scope::Run,
    "--network: units cannot find a port that the system chooses",
    "such as --network wire:127.0.0.1:7700"
)]
#[case::cable_with_an_address(
    |_: &Path| Request { network: Some("cable:127.0.0.1:7700".to_owned()), ..of("espvault") },
    Scope::Run,
    "--network: the network cable has no address",
    "leave it out"
)]
#[case::wire_with_too_few_ports(
    |folder: &Path| Request {
        network: Some("wire:127.0.0.1:65535".to_owned()),
        devices: vec![REAL.to_owned(), OTHER.to_owned()],
        ..own_app(folder)
    },
    Scope::Run,
    "--network: 2 units listen at 127.0.0.1:65535 and the ports after it",
    "choose a lower port"
)]
#[case::golden_of_a_lot(
    |_: &Path| Request {
        golden: Some("none.bin".into()), lot: Some("A1".to_owned()), ..of("espvault")
    },
    Scope::Run, "a golden is compared with a declared identity only", "leave out --golden"
)]
#[case::golden_that_is_not_there(
    |folder: &Path| Request { golden: Some(folder.join("none.bin")), ..of("espvault") },
    Scope::Run, "cannot read the golden", ""
)]
#[case::unknown_value(
    |_: &Path| Request { settings: vec!["wifi_sid=Shop".to_owned()], ..of("espvault") },
    Scope::Run, "the profile has no value \"wifi_sid\"", ""
)]
#[case::more_units_than_devices(
    |folder: &Path| units(folder, "number\n1\n2\n"),
    Scope::Run, "units.csv has 2 units for 1 devices", "give as many rows as --device arguments"
)]
#[case::value_too_short(
    |folder: &Path| units(folder, "wifi_password\nshort\n"),
    Scope::Run, "the value \"wifi_password\" is 5 bytes long: expected 8 to 64", ""
)]
#[case::value_missing(own_app, Scope::Provision, "is not given", "")]
#[case::value_that_cannot_be_typed(
    |_: &Path| Request { settings: vec!["wifi_ssid=My Shop".to_owned()], ..of("safesignal") },
    Scope::Run, "wifi_ssid", ""
)]
#[case::no_factory_reset(
    |_: &Path| of("espvault"), Scope::FactoryReset, "the profile espvault has no factory reset",
    "describe its console lines in [[console.factory_reset]]"
)]
#[case::no_such_part(
    |_: &Path| of("espvault"), Scope::Reprovision(Part::Wifi),
    "the profile espvault has no part \"wifi\" to give anew", "name the values that it may change"
)]
#[case::value_of_another_part(
    |_: &Path| Request { settings: vec!["tenant=other".to_owned()], ..of("safesignal") },
    Scope::Reprovision(Part::Wifi), "\"tenant\" does not belong to the part \"wifi\"",
    "it may change wifi_ssid, wifi_password; every other value stays"
)]
#[case::no_alert_to_confirm(
    |_: &Path| Request { confirm_alert: Some(Arc::new(|_| Some(true))), ..of("espvault") },
    Scope::Run, "--confirm-alert: no test alert is sent for the profile espvault",
    "choose a profile with the check test_alert"
)]
#[case::broker_of_units_that_answer_nothing(
    |folder: &Path| {
        let command = "command = { topic = ";
        let profile = changed(folder, "espvault", &[(command, "# command = { topic = ")]);
        Request { profile: Some(profile), ..broker(folder, "@none") }
    },
    Scope::Run, "--broker: units of the profile espvault answer no command",
    "describe a command in the profile"
)]
#[case::broker_where_units_look_alike(
    |folder: &Path| {
        let answer = "reply_contains = [\"{nonce}\", \"{device_id}\"]";
        let profile = changed(folder, "espvault", &[(answer, "reply_contains = [\"{nonce}\"]")]);
        Request { profile: Some(profile), ..broker(folder, "@none") }
    },
    Scope::Run, "--broker: an answer of the profile espvault could be another unit's",
    "let its topic or its texts name a value of this unit alone"
)]
#[case::login_in_the_arguments(
    |folder: &Path| broker(folder, "bench:MarkerOfASecret"),
    Scope::Run, "a password never goes through arguments", "--broker-login '$VARIABLE' or @FILE"
)]
#[case::login_without_a_colon(
    |folder: &Path| {
        let login = folder.join("login");
        fs::write(&login, "MarkerOfASecret").expect("a login");
        broker(folder, &format!("@{}", login.display()))
    },
    Scope::Run, "--broker-login: the text holds no colon", "a colon and the password, on one line"
)]
#[case::trust_that_is_not_there(
    |folder: &Path| {
        let login = folder.join("login");
        fs::write(&login, "bench:MarkerOfASecret").expect("a login");
        broker(folder, &format!("@{}", login.display()))
    },
    Scope::Run, "cannot read", "a file that is there"
)]
#[case::ca_that_is_no_url(
    |_: &Path| {
        let ca = Some(ServiceRequest { url: "ca.example.test".to_owned(), trust: None });
        Request { ca, ..of("zeroconf-ca") }
    },
    Scope::Run, "\"ca.example.test\" is not an http or https URL", ""
)]
#[case::registry_in_the_arguments(
    |_: &Path| Request {
        registry: Some("postgres://goldline:MarkerOfASecret@db.example.test".to_owned()),
        ..of("espvault")
    },
    Scope::Run, "the registry's URL never goes through arguments", "--registry '$VARIABLE'"
)]
fn an_order_that_is_refused(
    #[case] request: impl FnOnce(&Path) -> Request,
    #[case] scope: Scope,
    #[case] message: &str,
    #[case] action: &str,
) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state");
    let request = Request { state: Some(state.clone()), ..request(folder.path()) };
    let error = Order::new(&request, scope).err().expect("it is refused");
    let said = error.to_string();
    let advice = error.action().unwrap_or_default();
    assert!(said.contains(message), "{said}");
    assert!(advice.contains(action), "{advice}");
    assert_eq!(advice.is_empty(), action.is_empty(), "{advice}");
    assert!(!format!("{said} {advice} {error:?}").contains("MarkerOfASecret"), "{error:?}");
    assert!(!state.exists(), "a refusal touches no state");
}

/// A station in a temporary folder, with the order of one simulated unit that outlives its run.
fn simulated_unit() -> (TempDir, Request) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flash = folder.path().join("unit.flash");
    let request = Request {
        devices: vec![format!("simulator:?flash-file={}", flash.display())],
        state: Some(folder.path().join("state")),
        lot: Some("A1".to_owned()),
        operator: Some("Robin".to_owned()),
        ..of("espvault")
    };
    (folder, request)
}

async fn run(
    request: &Request,
    scope: Scope,
    out: Option<&Path>,
    watch: impl FnMut() -> Watcher,
) -> Result<Ended, StationError> {
    let order = Order::new(request, scope)?;
    let outputs = OutputsRequest {
        out: out.map(Into::into),
        save_credentials: None,
        junit: None,
        existing: Existing::Refuse,
    };
    let outputs = Outputs::look(&outputs, &order)?;
    let (now, cancel) = ((Clock::system(), Instant::now()), CancellationToken::new());
    Ok(carry_out(&order, &outputs, now, watch, &cancel).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_watched_kept_and_accounted_for() {
    let (folder, request) = simulated_unit();
    let out = folder.path().join("report");
    let (seen, mut events) = tokio::sync::mpsc::unbounded_channel();
    let watch = || -> Watcher {
        let seen = seen.clone();
        Box::new(move |event: &Event| seen.send(event.clone()).expect("the test listens"))
    };
    let ended = run(&request, Scope::Run, Some(&out), watch).await.expect("it can be begun");
    let Ended { records, troubles } = ended;
    assert!(troubles.is_empty(), "{troubles:?}");
    let [record] = records.as_slice() else { panic!("{} records", records.len()) };
    assert_eq!(record.verdict, Some(Verdict::Pass), "{record:#?}");

    drop(seen);
    let mut last = None;
    while let Some(event) = events.recv().await {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Ended(ended)) if ended.run_id == record.run_id));
    assert!(out.join("record.json").exists());
    let state = open_state(request.state.as_deref()).expect("the station's state");
    let series = numbers_given(&state, "espvault", Some("A1")).expect("accounts");
    let settled: Vec<String> = series
        .iter()
        .flat_map(|series| series.leases.values())
        .map(|lease| lease.state.to_string())
        .collect();
    let mac = record.unit.mac.expect("it was identified");
    assert_eq!(settled, [format!("used by {mac}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_was_never_provisioned_is_told_as_blank() {
    let (_folder, request) = simulated_unit();
    let watch = || -> Watcher { Box::new(|_: &Event| {}) };
    let ended = run(&request, Scope::Check, None, watch).await.expect("it can be begun");
    let record = ended.records.first().expect("a record");
    let why = record.diagnosis.as_ref().map(|diagnosis| diagnosis.message.as_str());
    assert!(why.is_some_and(|why| why.contains("this unit is blank")), "{why:?}");
}

#[test]
fn a_number_is_written_off_with_a_reason_and_only_when_it_was_given() {
    let (_folder, request) = simulated_unit();
    let state = open_state(request.state.as_deref()).expect("a new station");
    let scrapped = |reason| scrap(&state, "espvault", None, 1, reason, &Clock::system());
    assert!(matches!(scrapped(" "), Err(ScrapError::NoReason)));
    let unknown = scrapped("bent pin").expect_err("no number was given");
    assert!(unknown.action().is_some_and(|action| action.contains("--state")), "{unknown}");
}
