//! The TLS front: accepts connections, ends TLS, and hands each client to a session of its own.
//!
//! A client that stalls holds up nobody: every handshake runs in its own task under a deadline.
//! Must not know MQTT beyond that a session serves it.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use rustls::{ServerConfig, ServerConnection, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use x509_parser::extensions::GeneralName;

use super::{
    Door, Room,
    connect_packet::close_gently,
    facts::{CertificateFacts, Ending, Happening, TlsFacts, TlsFailure, TlsFailureCause},
    log::Closing,
    session::{self, Arrived},
    visitor::Visitor,
};
use crate::{
    hex::hex,
    testbed::caller::Who,
    tls::{alert_name, sentence},
};

/// When the machine is out of sockets, asking again at once would only burn the processor.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Clients at the same time; one more puts out one that was not admitted yet.
pub(super) const MOST_CLIENTS: usize = 512;
/// The same of one address, behind which there may be a whole site's units.
pub(super) const MOST_CLIENTS_OF_ADDRESS: usize = 256;

/// Accepts until the door closes; the listener closes with it.
pub(super) async fn accept(listener: TcpListener, door: Arc<Door>) {
    loop {
        let accepted = tokio::select! {
            () = door.ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(own) = stream.local_addr() else { continue };
                let (caller, visit) = door.callers.claim_visit(peer, own);
                let who = Who { peer: visit.map_or(peer, |visit| visit.from), caller };
                // A stranger costs nothing, where only runs are served.
                let Some(room) = door.rooms.enter(who.caller) else { continue };
                if !door.doors.make_room(who.peer.ip()) {
                    tracing::warn!(%peer, "the broker has all its connections in use");
                    continue;
                }
                let number = room.log.open(who);
                door.doors.admit(&who, |place| {
                    let arrived = Arrived { number, who, visit, place: Arc::new(place) };
                    let client = until_ended(stream, arrived, room, Arc::clone(&door));
                    door.clients.spawn(client).abort_handle()
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the broker cannot accept a connection");
                door.doors.put_out(None);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves until the bench ends the connection.
async fn until_ended(stream: TcpStream, arrived: Arrived, room: Arc<Room>, door: Arc<Door>) {
    let mut closing = Closing::of(Arc::clone(&room.log), arrived.number);
    let ender = room.open.add(arrived.number);
    closing.ending = tokio::select! {
        ending = serve(stream, &arrived, &room, &door) => ending,
        () = ender.cancelled() => Ending::TakenOver,
    };
}

async fn serve(stream: TcpStream, arrived: &Arrived, room: &Arc<Room>, door: &Door) -> Ending {
    let number = arrived.number;
    // Only a matter of speed.
    let _nodelay = stream.set_nodelay(true);
    let mut server_name = None;
    let handshake = secure(stream, &door.tls, &mut server_name);
    let secured = match timeout(door.handshake_deadline, handshake).await {
        Ok(secured) => secured,
        Err(_) => Err((TlsFailureCause::Timeout, None)),
    };
    match secured {
        Ok(stream) => {
            let facts = facts(stream.get_ref().1, server_name);
            room.log.record(number, Happening::Secured(facts.clone()));
            let certificate = facts.client_certificate.as_ref();
            match arrived.visit {
                None => session::serve(stream, arrived, certificate, room).await,
                Some(visit) => {
                    let visitor = Visitor { visit, arrived, certificate, lobby: room };
                    visitor.receive(stream, door).await
                }
            }
        }
        Err((cause, stream)) => {
            let failure = TlsFailure { server_name, cause };
            room.log.record(number, Happening::NotSecured(failure));
            if let Some(mut stream) = stream {
                close_gently(&mut stream).await;
            }
            Ending::Refused
        }
    }
}

/// Reads the client's first message before answering, so that its SNI is known even if it then
/// refuses us. A stream that failed later comes back, to be closed after our alert has arrived.
async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<ServerConfig>,
    server_name: &mut Option<String>,
) -> Result<TlsStream<S>, (TlsFailureCause, Option<S>)> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream)
        .await
        .map_err(|error| (cause(&error), None))?;
    *server_name = hello.client_hello().server_name().map(str::to_owned);
    let handshake = hello.into_stream(Arc::clone(config)).into_fallible();
    handshake.await.map_err(|(error, stream)| (cause(&error), Some(stream)))
}

fn cause(error: &io::Error) -> TlsFailureCause {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => TlsFailureCause::Alert(alert_name(*alert)),
        Some(other) => TlsFailureCause::Refused(sentence(other)),
        None => TlsFailureCause::Closed,
    }
}

fn facts(connection: &ServerConnection, server_name: Option<String>) -> TlsFacts {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        _ => "unknown".to_owned(),
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    TlsFacts {
        version,
        cipher_suite: suite
            .and_then(|suite| suite.as_str())
            .map_or_else(|| "unknown".to_owned(), str::to_owned),
        server_name,
        client_certificate: connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|leaf| certificate_facts(leaf)),
    }
}

/// The verifier has accepted the certificate, so what cannot be parsed is only left out.
fn certificate_facts(der: &[u8]) -> Option<CertificateFacts> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let common_name = certificate.subject().iter_common_name().next();
    let alternative_names = certificate.subject_alternative_name().ok().flatten();
    Some(CertificateFacts {
        subject: certificate.subject().to_string(),
        common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
        alternative_names: alternative_names.map_or_else(Vec::new, |extension| {
            extension.value.general_names.iter().map(alternative_name).collect()
        }),
        serial: hex(certificate.raw_serial()),
        not_after: certificate.validity().not_after.to_datetime(),
    })
}

fn alternative_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).to_string(),
            _ => name.to_string(),
        },
        other => other.to_string(),
    }
}
