//! Who is let in and who is not, and what the log says about it.

use goldline::secret::Secret;
use goldline::testbed::broker::{
    Account, Admission, Ending, Happening, RefusedBecause, Subscription, TlsFailureCause,
};
use rstest::rstest;
use rumqttc::{ConnectReturnCode, Packet};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::bench::{
    A_YEAR, Client, PASSWORD, USERNAME, account, authority, broker_config, ended, patience, start,
    start_broker, tls, tls_error,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_client_is_accepted_and_every_fact_is_in_the_log() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let _client = Client::good(&broker, &authority, "unit-1").connected().await;

    let facts = broker
        .wait_for(patience(), |connection| connection.is_accepted().then(|| connection.clone()))
        .await
        .expect("the log has the connection");
    assert!(facts.peer.ip().is_loopback());
    assert!(facts.secured.expect("TLS is up") <= facts.answered.expect("the CONNECT is answered"));
    let tls = facts.tls.expect("the handshake is in the log");
    assert_eq!(tls.version, "TLSv1.3");
    assert_eq!(tls.server_name.as_deref(), Some("localhost"));
    assert!(tls.cipher_suite.starts_with("TLS13_"), "{}", tls.cipher_suite);
    assert_eq!(tls.client_certificate, None);
    let connect = facts.connect.expect("the CONNECT is in the log");
    assert_eq!(connect.client_id, "unit-1");
    assert_eq!(connect.username.as_deref(), Some(USERNAME));
    assert!(connect.clean_session);
    assert_eq!(connect.keep_alive_s, 60);
    assert_eq!(connect.admission, Admission::Accepted);
}

