//! `--broker` with a mosquitto that shows good and bad certificates made by openssl: the bench and the unit think
//! of them what mbedTLS thinks.

#[path = "../certificates/made.rs"]
#[expect(dead_code, reason = "the table is for the tests of the library")]
mod made;

use made::{HOST, Made};
use rstest::rstest;
use serde_json::Value;

use super::{
    external_broker::account,
    mosquitto::{self, BENCH, Mosquitto, Wanted},
    program::{Ended, Station, measured},
};

/// A run at a mosquitto that shows one of them, while another is trusted.
fn run(
    station: &Station,
    made: &Made,
    shown: &str,
    trusted: &str,
    accounts: &[(&str, &str)],
) -> Ended {
    let (chain, key) = (made.pem(shown), made.key(shown));
    let broker =
        Mosquitto::start(&Wanted { accounts, shows: Some((&chain, &key)), ..Wanted::default() });
    let login = station.write("bench.login", format!("{}:{}", BENCH.0, BENCH.1));
    let (url, login) = (broker.url_by_name(), format!("@{}", login.display()));
    let mut command = station.unit_command(["run", "zeroconf-ca", "--json", "--broker", &url]);
    command.arg("--broker-trust").arg(made.pem(trusted)).args(["--broker-login", &login]);
    Ended::of(&mut command)
}

#[rstest]
#[case::good("good", "ca")]
#[case::wildcard("wildcard", "ca")]
#[case::common_name("common", "ca")]
#[case::version_1("v1", "ca")]
#[case::signed_itself("self", "self")]
#[case::signed_itself_with_a_common_name("self-common", "self-common")]
fn a_certificate_that_units_accept_is_accepted(#[case] shown: &str, #[case] trusted: &str) {
    if !mosquitto::is_there() {
        return;
    }
    let Some(made) = Made::by_openssl(&[shown, trusted]) else { return };
    let station = Station::new();
    let (user, password) = account(&station, "zeroconf-ca", "uuid", "psk");
    let ended = run(&station, &made, shown, trusted, &[(&user, &password)]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    // Until 2090, and the bench's own CA for five years.
    assert!(measured(&record, "mqtt_connect", "broker_certificate_days") > 10_000, "{record:#}");
    assert_eq!(measured(&record, "ca_registration", "ca_certificate_days"), 1824, "{record:#}");
}

/// The bench is at fault, and says how and what to do.
#[rstest]
#[case::expired("expired", "ca", "expired at 2021-01-01T00:00:00Z", "renew that certificate")]
#[case::not_yet_valid("future", "ca", "is valid from 2080-01-01T00:00:00Z", "correct this machine")]
#[case::other_name("address", "ca", "it names \"127.0.0.1\", and was", "correct the address")]
#[case::other_ca("good", "other-ca", "issued by \"Line CA\"", "with --broker-trust")]
#[case::itself("self", "ca", "signed itself", "give that certificate itself with --broker-trust")]
fn a_certificate_that_units_refuse_is_the_benchs_fault(
    #[case] shown: &str,
    #[case] trusted: &str,
    #[case] said: &str,
    #[case] advice: &str,
) {
    if !mosquitto::is_there() {
        return;
    }
    let Some(made) = Made::by_openssl(&[shown, trusted]) else { return };
    let ended = run(&Station::new(), &made, shown, trusted, &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    let text = |name: &str| record["diagnosis"][name].as_str().expect("a text").to_owned();
    let (message, action) = (text("message"), text("action"));
    assert!(message.contains("is not trusted: ") && message.contains(said), "{message}");
    assert!(!message.contains('{') && action.contains(advice), "{message}: {action}");
}

/// The bench gets in by one name, and the unit would not by its own.
#[test]
fn a_broker_without_the_units_name_is_not_the_units_fault() {
    if !mosquitto::is_there() {
        return;
    }
    let Some(made) = Made::by_openssl(&["beside", "ca"]) else { return };
    let ended = run(&Station::new(), &made, "beside", "ca", &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "testbed.broker", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("it names \"beside.example.test\""), "{message}");
    assert!(message.contains(HOST) && !message.contains('{'), "{message}");
}

/// T21: mbedTLS refuses whatever such a CA issued, so that nothing is begun.
#[rstest]
#[case::broker(&["--broker", "mqtts://broker.example.test:8883", "--broker-trust"])]
#[case::ca(&["--ca", "https://ca.example.test", "--ca-trust"])]
#[case::ca_root(&["--ca", "https://ca.example.test", "--ca-root"])]
#[case::config_server(&["--config-server", "https://config.example.test", "--config-server-trust"])]
fn a_trusted_certificate_out_of_its_time_is_refused_before_anything(#[case] options: &[&str]) {
    let Some(made) = Made::by_openssl(&["old-ca", "future-ca", "ca"]) else { return };
    let station = Station::new();
    for (name, said) in [
        ("old-ca", "\"Old CA\" in it expired at 2021-01-01T00:00:00Z"),
        ("future-ca", "\"Future CA\" in it is valid from 2080-01-01T00:00:00Z"),
    ] {
        let profile = if options[0] == "--config-server" { "ble-gateway" } else { "zeroconf-ca" };
        let mut command = station.unit_command(["run", profile]);
        command.args(["--device", "simulator:?flash-file=unit.flash"]);
        let ended = Ended::of(command.args(options).arg(made.pem(name)));
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(said), "{}", ended.said());
        assert!(!station.state().exists() && !station.path("unit.flash").exists());
    }
}

/// The bench's own certificates are measured as well, and a limit on them blames no unit.
#[test]
fn a_limit_on_the_brokers_certificate_is_held_against_the_bench() {
    let station = Station::new();
    let profile =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml"));
    let limits = "limits = { connect_ms = { upper = 15000 }";
    assert!(profile.contains(limits));
    let with = |lower: u32| {
        let limited = format!("{limits}, broker_certificate_days = {{ lower = {lower} }}");
        station.write("espvault.toml", profile.replace(limits, &limited));
        station.unit(["run", "espvault.toml", "--json"])
    };
    let good = with(60);
    let record = good.json();
    assert_eq!((good.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(measured(&record, "mqtt_connect", "broker_certificate_days"), 89);
    let short = with(120);
    let record = short.json();
    assert_eq!((short.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "testbed.broker", "{record:#}");
}

/// So is one on the certificates of the CA, which signs for every unit.
#[test]
fn a_limit_on_the_cas_certificates_is_held_against_the_bench() {
    let station = Station::new();
    let profile = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/profiles/zeroconf-ca.toml"
    ));
    let limits = "id = \"ca_registration\"\nlimits = { ";
    assert!(profile.contains(limits));
    let with = |lower: u32| {
        let limited = format!("{limits}ca_certificate_days = {{ lower = {lower} }}, ");
        station.write("zeroconf-ca.toml", profile.replace(limits, &limited));
        let ended = station.unit(["run", "zeroconf-ca.toml", "--json"]);
        let record = ended.json();
        (ended.code(), record["verdict"].clone(), record["diagnosis"]["code"].clone())
    };
    assert_eq!(with(1800), (0, "PASS".into(), Value::Null));
    assert_eq!(with(1900), (3, "ERROR".into(), "testbed.ca".into()));
}
