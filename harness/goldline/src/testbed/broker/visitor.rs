//! Who comes over a site's network, and whose it is: found out by the certificate that it shows, the user name and the
//! client id of its CONNECT. What matches no run, or two, gets nothing and is nobody's evidence.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Door, Room, UnitIdentity,
    connect_packet::{ConnectPacket, PacketReader},
    facts::{Admission, CertificateFacts, ConnectFacts, Ending, Happening, RefusedBecause},
    log::Closing,
    session::{self, Arrived},
};
use crate::testbed::caller::{Borrower, Caller, Visit, Who};

/// One whose TLS handshake is done.
pub(super) struct Visitor<'a> {
    pub(super) visit: Visit,
    pub(super) arrived: &'a Arrived,
    pub(super) certificate: Option<&'a CertificateFacts>,
    /// The room of those who have not said who they are.
    pub(super) lobby: &'a Arc<Room>,
}

impl Visitor<'_> {
    /// Serves it to its end in the room of its run, if it has one.
    pub(super) async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        mut stream: S,
        door: &Door,
    ) -> Ending {
        let mut packets = PacketReader::new();
        let connect = match session::read_connect(&mut stream, &mut packets, self.lobby).await {
            Ok(connect) => connect,
            Err(ending) => return ending,
        };
        match self.whose(&connect, door) {
            Ok((run, room)) => {
                // Before the room knows: whoever looks there finds that the unit came.
                door.reception.came(run, self.visit);
                self.show_in(stream, packets, connect, (run, &room)).await
            }
            Err(because) => {
                door.reception.turned_away(self.visit, because);
                let refused = RefusedBecause::NoUnit;
                session::refuse(&mut stream, refused.return_code()).await;
                let facts = ConnectFacts {
                    client_id: connect.client_id,
                    username: connect.username,
                    keep_alive_s: connect.keep_alive_s,
                    clean_session: connect.clean_session,
                    admission: Admission::Refused(refused),
                };
                self.lobby.log.record(self.arrived.number, Happening::Connect(facts));
                Ending::Refused
            }
        }
    }

    /// The run whose unit was given what the visitor shows.
    fn whose(
        &self,
        connect: &ConnectPacket,
        door: &Door,
    ) -> Result<(Borrower, Arc<Room>), &'static str> {
        let common_name = self.certificate.and_then(|facts| facts.common_name.as_deref());
        let username = connect.username.as_deref();
        let is_its = |UnitIdentity { client_id, username: own }: &UnitIdentity| {
            connect.client_id == *client_id
                || common_name == Some(client_id.as_str())
                || own.is_some() && own.as_deref() == username
        };
        let mut found =
            door.rooms.that(|room| room.identity.as_ref().is_some_and(is_its)).into_iter();
        match (found.next(), found.next()) {
            (Some(found), None) => Ok(found),
            (None, _) => Err("no unit of a run was given what it calls itself"),
            (Some(_), Some(_)) => Err("it shows what two units were given, some of each"),
        }
    }

    async fn show_in<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        packets: PacketReader,
        connect: ConnectPacket,
        (run, room): (Borrower, &Arc<Room>),
    ) -> Ending {
        let caller = Caller::Unit(run);
        let known = self.lobby.log.hand_over(self.arrived.number);
        let who = Who { caller, ..self.arrived.who };
        let number = room.log.take_over(known, who);
        let arrived = Arrived { number, who, ..self.arrived.clone() };
        let mut closing = Closing::of(Arc::clone(&room.log), number);
        let ender = room.open.add(number);
        closing.ending = tokio::select! {
            ending = session::serve_client(
                stream, packets, connect, &arrived, self.certificate, room,
            ) => ending,
            () = ender.cancelled() => Ending::TakenOver,
        };
        closing.ending.clone()
    }
}
