//! Services that do everything right but their last step. No list of faults knows them, so whoever finds
//! them out went to the end: a unit that fails at one must not be blamed.
//!
//! Each probe is first shown the same service with its last step right: a probe that finds fault with
//! everything would pass these tests too.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener as Reserved},
    sync::{Arc, LazyLock},
    time::Duration,
};

use goldline::{
    bench::probe::{
        BenchStation, BrokerProbe, CaProbe, ConfigProbe, Errand, PlannedNetwork, ProbeError,
        Session, TimeProbe, UpdateProbe, ask_the_time, connect_to_broker, download_update,
        fetch_configuration, join_network, register_at_ca, report, run_errand,
    },
    check::Witness,
    client::ca::{Registrant, Terms},
    clock::{Clock, Deadline},
    identity::Mac,
    secret::Secret,
    testbed::{
        access_point::AccessPoint,
        authority::{Authority, Issued},
        http_server::{Answer, Call, Gate, Handler, HttpServer, Limits},
        network::{Network, Station},
    },
};
use hyper::{StatusCode, body::Bytes};
use rstest::rstest;
use rumqttc::mqttbytes::{
    QoS,
    v4::{ConnAck, ConnectReturnCode, Packet, Publish, SubAck, SubscribeReasonCode},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::bytes::BytesMut;

use super::{
    access_point::{PASSPHRASE, SSID, network},
    bench::{A_YEAR, PASSWORD, USERNAME, authority, host, patience},
};

const BROKER: &str = "broker.example.test";
const CA: &str = "ca.example.test";
const CONFIG: &str = "config.example.test";
const TIME: &str = "time.example.test";
const UPDATES: &str = "updates.example.test";
const UUID: &str = "0c0f1a2e-1111-5222-8333-444455556666";
const COMMANDS: &str = "unit/command";
const EVENTS: &str = "unit/event";
const WORD: &str = "a word";
static SUBSCRIPTION: LazyLock<String> = LazyLock::new(|| COMMANDS.to_owned());

/// A network, and whom its units trust.
struct Bench {
    access_point: AccessPoint,
    station: BenchStation,
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        let access_point = AccessPoint::start(network(), &[], Clock::system());
        let station = BenchStation::near(Arc::new(access_point.clone()));
        Self { access_point, station, authority: authority() }
    }

    fn lead(&self, name: &str, port: u16, to: SocketAddr) {
        self.access_point.redirect(&host(name), port, to).expect("there is room");
    }

    fn certificate(&self, name: &str) -> Issued {
        self.authority.issue_server(&[name.to_owned()], A_YEAR).expect("a certificate")
    }
}

/// What stands in the record of a unit that failed there.
fn is_witnessed(outcome: Result<(), ProbeError>) -> bool {
    let witness = Witness::of_probe(report("do as the unit", "did as the unit", outcome));
    witness.is_sound()
}

fn passphrase() -> Secret {
    Secret::new(PASSPHRASE)
}

/// Answers every request, whatever it is, with these bytes, and closes.
async fn answering(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            // A client that had enough is no fault of this server.
            let _taken = stream.write_all(&answer).await;
            let _closed = stream.shutdown().await;
        }
    });
    address
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.map_or(0, |length| length.parse().expect("a number")) <= body.len() {
                return;
            }
        }
        if stream.read_buf(&mut request).await.is_ok_and(|read| read == 0) {
            return;
        }
    }
}

fn http(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_without_an_address_left_is_found_out() {
    let bench = Bench::new();
    let passphrase = passphrase();
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    assert!(is_witnessed(join_network(&bench.station, network).await));
    for number in 0_u32.. {
        let [_, a, b, c] = number.to_be_bytes();
        let mac = [0x02, 0, 0, a, b, c];
        let neighbour =
            Station { mac, ssid: SSID.as_bytes(), passphrase: PASSPHRASE, asks_by_name: true };
        if bench.access_point.join(&neighbour).is_err() {
            break;
        }
    }
    // The bench has joined before: only a station that the network never saw finds that out.
    assert!(!is_witnessed(join_network(&bench.station, network).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_nowhere_is_found_out() {
    let bench = Bench::new();
    let closed = Reserved::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    bench.lead(CONFIG, 80, closed.local_addr().expect("it is bound"));
    drop(closed);
    assert!(!is_witnessed(configuration(&bench).await));
}

/// What a broker does beyond the handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broker {
    ClosesAfterHandshake,
    GrantsNothing,
    DeliversNothing,
    Delivers,
}

impl Broker {
    async fn start(self, certificate: &Issued) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let acceptor = acceptor(certificate);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await
                    && self != Self::ClosesAfterHandshake
                {
                    tokio::spawn(self.serve(stream));
                }
            }
        });
        address
    }

    /// One client; a word for it comes as soon as it listens.
    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut unread = BytesMut::new();
        loop {
            let packet = match Packet::read(&mut unread, 64 * 1024) {
                Ok(packet) => packet,
                Err(_) => match stream.read_buf(&mut unread).await {
                    Ok(1..) => continue,
                    _ => return,
                },
            };
            let answers = match packet {
                Packet::Connect(_) => {
                    vec![Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))]
                }
                Packet::Subscribe(subscribe) => {
                    let granted = match self {
                        Self::GrantsNothing => SubscribeReasonCode::Failure,
                        _ => SubscribeReasonCode::Success(subscribe.filters[0].qos),
                    };
                    let ack = Packet::SubAck(SubAck::new(subscribe.pkid, vec![granted]));
                    let said = Publish::new(COMMANDS, QoS::AtMostOnce, WORD);
                    let word = (self == Self::Delivers).then(|| Packet::Publish(said));
                    [ack].into_iter().chain(word).collect()
                }
                _ => continue,
            };
            let mut bytes = BytesMut::new();
            for answer in answers {
                answer.write(&mut bytes, 64 * 1024).expect("it is a packet");
            }
            if stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

