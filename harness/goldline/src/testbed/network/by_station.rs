//! Addresses of stations that are known by their hardware addresses, as on an interface where many come and go.
//!
//! An address that was given back rests until its station believes in it no longer, so that no two ever have the
//! same; a station that comes again has its own again. Where the search begins follows from the hardware address,
//! so that a bench that was started anew seldom gives to one what another got before.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::identity::Mac;

/// Stations are numbered within the /16; 0 is the network, 1 the gateway, the last is broadcast.
pub(super) const STATIONS: std::ops::Range<u16> = 2..u16::MAX;

#[derive(Debug)]
pub(super) struct ByStation {
    /// How long a station believes in an address after it was last given.
    believed: Duration,
    stations: HashMap<Mac, Station>,
    taken: HashSet<u16>,
    /// Which stations use a number that they were not given here: their own, or one that a bench before this one gave.
    /// With the moment from which on nobody serves them any more.
    brought: HashMap<u16, (Mac, Option<Instant>)>,
}

#[derive(Debug)]
struct Station {
    number: u16,
    /// Who holds it for this station: a run, and whoever served the station before.
    holders: usize,
    /// Until when it rests, once nobody holds it.
    rests_until: Instant,
}

impl ByStation {
    pub(super) fn new(believed: Duration) -> Self {
        Self { believed, stations: HashMap::new(), taken: HashSet::new(), brought: HashMap::new() }
    }

    pub(super) fn take(&mut self, mac: Mac, now: Instant) -> Option<u16> {
        if let Some(station) = self.stations.get_mut(&mac) {
            station.holders += 1;
            return Some(station.number);
        }
        self.forget_those_who_are_gone(now);
        let is_free = |number: &u16| {
            let brought = self.brought.get(number);
            !self.taken.contains(number) && brought.is_none_or(|(whose, _)| *whose == mac)
        };
        let number = numbers_from(mac).find(is_free)?;
        self.taken.insert(number);
        self.stations.insert(mac, Station { number, holders: 1, rests_until: now });
        Some(number)
    }

    /// Who has a number, or had it last.
    pub(super) fn station_of(&self, number: u16) -> Option<Mac> {
        let mut stations = self.stations.iter();
        stations.find(|(_, station)| station.number == number).map(|(mac, _)| *mac)
    }

    pub(super) fn give_back(&mut self, mac: Mac, now: Instant) {
        if let Some(station) = self.stations.get_mut(&mac) {
            station.holders = station.holders.saturating_sub(1);
            station.rests_until = now + self.believed;
        }
    }

    /// Whether a station may use a number that it was not given: nobody else has it, or gets it until it was left.
    pub(super) fn bring(&mut self, mac: Mac, number: u16, now: Instant) -> bool {
        self.forget_those_who_are_gone(now);
        let of_other = |whose: Mac| whose != mac;
        let is_anothers = self.station_of(number).is_some_and(of_other)
            || self.brought.get(&number).is_some_and(|(whose, _)| of_other(*whose));
        if !is_anothers {
            self.brought.insert(number, (mac, None));
        }
        !is_anothers
    }

    pub(super) fn leave(&mut self, number: u16, now: Instant) {
        if let Some((_, left)) = self.brought.get_mut(&number) {
            *left = Some(now);
        }
    }

    fn forget_those_who_are_gone(&mut self, now: Instant) {
        self.brought.retain(|_, (_, left)| left.is_none_or(|left| left + self.believed > now));
        let taken = &mut self.taken;
        self.stations.retain(|_, station| {
            let stays = station.holders > 0 || station.rests_until > now;
            if !stays {
                taken.remove(&station.number);
            }
            stays
        });
    }
}

