//! Clients that abuse the broker, with credentials and without: a sound unit beside them is served, and
//! memory stays where it was.

use std::fs;

use goldline::testbed::{authority::Authority, broker::Broker};
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{
    bench::{Client, PASSWORD, PATIENCE, USERNAME, authority, start_broker},
    web::{plain, secure},
};

/// Far below what each attack sends.
const MOST_GROWTH_KB: usize = 100 * 1024;
const NAME: &str = "broker.example.test";

#[derive(Clone, Copy, PartialEq, Debug)]
enum Abuse {
    LongUserNames,
    LargeConnects,
    IdleConnections,
    UnreleasedMessages,
    RetainedMessages,
    LongTopics,
    ManyTopics,
    ManyFilters,
    LastingSessions,
    LargeMessages,
}

fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a field of MQTT");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).expect("below 128");
        length /= 128;
        packet.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn connect(id: &str, username: &str, clean: bool) -> Vec<u8> {
    let flags = 0xC0 | if clean { 2 } else { 0 };
    let head = [&field(b"MQTT")[..], &[4, flags, 0, 60]].concat();
    let fields = [id, username, PASSWORD].map(|text| field(text.as_bytes()));
    packet(0x10, &[head, fields.concat()].concat())
}

fn publish(topic: &str, qos: u8, retain: bool, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = field(topic.as_bytes());
    if qos > 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    body.extend_from_slice(payload);
    packet(0x30 | qos << 1 | u8::from(retain), &body)
}

fn subscribe(filter: &str, id: u16) -> Vec<u8> {
    packet(0x82, &[&id.to_be_bytes()[..], &field(filter.as_bytes()), &[1]].concat())
}

impl Abuse {
    /// What one connection sends after its CONNECT, one after the other: the test itself holds one.
    fn packets(self, client: usize) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        let large = vec![7; 60_000];
        let many = 0..500_u16;
        match self {
            Self::UnreleasedMessages => {
                Box::new(many.map(move |id| publish("abuse", 2, false, id + 1, &large)))
            }
            Self::RetainedMessages => Box::new(many.map(move |id| {
                publish(&format!("abuse/{client}/{id}"), 0, true, 0, &large[..16_000])
            })),
            Self::LongTopics => Box::new(many.map(move |id| {
                let topic = format!("{client}/{id}/{}", "x".repeat(65_000));
                publish(&topic, 0, false, 0, b"x")
            })),
            Self::ManyTopics => Box::new((0..20_000).map(move |id| {
                let topic = format!("{client}/{id}/{}", "x".repeat(900));
                publish(&topic, 0, false, 0, b"x")
            })),
            Self::ManyFilters => Box::new(many.flat_map(move |id| {
                [
                    subscribe(&format!("abuse/+/{client}/{id}/#"), id + 1),
                    publish(&format!("abuse/x/{client}/{id}/x"), 0, false, 0, &large),
                ]
            })),
            Self::LargeMessages => {
                Box::new(many.map(|_| publish("abuse", 0, false, 0, &vec![7; 200_000])))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn opening(self, client: usize) -> Vec<u8> {
        let id = format!("abuser-{client}");
        match self {
            Self::LongUserNames => connect(&id, &"u".repeat(60_000), true),
            Self::LargeConnects => {
                // Announces the largest packet there is, and sends of it what is taken.
                [&[0x10, 0xFF, 0xFF, 0xFF, 0x7F][..], &vec![0; 4 << 20]].concat()
            }
            Self::IdleConnections => Vec::new(),
            Self::LastingSessions => connect(&format!("{id}-{}", "x".repeat(900)), USERNAME, false),
            _ => connect(&id, USERNAME, true),
        }
    }

    fn connections(self) -> usize {
        match self {
            Self::LongUserNames | Self::LastingSessions => 400,
            Self::IdleConnections => 300,
            _ => 8,
        }
    }

    /// Does it once, and gives back what is still open.
    async fn run(self, client: usize, mut stream: TlsStream<TcpStream>) -> TlsStream<TcpStream> {
        // A broker that puts an abuser out does right.
        let _taken = stream.write_all(&self.opening(client)).await;
        for packet in self.packets(client) {
            if stream.write_all(&packet).await.is_err() {
                break;
            }
        }
        let _flushed = stream.flush().await;
        stream
    }
}

async fn is_sound(broker: &Broker, authority: &Authority, id: &str) {
    let mut unit = Client::good(broker, authority, id).connected().await;
    unit.subscribe("unit/command").await;
    broker.publish("unit/command", b"ping").expect("the router runs");
    assert_eq!(unit.next_message().await.payload, b"ping"[..]);
    unit.publish("unit/event", id, false).await;
    let own = broker
        .connections()
        .into_iter()
        .find(|connection| connection.connect.as_ref().is_some_and(|facts| facts.client_id == id));
    let own = own.expect("the log has the unit");
    assert_eq!((own.published.len(), own.subscriptions.len(), own.dropped), (1, 1, 0));
}

fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_unit_is_served_beside_an_abuser(
    #[values(
        Abuse::LongUserNames,
        Abuse::LargeConnects,
        Abuse::IdleConnections,
        Abuse::UnreleasedMessages,
        Abuse::RetainedMessages,
        Abuse::LongTopics,
        Abuse::ManyTopics,
        Abuse::ManyFilters,
        Abuse::LastingSessions,
        Abuse::LargeMessages
    )]
    abuse: Abuse,
) {
    let authority = authority();
    let broker = start_broker(&authority).await;
    is_sound(&broker, &authority, "before").await;
    let before = resident_kb();
    if abuse == Abuse::IdleConnections {
        let mut idle = Vec::new();
        for _ in 0..abuse.connections() {
            idle.push(plain(broker.address()).await);
        }
        is_sound(&broker, &authority, "beside").await;
        return;
    }
    let mut abusers = JoinSet::new();
    for client in 0..abuse.connections() {
        let stream = secure(broker.address(), authority.root_pem(), NAME).await;
        // With many of them open, the next is put out.
        let Ok(stream) = stream else { continue };
        abusers.spawn(abuse.run(client, stream));
        if client % 50 == 49 {
            abusers.join_all().await;
            abusers = JoinSet::new();
        }
    }
    let held = abusers.join_all().await;
    is_sound(&broker, &authority, "beside").await;
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < MOST_GROWTH_KB, "{grown} KB more than before");
    drop(held);
    is_sound(&broker, &authority, "after").await;
}

/// A closed connection is told by its end, so that it does not seem to last.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_out_is_noted_as_closed() {
    let authority = authority();
    let broker = start_broker(&authority).await;
    let mut first = plain(broker.address()).await;
    let mut others = Vec::new();
    let ended = async {
        loop {
            others.push(plain(broker.address()).await);
            let mut ended = broker.connections().into_iter();
            if ended.any(|connection| connection.ending.is_some()) {
                return;
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("one too many displaces one");
    let read = timeout(PATIENCE, first.read(&mut [0])).await.expect("it is the first");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
