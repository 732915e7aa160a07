//! A service is a host and not a text: in whatever spelling a unit is told where it is, a sound unit passes,
//! and one that goes elsewhere does not.

use rstest::rstest;

use super::program::{Station, check};

#[rstest]
#[case::capitals("Prod.Broker.Example.Test")]
#[case::dot_at_the_end("prod.broker.example.test.")]
#[case::both("PROD.broker.example.test.")]
#[case::one_label("broker")]
#[case::one_label_in_capitals("LOCALHOST")]
#[case::underscore("my_broker")]
#[case::punycode("xn--bcher-kva.example.test")]
#[case::ipv4("10.0.0.5")]
#[case::loopback("127.0.0.1")]
#[case::ipv6("[fd00::1]")]
#[case::ipv6_in_another_spelling("[FD00:0:0::0001]")]
#[case::ipv4_mapped_into_ipv6("[::ffff:10.0.0.5]")]
fn a_broker_in_any_spelling(#[case] host: &str) {
    let station = Station::new();
    let broker = format!("mqtt_broker=mqtts://{host}:8883");
    let command = ["run", "espvault", "--json", "--set", &broker];
    let ended = station.unit(command);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    // What ships is what was given.
    assert_eq!(record["endpoints"][0]["shipped"], format!("mqtts://{host}:8883"), "{record:#}");
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass");
    let fault = ["--fault", "firmware.setting_ignored"];
    let ended = Station::new().unit(command.iter().chain(&fault));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "mqtt.not_connected", "{record:#}");
}

#[rstest]
#[case("MQTT.Example.Test")]
#[case("mqtt.example.test.")]
#[case("10.0.0.8")]
#[case("fd00::1")]
fn a_broker_that_the_configuration_server_names(#[case] host: &str) {
    let value = format!("remote_mqtt_host={host}");
    let ended = Station::new().unit(["run", "ble-gateway", "--json", "--set", &value]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
}

#[rstest]
#[case("http://[fd00::1]:5000")]
#[case("https://[fd00::1]:8443")]
#[case("https://10.0.0.9:8443")]
#[case("https://CA.Example.Test.:8443")]
#[case("HTTPS://ca.example.test")]
fn a_ca_in_any_spelling(#[case] url: &str) {
    let value = format!("ca_url={url}");
    let ended = Station::new().unit(["run", "zeroconf", "--json", "--set", &value]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
}

#[rstest]
#[case("espvault", "mqtt_broker=mqtts://10.0.0.256:8883", "no IPv4 address")]
#[case("espvault", "mqtt_broker=mqtts://a..b:8883", "between two of its dots")]
#[case("espvault", "mqtt_broker=mqtts://[fd00::1%3]:8883", "zone")]
#[case("zeroconf", "ca_url=http://10.0.0.256:5000", "no IPv4 address")]
#[case("zeroconf", "ca_url=http://-ca.example.test", "hyphen")]
fn what_is_no_host_is_refused_before_anything_is_touched(
    #[case] profile: &str,
    #[case] value: &str,
    #[case] reason: &str,
) {
    let ended = Station::new().unit(["run", profile, "--set", value]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.stderr.contains(reason), "{ended:?}");
}
