//! One bench for many runs: what is lent to one is nobody else's, and ends with its run.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};

use goldline::{
    bench::probe::{
        BenchStation, BrokerProbe, PlannedNetwork, ProbeError, Session, connect_to_broker,
    },
    clock::Clock,
    secret::Secret,
    testbed::{
        Services, Testbed, TestbedConfig,
        access_point::AccessPointConfig,
        air::Air,
        authority::Authority,
        broker::{Account, Admission, RefusedBecause},
        caller::{Borrower, Caller, Callers},
        fault::Faults,
        network::{NetworkKind, Signal},
    },
};
use rstest::rstest;

use super::bench::{authority, patience, start_broker};

const HOST: &str = "broker.example.test";
const PORT: u16 = 8883;

/// What a run plans for its unit.
#[derive(Clone, Copy)]
struct Planned {
    ssid: &'static str,
    passphrase: &'static str,
    username: &'static str,
    password: &'static str,
}

/// The units of one product share their user name, as SafeSignal's do.
const LEFT: Planned = Planned {
    ssid: "bench-left",
    passphrase: "left-passphrase",
    username: "unit",
    password: "left-password",
};
const RIGHT: Planned = Planned {
    ssid: "bench-right",
    passphrase: "right-passphrase",
    username: "unit",
    password: "right-password",
};

struct Shared {
    authority: Arc<Authority>,
    services: Services,
}

impl Shared {
    fn start() -> Self {
        let authority = Arc::new(authority());
        let services = Services::new(
            Air::new(NetworkKind::Air),
            Arc::clone(&authority),
            &Faults::default(),
            Clock::system(),
        );
        Self { services, authority }
    }

    async fn lend(&mut self, planned: Planned) -> Testbed {
        let Planned { ssid, passphrase, username, password } = planned;
        let account = Account {
            username: username.to_owned(),
            password: Secret::new(password),
            client_id: None,
        };
        let place = self.services.air().place();
        let config = TestbedConfig {
            authority: Arc::clone(&self.authority),
            access_point: AccessPointConfig {
                ssid: ssid.to_owned(),
                passphrase: Secret::new(passphrase),
                hidden: false,
                signal: Signal { bssid: [2, 0, 0, 0, 0, 1], channel: 6, rssi_dbm: -42 },
            },
            broker_endpoints: vec![format!("mqtts://{HOST}:{PORT}").parse().expect("an endpoint")],
            accounts: vec![account],
            identity: None,
            client_auth: None,
            external_broker: None,
            ca: None,
            config_server: None,
            time_server: None,
            update_server: None,
            faults: Faults::default(),
            clock: Clock::system(),
        };
        self.services.lend(&place, config, None).await.expect("everything starts")
    }

    /// Goes a unit's way in that testbed, with those values.
    async fn try_in(&self, testbed: &Testbed, as_planned: Planned) -> Result<(), ProbeError> {
        let passphrase = Secret::new(as_planned.passphrase);
        let network = PlannedNetwork { ssid: as_planned.ssid, passphrase: &passphrase };
        let password = Secret::new(as_planned.password);
        let probe = BrokerProbe {
            host: HOST,
            port: PORT,
            ca_pem: self.authority.root_pem(),
            credentials: Some((as_planned.username, &password)),
            client_id: "unit-1",
            session: Session::Clean,
            client_certificate: None,
            subscriptions: &[],
        };
        let station = BenchStation::near(Arc::clone(&testbed.network));
        connect_to_broker(&station, network, &probe, patience()).await
    }
}

#[rstest]
#[case::network(Planned { ssid: RIGHT.ssid, passphrase: RIGHT.passphrase, ..LEFT })]
#[case::passphrase(Planned { passphrase: RIGHT.passphrase, ..LEFT })]
#[case::password(Planned { password: RIGHT.password, ..LEFT })]
#[case::all(RIGHT)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lent_to_one_run_is_no_others(#[case] others: Planned) {
    let mut shared = Shared::start();
    let (left, right) = (shared.lend(LEFT).await, shared.lend(RIGHT).await);
    shared.try_in(&left, others).await.expect_err("it is the other run's");
    shared.try_in(&left, LEFT).await.expect("its own lets it in");
    shared.try_in(&right, RIGHT).await.expect("and the other is not disturbed");
}

