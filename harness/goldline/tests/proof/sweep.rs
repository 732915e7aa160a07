//! Many runs at a time, and what was wrong with them.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::end_to_end::program::{Ended, Station, with_waits};

/// They wait for what never comes most of the time, so several share a processor.
const WORKERS: usize = 6;

/// Every shipped product.
pub const PRODUCTS: [&str; 13] = [
    "ble-gateway",
    "ble-gateway-factory",
    "ble-gateway-portal",
    "espvault",
    "espvault-certificates",
    "espvault-encrypted",
    "espvault-hmac",
    "safesignal",
    "safesignal-certificates",
    "zeroconf",
    "zeroconf-ca",
    "zeroconf-ca-console",
    "zeroconf-portal",
];

/// Every fault that there is, by name.
pub fn faults() -> Vec<String> {
    let listed = Station::new().goldline(["simulator", "faults"]).stdout;
    listed.lines().map(|line| line.split_whitespace().next().expect("a name").to_owned()).collect()
}

/// The shipped profile, with deadlines that nobody waits long for.
pub fn hasty(product: &str, longest: u64) -> String {
    const WAITS: [&str; 6] = ["wifi_s", "mqtt_s", "service_s", "command_s", "boot_s", "within_s"];
    with_waits(product, |key, seconds| WAITS.contains(&key).then(|| seconds.min(longest)))
}

/// A run of a product with these arguments; none when the program refuses it.
pub fn run(product: &str, longest: u64, more: &[String]) -> Option<Value> {
    let station = Station::new();
    let file = format!("{product}.toml");
    station.write(&file, hasty(product, longest));
    let ended =
        station.unit(["run", &file, "--json"].into_iter().chain(more.iter().map(String::as_str)));
    record_of(&ended)
}

pub fn record_of(ended: &Ended) -> Option<Value> {
    (ended.code() != 2).then(|| ended.json())
}

/// Verdict and code of a record.
pub fn said(record: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&record["verdict"]), text(&record["diagnosis"]["code"]))
}

/// What a sweep came to.
#[derive(Default)]
pub struct Figures {
    counted: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Figures {
    pub fn count(&mut self, what: &str) {
        *self.counted.entry(what.to_owned()).or_default() += 1;
    }

    pub fn blame(&mut self, how: &str, what: String) {
        self.count(how);
        self.wrong.push(format!("{how}: {what}"));
    }

    pub fn of(&self, what: &str) -> usize {
        self.counted.get(what).copied().unwrap_or_default()
    }

    /// Prints them.
    ///
    /// # Panics
    /// When anything was wrong.
    pub fn settle(self, sweep: &str) {
        println!("figures of {sweep}: {:?}", self.counted);
        assert!(self.wrong.is_empty(), "{sweep}: {}\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// Of so many jobs one is done: `GOLDLINE_SHARE=10` is for who has no night.
fn share() -> usize {
    let share = std::env::var("GOLDLINE_SHARE").ok();
    share.map_or(1, |share| share.parse().expect("GOLDLINE_SHARE is a number from 1 on"))
}

/// How many runs of a sweep must have been.
pub fn least(whole: usize) -> usize {
    whole / share()
}

/// Does every job, several at a time, or the share of them that is asked for.
pub fn each<T: Sync>(jobs: &[T], work: impl Fn(&T, &Mutex<Figures>) + Sync) -> Figures {
    let jobs: Vec<&T> = jobs.iter().step_by(share()).collect();
    let (next, figures) = (AtomicUsize::new(0), Mutex::new(Figures::default()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job, &figures);
                }
            });
        }
    });
    figures.into_inner().expect("no worker panics while it counts")
}

/// Numbers that are the same each time (splitmix64).
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("below the limit")
    }
}
