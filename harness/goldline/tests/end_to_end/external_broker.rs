//! `--broker`: a real mosquitto that is already there takes the place of the bench's own broker.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rstest::rstest;
use serde_json::Value;

use super::{
    mosquitto::{self, BENCH, Mosquitto, Wanted},
    program::{Ended, Station, check, measured},
};

/// The unit's account, as a run with the bench's own broker makes it: user name and password.
pub fn account(station: &Station, profile: &str, user: &str, password: &str) -> (String, String) {
    let file = station.path("credentials.json");
    let name = file.to_str().expect("UTF-8");
    let ended = station.unit(["run", profile, "--save-credentials", name]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let saved: Value = serde_json::from_slice(&fs::read(&file).expect("saved")).expect("JSON");
    fs::remove_file(&file).expect("it is there");
    let value = |key: &str| saved[0]["values"][key].as_str().expect("a value").to_owned();
    (value(user), value(password))
}

pub fn run(station: &Station, profile: &str, broker: &Mosquitto, more: &[&str]) -> Ended {
    let login = station.write("bench.login", format!("{}:{}\n", BENCH.0, BENCH.1));
    let (url, login) = (broker.url(), format!("@{}", login.display()));
    let ca = broker.ca();
    let arguments = ["run", profile, "--json", "--broker", &url, "--broker-login", &login];
    let mut command = station.unit_command(arguments);
    Ended::of(command.arg("--broker-trust").arg(ca).args(more))
}

#[rstest]
#[case::ca("zeroconf-ca", "broker.example.test", "uuid", "psk")]
#[case::gateway(
    "ble-gateway",
    "mqtt-remote.example.test",
    "issued.mqtt_user",
    "issued.mqtt_password"
)]
#[case::wildcard("zeroconf-ca", "*.example.test", "uuid", "psk")]
fn a_unit_passes_at_a_real_mosquitto(
    #[case] profile: &str,
    #[case] host: &str,
    #[case] user: &str,
    #[case] password: &str,
) {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let (user, password) = account(&station, profile, user, password);
    let accounts = [(user.as_str(), password.as_str())];
    let wanted = Wanted { names: &[host], accounts: &accounts, ..Wanted::default() };
    let broker = Mosquitto::start(&wanted);
    let ended = run(&station, profile, &broker, &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["endpoints"][0]["answered_by"], broker.url().as_str());
    let connected = check(&record, "mqtt_connect");
    let evidence = connected["evidence"].to_string();
    assert!(evidence.contains("client id, user name and TLS version were not seen"), "{evidence}");
    assert!(evidence.contains("it answered what was sent there"), "{evidence}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains(&password) && !said.contains(BENCH.1));
}

/// The CA signs the key of the bench's request, and the unit shows the certificate.
#[test]
fn a_unit_with_a_certificate_passes_at_a_mosquitto_that_asks_for_one() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let firmware = fixture("firmware/zeroconf-ca.toml")
        .replace("\"certificate\", \"ssid\"", "\"certificate\", \"key\", \"ssid\"")
        .replace(
            "[wifi]\n",
            "[settings.values.key]\nkey = \"device_key\"\ntype = \"string\"\nmax_bytes = 2048\n\n[wifi]\n",
        )
        .replace("password = \"psk\"\n", "password = \"psk\"\ncertificate = \"certificate\"\nprivate_key = \"key\"\n");
    let firmware = station.write("firmware.toml", firmware);
    let profile = fixture("profiles/zeroconf-ca.toml")
        .replace("model = \"zeroconf-ca\"", &format!("model = \"{}\"", firmware.display()))
        .replace("minimum_validity_days = 30", "minimum_validity_days = 30\nsigning_request = true")
        .replace(
            "value = \"{issued.certificate}\" },\n",
            "value = \"{issued.certificate}\" },\n  { key = \"device_key\", encoding = \"string\", value = \"{issued.private_key}\" },\n",
        )
        .replace("client_id = \"{uuid}\"", "client_id = \"{uuid}\"\nclient_certificate = true");
    station.write("zeroconf-ca.toml", profile);
    let profile = "zeroconf-ca.toml";
    let (user, password) = account(&station, profile, "uuid", "psk");

    let at_own_broker = station.unit(["run", profile, "--json"]).json();
    let issued = measured(&at_own_broker, "ca_registration", "remaining_validity_days");
    let shown = measured(&at_own_broker, "mqtt_connect", "client_certificate_days");
    assert_eq!(shown, issued, "{at_own_broker:#}");

    let authority = station.state().join("ca");
    let clients = ["root.pem", "intermediate.pem"]
        .map(|name| fs::read_to_string(authority.join(name)).expect("the bench's CA"));
    let wanted = Wanted {
        names: &["broker.example.test"],
        accounts: &[(&user, &password)],
        client_ca: Some(&clients.concat()),
        ..Wanted::default()
    };
    let broker = Mosquitto::start(&wanted);

    let refused = run(&station, profile, &broker, &[]);
    let record = refused.json();
    assert_eq!((refused.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("does not let the bench in"), "{message}");

    let own = station.write("bench.pem", bench_identity(&authority));
    let own = own.to_str().expect("UTF-8");
    let ended = run(&station, profile, &broker, &["--broker-identity", own]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    // The broker tells nobody what the unit showed; it is what the CA issued.
    let issued = measured(&record, "ca_registration", "remaining_validity_days");
    assert_eq!(measured(&record, "mqtt_connect", "client_certificate_days"), issued);

    let pem = fs::read_to_string(own).expect("it was written");
    let (chain, _) = pem.split_once("-----BEGIN PRIVATE").expect("it holds the key too");
    let key = KeyPair::generate().expect("a key").serialize_pem();
    let other = station.write("other.pem", format!("{chain}{key}"));
    let misfit = run(&station, profile, &broker, &["--broker-identity", other.to_str().expect("")]);
    assert_eq!(misfit.code(), 2, "{misfit:?}");
    let said = misfit.said();
    assert!(said.contains("of another certificate"), "{said}");
    assert!(said.contains("give the key that the certificate was made for"), "{said}");
}

/// A certificate for the bench itself, of the same CA as the units'.
fn bench_identity(authority: &Path) -> String {
    let read = |name: &str| fs::read_to_string(authority.join(name)).expect("the bench's CA");
    let key = KeyPair::from_pem(&read("intermediate.key")).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&read("intermediate.pem"), key).expect("a CA");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "bench");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

/// The broker is sound, as the bench's own client shows: the unit is at fault.
#[rstest]
#[case::password("firmware.mqtt_password", "mqtt.not_connected", "closed the unit's connection")]
#[case::trust("firmware.wrong_ca", "mqtt.server_untrusted", "TLS handshake")]
#[case::setting("firmware.stuck", "mqtt.not_connected", "")]
fn a_bad_unit_fails_at_a_broker_that_is_not_the_benchs(
    #[case] fault: &str,
    #[case] code: &str,
    #[case] said: &str,
) {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let (user, password) = account(&station, "zeroconf-ca", "uuid", "psk");
    let accounts = [(user.as_str(), password.as_str())];
    let wanted =
        Wanted { names: &["broker.example.test"], accounts: &accounts, ..Wanted::default() };
    let broker = Mosquitto::start(&wanted);
    let ended = run(&station, "zeroconf-ca", &broker, &["--fault", fault]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains(said), "{message}");
    let evidence = check(&record, "mqtt_connect")["evidence"].to_string();
    assert!(evidence.contains("witness: the bench connected to"), "{evidence}");
}

/// The administrator's accounts lack the unit: nobody gets in with the planned credentials.
#[test]
fn a_broker_without_the_units_account_is_not_the_units_fault() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let wanted = Wanted { names: &["broker.example.test"], accounts: &[], ..Wanted::default() };
    let broker = Mosquitto::start(&wanted);
    let ended = run(&station, "zeroconf-ca", &broker, &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "testbed.broker", "{record:#}");
}