fn acceptor(certificate: &Issued) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificate.signed.chain.as_bytes())
        .collect::<Result<_, _>>()
        .expect("the chain is PEM");
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose().as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("key and chain belong together");
    TlsAcceptor::from(Arc::new(config))
}

#[rstest]
#[case::closes_after_the_handshake(Broker::ClosesAfterHandshake, false)]
#[case::grants_nothing(Broker::GrantsNothing, false)]
#[case::says_yes(Broker::DeliversNothing, true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_lets_in_and_nothing_more_is_found_out(
    #[case] broker: Broker,
    #[case] sound: bool,
) {
    let bench = Bench::new();
    bench.lead(BROKER, 8883, broker.start(&bench.certificate(BROKER)).await);
    let (passphrase, password) = (passphrase(), Secret::new(PASSWORD));
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let probe = broker_probe(&bench, &password);
    let outcome = connect_to_broker(&bench.station, network, &probe, patience()).await;
    assert_eq!(is_witnessed(outcome), sound);
}

#[rstest]
#[case::delivers(Broker::Delivers, true)]
#[case::takes_every_message_and_keeps_it(Broker::DeliversNothing, false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_delivers_nothing_is_found_out(#[case] broker: Broker, #[case] sound: bool) {
    let bench = Bench::new();
    let address = broker.start(&bench.certificate(BROKER)).await;
    bench.lead(BROKER, 8883, address);
    let (passphrase, password) = (passphrase(), Secret::new(PASSWORD));
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let probe = broker_probe(&bench, &password);
    let errand = Errand { hears: COMMANDS, says: EVENTS, text: WORD, ready: &|| {} };
    let deadline = Deadline::after(Duration::from_secs(5));
    let outcome = run_errand(&bench.station, network, &probe, &errand, deadline).await;
    assert_eq!(is_witnessed(outcome), sound);
}

fn broker_probe<'a>(bench: &'a Bench, password: &'a Secret) -> BrokerProbe<'a> {
    BrokerProbe {
        host: BROKER,
        port: 8883,
        ca_pem: bench.authority.root_pem(),
        credentials: Some((USERNAME, password)),
        client_id: "goldline-witness",
        session: Session::Clean,
        client_certificate: None,
        subscriptions: std::slice::from_ref(&*SUBSCRIPTION),
    }
}

/// What a CA answers, whose last step is right or not.
fn registration(bench: &Bench, name: &str, validity: time::Duration) -> Vec<u8> {
    let signed = bench.authority.issue_device(name, validity).expect("a certificate").signed;
    let issuers = [bench.authority.intermediate_pem(), bench.authority.root_pem()].concat();
    let body = json!({
        "success": true,
        "certificate": signed.certificate,
        "ca_cert": issuers,
        "expiry": signed.expires.format(&Rfc3339).expect("it has four digits"),
    });
    http(body.to_string().as_bytes())
}

async fn registered(bench: &Bench, signing_request: bool) -> Result<(), ProbeError> {
    let (passphrase, psk) = (passphrase(), Secret::new("7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a"));
    let mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);
    let probe = CaProbe {
        url: "http://ca.example.test:8080",
        trusted: bench.authority.root_pem(),
        registrant: Registrant { uuid: UUID, psk: &psk, mac, device_type: "esp32" },
        terms: Terms {
            production: false,
            signing_request,
            minimum_validity: Duration::ZERO,
            trusted_roots: Some(bench.authority.root_pem()),
            clock: Clock::system(),
        },
    };
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    register_at_ca(&bench.station, network, &probe, patience()).await
}

/// Every certificate here is good in itself; and the answer is judged, not only its status.
#[rstest]
#[case::sound(UUID, A_YEAR, false, 0, true)]
#[case::for_another_key(UUID, A_YEAR, true, 0, false)]
#[case::for_another_unit("another", A_YEAR, false, 0, false)]
#[case::over(UUID, time::Duration::hours(-12), false, 0, false)]
#[case::cut_off(UUID, A_YEAR, false, 1, false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_certifies_what_does_not_fit_is_found_out(
    #[case] name: &str,
    #[case] validity: time::Duration,
    #[case] signing_request: bool,
    #[case] cut: usize,
    #[case] sound: bool,
) {
    let bench = Bench::new();
    let mut answer = registration(&bench, name, validity);
    answer.truncate(answer.len() - cut);
    bench.lead(CA, 8080, answering(answer).await);
    assert_eq!(is_witnessed(registered(&bench, signing_request).await), sound);
}

