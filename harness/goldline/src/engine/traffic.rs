//! What a wire saw of a unit since its last start: addresses, names, connections, bytes. For whoever reads the record.
//!
//! Must not judge.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::Run;
use crate::testbed::{event_log::Stamped, network::NetworkEvent};

/// More lines than anybody reads; a unit that calls the whole world must not fill the record.
const MOST: usize = 40;

impl Run {
    /// Only a link carries what a stack of the unit's own sends; on other networks nobody sees it.
    pub(super) fn note_traffic(&mut self) {
        let (Ok(placed), Some(boot)) = (self.placed(), self.phase.last_boot()) else { return };
        let events = placed.testbed.network.events();
        let is_site = placed.testbed.network.is_site();
        if !is_site && !events.iter().any(|stamped| matches!(stamped.event, NetworkEvent::LinkUp)) {
            return;
        }
        let mut traffic = Traffic::default();
        let of_boot = |stamped: &&Stamped<NetworkEvent>| {
            stamped.instant >= boot.at || matches!(stamped.event, NetworkEvent::TurnedAway { .. })
        };
        for stamped in events.iter().filter(of_boot) {
            match is_site {
                true => traffic.note_on_site(&stamped.event),
                false => traffic.note(&stamped.event),
            }
        }
        let bindings = placed.plan.tested().bindings();
        // A unit may ask for anything, its password as well.
        self.seen.traffic = traffic.lines().iter().map(|line| bindings.redact(line).0).collect();
    }
}

#[derive(Default)]
struct Traffic {
    leases: BTreeMap<String, usize>,
    names: BTreeMap<(String, Option<IpAddr>), usize>,
    connections: BTreeMap<SocketAddr, Connections>,
    refused: BTreeMap<SocketAddr, usize>,
    datagrams: BTreeMap<(SocketAddr, bool), usize>,
    visits: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Connections {
    opened: usize,
    closed: usize,
    sent: u64,
    received: u64,
}

impl Traffic {
    fn note(&mut self, event: &NetworkEvent) {
        match event {
            NetworkEvent::Dhcp { message, address: Some(address), host_name, .. } => {
                let name = host_name.as_deref().unwrap_or("without a name of its own");
                let lease = format!("DHCP {message}: {address} ({name})");
                *self.leases.entry(lease).or_default() += 1;
            }
            NetworkEvent::Resolved { name, answer, .. } => {
                *self.names.entry((name.clone(), *answer)).or_default() += 1;
            }
            NetworkEvent::Connection { to, connected: true, .. } => {
                self.connections.entry(*to).or_default().opened += 1;
            }
            NetworkEvent::Connection { to, connected: false, .. } => {
                *self.refused.entry(*to).or_default() += 1;
            }
            NetworkEvent::Closed { to, sent, received, .. } => {
                let connections = self.connections.entry(*to).or_default();
                connections.closed += 1;
                connections.sent += sent;
                connections.received += received;
            }
            NetworkEvent::Datagram { to, answered, .. } => {
                *self.datagrams.entry((*to, *answered)).or_default() += 1;
            }
            _ => {}
        }
    }

    /// On a site's network the rest is the bench's own.
    fn note_on_site(&mut self, event: &NetworkEvent) {
        let visit = match event {
            NetworkEvent::Came { from, to, .. } => {
                format!("on the site's network: came to {to} from {}", from.ip())
            }
            NetworkEvent::TurnedAway { from, to, because } => format!(
                "on the site's network: somebody at {}, and not this unit, came to {to} and got nothing: {because}",
                from.ip()
            ),
            _ => return,
        };
        *self.visits.entry(visit).or_default() += 1;
    }

    /// One for each thing, with how often it was.
    fn lines(&self) -> Vec<String> {
        let leases = self.leases.iter().map(|(lease, times)| counted(lease, *times));
        let names = self.names.iter().map(|((name, answer), times)| {
            let answer = answer.map_or("there is no such name".to_owned(), |ip| ip.to_string());
            counted(&format!("asked for {name}: {answer}"), *times)
        });
        let connections = self.connections.iter().map(|(to, connections)| {
            let Connections { opened, closed, sent, received } = connections;
            let bytes = match opened.saturating_sub(*closed) {
                0 => format!("{sent} bytes sent, {received} received"),
                open if *closed == 0 => format!("{open} still open"),
                open => format!("{sent} bytes sent, {received} received, {open} still open"),
            };
            counted(&format!("connected to {to}, {bytes}"), *opened)
        });
        let refused = self.refused.iter().map(|(to, times)| {
            counted(&format!("refused at {to}, where the plan has nothing"), *times)
        });
        let datagrams = self.datagrams.iter().map(|((to, answered), times)| {
            let answered = if *answered { "answered" } else { "not answered" };
            counted(&format!("a datagram to {to}, {answered}"), *times)
        });
        let all = leases.chain(names).chain(connections).chain(refused).chain(datagrams);
        let on_the_wire = all.map(|line| format!("on the wire: {line}"));
        let visits = self.visits.iter().map(|(visit, times)| counted(visit, *times));
        let mut lines: Vec<String> = visits.chain(on_the_wire).collect();
        if lines.len() > MOST {
            let more = lines.len() - MOST;
            lines.truncate(MOST);
            lines.push(format!("on the wire: {more} more, which are not listed"));
        }
        lines
    }
}

fn counted(what: &str, times: usize) -> String {
    match times {
        0 | 1 => what.to_owned(),
        times => format!("{what} ({times} times)"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const UNIT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    #[test]
    fn each_thing_is_told_once_with_how_often_it_was() {
        let broker = SocketAddr::from(([127, 0, 0, 1], 8883));
        let elsewhere = SocketAddr::from(([10, 9, 8, 7], 443));
        let mut traffic = Traffic::default();
        let resolved = |name: &str, answer| NetworkEvent::Resolved {
            from: UNIT,
            name: name.to_owned(),
            answer,
        };
        for event in [
            resolved("broker.example.test", Some(broker.ip())),
            resolved("telemetry.example.test", None),
            resolved("telemetry.example.test", None),
            NetworkEvent::Connection { from: UNIT, to: broker, connected: true },
            NetworkEvent::Connection { from: UNIT, to: elsewhere, connected: false },
        ] {
            traffic.note(&event);
        }
        assert_eq!(
            traffic.lines(),
            [
                "on the wire: asked for broker.example.test: 127.0.0.1",
                "on the wire: asked for telemetry.example.test: there is no such name (2 times)",
                "on the wire: connected to 127.0.0.1:8883, 1 still open",
                "on the wire: refused at 10.9.8.7:443, where the plan has nothing",
            ]
        );
    }

    #[test]
    fn a_unit_that_calls_the_whole_world_does_not_fill_the_record() {
        let mut traffic = Traffic::default();
        for port in 1..=200 {
            let to = SocketAddr::from(([10, 9, 8, 7], port));
            traffic.note(&NetworkEvent::Connection { from: UNIT, to, connected: false });
        }
        let lines = traffic.lines();
        assert_eq!(lines.len(), MOST + 1);
        assert!(lines[MOST].contains("160 more"), "{}", lines[MOST]);
    }
}