#[rstest]
#[case::same_user(RIGHT)]
#[case::same_everything(LEFT)]
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_one_run_locks_out_no_other(#[case] remaining: Planned) {
    let mut shared = Shared::start();
    let (first, second) = (shared.lend(LEFT).await, shared.lend(remaining).await);
    shared.try_in(&first, LEFT).await.expect("the first gets in");
    drop(first);
    shared.try_in(&second, remaining).await.expect("the second still does");
    let third = shared.lend(LEFT).await;
    shared.try_in(&third, LEFT).await.expect("and so does the next");
    assert_eq!(third.broker.connections().len(), 1, "it sees nothing of the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_run_is_not_taken_over_by_another_of_the_same_client_id() {
    let mut shared = Shared::start();
    let (left, right) = (shared.lend(LEFT).await, shared.lend(RIGHT).await);
    shared.try_in(&left, LEFT).await.expect("one gets in");
    shared.try_in(&right, RIGHT).await.expect("the other too, as unit-1");
    for testbed in [left, right] {
        // The client has its answer before the log has.
        let accepted = testbed.broker.wait_for(patience(), |connection| {
            connection.is_accepted().then_some(connection.caller)
        });
        let caller = accepted.await.expect("it was let in");
        assert!(matches!(caller, Caller::Bench(_)), "{caller:?}");
        assert_eq!(testbed.broker.connections().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_belongs_to_no_run_finds_nobodys_broker() {
    let mut shared = Shared::start();
    let left = shared.lend(LEFT).await;
    shared.try_in(&left, LEFT).await.expect("its unit gets in");
    let taken = Ipv4Addr::new(127, 77, 0, 2);
    let stranger = Callers::default();
    for _ in 0..5 {
        let unit = Caller::Unit(Borrower::new());
        let stream = stranger.connect(taken, left.broker.address(), unit);
        let mut stream = stream.expect("it listens");
        // It may be gone already, which is as good.
        let _sent = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
    }
    shared.try_in(&left, LEFT).await.expect("it still does");
    assert!(left.broker.unit_connections().is_empty());
    assert_eq!(left.broker.connections().len(), 2, "{:?}", left.broker.connections());
}

#[tokio::test]
async fn a_connection_is_known_by_both_of_its_ends_and_only_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let service = listener.local_addr().expect("it is bound");
    let (callers, run) = (Callers::default(), Borrower::new());
    let from = Ipv4Addr::new(127, 77, 0, 9);
    let opened = callers.connect(from, service, Caller::Unit(run)).expect("it listens");
    let (_, peer) = listener.accept().await.expect("it came");
    assert_eq!(SocketAddr::from(SocketAddrV4::new(from, peer.port())), peer);
    let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, service.port().wrapping_add(1)));
    assert_eq!(callers.claim(peer, elsewhere), Caller::Stranger);
    let other_port = SocketAddr::from((from, peer.port().wrapping_add(1)));
    assert_eq!(callers.claim(other_port, service), Caller::Stranger);
    assert_eq!(callers.claim(peer, service), Caller::Unit(run));
    assert_eq!(callers.claim(peer, service), Caller::Stranger, "asked once");
    drop(opened);
}

#[tokio::test]
async fn a_refused_connection_leaves_no_announcement() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let service = listener.local_addr().expect("it is bound");
    drop(listener);
    let callers = Callers::default();
    let unit = Caller::Unit(Borrower::new());
    callers.connect(Ipv4Addr::LOCALHOST, service, unit).expect_err("nobody listens");
    assert_eq!(format!("{callers:?}"), format!("{:?}", Callers::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_by_itself_still_serves_anyone() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let client = super::bench::Client::new(
        &broker,
        super::bench::tls(authority.root_pem(), None),
        "unit-1",
        Some(("unit", "wrong")),
    );
    let mut client = client;
    client.connect().await.expect("TLS works");
    let [connection] = &broker.connections()[..] else { panic!("one") };
    assert_eq!(connection.caller, Caller::Stranger);
    let refused = Admission::Refused(RefusedBecause::WrongPassword);
    assert_eq!(connection.connect.as_ref().map(|connect| &connect.admission), Some(&refused));
}
