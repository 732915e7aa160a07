//! What the wire takes, printed: `cargo nextest run --run-ignored only -E 'test(/wire::figures/)' --no-capture`.
//! The peers count as well, and without optimisation all of it is several times slower.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Instant,
};

use smoltcp::socket::tcp;

use super::{Shared, echo, noise, peer::Peer};

const MB: usize = 1 << 20;
const UNITS: u8 = 32;

fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("there is one");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it prints figures"]
async fn throughput_and_connections() {
    const SIZE: usize = 8 * MB;
    let side = Shared::default().side();
    let to = side.serve(|mut stream: TcpStream| {
        let mut way = [0];
        stream.read_exact(&mut way).expect("a byte");
        if way == *b"d" {
            stream.write_all(&noise(SIZE)).expect("it listens");
            stream.shutdown(Shutdown::Write).expect("it closes");
        }
        std::io::copy(&mut stream, &mut std::io::sink()).expect("until it closes");
    });
    let mut unit = side.plug();
    unit.join();
    let mut rate = |name: &str, say: &[u8]| {
        let socket = unit.connect(to);
        let began = Instant::now();
        unit.converse(socket, say);
        let rate = (SIZE / MB) as f64 / began.elapsed().as_secs_f64();
        println!("{name}: {rate:.1} MB/s");
        unit.sockets.remove(socket);
    };
    rate("down", b"d");
    rate("up", &[b"u", &noise(SIZE)[..]].concat());
    let began = Instant::now();
    for _ in 0..500 {
        let socket = unit.connect(to);
        unit.converse(socket, b"u");
        unit.sockets.remove(socket);
    }
    println!("in turn: {:.0} connections a second", 500.0 / began.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it prints figures"]
async fn memory_of_many_units() {
    let shared = Shared::default();
    let before = resident_kb();
    let sides: Vec<_> = (0..UNITS).map(|_| shared.side()).collect();
    let mut units: Vec<_> = sides
        .iter()
        .zip(0..)
        .map(|(side, number)| {
            let end = side.wire.plug().expect("a pair of sockets");
            Peer::on(end, [2, 0, 0, 0, 1, number])
        })
        .collect();
    for unit in &mut units {
        unit.join();
    }
    println!("{UNITS} units joined: {} KB, the peers' own among them", resident_kb() - before);
    for (unit, side) in units.iter_mut().zip(&sides) {
        let to = side.serve(echo);
        let socket = unit.connect(to);
        unit.echo(socket, b"hello");
        assert_eq!(unit.socket(socket).state(), tcp::State::Established);
    }
    println!("each with a connection: {} KB", resident_kb() - before);
}