#[test]
fn a_broker_that_the_bench_cannot_use_is_an_error_before_anything_is_written() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let wanted = Wanted { names: &["broker.example.test"], accounts: &[], ..Wanted::default() };
    let mut broker = Mosquitto::start(&wanted);
    let login = station.write("wrong.login", "bench:wrong");
    let login = format!("@{}", login.display());
    let (url, ca) = (broker.url(), broker.ca());
    let attempt = |trust: &Path, login: &str| {
        let mut command = station.unit_command(["run", "zeroconf-ca", "--json", "--broker", &url]);
        let ended =
            Ended::of(command.arg("--broker-trust").arg(trust).args(["--broker-login", login]));
        let record = ended.json();
        assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
        let written = record["stages"].as_array().expect("stages").iter();
        assert!(written.clone().all(|stage| stage["name"] != "erase"), "{record:#}");
        let text = |name: &str| record["diagnosis"][name].as_str().expect("a text").to_owned();
        format!("{}; {}", text("message"), text("action"))
    };
    let refused = attempt(&ca, &login);
    assert!(refused.contains("does not let the bench in: "), "{refused}");
    assert!(refused.contains("check --broker-login"), "{refused}");
    let other = Mosquitto::start(&wanted);
    let distrusted = attempt(&other.ca(), &login);
    assert!(distrusted.contains("is not trusted: "), "{distrusted}");
    broker.stop();
    let down = attempt(&ca, &login);
    assert!(down.contains("is not reachable: "), "{down}");
    assert!(down.contains("check that the broker runs"), "{down}");
}

