//! The loader without any port: what each operation answers and does to the flash.

use md5::{Digest, Md5};
use rstest::rstest;

use super::{Dialect, Exit, Loader, slip};
use crate::chip::{self, Chip, Model};
use crate::flash::Nor;

mod encryption;
mod noise;
mod security;

const SIZE: u32 = 1 << 20;
const STUB_START: u32 = 0x400B_E000;

struct Bench {
    chip: Chip,
    loader: Loader,
}

/// A response without its SLIP frame.
#[derive(Debug, PartialEq, Eq)]
struct Response {
    value: u32,
    data: Vec<u8>,
    failure: Option<u8>,
}

impl Bench {
    fn rom() -> Self {
        Self::rom_of(chip::ESP32)
    }

    fn rom_of(model: &'static Model) -> Self {
        let chip = Chip::new(model, [2, 0, 0, 0, 0, 1], Nor::in_memory(SIZE));
        let loader = Loader::new(true);
        let mut bench = Self { chip, loader };
        bench.ok(0x0D, &[0, 0]);
        bench
    }

    fn stub() -> Self {
        let mut bench = Self::rom();
        assert_eq!(bench.start_in_ram(b"code OHAI code")[1], b"OHAI");
        assert_eq!(bench.loader.dialect(), Dialect::Stub);
        bench
    }

    /// Loads a program and starts it; gives the frames that come back then.
    fn start_in_ram(&mut self, program: &[u8]) -> Vec<Vec<u8>> {
        let length = program.len() as u32;
        self.ok(0x05, &[length, 1, length, STUB_START]);
        assert_eq!(self.data(0x07, program).failure, None);
        self.frames(&request(0x06, &words(&[0, STUB_START]), 0))
    }

    fn in_dialect(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Rom => Self::rom(),
            Dialect::Stub => Self::stub(),
        }
    }

    /// Sends one frame and gives the frames that come back.
    fn frames(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut line = Vec::new();
        slip::encode(frame, &mut line);
        let mut reply = Vec::new();
        self.loader.receive(&mut self.chip, &line, &mut reply);
        decode(&reply)
    }

    fn send(&mut self, op: u8, data: &[u8], checksum: u32) -> Response {
        let dialect = self.loader.dialect();
        let frames = self.frames(&request(op, data, checksum));
        response(&frames[0], op, dialect)
    }

    fn call(&mut self, op: u8, arguments: &[u32]) -> Response {
        self.send(op, &words(arguments), 0)
    }

    fn ok(&mut self, op: u8, arguments: &[u32]) -> Response {
        let response = self.call(op, arguments);
        assert_eq!(response.failure, None, "operation {op:#x} {arguments:x?}");
        response
    }

    fn data(&mut self, op: u8, body: &[u8]) -> Response {
        let mut data = words(&[body.len() as u32, 0, 0, 0]);
        data.extend(body);
        self.send(op, &data, checksum(body))
    }

    fn region(&self, offset: u32, length: u32) -> &[u8] {
        self.chip.flash.read(offset, length).unwrap()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn checksum(body: &[u8]) -> u32 {
    body.iter().fold(0xEF, |sum, byte| sum ^ byte).into()
}

fn request(op: u8, data: &[u8], checksum: u32) -> Vec<u8> {
    let mut frame = vec![0, op];
    frame.extend((data.len() as u16).to_le_bytes());
    frame.extend(checksum.to_le_bytes());
    frame.extend(data);
    frame
}

fn decode(line: &[u8]) -> Vec<Vec<u8>> {
    let mut decoder = slip::Decoder::default();
    line.iter().filter_map(|byte| decoder.push(*byte)).collect()
}

fn response(frame: &[u8], op: u8, dialect: Dialect) -> Response {
    assert_eq!(frame[..2], [1, op]);
    let length = usize::from(u16::from_le_bytes([frame[2], frame[3]]));
    assert_eq!(frame.len(), 8 + length);
    let (data, status) = frame[8..].split_at(length - dialect.status_length());
    Response {
        value: u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]),
        data: data.to_vec(),
        failure: (status[0] != 0).then_some(status[1]),
    }
}

