//! The unit's serial port on the network.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use goldline_simulator::{Config, Mode, NetworkPort, Protocol, Simulator, chip};

use crate::bench::start;

const DEADLINE: Duration = Duration::from_secs(20);
/// SYNC in its SLIP frame.
const SYNC: [u8; 46] = {
    let mut frame = [0x55; 46];
    let head = [0xC0, 0, 0x08, 36, 0, 0, 0, 0, 0, 0x07, 0x07, 0x12, 0x20];
    let mut at = 0;
    while at < head.len() {
        frame[at] = head[at];
        at += 1;
    }
    frame[45] = 0xC0;
    frame
};
const SYNC_ANSWER: &[u8] = &[0x01, 0x08, 0x04, 0x00, 0x07, 0x07, 0x12, 0x20];
/// IAC SB COM-PORT SET-CONTROL value IAC SE.
const DTR_ON: [u8; 7] = [255, 250, 44, 5, 8, 255, 240];
const DTR_OFF: [u8; 7] = [255, 250, 44, 5, 9, 255, 240];
const RTS_ON: [u8; 7] = [255, 250, 44, 5, 11, 255, 240];
const RTS_OFF: [u8; 7] = [255, 250, 44, 5, 12, 255, 240];

fn serve(simulator: &Simulator, protocol: Protocol) -> NetworkPort {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    NetworkPort::serve(simulator, listener, protocol).unwrap()
}

fn read_until(stream: &mut TcpStream, expected: &[u8]) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let started = Instant::now();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.windows(expected.len()).any(|window| window == expected) {
        if let Ok(count) = stream.read(&mut buffer) {
            seen.extend(&buffer[..count]);
        }
        assert!(
            started.elapsed() < DEADLINE,
            "{:?} is not in {:?}",
            String::from_utf8_lossy(expected),
            String::from_utf8_lossy(&seen)
        );
    }
    seen
}

#[test]
fn a_raw_client_reaches_the_loader_and_so_does_the_next() {
    let simulator = start(Config::new(chip::ESP32));
    let port = serve(&simulator, Protocol::Raw);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(port.address()).unwrap();
        stream.write_all(&SYNC).unwrap();
        read_until(&mut stream, SYNC_ANSWER);
    }
}

#[test]
fn a_new_client_takes_the_place_of_one_that_died() {
    let simulator = start(Config::new(chip::ESP32));
    let port = serve(&simulator, Protocol::Raw);
    let mut dead = TcpStream::connect(port.address()).unwrap();
    dead.write_all(&SYNC[..20]).unwrap();
    let mut stream = TcpStream::connect(port.address()).unwrap();
    stream.write_all(&SYNC).unwrap();
    stream.write_all(&SYNC).unwrap();
    read_until(&mut stream, SYNC_ANSWER);
}

#[test]
fn rfc2217_control_lines_reset_the_chip() {
    let mut config = Config::new(chip::ESP32);
    config.mode = Mode::Boot;
    let simulator = start(config);
    let port = serve(&simulator, Protocol::Rfc2217);
    let mut stream = TcpStream::connect(port.address()).unwrap();
    // The classic reset of every ESP tool, into download mode.
    for change in [DTR_OFF, RTS_ON, DTR_ON, RTS_OFF, DTR_OFF] {
        stream.write_all(&change).unwrap();
    }
    read_until(&mut stream, b"waiting for download");
    stream.write_all(&SYNC).unwrap();
    read_until(&mut stream, SYNC_ANSWER);
    for change in [RTS_ON, RTS_OFF] {
        stream.write_all(&change).unwrap();
    }
    read_until(&mut stream, b"SPI_FAST_FLASH_BOOT");
}