/// mosquitto takes a message that it gives to nobody: a good unit was blamed for its silence.
#[test]
fn a_bench_without_the_right_to_command_is_not_the_units_fault() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let profile = fixture("profiles/zeroconf-ca.toml").replace("mqtt_s = 20", "mqtt_s = 3");
    station.write("zeroconf-ca.toml", profile);
    let (user, password) = account(&station, "zeroconf-ca.toml", "uuid", "psk");
    let rights = format!("user {user}\ntopic readwrite #\nuser {}\ntopic read #\n", BENCH.0);
    let accounts = [(user.as_str(), password.as_str())];
    let names = ["broker.example.test"];
    let wanted =
        Wanted { names: &names, accounts: &accounts, rights: Some(&rights), ..Wanted::default() };
    let broker = Mosquitto::start(&wanted);
    let record = run(&station, "zeroconf-ca.toml", &broker, &[]).json();
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("does not reach the planned user"), "{message}");
}

/// It is connected, and hears no command.
#[test]
fn a_unit_that_subscribes_elsewhere_fails() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let firmware = fixture("firmware/zeroconf-ca.toml");
    let elsewhere = firmware.replace("{uuid}/command\"]", "{uuid}/commands\"]");
    assert_ne!(firmware, elsewhere);
    let firmware = station.write("firmware.toml", elsewhere);
    let profile = fixture("profiles/zeroconf-ca.toml")
        .replace("mqtt_s = 20", "mqtt_s = 3")
        .replace("model = \"zeroconf-ca\"", &format!("model = \"{}\"", firmware.display()));
    station.write("zeroconf-ca.toml", profile);
    let (user, password) = account_of_sample();
    let accounts = [(user.as_str(), password.as_str())];
    let names = ["broker.example.test"];
    let wanted = Wanted { names: &names, accounts: &accounts, ..Wanted::default() };
    let broker = Mosquitto::start(&wanted);
    let record = run(&station, "zeroconf-ca.toml", &broker, &[]).json();
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("answered no command"), "{message}");
}

fn account_of_sample() -> (String, String) {
    account(&Station::new(), "zeroconf-ca", "uuid", "psk")
}