#[rstest]
#[case::wrong_password(
    Some((USERNAME, "wrong")),
    ConnectReturnCode::BadUserNamePassword,
    RefusedBecause::WrongPassword
)]
#[case::unknown_user(
    Some(("nobody", PASSWORD)),
    ConnectReturnCode::BadUserNamePassword,
    RefusedBecause::UnknownUser
)]
#[case::no_credentials(None, ConnectReturnCode::NotAuthorized, RefusedBecause::NoCredentials)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_right_credentials_is_refused(
    #[case] login: Option<(&str, &str)>,
    #[case] code: ConnectReturnCode,
    #[case] because: RefusedBecause,
) {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut client = Client::new(&broker, tls(authority.root_pem(), None), "unit-1", login);
    assert_eq!(client.connect().await.expect("TLS works"), code);

    let refused = ended(&broker).await;
    assert_eq!(refused.connect.expect("a CONNECT").admission, Admission::Refused(because));
    assert_eq!(refused.ending, Some(Ending::Refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_one_client_id_refuses_another() {
    let authority = authority();
    let mut config = broker_config(&authority);
    config.accounts = vec![Account {
        username: USERNAME.to_owned(),
        password: Secret::new(PASSWORD),
        client_id: Some("unit-1".to_owned()),
    }];
    let broker = start(config).await;
    let answer = Client::good(&broker, &authority, "unit-2").connect().await;
    assert_eq!(answer.expect("TLS works"), ConnectReturnCode::NotAuthorized);
    let _right = Client::good(&broker, &authority, "unit-1").connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_counts_from_its_grant_to_its_revocation() {
    let authority = authority();
    let mut config = broker_config(&authority);
    config.accounts.clear();
    let broker = start(config).await;
    let answer = async || Client::good(&broker, &authority, "unit-1").connect().await;
    let refused = ConnectReturnCode::BadUserNamePassword;
    assert_eq!(answer().await.expect("TLS works"), refused);
    broker.grant(account());
    assert_eq!(answer().await.expect("TLS works"), ConnectReturnCode::Success);
    broker.grant(Account { password: Secret::new("another"), ..account() });
    assert_eq!(answer().await.expect("TLS works"), refused);
    broker.grant(account());
    broker.revoke(USERNAME);
    assert_eq!(answer().await.expect("TLS works"), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_open_to_all_needs_no_credentials() {
    let authority = authority();
    let mut config = broker_config(&authority);
    config.allow_anonymous = true;
    let broker = start(config).await;
    let tls = tls(authority.root_pem(), None);
    let _client = Client::new(&broker, tls, "unit-1", None).connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_another_ca_is_seen_to_distrust() {
    let (own, foreign) = (authority(), authority());
    let broker = start_broker(&own).await;
    let mut client = Client::good(&broker, &foreign, "unit-1");
    let error = tls_error(client.connect().await.expect_err("the certificate is not trusted"));
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error:?}");

    let failure = ended(&broker).await.tls_failure.expect("the handshake failed");
    assert_eq!(failure.cause, TlsFailureCause::Alert("UnknownCA".to_owned()));
    assert!(failure.cause.is_distrust());
    assert_eq!(failure.server_name.as_deref(), Some("localhost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_another_name_does_not_get_through() {
    let authority = authority();
    let names = ["other.example.test".to_owned()];
    let mut config = broker_config(&authority);
    config.server = authority.issue_server(&names, A_YEAR).expect("a certificate");
    let broker = start(config).await;
    let mut client = Client::good(&broker, &authority, "unit-1");
    let error = tls_error(client.connect().await.expect_err("the name is wrong"));
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error:?}");
    let failure = ended(&broker).await.tls_failure.expect("the handshake failed");
    assert!(failure.cause.is_distrust(), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_connect_at_once_and_each_gets_its_own_message() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..200 {
        let client = Client::good(&broker, &authority, &format!("unit-{number}"));
        clients.spawn(async move {
            let mut client = client.connected().await;
            client.subscribe(&format!("to/unit-{number}")).await;
            (number, client)
        });
    }
    for (number, mut client) in clients.join_all().await {
        let text = format!("for unit {number}");
        broker.publish(&format!("to/unit-{number}"), text.as_bytes()).expect("the router runs");
        assert_eq!(client.next_message().await.payload, text.as_bytes());
    }
    let accepted = broker.connections().iter().filter(|seen| seen.is_accepted()).count();
    assert_eq!(accepted, 200);
}

#[rstest]
#[case::mqtt_5(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0], &[0x20, 3, 0, 0x84, 0])]
#[case::mqtt_3_1(
    &[0x10, 14, 0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, 2, 0, 60, 0, 0],
    &[0x20, 2, 0, 1]
)]
#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_version_is_answered_in_its_own_words(
    #[case] connect: &[u8],
    #[case] answer: &[u8],
) {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let config = std::sync::Arc::new(tls(authority.root_pem(), None));
    let name = "localhost".try_into().expect("a DNS name");
    let tcp = TcpStream::connect(broker.address()).await.expect("the broker listens");
    let mut stream = TlsConnector::from(config).connect(name, tcp).await.expect("TLS works");
    stream.write_all(connect).await.expect("the broker reads");
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.expect("the broker closes cleanly");
    assert_eq!(read, answer);
    drop(stream);
    let ending = ended(&broker).await.ending;
    assert!(
        matches!(&ending, Some(Ending::ProtocolError(text)) if text.contains("protocol level")),
        "{ending:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_clients_hold_up_nobody() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(broker.address()).await.expect("the broker listens"));
    }
    let _good = Client::good(&broker, &authority, "unit-1").connected().await;
    let open = broker.connections();
    assert_eq!(open.iter().filter(|connection| connection.ending.is_none()).count(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_the_handshake_is_put_out() {
    let authority = authority();
    let mut config = broker_config(&authority);
    config.handshake_deadline = Duration::from_millis(50);
    let broker = start(config).await;
    let mut silent = TcpStream::connect(broker.address()).await.expect("the broker listens");
    assert_eq!(silent.read(&mut [0]).await.expect("the broker closes"), 0);
    let failure = ended(&broker).await.tls_failure.expect("the handshake failed");
    assert_eq!(failure.cause, TlsFailureCause::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_messages_and_the_end_are_recorded() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut unit = Client::good(&broker, &authority, "unit-1").connected().await;
    unit.subscribe("devices/unit-1/command").await;
    unit.publish("devices/unit-1/status", "online", false).await;
    unit.requests.disconnect().await.expect("the client runs");
    unit.gone().await;

    let seen = ended(&broker).await;
    let filter = "devices/unit-1/command".to_owned();
    assert_eq!(seen.subscriptions, [Subscription { filter, granted_qos: Some(1) }]);
    let (_, message) = &seen.published[0];
    assert_eq!(message.topic, "devices/unit-1/status");
    assert_eq!(message.payload, b"online");
    assert_eq!(seen.ending, Some(Ending::Disconnected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_the_bench_reaches_the_unit_and_the_answer_is_seen() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut unit = Client::good(&broker, &authority, "unit/1 #+$").connected().await;
    unit.subscribe("command").await;
    broker.publish("command", b"ping").expect("the router runs");
    let command = unit.next_message().await;
    assert_eq!((command.topic.as_str(), &command.payload[..]), ("command", &b"ping"[..]));
    unit.publish("answer", "pong", false).await;
    let answer = broker
        .wait_for(patience(), |connection| {
            connection.published.iter().find(|(_, message)| message.topic == "answer").cloned()
        })
        .await
        .expect("the answer is in the log");
    assert_eq!(answer.1.payload, b"pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsubscribe_is_answered_once_and_ends_delivery() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut unit = Client::good(&broker, &authority, "unit-1").connected().await;
    unit.subscribe("kept").await;
    unit.subscribe("left").await;
    unit.unsubscribe("never-subscribed").await;
    unit.unsubscribe("left").await;
    broker.publish("left", b"must not arrive").expect("the router runs");
    broker.publish("kept", b"arrives").expect("the router runs");
    let next = unit.packet().await.expect("the connection lasts");
    let Packet::Publish(message) = next else { panic!("a second answer: {next:?}") };
    assert_eq!((message.topic.as_str(), &message.payload[..]), ("kept", &b"arrives"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_events_gets_them_in_order_from_the_beginning() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let _client = Client::good(&broker, &authority, "unit-1").connected().await;
    let mut events = broker.follow();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(events.next(patience()).await.expect("an event").event.what);
    }
    assert!(
        matches!(seen[..], [Happening::Opened, Happening::Secured(_), Happening::Connect(_)]),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_will_of_a_client_that_drops_is_published() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut observer = Client::good(&broker, &authority, "observer").connected().await;
    observer.subscribe("wills").await;

    let config = std::sync::Arc::new(tls(authority.root_pem(), None));
    let name = "localhost".try_into().expect("a DNS name");
    let tcp = TcpStream::connect(broker.address()).await.expect("the broker listens");
    let mut stream = TlsConnector::from(config).connect(name, tcp).await.expect("TLS works");
    let mut connect = rumqttc::Connect::new("mortal");
    connect.set_login(USERNAME, PASSWORD);
    connect.last_will =
        Some(rumqttc::LastWill::new("wills", "gone", rumqttc::QoS::AtMostOnce, false));
    let mut bytes = tokio_util::bytes::BytesMut::new();
    connect.write(&mut bytes).expect("it encodes");
    stream.write_all(&bytes).await.expect("the broker reads");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.expect("a CONNACK");
    assert_eq!(answer, [0x20, 2, 0, 0]);
    drop(stream);
    assert_eq!(&observer.next_message().await.payload[..], b"gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_client_with_the_same_id_takes_the_session_over() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut first = Client::good(&broker, &authority, "unit-1").connected().await;
    let _second = Client::good(&broker, &authority, "unit-1").connected().await;
    first.gone().await;
    // The client may see the end before the broker has noted it.
    assert_eq!(ended(&broker).await.ending, Some(Ending::TakenOver));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_silent_is_put_out_after_its_keep_alive() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let config = std::sync::Arc::new(tls(authority.root_pem(), None));
    let name = "localhost".try_into().expect("a DNS name");
    let tcp = TcpStream::connect(broker.address()).await.expect("the broker listens");
    let mut stream = TlsConnector::from(config).connect(name, tcp).await.expect("TLS works");
    let mut connect = rumqttc::Connect::new("silent");
    connect.keep_alive = 1;
    connect.set_login(USERNAME, PASSWORD);
    let mut bytes = tokio_util::bytes::BytesMut::new();
    connect.write(&mut bytes).expect("it encodes");
    stream.write_all(&bytes).await.expect("the broker reads");
    assert_eq!(ended(&broker).await.ending, Some(Ending::KeepAliveExpired));
}
