//! A second client at a real mosquitto, with the unit's own name and password or under another name.

use std::{fs, path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use rstest::rstest;
use rumqttc::{AsyncClient, MqttOptions, TlsConfiguration, Transport};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_util::sync::CancellationToken;

use super::{
    external_broker::{account, run},
    mosquitto::{self, Mosquitto, Wanted},
    program::{Station, check},
};

/// Nobody listens at its address now and then.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Comes back at once whenever it is put out; ends when dropped.
pub struct Client(CancellationToken, Option<JoinHandle<()>>);

impl Client {
    fn start(broker: &Mosquitto, id: &str, user: &str, password: &str) -> Self {
        let client = Self::at(("127.0.0.1", broker.port()), &broker.ca(), (id, user, password));
        broker.await_log(&format!("Sending CONNACK to {id} (0, 0)"));
        client
    }

    /// For as long as it lives it tries to be at that broker, whose CA stands in a file.
    pub fn at(
        (host, port): (&str, u16),
        ca: &Path,
        (id, user, password): (&str, &str, &str),
    ) -> Self {
        let mut options = MqttOptions::new(id, host, port);
        options.set_credentials(user, password);
        let tls = TlsConfiguration::Rustls(Arc::new(trust(ca)));
        options.set_transport(Transport::tls_with_config(tls));
        let ended = CancellationToken::new();
        let stop = ended.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime.block_on(stop.run_until_cancelled_owned(async move {
                let (_client, mut events) = AsyncClient::new(options, 10);
                loop {
                    // Being put out is what it is here for.
                    if events.poll().await.is_err() {
                        tokio::time::sleep(AGAIN_AFTER).await;
                    }
                }
            }));
        });
        Self(ended, Some(thread))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.cancel();
        let _ended = self.1.take().map(JoinHandle::join);
    }
}

fn trust(ca: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(ca).expect("the broker's CA");
    roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a CA");
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// They put each other out until the unit gives up; it was FAIL with "check the broker address".
#[rstest]
#[case::of_the_same_id(true)]
#[case::of_another_id(false)]
fn another_client_at_the_broker(#[case] same: bool) {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let (user, password) = account(&station, "zeroconf-ca", "uuid", "psk");
    let accounts = [(user.as_str(), password.as_str())];
    let wanted =
        Wanted { names: &["broker.example.test"], accounts: &accounts, ..Wanted::default() };
    let broker = Mosquitto::start(&wanted);
    let id = if same { user.as_str() } else { "someone-else" };
    let _client = Client::start(&broker, id, &user, &password);
    let ended = run(&station, "zeroconf-ca", &broker, &[]);
    let record = ended.json();
    let expected = if same { (3, "ERROR") } else { (0, "PASS") };
    assert_eq!(
        (ended.code(), record["verdict"].as_str()),
        (expected.0, Some(expected.1)),
        "{record:#}"
    );
    if same {
        assert_eq!(record["diagnosis"]["code"], "testbed.identity_in_use", "{record:#}");
        let message = check(&record, "mqtt_connect")["diagnosis"]["message"].to_string();
        assert!(message.contains(id) && message.contains("held in reset"), "{message}");
    }
}
