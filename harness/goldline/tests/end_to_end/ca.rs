//! Registration with a CA that is already there, as a unit's run has it: what goes wrong there is an ERROR
//! with the CA's own code, and nothing is written.

use std::{fs, process::Command, time::Duration};

use rstest::rstest;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::program::{Ended, Station, check};

/// A CA on loopback that gives one answer to everything.
struct Ca {
    runtime: Runtime,
    server: MockServer,
}

impl Ca {
    fn answering(answer: ResponseTemplate) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(answer).mount(&server).await;
            server
        });
        Self { runtime, server }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.server.address())
    }

    /// Path and body of the requests so far.
    fn requests(&self) -> Vec<(String, String)> {
        let requests = self.runtime.block_on(self.server.received_requests());
        let requests = requests.expect("they are recorded");
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        requests.iter().map(|one| (one.url.path().to_owned(), text(&one.body))).collect()
    }
}

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/");
    fs::read_to_string(format!("{folder}{name}")).expect("it ships")
}

/// The diagnosis of a run with that CA, which ends before anything is written.
fn error_of(url: &str) -> (String, String) {
    let station = Station::new();
    let profile = fixture("zeroconf-ca.toml").replace("service_s = 20", "service_s = 2");
    station.write("zeroconf-ca.toml", profile);
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let command = ["run", "zeroconf-ca.toml", "--json", "--ca", url];
    let ended = station.unit([&command, device.as_slice()].concat());
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    assert!(flash.iter().all(|byte| *byte == 0xFF), "nothing is written");
    let text = |name: &str| record["diagnosis"][name].as_str().expect("a text").to_owned();
    let psk = "3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6e9b1d4f7a2c5e8b1d4f7a3c6e9b2d5f8a";
    assert!(!ended.stdout.contains(psk) && !ended.stderr.contains(psk));
    (text("code"), text("message"))
}

#[rstest]
#[case::server_error(500, "{\"error\":\"out of disk\"}", "ca.refused", "status 500")]
#[case::forbidden(403, "no", "ca.refused", "status 403")]
#[case::not_found(404, "<html>", "ca.refused", "status 404")]
#[case::refused(200, "{\"success\":false,\"error\":\"blocked\"}", "ca.refused", "blocked")]
#[case::no_json(200, "<html>It works!</html>", "ca.malformed", "no JSON at line 1")]
#[case::no_certificate(200, "{\"success\":true}", "ca.malformed", "certificate")]
#[case::no_pem(
    200,
    "{\"success\":true,\"certificate\":\"x\",\"ca_cert\":\"y\",\"expiry\":\"2030-01-01\"}",
    "ca.certificate_wrong",
    "certificate"
)]
fn what_a_ca_answers_wrong_is_not_the_units_fault(
    #[case] status: u16,
    #[case] body: &str,
    #[case] code: &str,
    #[case] said: &str,
) {
    let ca = Ca::answering(ResponseTemplate::new(status).set_body_string(body));
    let (found, message) = error_of(&ca.url("http"));
    assert_eq!(found, code, "{message}");
    assert!(message.contains(said), "{message}");
}

/// A CA may repeat in its sentence what it was sent.
#[test]
fn a_secret_that_the_ca_repeats_is_shown_nowhere() {
    let psk = "3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6e9b1d4f7a2c5e8b1d4f7a3c6e9b2d5f8a";
    let body = json!({ "success": false, "error": format!("bad psk {psk}") });
    let ca = Ca::answering(ResponseTemplate::new(200).set_body_json(body));
    let (code, message) = error_of(&ca.url("http"));
    assert_eq!(code, "ca.refused", "{message}");
}

#[test]
fn a_trailing_slash_makes_no_other_address() {
    let ca = Ca::answering(ResponseTemplate::new(500));
    error_of(&(ca.url("http") + "/"));
    let requests = ca.requests();
    assert_eq!(requests.len(), 1, "it is not asked again");
    assert_eq!(requests[0].0, "/api/devices/register");
    let body: Value = serde_json::from_str(&requests[0].1).expect("JSON");
    let mut names: Vec<&String> = body.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["mac", "psk", "type", "uuid"], "the document's request, and no more");
    assert_eq!(body["mac"], "240AC4000110");
}

#[test]
fn a_ca_that_is_asked_with_tls_and_speaks_none_is_told() {
    let ca = Ca::answering(ResponseTemplate::new(200));
    let (code, message) = error_of(&ca.url("https"));
    assert_eq!(code, "ca.unreachable", "{message}");
    assert!(message.contains("http"), "{message}");
}

#[test]
fn a_ca_that_takes_too_long_is_given_up() {
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    let ca = Ca::answering(late);
    let (code, message) = error_of(&ca.url("http"));
    assert_eq!(code, "ca.unreachable", "{message}");
    assert!(message.contains("did not answer within 2 s"), "{message}");
}

