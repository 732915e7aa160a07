//! Real units trust their maker's CA: the bench answers for their names with a certificate of that, and with somebody's
//! reason, or not at all.
//!
//! The unit is the simulator in a process of its own; its port is taken for a real one, and its application trusts the
//! maker alone.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use goldline::{
    clock::Clock,
    process::ChildGuard,
    profile::Chip,
    simulated::simulated,
    testbed::authority::{Authority, AuthorityPem},
};
use rstest::rstest;

use super::{
    elsewhere::free_address,
    program::{Ended, FIRMWARE, PROFILE, Station, check},
};

const NAME: &str = "broker.example.test";
const BECAUSE: &str =
    "because the bench's network is closed, and the certificate ends with the day";

/// A product whose application trusts its maker's CA, and what the maker has.
pub fn product() -> (Station, AuthorityPem) {
    let station = Station::new();
    let own = PROFILE.replacen("{ model = \"espvault\" }", "{ file = \"app.elf\" }", 1);
    station.write("espvault.toml", own);
    let maker = Authority::create(Clock::system()).expect("an authority");
    let chip = simulated(Chip::Esp32).expect("it is simulated");
    let app = goldline_simulator::firmware::compile(FIRMWARE, maker.root_pem(), chip);
    station.write("app.elf", app.expect("the firmware compiles"));
    station.write("password", "MarkerOfASecret");
    station.write("root.pem", maker.root_pem());
    let pem = maker.to_pem().clone();
    station.write("ca.pem", &pem.intermediate_certificate);
    station.write("ca.key", pem.intermediate_key.expose());
    let names = [NAME.to_owned()];
    let issued = maker.issue_server(&names, time::Duration::days(30)).expect("a certificate");
    station.write("broker.pem", &issued.signed.chain);
    station.write("broker.key", issued.key.expose());
    (station, pem)
}

pub fn redirect(station: &Station, lines: &str) {
    station.write("jig.toml", format!("[redirect]\ntrusts = \"root.pem\"\n{lines}\n"));
}

/// A run on a port that is taken for a real one.
fn run(station: &Station, more: &[&str]) -> Ended {
    let (_unit, mut command) = run_command(station, more);
    Ended::of(&mut command)
}

/// The unit, and what runs it.
pub fn run_command(station: &Station, more: &[&str]) -> (ChildGuard, Command) {
    let wire = free_address();
    let mut command = station.command();
    command.args(["simulator", "serve", "--rfc2217", "127.0.0.1:0", "--network", &wire]);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("it says its port");
    let broker = format!("mqtt_broker=mqtts://{NAME}:8883");
    let values = ["wifi_ssid=Shop", "wifi_password=@password", &broker];
    let values = values.into_iter().flat_map(|value| ["--set", value]);
    let words = ["run", "espvault.toml", "--json", "--network", &wire, "--device", url.trim_end()];
    let words = words.into_iter().chain(values).chain(more.iter().copied());
    (unit, station.unit_command(words))
}

const STATION: [&str; 2] = ["--station", "jig.toml"];

#[rstest]
#[case::a_certificate("certificate = \"broker.pem\"\nkey = { file = \"broker.key\" }")]
#[case::a_ca("ca = \"ca.pem\"\nkey = { file = \"ca.key\" }")]
fn a_unit_that_trusts_its_maker_alone_passes_and_the_reason_is_recorded(#[case] lines: &str) {
    let (station, _) = product();
    redirect(&station, &format!("{lines}\naccept_redirect = \"{BECAUSE}\""));
    let ended = run(&station, &STATION);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let endpoint = &record["endpoints"][0];
    assert_eq!(endpoint["accept_redirect"], BECAUSE, "{endpoint:#}");
    assert_eq!(endpoint["shipped"], format!("mqtts://{NAME}:8883"));
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass");
}

