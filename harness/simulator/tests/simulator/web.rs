//! The least web server that a firmware can call: it notes each request and gives one answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request: its first line and its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub line: String,
    pub body: String,
}

pub struct Web {
    pub address: SocketAddrV4,
    pub seen: Receiver<Request>,
}

impl Web {
    /// Answers each request with `status` and `body`, over TLS when there is a configuration.
    pub fn start(tls: Option<Arc<ServerConfig>>, status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            unreachable!("bound to an IPv4 address");
        };
        let (sender, seen) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                // A client that distrusts the server ends its connection; tests want that.
                let request = match &tls {
                    None => serve(stream, status, body),
                    Some(config) => {
                        let connection = ServerConnection::new(config.clone()).unwrap();
                        serve(StreamOwned::new(connection, stream), status, body)
                    }
                };
                if let Ok(request) = request {
                    let _ = sender.send(request);
                }
            }
        });
        Self { address, seen }
    }
}

fn serve(stream: impl Read + Write, status: u16, body: &str) -> io::Result<Request> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut received = vec![0; length];
    stream.read_exact(&mut received)?;
    let size = body.len();
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {size}\r\n\r\n{body}");
    stream.get_mut().write_all(answer.as_bytes())?;
    stream.get_mut().flush()?;
    let body = String::from_utf8_lossy(&received).into_owned();
    Ok(Request { line: line.trim_end().to_owned(), body })
}