/// A PSK would travel in the clear.
#[test]
fn a_production_ca_is_not_spoken_to_in_the_clear() {
    let ca = Ca::answering(ResponseTemplate::new(200));
    let station = Station::new();
    let profile = fixture("zeroconf-ca.toml");
    let marked = "minimum_validity_days = 30\nproduction = true";
    station.write("zeroconf-ca.toml", profile.replace("minimum_validity_days = 30", marked));
    let ended = station.unit(["run", "zeroconf-ca.toml", "--json", "--ca", &ca.url("http")]);
    let said = format!("{}{}", ended.stdout, ended.said());
    assert!([2, 3].contains(&ended.code()), "{said}");
    assert!(said.contains("https"), "{said}");
    assert!(ca.requests().is_empty(), "nothing was sent");
}

/// A CA that brings its own root can certify whatever it likes.
#[test]
fn a_certificate_of_another_root_than_the_named_one_is_not_written() {
    let station = Station::new();
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let run = |more: &[&str]| {
        let command =
            ["run", "zeroconf-ca", "--json", "--save-credentials", "saved.json", "--force"];
        station.unit([&command, device.as_slice(), more].concat())
    };
    assert_eq!(run(&[]).code(), 0);
    let saved = fs::read(station.path("saved.json")).expect("saved");
    let saved: Value = serde_json::from_slice(&saved).expect("JSON");
    let values = &saved[0]["values"];
    // The certificate that the bench's CA issued, out of the mouth of another.
    let ca = Ca::answering(ResponseTemplate::new(200).set_body_json(json!({
        "success": true,
        "certificate": values["issued.certificate"],
        "ca_cert": values["issued.ca_certificate"],
        "expiry": "2030-01-01T00:00:00Z",
    })));
    let url = ca.url("http");
    let root = station.state().join("ca/root.pem").to_string_lossy().into_owned();
    for (more, trusted) in [(&[][..], false), (&["--ca-root", &root], true)] {
        let words: Vec<&str> = ["--ca", &url].iter().chain(more).copied().collect();
        let record = run(&words).json();
        assert_eq!(record["verdict"], "PASS", "{record:#}");
        let evidence = check(&record, "ca_registration")["evidence"].to_string();
        assert_eq!(evidence.contains("came with the answer itself"), !trusted, "{evidence}");
    }

    let other = Station::new();
    assert_eq!(other.unit(["provision", "espvault", "--json"]).code(), 0, "it makes its own CA");
    let root = other.state().join("ca/root.pem").to_string_lossy().into_owned();
    fs::remove_file(station.path("unit.flash")).expect("a blank unit");
    let record = run(&["--ca", &url, "--ca-root", &root]).json();
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "ca.certificate_wrong", "{record:#}");
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    assert!(flash.iter().all(|byte| *byte == 0xFF), "nothing is written");
}

#[rstest]
#[case::no_certificate(&["--ca", "http://127.0.0.1:1", "--ca-root", "text.pem"])]
#[case::no_trust(&["--ca", "https://127.0.0.1:1", "--ca-trust", "text.pem"])]
fn a_root_that_is_none_is_refused(#[case] words: &[&str]) {
    let station = Station::new();
    station.write("text.pem", "no certificate");
    let ended = station.unit([&["run", "zeroconf-ca"], words].concat());
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(ended.said().contains("text.pem"), "{}", ended.said());
    assert!(ended.said().contains("give CA certificates as PEM"), "{}", ended.said());
}

/// The certificate in the unit's flash, its chain and its name, as openssl sees them.
#[test]
fn openssl_accepts_the_certificate_that_lies_in_the_unit() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "openssl is missing, and CI must have it");
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let station = Station::new();
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let command = ["run", "zeroconf-ca", "--json", "--save-credentials", "saved.json"];
    let ended = station.unit([&command, device.as_slice()].concat());
    let record = ended.json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(check(&record, "ca_registration")["outcome"], "pass");
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    let partition = station.write("nvs.bin", &flash[0xA2_0000..0xA3_0000]);
    let saved: Value =
        serde_json::from_slice(&fs::read(station.path("saved.json")).expect("saved")).expect("");
    let value = |name: &str| saved[0]["values"][name].as_str().expect("a value").to_owned();
    let certificate = value("issued.certificate");
    let digest = station.goldline(["nvs", "show", partition.to_str().expect("UTF-8")]).stdout;
    assert!(digest.contains("device_cert"), "{digest}");
    station.write("unit.pem", &certificate);
    station.write("chain.pem", value("issued.ca_certificate"));
    let root = station.state().join("ca/root.pem");
    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslclient", "-untrusted", "chain.pem"])
        .arg("-CAfile")
        .arg(root)
        .arg("unit.pem")
        .current_dir(station.path("."))
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && said.contains("OK"), "{verified:?}");
    let subject = Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-in", "unit.pem"])
        .current_dir(station.path("."))
        .output()
        .expect("openssl runs");
    let subject = String::from_utf8_lossy(&subject.stdout).into_owned();
    let uuid = record["unit"]["ids"]["uuid"].as_str().expect("an id");
    assert!(subject.contains(uuid), "{subject}");
}