/// What stands in the way of each, before anything is touched.
#[rstest]
#[case::no_file("", "nobody said by what right the bench answers")]
#[case::no_reason(
    "certificate = \"broker.pem\"\nkey = { file = \"broker.key\" }",
    "nobody said by what right the bench answers"
)]
#[case::an_empty_reason(
    "certificate = \"broker.pem\"\nkey = { file = \"broker.key\" }\naccept_redirect = \" \"",
    "nobody said by what right the bench answers"
)]
#[case::another_key(
    "certificate = \"broker.pem\"\nkey = { file = \"ca.key\" }\naccept_redirect = \"x\"",
    "the key is not that of the certificate"
)]
#[case::two(
    "certificate = \"broker.pem\"\nca = \"ca.pem\"\nkey = { file = \"ca.key\" }",
    "none or two of"
)]
#[case::no_ca(
    "ca = \"broker.pem\"\nkey = { file = \"broker.key\" }\naccept_redirect = \"x\"",
    "would not be trusted by units"
)]
#[case::a_secret_in_the_clear(
    "ca = \"ca.pem\"\nkey = \"MarkerOfASecret\"",
    "never stands in the station file"
)]
fn nothing_less_will_do_on_a_real_port(#[case] lines: &str, #[case] words: &str) {
    let (station, _) = product();
    let mut more = Vec::new();
    if !lines.is_empty() {
        redirect(&station, lines);
        more.extend(STATION);
    }
    let ended = run(&station, &more);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(words), "{}", ended.said());
    assert!(!ended.said().contains("MarkerOfASecret"));
}

/// A unit would refuse it: the broker's certificate is for another name.
#[test]
fn a_certificate_for_another_name_is_an_error_before_the_unit_is_blamed() {
    let (station, pem) = product();
    let maker = Authority::load(pem, Clock::system()).expect("it is whole");
    let names = ["other.example.test".to_owned()];
    let issued = maker.issue_server(&names, time::Duration::days(30)).expect("a certificate");
    station.write("broker.pem", &issued.signed.chain);
    station.write("broker.key", issued.key.expose());
    redirect(
        &station,
        "certificate = \"broker.pem\"\nkey = { file = \"broker.key\" }\naccept_redirect = \"x\"",
    );
    let record = run(&station, &STATION).json();
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("it names \"other.example.test\""), "{message}");
}

/// The maker's CA in a file that openssl encrypted.
#[test]
fn a_key_with_a_passphrase_opens_with_it_and_not_without() {
    let (station, _) = product();
    let openssl = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:correct horse"])
        .args(["-in", "ca.key", "-out", "ca.enc"])
        .current_dir(station.path(""))
        .status();
    assert!(openssl.expect("openssl is installed").success());
    station.write("passphrase", "correct horse\n");
    station.write("wrong", "battery staple\n");
    let with = |passphrase: &str| {
        let lines = format!(
            "ca = \"ca.pem\"\nkey = {{ file = \"ca.enc\" }}\n{passphrase}accept_redirect = \"x\""
        );
        redirect(&station, &lines);
        run(&station, &STATION)
    };
    assert!(with("").said().contains("the key is encrypted, and no passphrase is given"));
    let wrong = with("passphrase = { file = \"wrong\" }\n");
    assert!(wrong.said().contains("the passphrase does not open the key"), "{wrong:?}");
    let ended = with("passphrase = { file = \"passphrase\" }\n");
    assert_eq!(ended.code(), 0, "{ended:?}");
    for file in station.files(&station.state()) {
        let kept = fs::read(file).expect("a file of the state");
        assert!(!kept.windows(13).any(|window| window == b"correct horse"), "kept");
    }
}

/// A unit that would be shipped with something of the bench's never passes on a real port.
#[test]
fn a_real_unit_that_trusts_the_bench_is_refused() {
    let (station, _) = product();
    // The state is made, and with it the bench's CA.
    let _made = station.unit(["run", "espvault", "--json"]);
    let root = fs::read_to_string(station.state().join("ca/root.pem")).expect("the bench's CA");
    let chip = simulated(Chip::Esp32).expect("it is simulated");
    let app = goldline_simulator::firmware::compile(FIRMWARE, &root, chip).expect("it compiles");
    station.write("app.elf", app);
    redirect(&station, "ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\naccept_redirect = \"x\"");
    let ended = run(&station, &STATION);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("its application trusts the bench's own CA"), "{}", ended.said());
}

