//! Another user of the machine must find no plain way round TLS: the front is all that listens.
//!
//! A test binary of its own, since other tests of one process listen too.
#![cfg(target_os = "linux")]

use std::{collections::HashSet, fs};

use goldline::{
    clock::Clock,
    testbed::{
        authority::Authority,
        broker::{Broker, BrokerConfig},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_tls_front_listens() {
    let authority = Authority::create(Clock::system()).expect("the authority is made");
    let names = ["localhost".to_owned()];
    let server = authority.issue_server(&names, time::Duration::days(1)).expect("a certificate");
    let config = BrokerConfig::new(server, Vec::new());
    let broker = Broker::start(config, Clock::system()).await.expect("the broker starts");
    broker.publish("topic", b"the router runs").expect("the router runs");
    assert_eq!(listening_ports(), HashSet::from([broker.address().port()]));
}

/// Ports on which this process listens, from the kernel's own tables.
fn listening_ports() -> HashSet<u16> {
    let own: HashSet<String> = fs::read_dir("/proc/self/fd")
        .expect("proc is there")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_listening = *fields.get(3)? == "0A" && own.contains(*fields.get(9)?);
            let port = fields.get(1)?.rsplit(':').next()?;
            is_listening.then(|| u16::from_str_radix(port, 16).ok())?
        })
        .collect()
}