/// Every number once, from that one on which is this station's if nobody has it.
fn numbers_from(mac: Mac) -> impl Iterator<Item = u16> {
    let mixed = crc32fast::hash(&mac.0);
    let count = u32::from(STATIONS.end - STATIONS.start);
    (0..count).map(move |step| {
        let place = (mixed % count + step) % count;
        STATIONS.start + u16::try_from(place).expect("there are fewer than 65536")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(600);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const UNITS_A_DAY: u32 = 3000;

    fn unit(number: u32) -> Mac {
        let [_, a, b, c] = (number * 4).to_be_bytes();
        Mac([0x24, 0x0A, 0xC4, a, b, c])
    }

    /// A month is more units than there are addresses, so that each is given again, and never while somebody
    /// believes in it.
    #[test]
    fn a_month_of_a_line_gives_no_address_to_two_at_once() {
        let (began, mut pool) = (Instant::now(), ByStation::new(LEASE));
        let (tact, stay) = (DAY / UNITS_A_DAY, Duration::from_secs(25 * 60));
        let mut present: Vec<(Mac, u16, Instant)> = Vec::new();
        let mut believes: HashMap<u16, (Mac, Instant)> = HashMap::new();
        let (mut given, mut again) = (HashSet::new(), 0);
        for number in 0..30 * UNITS_A_DAY {
            let now = began + tact * number;
            while let Some(&(mac, address, _)) = present.first().filter(|(.., end)| *end <= now) {
                pool.give_back(mac, now);
                believes.insert(address, (mac, now + LEASE));
                present.remove(0);
            }
            let mac = unit(number);
            let address = pool.take(mac, now).expect("there is one");
            assert!(STATIONS.contains(&address));
            assert!(present.iter().all(|(_, other, _)| *other != address), "{address} is in use");
            let before = believes.remove(&address).filter(|(_, until)| *until > now);
            assert_eq!(before, None, "{address} is believed in");
            again += u32::from(!given.insert(address));
            present.push((mac, address, now + stay));
        }
        assert!(again > 20_000, "addresses come back: {again}");
        assert!(pool.stations.len() < 100, "{} are remembered", pool.stations.len());
    }

    #[test]
    fn who_comes_again_has_its_own_again() {
        let (now, mut pool) = (Instant::now(), ByStation::new(LEASE));
        let first = pool.take(unit(1), now);
        assert_eq!(pool.take(unit(1), now), first, "whoever serves it");
        pool.give_back(unit(1), now);
        pool.give_back(unit(1), now);
        assert_eq!(pool.take(unit(1), now + LEASE / 2), first);
        let elsewhere = ByStation::new(LEASE).take(unit(1), now);
        assert_eq!(elsewhere, first, "of a bench that was started anew too");
    }

    #[test]
    fn an_address_that_a_station_brings_is_given_to_nobody_else_and_the_other_way_round() {
        let (now, mut pool) = (Instant::now(), ByStation::new(LEASE));
        let would_be = ByStation::new(LEASE).take(unit(1), now).expect("there is one");
        assert!(pool.bring(unit(2), would_be, now), "nobody has it");
        let given = pool.take(unit(1), now).expect("there is another");
        assert_ne!(given, would_be);
        assert!(!pool.bring(unit(2), given, now), "that is another's");
        assert!(!pool.bring(unit(3), would_be, now), "and this one's is brought");
        assert!(!pool.bring(unit(3), would_be, now + LEASE), "for as long as it is used");
        pool.leave(would_be, now + LEASE);
        assert!(!pool.bring(unit(3), would_be, now + LEASE), "and believed in");
        assert!(pool.bring(unit(3), would_be, now + 2 * LEASE));
    }

    #[test]
    fn when_all_are_taken_nobody_is_given_anothers() {
        let (now, mut pool) = (Instant::now(), ByStation::new(LEASE));
        let all = u32::from(STATIONS.end - STATIONS.start);
        let numbers: HashSet<u16> =
            (0..all).map(|number| pool.take(unit(number), now).expect("one is left")).collect();
        assert_eq!(numbers.len(), all as usize);
        assert_eq!(pool.take(unit(all), now), None);
        pool.give_back(unit(7), now);
        assert_eq!(pool.take(unit(all), now + LEASE - Duration::from_secs(1)), None);
        assert!(pool.take(unit(all), now + LEASE).is_some());
    }
}