fn deflate(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[rstest]
#[case(Dialect::Rom, 0x2012_0707)]
#[case(Dialect::Stub, 0)]
fn sync_is_answered_eight_times(#[case] dialect: Dialect, #[case] value: u32) {
    let mut bench = Bench::in_dialect(dialect);
    let mut greeting = vec![0x07, 0x07, 0x12, 0x20];
    greeting.extend([0x55; 32]);
    let frames = bench.frames(&request(0x08, &greeting, 0));
    assert_eq!(frames.len(), 8);
    for frame in frames {
        assert_eq!(response(&frame, 0x08, dialect).value, value);
    }
}

#[test]
fn the_esp32_rom_does_not_know_its_security_info() {
    assert_eq!(Bench::rom().call(0x14, &[]).failure, Some(0x05));
    assert_eq!(Bench::stub().call(0x14, &[]).failure, Some(0xFF));
}

#[rstest]
#[case(Dialect::Rom, 0x05)]
#[case(Dialect::Stub, 0xFF)]
fn an_unknown_operation_is_refused(#[case] dialect: Dialect, #[case] code: u8) {
    let mut bench = Bench::in_dialect(dialect);
    assert_eq!(bench.call(0x77, &[]).failure, Some(code));
}

#[test]
fn the_rom_erases_at_begin() {
    let mut bench = Bench::rom();
    bench.chip.flash.program(0x1000, &[0; 0x3000]).unwrap();
    bench.ok(0x02, &[0x1000, 4, 0x400, 0x2000]);
    assert_eq!(bench.region(0x1FFF, 1), [0]);
    assert_eq!(bench.region(0x2000, 0x1000), [0xFF; 0x1000]);
    assert_eq!(bench.region(0x3000, 1), [0]);
}

#[test]
fn the_stub_erases_as_it_writes() {
    let mut bench = Bench::stub();
    bench.chip.flash.program(0x1000, &[0; 0x3000]).unwrap();
    bench.ok(0x02, &[0x2000, 2, 0x1000, 0x1000]);
    assert_eq!(bench.region(0x1000, 1), [0]);
    assert_eq!(bench.data(0x03, &[0xA5; 0x1000]).failure, None);
    assert_eq!(bench.region(0x1000, 0x1000), [0xA5; 0x1000]);
    assert_eq!(bench.region(0x2000, 1), [0]);
}

#[test]
fn a_write_of_nothing_erases_nothing() {
    for mut bench in [Bench::rom(), Bench::stub()] {
        bench.chip.flash.program(0x1000, &[0; 0x1000]).unwrap();
        bench.ok(0x02, &[0, 0, 0x400, 0x1234]);
        bench.data(0x03, &[0xA5; 4]);
        assert_eq!(bench.region(0x1000, 0x1000), [0; 0x1000]);
    }
}

#[rstest]
#[case(Dialect::Rom)]
#[case(Dialect::Stub)]
fn deflated_data_is_inflated_across_blocks(#[case] dialect: Dialect) {
    let mut bench = Bench::in_dialect(dialect);
    let data: Vec<u8> = (0..0x2_0123_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let packed = deflate(&data);
    let blocks = packed.chunks(0x400);
    bench.ok(0x10, &[data.len() as u32, blocks.len() as u32, 0x400, 0x4000]);
    for block in blocks {
        assert_eq!(bench.data(0x11, block).failure, None);
    }
    bench.ok(0x12, &[1]);
    assert!(bench.region(0x4000, data.len() as u32) == data);
}

#[rstest]
#[case(Dialect::Rom, 0x0B)]
#[case(Dialect::Stub, 0xC7)]
fn a_broken_deflate_stream_is_refused(#[case] dialect: Dialect, #[case] code: u8) {
    let mut bench = Bench::in_dialect(dialect);
    bench.ok(0x10, &[0x1000, 1, 0x400, 0]);
    assert_eq!(bench.data(0x11, &[0xAA; 64]).failure, Some(code));
    assert!(bench.data(0x11, &[0xAA; 64]).failure.is_some());
}

#[rstest]
#[case(Dialect::Rom, 0x07)]
#[case(Dialect::Stub, 0xC1)]
fn a_wrong_checksum_is_refused_and_writes_nothing(#[case] dialect: Dialect, #[case] code: u8) {
    let mut bench = Bench::in_dialect(dialect);
    bench.ok(0x02, &[0x1000, 1, 0x400, 0]);
    let mut data = words(&[4, 0, 0, 0]);
    data.extend([1, 2, 3, 4]);
    assert_eq!(bench.send(0x03, &data, 0).failure, Some(code));
    assert_eq!(bench.region(0, 4), [0xFF; 4]);
}

#[rstest]
#[case(Dialect::Rom, 0x06)]
#[case(Dialect::Stub, 0xC6)]
fn data_without_a_begin_is_refused(#[case] dialect: Dialect, #[case] code: u8) {
    let mut bench = Bench::in_dialect(dialect);
    assert_eq!(bench.data(0x03, &[0; 4]).failure, Some(code));
    assert_eq!(bench.data(0x11, &[0; 4]).failure, Some(code));
}

#[test]
fn padding_behind_the_announced_size_is_not_written() {
    let mut bench = Bench::stub();
    bench.chip.flash.program(0x1000, &[0; 4]).unwrap();
    bench.ok(0x02, &[0x1000, 1, 0x4000, 0]);
    assert_eq!(bench.data(0x03, &[0x5A; 0x4000]).failure, None);
    assert_eq!(bench.region(0xFFF, 2), [0x5A, 0]);
}

#[test]
fn a_digest_is_text_from_the_rom_and_bytes_from_the_stub() {
    let expected = Md5::digest([0xFF; 0x800]);
    let text = crate::hex::hex(&expected);
    let arguments = [0x100, 0x800, 0, 0];
    assert_eq!(Bench::rom().ok(0x13, &arguments).data, text.as_bytes());
    assert_eq!(Bench::stub().ok(0x13, &arguments).data, expected[..]);
}

#[test]
fn the_roms_slow_read_gives_64_bytes_and_takes_no_more() {
    let mut bench = Bench::rom();
    bench.chip.flash.program(0, &[7; 16]).unwrap();
    let read = bench.ok(0x0E, &[0, 16]).data;
    assert_eq!((read.len(), &read[..16]), (64, &[7; 16][..]));
    assert_eq!(bench.call(0x0E, &[0, 65]).failure, Some(0x05));
}

#[test]
fn the_stubs_read_keeps_to_its_window_and_ends_with_the_digest() {
    let mut bench = Bench::stub();
    let data: Vec<u8> = (0..0x2800_u32).map(|i| (i / 3) as u8).collect();
    bench.chip.flash.program(0, &data).unwrap();
    let mut frames = bench.frames(&request(0xD2, &words(&[0, 0x2800, 0x1000, 2]), 0));
    let mut read: Vec<u8> = frames.drain(1..).flatten().collect();
    assert_eq!(read.len(), 0x2000);
    for frame in bench.frames(&0x1000_u32.to_le_bytes()) {
        read.extend(frame);
    }
    assert!(read == data);
    assert_eq!(bench.frames(&0x2000_u32.to_le_bytes()), [[0; 0]; 0]);
    let last = bench.frames(&0x2800_u32.to_le_bytes());
    assert_eq!(last, [Md5::digest(&data).to_vec()]);
    bench.ok(0x0A, &[0]);
}

#[test]
fn a_stub_read_whose_client_died_gives_way_to_the_next_request() {
    let mut bench = Bench::stub();
    bench.frames(&request(0xD2, &words(&[0, 0x2800, 0x1000, 1]), 0));
    assert_eq!(bench.ok(0x0A, &[0x4000_1000]).value, 0x00F0_1D83);
}

#[test]
fn flash_that_is_not_attached_neither_reads_nor_writes() {
    let mut bench = Bench::rom();
    bench.chip.reset();
    assert_eq!(bench.call(0x02, &[0x1000, 1, 0x400, 0]).failure, Some(0x06));
    assert_eq!(bench.call(0x13, &[0, 16, 0, 0]).failure, Some(0x06));
}

#[test]
fn an_end_of_zero_restarts_the_rom_and_ends_the_stub() {
    let mut line = Vec::new();
    slip::encode(&request(0x04, &words(&[0]), 0), &mut line);
    let mut rom = Bench::rom();
    let exit = rom.loader.receive(&mut rom.chip, &line, &mut Vec::new());
    assert_eq!(exit, Some(Exit::Reboot));
    let mut stub = Bench::stub();
    stub.ok(0x02, &[0, 0, 0x400, 0]);
    let exit = stub.loader.receive(&mut stub.chip, &line, &mut Vec::new());
    assert_eq!((exit, stub.loader.dialect()), (None, Dialect::Rom));
}

/// Xtensa code keeps the greeting as a constant, RISC-V code inside an instruction.
#[rstest]
#[case::constant(*b"\x36\x41OHAI\x0C", true)]
#[case::instruction([0x13, 0x01, 0xB7, 0x57, 0x41, 0x49, 0x13], true)]
#[case::other_register([0x13, 0x01, 0x37, 0x55, 0x41, 0x49, 0x13], true)]
#[case::other_instruction([0x13, 0x01, 0x93, 0x57, 0x41, 0x49, 0x13], false)]
#[case::other_text(*b"\x36\x41OHI!\x0C", false)]
fn a_ram_image_that_greets_is_a_stub(#[case] program: [u8; 7], #[case] stub: bool) {
    let mut bench = Bench::rom();
    let greeted = bench.start_in_ram(&program).get(1).is_some_and(|frame| frame == b"OHAI");
    assert_eq!(greeted, stub);
    assert_eq!(bench.loader.dialect() == Dialect::Stub, stub);
}

#[test]
fn a_ram_image_that_is_no_stub_is_started_as_an_application() {
    let mut bench = Bench::rom();
    bench.ok(0x05, &[4, 1, 4, 0x4008_0000]);
    let image = b"\x01\x02\x03\x04Hello from RAM\n\0\xFF";
    assert_eq!(bench.data(0x07, image).failure, None);
    let mut line = Vec::new();
    slip::encode(&request(0x06, &words(&[0, 0x4008_0000]), 0), &mut line);
    let exit = bench.loader.receive(&mut bench.chip, &line, &mut Vec::new());
    let expected = Exit::RunFromRam { entry: 0x4008_0000, output: "Hello from RAM\n".to_owned() };
    assert_eq!(exit, Some(expected));
}

#[test]
fn one_request_writes_several_registers_and_keeps_masked_bits() {
    let mut bench = Bench::rom();
    let (a, b) = (0x3FF0_0000, 0x3FF0_0004);
    bench.ok(0x09, &[a, 0xFFFF, u32::MAX, 0, b, 0x1234, u32::MAX, 0]);
    bench.ok(0x09, &[a, 0, 0xFF, 0]);
    assert_eq!(bench.ok(0x0A, &[a]).value, 0xFF00);
    assert_eq!(bench.ok(0x0A, &[b]).value, 0x1234);
}

#[test]
fn the_uart_divider_follows_the_baud_rate() {
    let mut bench = Bench::rom();
    assert_eq!(bench.ok(0x0A, &[0x3FF4_0014]).value, 347);
    // This ROM takes its crystal for what it measured, a per cent less; esptool asks it for as much less.
    bench.ok(0x0F, &[921_600, 0]);
    assert_eq!(bench.ok(0x0A, &[0x3FF4_0014]).value, 42);
    let measured = u64::from(bench.ok(0x0A, &[0x3FF5_F06C]).value >> 7 & 0x1FF_FFFF) * 15_625;
    let oscillator = u64::from(bench.ok(0x0A, &[0x3FF5_A010]).value & 0xFF);
    let asked = 921_600 * measured * oscillator / 40 / 40_000_000;
    bench.ok(0x0F, &[asked as u32, 0]);
    assert_eq!(bench.ok(0x0A, &[0x3FF4_0014]).value, 43);
}

#[test]
fn a_stub_attaches_the_flash_itself() {
    let mut bench = Bench::rom();
    bench.chip.reset();
    bench.start_in_ram(b"OHAI");
    bench.ok(0x02, &[0x1000, 1, 0x400, 0]);
}
