//! Brokers of one process share a router and must not notice; nothing of a broker outlives it.

use std::{io, time::Duration};

use goldline::{clock::Clock, testbed::broker::Broker};
use tokio::net::TcpStream;

use super::bench::{Client, authority, broker_config, start_broker};

#[tokio::test(flavor = "multi_thread")]
async fn two_brokers_with_the_same_ids_and_topics_do_not_see_each_other() {
    let authority = authority();
    let (left, right) = (start_broker(&authority).await, start_broker(&authority).await);
    let mut on_left = Client::good(&left, &authority, "unit-1").connected().await;
    let mut on_right = Client::good(&right, &authority, "unit-1").connected().await;
    on_left.subscribe("#").await;
    on_right.subscribe("#").await;

    on_left.publish("news", "kept on the left", true).await;
    left.publish("news", b"command on the left").expect("the router runs");
    // The first thing that reaches the right is the right's own.
    right.publish("news", b"own").expect("the router runs");
    assert_eq!(&on_right.next_message().await.payload[..], b"own");

    let mut late = Client::good(&right, &authority, "late").connected().await;
    late.subscribe("news").await;
    right.publish("news", b"later").expect("the router runs");
    assert_eq!(&late.next_message().await.payload[..], b"later");
    assert_eq!(right.connections().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_session_of_one_broker_is_unknown_to_the_next() {
    let authority = authority();
    let first = start_broker(&authority).await;
    let mut unit = Client::good(&first, &authority, "unit-1").connected().await;
    unit.subscribe("news").await;
    unit.publish("news", "kept", true).await;
    assert_eq!(&unit.next_message().await.payload[..], b"kept");
    first.stop().await;

    let second = start_broker(&authority).await;
    let mut unit = Client::good(&second, &authority, "unit-1").connected().await;
    unit.subscribe("news").await;
    second.publish("news", b"fresh").expect("the router runs");
    assert_eq!(&unit.next_message().await.payload[..], b"fresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_broker_closes_its_listener_and_its_connections() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let address = broker.address();
    let mut client = Client::good(&broker, &authority, "unit-1").connected().await;
    let mut silent = TcpStream::connect(address).await.expect("the broker listens");

    drop(broker);
    client.gone().await;
    let read = tokio::io::AsyncReadExt::read(&mut silent, &mut [0]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    // The listener's task is one of those that were told to end; it has no event to wait for here.
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.expect("the listener closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_broker_is_gone_when_stop_returns() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let address = broker.address();
    let mut client = Client::good(&broker, &authority, "unit-1").connected().await;
    broker.stop().await;
    let refused = TcpStream::connect(address).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    client.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_broker_that_is_down_refuses_connections() {
    let authority = authority();
    let config = broker_config(&authority);
    let broker = Broker::start_down(config, Clock::system()).await.expect("a port is held");
    let refused = TcpStream::connect(broker.address()).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
