//! `--config-server`: a provisioning server that is already there, with HTTPS or without.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use goldline::{
    identity::{Salt, SaltedScheme},
    secret::Secret,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::program::{Ended, Station, check, measured};

/// A server that makes each password of one salt; it runs as long as the test.
pub struct Api {
    address: SocketAddr,
    /// PEM of the CA of its certificate, where it has one.
    pub ca: Option<String>,
}

impl Api {
    /// In the clear.
    pub fn plain(salt: &str) -> Self {
        Self { address: serve(salt, None), ca: None }
    }

    /// With a certificate that ends in so many days and a moment.
    fn secure(salt: &str, days: i64) -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "Web CA");
        let ca_key = KeyPair::generate().expect("a key");
        let pem = ca.self_signed(&ca_key).expect("a CA").pem();
        let mut own = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        own.distinguished_name.push(DnType::CommonName, "API");
        own.not_after = OffsetDateTime::now_utc() + Duration::days(days) + Duration::hours(1);
        let key = KeyPair::generate().expect("a key");
        let own = own.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key.into())
            .expect("the key is the certificate's");
        Self { address: serve(salt, Some(Arc::new(tls))), ca: Some(pem) }
    }

    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

fn serve(salt: &str, tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let salt = Salt::new(Secret::new(salt)).expect("it is long enough");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            match &tls {
                None => answer(stream, &salt),
                Some(tls) => {
                    let connection = ServerConnection::new(Arc::clone(tls)).expect("it fits");
                    answer(StreamOwned::new(connection, stream), &salt);
                }
            }
        }
    });
    address
}

/// As the document shows it. A client that distrusts hangs up.
fn answer(mut stream: impl Read + Write, salt: &Salt) {
    let mut head = Vec::new();
    let mut lines = BufReader::new(&mut stream).lines();
    while let Some(Ok(line)) =
        lines.next().filter(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
    {
        head.push(line);
    }
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { return };
    let id = path.strip_prefix("/provision/").unwrap_or_default();
    let body = json!({
        "device_id": id, "mqtt_user": id, "mqtt_host": "mqtt.example.test", "mqtt_port": 8883,
        "mqtt_password": SaltedScheme::Sha256Hex.derive(id, salt).expose(),
        "provision_date": "2026-11-28 12:00:00",
    });
    let body = body.to_string();
    let length = body.len();
    let _told = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let _told = stream.flush();
}

const SALT: &str = "0123456789abcdef0123456789abcdef";

fn run_with_limit(station: &Station, api: &Api, lower: u32) -> Ended {
    let shipped = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/profiles/ble-gateway.toml"
    ));
    let limits = "limits = { config_ms = { upper = 15000 } }";
    assert!(shipped.contains(limits));
    let limited = format!(
        "limits = {{ config_ms = {{ upper = 15000 }}, api_certificate_days = {{ lower = {lower} }} }}"
    );
    station.write("ble-gateway.toml", shipped.replace(limits, &limited));
    let url = api.url();
    let mut command =
        station.unit_command(["run", "ble-gateway.toml", "--json", "--config-server", &url]);
    if let Some(ca) = &api.ca {
        command.arg("--config-server-trust").arg(station.write("web-ca.pem", ca));
    }
    Ended::of(&mut command)
}

/// What is left of the server's certificate is measured where it was seen, and blames no unit.
#[test]
fn a_limit_on_the_apis_certificate_is_held_against_the_bench() {
    let station = Station::new();
    let api = Api::secure(SALT, 20);
    let good = run_with_limit(&station, &api, 10);
    let record = good.json();
    assert_eq!((good.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(measured(&record, "remote_config", "api_certificate_days"), 20);
    let evidence = check(&record, "remote_config")["evidence"].to_string();
    assert!(
        evidence.contains("the provisioning server's certificate \\\"API\\\" ends in 20 days"),
        "{evidence}"
    );

    let short = run_with_limit(&station, &api, 60);
    let record = short.json();
    assert_eq!((short.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    let text = |member: &str| record["diagnosis"][member].as_str().expect("a text").to_owned();
    assert_eq!(text("code"), "testbed.config_server");
    assert!(text("message").contains("api_certificate_days is 20 days, expected 60"), "{record:#}");
    assert!(text("action").contains("renew the certificate"), "{record:#}");
}

/// One that was never shown is not within its limit.
#[test]
fn a_limit_on_the_certificate_of_an_api_in_the_clear_is_held_against_the_bench() {
    let station = Station::new();
    let ended = run_with_limit(&station, &Api::plain(SALT), 10);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("api_certificate_days was never measured"), "{message}");
}

/// Without a limit nothing is asked for, and what is seen is measured all the same.
#[test]
fn the_benchs_own_api_is_measured_too() {
    let record = Station::new().unit(["run", "ble-gateway", "--json"]).json();
    assert_eq!(record["verdict"], Value::from("PASS"), "{record:#}");
    assert_eq!(measured(&record, "remote_config", "api_certificate_days"), 89);
}