async fn configuration(bench: &Bench) -> Result<(), ProbeError> {
    let passphrase = passphrase();
    let probe = ConfigProbe {
        url: "http://config.example.test/A1B2C3D4E5F6",
        trusted: bench.authority.root_pem(),
        mqtt_host: BROKER,
    };
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    fetch_configuration(&bench.station, network, &probe, patience()).await
}

#[rstest]
#[case::sound(
    r#"{"company":"Example","development":"production","mqtt_host":"broker.example.test"}"#,
    true
)]
#[case::without_its_last_field(r#"{"company":"Example","development":"production"}"#, false)]
#[case::with_an_empty_field(
    r#"{"company":"","development":"production","mqtt_host":"broker.example.test"}"#,
    false
)]
#[case::of_another_broker(
    r#"{"company":"Example","development":"production","mqtt_host":"other.example.test"}"#,
    false
)]
#[case::cut_off(
    r#"{"company":"Example","development":"production","mqtt_host":"broker.example.test""#,
    false
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_config_server_that_leaves_something_out_is_found_out(
    #[case] body: &str,
    #[case] sound: bool,
) {
    let bench = Bench::new();
    bench.lead(CONFIG, 80, answering(http(body.as_bytes())).await);
    assert_eq!(is_witnessed(configuration(&bench).await), sound);
}

#[rstest]
#[case::sound(0, 0, true)]
#[case::without_its_last_byte(1, 0, false)]
#[case::with_one_wrong_bit(0, 1, false)]
#[tokio::test(flavor = "multi_thread")]
async fn an_update_server_that_spoils_the_end_is_found_out(
    #[case] cut: usize,
    #[case] flip: u8,
    #[case] sound: bool,
) {
    let bench = Bench::new();
    let image: Vec<u8> = (0..70_000_u32).map(|byte| byte as u8).collect();
    let mut given = image.clone();
    given.truncate(image.len() - cut);
    *given.last_mut().expect("it has bytes") ^= flip;
    let handler: Handler = Arc::new(move |_: &Call| {
        Answer::content(StatusCode::OK, "application/octet-stream", Bytes::from(given.clone()))
    });
    let limits = Limits::default();
    let server =
        HttpServer::secure(&bench.certificate(UPDATES), limits, Gate::for_anyone(), handler).await;
    let server = server.expect("a port");
    bench.lead(UPDATES, 443, server.address());
    let passphrase = passphrase();
    let probe = UpdateProbe {
        url: "https://updates.example.test/image.bin",
        trusted: bench.authority.root_pem(),
        image: &image,
    };
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let outcome = download_update(&bench.station, network, &probe, patience()).await;
    assert_eq!(is_witnessed(outcome), sound);
}

/// What is wrong with a time server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clockwork {
    Right,
    AnHourOff,
    AnswersAnother,
    KnowsNoTime,
}

impl Clockwork {
    async fn start(self) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = socket.local_addr().expect("it is bound");
        tokio::spawn(async move {
            let mut question = [0; 48];
            while let Ok((_, peer)) = socket.recv_from(&mut question).await {
                let _heard = socket.send_to(&self.answer(&question), peer).await;
            }
        });
        address
    }

    fn answer(self, question: &[u8; 48]) -> [u8; 48] {
        let off = if self == Self::AnHourOff { 3600 } else { 0 };
        let seconds = OffsetDateTime::now_utc().unix_timestamp() + 2_208_988_800 - off;
        let mut answer = [0; 48];
        (answer[0], answer[1]) = (0x24, 1);
        if self == Self::KnowsNoTime {
            (answer[0], answer[1]) = (0xe4, 0);
        }
        if self != Self::AnswersAnother {
            answer[24..32].copy_from_slice(&question[40..48]);
        }
        answer[40..44].copy_from_slice(&(seconds as u32).to_be_bytes());
        answer
    }
}

#[rstest]
#[case::sound(Clockwork::Right, true)]
#[case::an_hour_off(Clockwork::AnHourOff, false)]
#[case::answers_another_question(Clockwork::AnswersAnother, false)]
#[case::knows_no_time(Clockwork::KnowsNoTime, false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_time_server_that_tells_the_wrong_time_is_found_out(
    #[case] clockwork: Clockwork,
    #[case] sound: bool,
) {
    let bench = Bench::new();
    let address = clockwork.start().await;
    bench.access_point.redirect_datagrams(&host(TIME), 123, address).expect("there is room");
    let passphrase = passphrase();
    let probe = TimeProbe { host: TIME, port: 123, clock: Clock::system() };
    let network = PlannedNetwork { ssid: SSID, passphrase: &passphrase };
    let outcome = ask_the_time(&bench.station, network, &probe, patience()).await;
    assert_eq!(is_witnessed(outcome), sound);
}