/// What units said since is unknown, so nothing is said of this one.
#[test]
fn a_broker_that_dies_during_the_run_is_not_the_units_fault() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let (user, password) =
        account(&station, "ble-gateway", "issued.mqtt_user", "issued.mqtt_password");
    let accounts = [(user.as_str(), password.as_str())];
    let names = ["mqtt-remote.example.test"];
    let wanted = Wanted { names: &names, accounts: &accounts, ..Wanted::default() };
    let mut broker = Mosquitto::start(&wanted);
    let login = station.write("bench.login", format!("{}:{}", BENCH.0, BENCH.1));
    let url = broker.url();
    let mut command = station.unit_command(["run", "ble-gateway", "--json", "--broker", &url]);
    command.arg("--broker-trust").arg(broker.ca());
    command.arg("--broker-login").arg(format!("@{}", login.display()));
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let running = running.expect("the program starts");
    broker.await_log(&format!("as BLE-Gateway-{user}"));
    broker.stop();
    let ended = Ended::from(running.wait_with_output().expect("it ends"));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
}

#[test]
fn a_profile_whose_answers_could_be_another_units_is_refused() {
    let station = Station::new();
    let own = "reply_topic = \"devices/{uuid}/event\", reply_contains = [\"{nonce}\", \"{uuid}\"]";
    let shared = "reply_topic = \"devices/event\", reply_contains = [\"{nonce}\"]";
    let profile = fixture("profiles/zeroconf-ca.toml");
    assert!(profile.contains(own));
    station.write("shared.toml", profile.replace(own, shared));
    station.write("ca.pem", "");
    let broker = ["--broker", "mqtts://127.0.0.1:1", "--broker-trust", "ca.pem"];
    let ended = station.unit(["run", "shared.toml"].into_iter().chain(broker));
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("could be another unit's"), "{}", ended.said());
}

#[test]
fn an_issued_certificate_is_for_what_was_asked_and_replaces_none() {
    let station = Station::new();
    let issue = |kind: [&str; 2]| {
        let mut command = station.unit_command(["testbed", "issue", "--out", "issued"]);
        Ended::of(command.args(kind))
    };
    let issued = issue(["--server", "broker.example.test"]);
    assert_eq!(issued.code(), 0, "{issued:?}");
    let verified = Command::new("openssl")
        .args(["verify", "-CAfile", "ca.pem", "-purpose", "sslserver"])
        .args(["-verify_hostname", "broker.example.test", "certificate.pem"])
        .current_dir(station.path("issued"))
        .output();
    match verified {
        Ok(said) => assert!(said.status.success(), "{said:?}"),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}: CI must have openssl");
            eprintln!("skipped: openssl is not installed");
        }
    }
    let again = issue(["--client", "bench"]);
    assert_eq!(again.code(), 2, "{again:?}");
    assert!(
        again.said().contains("exists and stays as it is: name another place"),
        "{}",
        again.said()
    );
}

#[rstest]
#[case::no_trust(&["--broker", "mqtts://127.0.0.1:1"], "--broker-trust")]
#[case::plain(&["--broker", "mqtt://127.0.0.1:1", "--broker-trust", "ca.pem"], "expected mqtts")]
#[case::no_port(&["--broker", "mqtts://127.0.0.1", "--broker-trust", "ca.pem"], "names no port")]
#[case::no_file(&["--broker", "mqtts://127.0.0.1:1", "--broker-trust", "none.pem"], "cannot read none.pem")]
#[case::open_password(
    &["--broker", "mqtts://127.0.0.1:1", "--broker-trust", "ca.pem", "--broker-login", "me:open sesame"],
    "a password never goes through arguments"
)]
#[case::fault_of_accounts(
    &["--broker", "mqtts://127.0.0.1:1", "--broker-trust", "ca.pem", "--fault", "config.no_user"],
    "--broker names a broker that is not the testbed's"
)]
#[case::fault(
    &["--broker", "mqtts://127.0.0.1:1", "--broker-trust", "ca.pem", "--fault", "broker.down"],
    "--broker names a broker that is not the testbed's"
)]
fn a_broker_that_is_not_well_named_is_refused(#[case] arguments: &[&str], #[case] said: &str) {
    let station = Station::new();
    station.write("ca.pem", "");
    let ended = station.unit(["run", "zeroconf"].into_iter().chain(arguments.iter().copied()));
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(ended.said().contains(said), "{}", ended.said());
    assert!(!ended.said().contains("open sesame"), "{}", ended.said());
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
