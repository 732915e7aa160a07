//! Random bytes, random requests and random writes.

use proptest::prelude::*;

use super::{Bench, SIZE, checksum, deflate, request};

/// Operations that no mere noise should perform.
fn changes_flash(op: u8) -> bool {
    matches!(op, 0x02 | 0x03 | 0x10 | 0x11 | 0xD0 | 0xD1)
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let op = any::<u8>().prop_filter("leaves flash alone", |op| !changes_flash(*op));
    (op, proptest::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(op, data)| request(op, &data, checksum(data.get(16..).unwrap_or_default())))
}

/// Bytes of one data request.
const BLOCK: usize = 0x4000;

/// What a client does to flash. The ROM has no erasing of its own.
#[derive(Debug, Clone)]
enum Operation {
    Write {
        offset: u32,
        data: Vec<u8>,
        packed: bool,
    },
    /// Without erasing, so that bits can only be cleared.
    Overwrite {
        offset: u32,
        data: Vec<u8>,
    },
    EraseRegion {
        sector: u32,
        sectors: u32,
    },
    EraseChip,
}

fn any_operation() -> impl Strategy<Value = Operation> {
    // Few places, so that operations meet; some writes are longer than a block.
    let offset = || (0..0x80_u32).prop_map(|place| place * 0x234);
    let short = || proptest::collection::vec(any::<u8>(), 1..0x300);
    let long = (any::<u8>(), 0xF000_usize..0x2_8000).prop_map(|(byte, size)| vec![byte; size]);
    let data = prop_oneof![3 => short(), 1 => long];
    prop_oneof![
        4 => (offset(), data, any::<bool>())
            .prop_map(|(offset, data, packed)| Operation::Write { offset, data, packed }),
        3 => (offset(), short()).prop_map(|(offset, data)| Operation::Overwrite { offset, data }),
        2 => (0..0x101_u32, 0..0x28_u32)
            .prop_map(|(sector, sectors)| Operation::EraseRegion { sector, sectors }),
        1 => Just(Operation::EraseChip),
    ]
}

proptest! {
    #[test]
    fn noise_never_panics_wedges_or_changes_flash(
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
        stub in any::<bool>(),
    ) {
        let mut bench = if stub { Bench::stub() } else { Bench::rom() };
        bench.loader.receive(&mut bench.chip, &noise, &mut Vec::new());
        prop_assert!(bench.chip.flash.cells().iter().all(|cell| *cell == 0xFF));
        // A client that is not understood sends its request again, behind a fresh frame mark.
        bench.frames(&[]);
        prop_assert_eq!(bench.ok(0x0A, &[0x4000_1000]).value, 0x00F0_1D83);
    }

    #[test]
    fn well_formed_nonsense_never_panics_or_changes_flash(
        requests in proptest::collection::vec(any_request(), 1..20),
        stub in any::<bool>(),
    ) {
        let mut bench = if stub { Bench::stub() } else { Bench::rom() };
        for request in requests {
            bench.frames(&request);
        }
        prop_assert!(bench.chip.flash.cells().iter().all(|cell| *cell == 0xFF));
    }

    #[test]
    fn operations_through_the_loader_equal_a_plain_model_of_nor(
        operations in proptest::collection::vec(any_operation(), 1..12),
        stub in any::<bool>(),
    ) {
        let mut bench = if stub { Bench::stub() } else { Bench::rom() };
        let mut model = vec![0xFF_u8; SIZE as usize];
        for operation in operations {
            match operation {
                Operation::Write { offset, data, packed } => {
                    let (begin, write, body) = if packed {
                        (0x10, 0x11, deflate(&data))
                    } else {
                        (0x02, 0x03, data.clone())
                    };
                    let blocks = body.len().div_ceil(BLOCK) as u32;
                    bench.ok(begin, &[data.len() as u32, blocks, BLOCK as u32, offset]);
                    for block in body.chunks(BLOCK) {
                        prop_assert_eq!(bench.data(write, block).failure, None);
                    }
                    let (start, end) = (offset as usize, offset as usize + data.len());
                    model[start / 0x1000 * 0x1000..end.next_multiple_of(0x1000)].fill(0xFF);
                    model[start..end].copy_from_slice(&data);
                }
                Operation::Overwrite { offset, data } => {
                    bench.ok(0x02, &[0, 1, data.len() as u32, offset]);
                    prop_assert_eq!(bench.data(0x03, &data).failure, None);
                    // The stub writes no more than it was told to erase.
                    let written = if stub { 0 } else { data.len() };
                    let cells = model[offset as usize..].iter_mut();
                    cells.zip(&data[..written]).for_each(|(cell, byte)| *cell &= byte);
                }
                Operation::EraseRegion { sector, sectors } => {
                    let (offset, length) = (sector * 0x1000, sectors * 0x1000);
                    let fits = offset + length <= SIZE;
                    let erased = bench.call(0xD1, &[offset, length]).failure.is_none();
                    prop_assert_eq!(erased, stub && fits);
                    if erased {
                        model[offset as usize..][..length as usize].fill(0xFF);
                    }
                }
                Operation::EraseChip => {
                    prop_assert_eq!(bench.call(0xD0, &[]).failure.is_none(), stub);
                    if stub {
                        model.fill(0xFF);
                    }
                }
            }
        }
        prop_assert!(bench.chip.flash.cells() == model);
    }
}