#[test]
fn a_certificate_of_the_bench_s_ca_is_refused_to_a_real_unit() {
    let (station, _) = product();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/");
    let text = fs::read_to_string(format!("{folder}zeroconf-ca.toml")).expect("it ships");
    let own = text.replacen("{ model = \"zeroconf-ca\" }", "{ file = \"app.elf\" }", 1);
    assert_ne!(own, text);
    station.write("own.toml", own);
    let device = ["--network", "wire:127.0.0.1:1", "--device", "rfc2217://127.0.0.1:9"];
    let ended = station.unit(["run", "own.toml"].into_iter().chain(device));
    assert_eq!(ended.code(), 2, "{ended:?}");
    let said = ended.said();
    assert!(said.contains("the bench's own CA gave it") && said.contains("--ca URL"), "{said}");
}

/// What a real unit was given without a verdict does not become good by a check that names another CA.
#[test]
fn a_unit_with_a_certificate_of_the_bench_s_is_not_judged_later_either() {
    let (station, _) = product();
    let fixture = |folder: &str| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        fs::read_to_string(format!("{root}/{folder}/zeroconf-ca.toml")).expect("it ships")
    };
    let root = fs::read_to_string(station.path("root.pem")).expect("the maker's");
    let chip = simulated(Chip::Esp32S3).expect("it is simulated");
    let app = goldline_simulator::firmware::compile(&fixture("firmware"), &root, chip);
    station.write("app.elf", app.expect("the firmware compiles"));
    let model = "{ model = \"zeroconf-ca\" }";
    let file = "{ file = \"app.elf\" }\ntrusts_elsewhere = true";
    station.write("own.toml", fixture("profiles").replacen(model, file, 1));
    redirect(&station, "ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\naccept_redirect = \"x\"");
    let wire = free_address();
    let mut command = station.command();
    command.args(["simulator", "serve", "--chip", "esp32s3", "--flash-size", "16"]);
    command.args(["--rfc2217", "127.0.0.1:0", "--network", &wire]);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("it says its port");
    let unit = ["own.toml", "--json", "--network", &wire, "--device", url.trim_end()];
    let values = ["wifi_ssid=Shop", "wifi_password=@password", "ca_url=https://ca.example.test"];
    let values: Vec<&str> = values.into_iter().flat_map(|value| ["--set", value]).collect();
    let ended = station.unit(["provision"].into_iter().chain(unit).chain(values.iter().copied()));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let other = ["--ca", "https://ca.example.test", "--ca-trust", "root.pem"];
    let record = station.unit(["check"].into_iter().chain(unit).chain(other).chain(STATION)).json();
    assert_eq!(record["diagnosis"]["code"], "endpoint.bench_would_ship", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("values by the bench's own CA"), "{message}");
}

/// It was a panic, and exit code 101.
#[test]
fn an_application_of_another_chip_of_the_same_kind_is_refused() {
    let (station, _) = product();
    let text = fs::read_to_string(station.path("espvault.toml")).expect("the profile");
    let other = text.replacen("model = \"esp32\"", "model = \"esp32s3\"", 1);
    assert_ne!(other, text);
    station.write("espvault.toml", other);
    let ended = station.goldline(["profile", "check", "espvault.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("the ELF file is another chip's"), "{}", ended.said());
}

/// Samples are everybody's, and a bench's address is nobody's.
#[rstest]
#[case::a_sample(None, "the value \"wifi_ssid\" is not given")]
#[case::the_bench_s_address(Some("policy = \"bench\""), "would ship pointing at the bench")]
fn samples_and_bench_addresses_are_refused_on_a_real_port(
    #[case] policy: Option<&str>,
    #[case] words: &str,
) {
    let (station, _) = product();
    redirect(&station, "ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\naccept_redirect = \"x\"");
    if let Some(policy) = policy {
        let text = fs::read_to_string(station.path("espvault.toml")).expect("the profile");
        station.write("espvault.toml", text.replace("policy = \"redirected\"", policy));
    }
    let words_of = [
        "run",
        "espvault.toml",
        "--network",
        "wire:127.0.0.1:1",
        "--device",
        "rfc2217://127.0.0.1:9",
    ];
    let ended = station.unit(words_of.into_iter().chain(STATION));
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(words), "{}", ended.said());
}