/// The registrations of a station, which `goldline ca log` tells, the newest first.
fn log(station: &Station, more: &[&str]) -> Vec<Value> {
    let words = [&["ca", "log", "--json", "--state"], more].concat();
    let mut command = station.command();
    command.args(&words[..4]).arg(station.state()).args(&words[4..]);
    let ended = Ended::of(&mut command);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    ended.json().as_array().expect("a list").clone()
}

/// Who registered, who was refused, and who has nothing to do with a CA.
#[test]
fn every_registration_is_told_by_the_log_of_the_ca() {
    let station = Station::new();
    assert_eq!(log(&station, &[]), [Value::Null; 0]);
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let run = |words: &[&str]| station.unit([words, device.as_slice()].concat()).json();
    let saved = ["run", "zeroconf-ca", "--json", "--save-credentials", "saved.json"];
    let record = run(&saved);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    run(&["reprovision", "zeroconf-ca", "--only", "certificate", "--json"]);
    let by_unit = station.unit(["run", "zeroconf", "--json"]).json();
    assert_eq!(by_unit["verdict"], "PASS", "{by_unit:#}");
    station.unit(["run", "espvault", "--json"]);
    let gone = station.unit(["run", "zeroconf-ca", "--json", "--ca", "http://127.0.0.1:1"]).json();
    assert_eq!(gone["diagnosis"]["code"], "ca.unreachable", "{gone:#}");

    let all = log(&station, &[]);
    let told = |name: &str| -> Vec<&Value> { all.iter().map(|one| &one[name]).collect() };
    assert_eq!(told("registration"), ["none", "new", "kept", "new"], "{all:#?}");
    assert_eq!(told("called_by"), ["bench", "unit", "bench", "bench"]);
    assert_eq!(told("profile"), ["zeroconf-ca", "zeroconf", "zeroconf-ca", "zeroconf-ca"]);
    assert_eq!(all[0]["diagnosis"], "ca.unreachable");
    assert_eq!(all[1]["run_id"], by_unit["run_id"]);
    let [serial, of_unit] = [&all[3], &all[1]].map(|one| one["serial"].as_str().expect("a serial"));
    assert_ne!(serial, of_unit);
    assert_eq!((&all[0]["serial"], &all[2]["serial"]), (&Value::Null, &Value::Null));
    assert_eq!(all[3]["mac"], record["unit"]["mac"]);
    assert_eq!(all[3]["ids"], json!([record["unit"]["ids"]["uuid"]]));
    assert_eq!(log(&station, &["--profile", "zeroconf"]).len(), 1);

    let saved: Value =
        serde_json::from_slice(&fs::read(station.path("saved.json")).expect("saved")).expect("");
    let psk = saved[0]["values"]["psk"].as_str().expect("a secret");
    assert!(!format!("{all:?}").contains(psk), "a log shows a secret");
    // For people the same, a line each below the header.
    let mut command = station.command();
    let text = Ended::of(command.args(["ca", "log", "--state"]).arg(station.state())).stdout;
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.lines().nth(4).is_some_and(|line| line.contains(serial)), "{text}");
}

/// The serial in the log is that of the certificate in the unit, as openssl prints it.
#[test]
fn the_logs_serial_is_the_certificates() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "openssl is missing, and CI must have it");
        println!("skipped: openssl is not installed");
        return;
    }
    let station = Station::new();
    let words = ["run", "zeroconf-ca", "--json", "--save-credentials", "saved.json"];
    assert_eq!(station.unit(words).code(), 0);
    let saved: Value =
        serde_json::from_slice(&fs::read(station.path("saved.json")).expect("saved")).expect("");
    let certificate = saved[0]["values"]["issued.certificate"].as_str().expect("PEM");
    let path = station.write("unit.pem", certificate);
    let openssl = Command::new("openssl")
        .args(["x509", "-noout", "-serial", "-in"])
        .arg(path)
        .output()
        .expect("openssl starts");
    let printed = String::from_utf8(openssl.stdout).expect("text").trim().to_lowercase();
    let serial = log(&station, &[])[0]["serial"].as_str().expect("a serial").to_owned();
    assert_eq!(printed, format!("serial={serial}"));
}
