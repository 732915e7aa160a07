//! A server whose every answer is written by hand, as HTTP allows it or not.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use goldline::{
    clock::{Clock, Deadline},
    testbed::authority::{Authority, Issued},
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub const A_YEAR: time::Duration = time::Duration::days(365);

/// Far longer than anything here takes, so that only a hang meets it.
pub fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

pub fn authority() -> Authority {
    Authority::create(Clock::system()).expect("the authority is made")
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub head: String,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Runs until dropped.
pub struct Server {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers each request with these bytes and hangs up.
    pub async fn http(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(None, answer).await
    }

    /// The same within TLS.
    pub async fn https(
        certificate: &Issued,
        answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.signed.chain.as_bytes())
            .collect::<Result<_, _>>()
            .expect("the chain is PEM");
        let key = PrivateKeyDer::from_pem_slice(certificate.key.expose().as_bytes());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(chain, key.expect("the key is PEM"))
            .expect("key and chain belong together");
        Self::start(Some(TlsAcceptor::from(Arc::new(tls))), answer).await
    }

    async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match &tls {
                    None => serve(stream, &log, &answer).await,
                    // A client that distrusts hangs up here.
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(stream, &log, &answer).await,
                        Err(_) => continue,
                    },
                }
            }
        });
        Self { address, received, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<Received>>,
    answer: &impl Fn(&Received) -> Vec<u8>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let bytes = answer(&request);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    // A client that has seen enough hangs up.
    let _written = stream.write_all(&bytes).await;
    let _ended = stream.shutdown().await;
}

/// A whole request; `None` when the client hangs up before.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let request = Received { head: head.to_owned(), body: body.to_owned() };
            let length =
                request.header("content-length").map_or(0, |n| n.parse().expect("a number"));
            if request.body.len() >= length {
                return Some(request);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// An answer with a JSON body or any other text.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
