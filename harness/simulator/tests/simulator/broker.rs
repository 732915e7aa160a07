//! The least broker that a firmware can talk to, over real TLS.
//!
//! One thread for each connection; it speaks as much of MQTT 3.1.1 as the tests need.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
pub const ACCEPTED: u8 = 0;
pub const BAD_CREDENTIALS: u8 = 4;

/// What a client did.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// DER of the certificate that a client showed, before its CONNECT.
    Certificate(Vec<u8>),
    Connect {
        client_id: String,
        username: String,
        password: String,
    },
    Subscribe(String),
    Publish {
        topic: String,
        payload: String,
    },
}

pub struct Broker {
    pub address: SocketAddrV4,
    /// PEM of the CA that signed the broker's certificate.
    pub authority: String,
    /// The same certificate for other servers of that name.
    pub tls: Arc<ServerConfig>,
    pub seen: Receiver<Seen>,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a client of the broker is issued.
pub struct Issued {
    pub pem: String,
    pub der: Vec<u8>,
    pub key_pem: String,
}

impl Broker {
    /// Serves `name`; accepts `password` only, and sends `command` to each subscriber.
    pub fn start(name: &str, password: &'static str, command: &'static str) -> Self {
        Self::serve(name, password, command, false)
    }

    /// The same, of which each client needs a certificate by the broker's own CA.
    pub fn demanding(name: &str, password: &'static str, command: &'static str) -> Self {
        Self::serve(name, password, command, true)
    }

    /// Makes a client's certificate.
    pub fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap();
        Issued { pem: leaf.pem(), der: leaf.der().to_vec(), key_pem: key.serialize_pem() }
    }

    fn serve(name: &str, password: &'static str, command: &'static str, demanding: bool) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let builder = match demanding {
            true => builder.with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(vec![leaf.der().clone()], key).unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            unreachable!("bound to an IPv4 address");
        };
        let (sender, seen) = channel();
        let tls = config.clone();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (config, sender) = (config.clone(), sender.clone());
                // A client that distrusts the broker ends its connection; that is what tests want.
                thread::spawn(move || serve(stream, config, sender, password, command));
            }
        });
        Self { address, authority: issuer.pem(), tls, seen, issuer }
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    seen: Sender<Seen>,
    password: &str,
    command: &str,
) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    loop {
        let (kind, body) = packet(&mut stream)?;
        match kind {
            CONNECT => {
                if let Some([certificate, ..]) = stream.conn.peer_certificates() {
                    let _ = seen.send(Seen::Certificate(certificate.to_vec()));
                }
                let mut fields = Fields(&body[10..]);
                let (client_id, username) = (fields.text(), fields.text());
                let given = fields.text();
                let code = if given == password { ACCEPTED } else { BAD_CREDENTIALS };
                let _ = seen.send(Seen::Connect { client_id, username, password: given });
                stream.write_all(&[0x20, 2, 0, code])?;
            }
            SUBSCRIBE => {
                let topic = Fields(&body[2..]).text();
                stream.write_all(&[0x90, 3, body[0], body[1], 1])?;
                stream.write_all(&publish(&topic, command))?;
                let _ = seen.send(Seen::Subscribe(topic));
            }
            PUBLISH => {
                let mut fields = Fields(&body);
                let topic = fields.text();
                let (id, payload) = fields.0.split_at(2);
                stream.write_all(&[0x40, 2, id[0], id[1]])?;
                let payload = String::from_utf8_lossy(payload).into_owned();
                let _ = seen.send(Seen::Publish { topic, payload });
            }
            _ => {}
        }
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn text(&mut self) -> String {
        let length = usize::from(u16::from_be_bytes([self.0[0], self.0[1]]));
        let text = String::from_utf8_lossy(&self.0[2..2 + length]).into_owned();
        self.0 = &self.0[2 + length..];
        text
    }
}

fn packet(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    let kind = byte[0] >> 4;
    let (mut length, mut shift) = (0, 0);
    loop {
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7F) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

fn publish(topic: &str, payload: &str) -> Vec<u8> {
    let length = 2 + topic.len() + payload.len();
    assert!(length < 128, "one length byte is enough for the tests");
    let mut packet = vec![0x30, length as u8];
    packet.extend((topic.len() as u16).to_be_bytes());
    packet.extend(topic.as_bytes());
    packet.extend(payload.as_bytes());
    packet
}
