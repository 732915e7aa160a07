//! The time server as a client of RFC 4330 finds it.

use std::net::Ipv4Addr;

use goldline::{
    clock::Clock,
    testbed::{
        caller::Caller,
        fault::TestbedFault,
        time_server::{TimeAsked, TimeServer},
    },
};
use rstest::rstest;
use time::{OffsetDateTime, macros::datetime};
use tokio::{net::UdpSocket, time::timeout};

use super::bench::{PATIENCE, patience};

/// Half a second into 1972: RFC 4330 gives its start as 2 272 060 800 seconds from 1900.
const NOW: OffsetDateTime = datetime!(1972-01-01 00:00:00.5 UTC);
const NOW_AS_TIMESTAMP: [u8; 8] = [0x87, 0x6C, 0xE5, 0x80, 0x80, 0, 0, 0];
/// The client's own mark, which needs not be a time.
const MARK: [u8; 8] = *b"any mark";
const US: Ipv4Addr = Ipv4Addr::LOCALHOST;

async fn server(now: OffsetDateTime, faults: &[TestbedFault]) -> TimeServer {
    TimeServer::start(Clock::fixed(now), faults).await.expect("a port")
}

/// Leap 0, this version, mode 3, and the mark where the time of sending stands.
fn question(version: u8) -> [u8; 48] {
    let mut question = [0; 48];
    question[0] = version << 3 | 3;
    question[2] = 6;
    question[40..].copy_from_slice(&MARK);
    question
}

async fn client(server: &TimeServer) -> UdpSocket {
    let socket = UdpSocket::bind((US, 0)).await.expect("a port");
    socket.connect(server.address()).await.expect("it is an address");
    socket
}

async fn ask(server: &TimeServer, question: &[u8]) -> Vec<u8> {
    let socket = client(server).await;
    socket.send(question).await.expect("it is sent");
    let mut answer = [0; 512];
    let length = timeout(PATIENCE, socket.recv(&mut answer)).await.expect("it answers");
    answer[..length.expect("it is there")].to_vec()
}

#[rstest]
#[tokio::test]
async fn a_question_is_answered_as_rfc_4330_says(#[values(1, 2, 3, 4)] version: u8) {
    let server = server(NOW, &[]).await;
    let answer = ask(&server, &question(version)).await;
    assert_eq!(answer.len(), 48);
    assert_eq!(answer[0] >> 6, 0, "it warns of a leap second");
    assert_eq!(answer[0] >> 3 & 7, version, "the version is the question's");
    assert_eq!(answer[0] & 7, 4, "it is no server");
    assert!((1..16).contains(&answer[1]), "stratum {} is not synchronised", answer[1]);
    assert_eq!(answer[2], 6, "the poll interval is the question's");
    assert_eq!(answer[24..32], MARK, "the mark comes back");
    assert_eq!(answer[32..40], NOW_AS_TIMESTAMP, "the time of arrival");
    assert_eq!(answer[40..48], NOW_AS_TIMESTAMP, "the time of sending");
    let asked = server.follow().next(patience()).await.expect("it is in the log").event;
    assert_eq!(asked, TimeAsked { peer: US, caller: Caller::Stranger, answered: Some(NOW) });
}

#[rstest]
#[case::last_of_the_first_era(datetime!(2036-02-07 06:28:15 UTC), u32::MAX)]
#[case::first_of_the_second(datetime!(2036-02-07 06:28:16 UTC), 0)]
#[case::before_unix(datetime!(1969-12-31 23:59:59 UTC), 2_208_988_799)]
#[tokio::test]
async fn seconds_count_from_1900_and_begin_again_in_2036(
    #[case] now: OffsetDateTime,
    #[case] seconds: u32,
) {
    let answer = ask(&server(now, &[]).await, &question(4)).await;
    assert_eq!(answer[40..44], seconds.to_be_bytes());
    assert_eq!(answer[44..], [0; 4]);
}

#[tokio::test]
async fn a_wrong_server_is_a_year_slow_and_otherwise_right() {
    let server = server(NOW, &[TestbedFault::TimeServerWrong]).await;
    let answer = ask(&server, &question(4)).await;
    let seconds = u32::from_be_bytes(answer[40..44].try_into().expect("four bytes"));
    assert_eq!(2_272_060_800 - seconds, 365 * 86_400);
    assert_eq!((answer[0] & 7, &answer[24..32]), (4, &MARK[..]));
}

#[tokio::test]
async fn a_silent_server_notes_the_question_and_does_not_answer() {
    let server = server(NOW, &[TestbedFault::TimeServerSilent]).await;
    let socket = client(&server).await;
    socket.send(&question(4)).await.expect("it is sent");
    let asked = server.follow().next(patience()).await.expect("it is in the log").event;
    assert_eq!(asked, TimeAsked { peer: US, caller: Caller::Stranger, answered: None });
    // What is noted was dealt with, so an answer would be here by now.
    let nothing = socket.try_recv(&mut [0; 64]).expect_err("no answer");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[rstest]
#[case::nothing(&[])]
#[case::text(b"what time is it?")]
#[case::cut_short(&question(4)[..47])]
#[case::an_answer(&{ let mut answer = question(4); answer[0] = 0x24; answer })]
#[case::version_0(&question(0))]
#[case::version_5(&question(5))]
#[case::large(&[0xFF; 1400])]
#[tokio::test]
async fn what_is_no_question_gets_no_answer_and_stops_nothing(#[case] datagram: &[u8]) {
    let server = server(NOW, &[]).await;
    let socket = client(&server).await;
    socket.send(datagram).await.expect("it is sent");
    let asked = server.follow().next(patience()).await.expect("it is in the log").event;
    assert_eq!(asked, TimeAsked { peer: US, caller: Caller::Stranger, answered: None });
    let nothing = socket.try_recv(&mut [0; 64]).expect_err("no answer");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(ask(&server, &question(4)).await.len(), 48);
}

#[tokio::test]
async fn a_question_with_authentication_is_answered_without() {
    let server = server(NOW, &[]).await;
    let answer = ask(&server, &[&question(4)[..], &[0xA5; 20]].concat()).await;
    assert_eq!(answer.len(), 48);
}

#[tokio::test]
async fn every_question_is_noted_in_order() {
    let server = server(NOW, &[]).await;
    ask(&server, &question(4)).await;
    ask(&server, &question(3)).await;
    let mut log = server.follow();
    for _ in 0..2 {
        assert_eq!(log.next(patience()).await.expect("it is noted").event.peer, US);
    }
    assert_eq!(server.asked().len(), 2);
}
