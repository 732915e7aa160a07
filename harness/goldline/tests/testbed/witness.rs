//! The whole testbed, and what its own station says of it, faults included.

use std::sync::Arc;

use goldline::{
    bench::probe::{
        BenchStation, BrokerProbe, PlannedNetwork, ProbeError, Session, connect_to_broker,
        join_network,
    },
    clock::Clock,
    secret::Secret,
    testbed::{
        Testbed, TestbedConfig,
        broker::{Account, ClientAuth},
        fault::TestbedFault,
        network::{Refusal, reason},
    },
};

use super::{
    access_point::{PASSPHRASE, SSID, network},
    bench::{A_YEAR, PASSWORD, USERNAME, account, authority, patience},
};

const HOST: &str = "broker.example.test";
const PORT: u16 = 8883;

fn config(faults: &[TestbedFault]) -> TestbedConfig {
    TestbedConfig {
        external_broker: None,
        authority: Arc::new(authority()),
        access_point: network(),
        broker_endpoints: vec![format!("mqtts://{HOST}:{PORT}").parse().expect("an address")],
        accounts: vec![account()],
        identity: None,
        client_auth: None,
        ca: None,
        config_server: None,
        time_server: None,
        update_server: None,
        faults: faults.to_vec().into(),
        clock: Clock::system(),
    }
}

async fn testbed(faults: &[TestbedFault]) -> Testbed {
    Testbed::start(config(faults)).await.expect("the testbed starts")
}

fn station(testbed: &Testbed) -> BenchStation {
    BenchStation::near(Arc::clone(&testbed.network))
}

/// Probes with the plan's credentials, as after a unit's failure.
async fn probe(testbed: &Testbed, password: &str) -> Result<(), ProbeError> {
    let (passphrase, password) = (Secret::new(PASSPHRASE), Secret::new(password));
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let probe = BrokerProbe {
        host: HOST,
        port: PORT,
        ca_pem: testbed.authority().root_pem(),
        credentials: Some((USERNAME, &password)),
        client_id: "goldline-witness",
        session: Session::Clean,
        client_certificate: None,
        subscriptions: &[],
    };
    connect_to_broker(&station(testbed), network, &probe, patience()).await
}

async fn join(testbed: &Testbed) -> Result<(), ProbeError> {
    let passphrase = Secret::new(PASSPHRASE);
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    join_network(&station(testbed), network).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_testbed_is_witnessed() {
    let testbed = testbed(&[]).await;
    join(&testbed).await.expect("the network is sound");
    probe(&testbed, PASSWORD).await.expect("the broker is sound");
    let seen = testbed
        .broker
        .wait_for(patience(), |connection| connection.is_accepted().then(|| connection.clone()))
        .await
        .expect("the probe is in the log");
    assert_eq!(seen.tls.and_then(|tls| tls.server_name).as_deref(), Some(HOST));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_of_the_plan_is_told() {
    let testbed = testbed(&[]).await;
    let refusal = probe(&testbed, "wrong").await;
    assert!(matches!(refusal, Err(ProbeError::BadCredentials)), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_access_point_is_told() {
    let testbed = testbed(&[TestbedFault::AccessPointAbsent]).await;
    let expected = Refusal { reason: reason::NO_AP_FOUND };
    for refusal in [join(&testbed).await, probe(&testbed, PASSWORD).await] {
        assert!(matches!(refusal, Err(ProbeError::NotJoined(seen)) if seen == expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_passphrase_is_told() {
    let testbed = testbed(&[TestbedFault::AccessPointPassword]).await;
    let expected = Refusal { reason: reason::FOUR_WAY_HANDSHAKE_TIMEOUT };
    let refusal = join(&testbed).await;
    assert!(matches!(refusal, Err(ProbeError::NotJoined(seen)) if seen == expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_an_unknown_ca_is_told() {
    let testbed = testbed(&[TestbedFault::BrokerUnknownCa]).await;
    let refusal = probe(&testbed, PASSWORD).await;
    assert!(matches!(refusal, Err(ProbeError::ServerUntrusted(_))), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_told() {
    let testbed = testbed(&[TestbedFault::BrokerDown]).await;
    let refusal = probe(&testbed, PASSWORD).await;
    assert!(matches!(refusal, Err(ProbeError::Unreachable { .. })), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_answers_for_is_told() {
    let testbed = testbed(&[]).await;
    let passphrase = Secret::new(PASSPHRASE);
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let probe = BrokerProbe {
        host: "other.example.test",
        port: PORT,
        ca_pem: testbed.authority().root_pem(),
        credentials: None,
        client_id: "goldline-witness",
        session: Session::Clean,
        client_certificate: None,
        subscriptions: &[],
    };
    let refusal = connect_to_broker(&station(&testbed), network, &probe, patience()).await;
    assert!(matches!(refusal, Err(ProbeError::UnknownName { .. })), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_with_the_units_own_certificate_and_id_is_witnessed() {
    let mut config = config(&[]);
    config.client_auth = Some(ClientAuth {
        ca_pem: config.authority.root_pem().to_owned(),
        common_name_is_client_id: true,
    });
    config.accounts = vec![Account { client_id: Some("unit-1".to_owned()), ..account() }];
    let own = config.authority.issue_device("unit-1", A_YEAR).expect("a certificate").into();
    let testbed = Testbed::start(config).await.expect("the testbed starts");
    let (passphrase, password) = (Secret::new(PASSPHRASE), Secret::new(PASSWORD));
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let probe = BrokerProbe {
        host: HOST,
        port: PORT,
        ca_pem: testbed.authority().root_pem(),
        credentials: Some((USERNAME, &password)),
        client_id: "unit-1",
        session: Session::Clean,
        client_certificate: Some(&own),
        subscriptions: &[],
    };
    let station = station(&testbed);
    connect_to_broker(&station, network, &probe, patience()).await.expect("the broker is sound");

    let without = BrokerProbe { client_certificate: None, ..probe.clone() };
    let refusal = connect_to_broker(&station, network, &without, patience()).await;
    assert!(matches!(refusal, Err(ProbeError::TlsFailed(_))), "{refusal:?}");
    let other_id = BrokerProbe { client_id: "goldline-witness", ..probe };
    let refusal = connect_to_broker(&station, network, &other_id, patience()).await;
    assert!(matches!(refusal, Err(ProbeError::NotAuthorized)), "{refusal:?}");
}
