//! One HTTP/1.1 call written by hand, over a connection with TLS or without.

use std::{io, net::SocketAddr, sync::Arc};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::bench::{PATIENCE, tls};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

pub async fn plain(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("the service listens")
}

/// TLS as a client that trusts this root alone and asks for this name.
pub async fn secure(
    address: SocketAddr,
    root_pem: &str,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = plain(address).await;
    let name = name.to_owned().try_into().expect("a DNS name");
    let connect = TlsConnector::from(Arc::new(tls(root_pem, None))).connect(name, stream);
    timeout(PATIENCE, connect).await.expect("the handshake ends")
}

/// Sends one request and reads until the server closes.
pub async fn call(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: service.example.test\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the service reads");
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the service answers").expect("the service closes cleanly");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.expect("a status line"), body: answer[end + 4..].to_vec(), head }
}
