//! Other processes of the machine at the ports of the HTTP services: whatever they send, a sound client is
//! answered beside them, nothing panics, and memory stays where it was.

use std::{
    fs,
    net::SocketAddr,
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use goldline::{
    clock::Clock,
    secret::Secret,
    testbed::{
        authority::Authority,
        ca::CertificateAuthorityApi,
        config_server::{ConfigServer, ConfigServerConfig, Credentials},
        update_server::UpdateServer,
    },
};
use rstest::rstest;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
};

use super::{
    bench::{A_YEAR, authority},
    web::{call, plain, secure},
};

const NAME: &str = "service.example.test";
const SOUND_CALLS: usize = 5;
/// Far below what one attacker sends if it is let.
const MOST_GROWTH_KB: usize = 100 * 1024;
const ENDLESS: usize = 256 << 20;
const ABUSERS: usize = 8;
const CROWD: usize = 300;

#[derive(Clone, Copy, Debug)]
enum Which {
    Ca,
    CaByTls,
    Config,
    ConfigByTls,
    Updates,
}

/// A running service with what a sound client asks of it.
struct Service {
    address: SocketAddr,
    tls: bool,
    question: String,
    authority: Arc<Authority>,
    /// Keeps it running.
    _running: Box<dyn std::any::Any + Send>,
}

impl Service {
    async fn start(which: Which) -> Self {
        let authority = Arc::new(authority());
        let certificate = authority.issue_server(&[NAME.to_owned()], A_YEAR).expect("issued");
        let (address, tls, question, running): (_, _, _, Box<dyn std::any::Any + Send>) =
            match which {
                Which::Ca | Which::CaByTls => {
                    let names = [NAME.to_owned()];
                    let (own, clock) = (Arc::clone(&authority), Clock::system());
                    let ca = CertificateAuthorityApi::start_as(&names, own, &[], clock).await;
                    let ca = ca.expect("it starts");
                    let tls = matches!(which, Which::CaByTls);
                    let address = if tls { ca.secure_address() } else { ca.address() };
                    (address, tls, "GET /health".to_owned(), Box::new(ca))
                }
                Which::Config | Which::ConfigByTls => {
                    let account =
                        Credentials { username: "unit".to_owned(), password: Secret::new("x") };
                    let config = ConfigServerConfig {
                        token: Secret::new("token"),
                        path: "/A1B2C3D4E5F6".to_owned(),
                        credentials: Arc::new(move |_| account.clone()),
                        create_user: Arc::new(|_| {}),
                        provisioned_host: NAME.to_owned(),
                        configured_host: NAME.to_owned(),
                    };
                    let server = ConfigServer::start(&certificate, config, &[], Clock::system());
                    let server = server.await.expect("it starts");
                    let tls = matches!(which, Which::ConfigByTls);
                    let address = if tls { server.secure_address() } else { server.address() };
                    (address, tls, "GET /A1B2C3D4E5F6".to_owned(), Box::new(server))
                }
                Which::Updates => {
                    let server = UpdateServer::start(&certificate, &[], Clock::system()).await;
                    let server = server.expect("it starts");
                    let path = server.publish(b"image".to_vec());
                    (server.address(), true, format!("GET {path}"), Box::new(server))
                }
            };
        Self { address, tls, question, authority, _running: running }
    }

    async fn open(&self, tls: bool) -> Box<dyn Stream> {
        match tls {
            false => Box::new(plain(self.address).await),
            true => {
                let stream = secure(self.address, self.authority.root_pem(), NAME).await;
                Box::new(stream.expect("TLS works"))
            }
        }
    }

    async fn is_sound(&self) {
        for _ in 0..SOUND_CALLS {
            let answer = call(self.open(self.tls).await, &self.question, &[], "").await;
            assert_eq!(answer.status, 200, "{}", answer.head);
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Attack {
    Idle,
    Garbage,
    ConnectLine,
    HugeHeaderLine,
    ManyHeaders,
    HugeBodyAnnounced,
    EndlessChunks,
    SlowHeader,
    SlowBody,
    AbortedPost,
    OtherProtocol,
    Crowd,
}

impl Attack {
    fn opening(self) -> Vec<u8> {
        let post = "POST /api/devices/register HTTP/1.1\r\nHost: x\r\n";
        let text = match self {
            Self::Idle | Self::Crowd => String::new(),
            Self::Garbage => "\u{0}\r\n\r\n\u{1}GET\n\n: \r".repeat(1000),
            Self::ConnectLine => "CONNECT other.example.test:443 HTTP/1.1\r\n\r\n".to_owned(),
            Self::HugeHeaderLine => format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(4 << 20)),
            Self::ManyHeaders => {
                format!("GET / HTTP/1.1\r\n{}", "Some: header\r\n".repeat(200_000))
            }
            Self::HugeBodyAnnounced => format!("{post}Content-Length: 4294967296\r\n\r\n"),
            Self::EndlessChunks => format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
            Self::SlowHeader => "GET /he".to_owned(),
            Self::SlowBody => format!("{post}Content-Length: 1000\r\n\r\n{{\"uuid\""),
            Self::AbortedPost => format!("{post}Content-Length: 1000\r\n\r\n{{"),
            Self::OtherProtocol => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        };
        text.into_bytes()
    }

    /// What goes on being sent for as long as it is taken.
    fn then(self) -> Option<Vec<u8>> {
        let mebibyte = "x".repeat(1 << 20);
        match self {
            Self::HugeBodyAnnounced => Some(mebibyte.into_bytes()),
            Self::EndlessChunks => Some(format!("100000\r\n{mebibyte}\r\n").into_bytes()),
            _ => None,
        }
    }

    /// Does it once; gives back the connection, to be held.
    async fn run(self, mut stream: Box<dyn Stream>) -> Option<Box<dyn Stream>> {
        // A service that puts an abuser out does right.
        let _taken = stream.write_all(&self.opening()).await;
        let _flushed = stream.flush().await;
        if let Some(block) = self.then() {
            for _ in 0..ENDLESS / block.len() {
                if stream.write_all(&block).await.is_err() {
                    break;
                }
            }
        }
        (self != Self::AbortedPost).then_some(stream)
    }
}

fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_client_is_served_beside_an_abuser(
    #[values(Which::Ca, Which::CaByTls, Which::Config, Which::ConfigByTls, Which::Updates)]
    which: Which,
    #[values(
        Attack::Idle,
        Attack::Garbage,
        Attack::ConnectLine,
        Attack::HugeHeaderLine,
        Attack::ManyHeaders,
        Attack::HugeBodyAnnounced,
        Attack::EndlessChunks,
        Attack::SlowHeader,
        Attack::SlowBody,
        Attack::AbortedPost,
        Attack::OtherProtocol,
        Attack::Crowd
    )]
    attack: Attack,
) {
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let earlier = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::Relaxed);
        earlier(info);
    }));
    let service = Service::start(which).await;
    service.is_sound().await;
    let before = resident_kb();

    let abusers = if attack == Attack::Crowd { CROWD } else { ABUSERS };
    let mut attacks = JoinSet::new();
    for number in 0..abusers {
        // Those who speak TLS reach HTTP; the others are what a TLS port is sent by mistake.
        let tls = service.tls && number % 2 == 0 && attack != Attack::Crowd;
        attacks.spawn(attack.run(service.open(tls).await));
    }
    service.is_sound().await;
    let held = attacks.join_all().await;
    service.is_sound().await;
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < MOST_GROWTH_KB, "{grown} KB more than before");
    drop(held);
    service.is_sound().await;
    assert_eq!(panics.load(Ordering::Relaxed), 0, "something panicked");
}
