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
    fn writes_through_the_loader_equal_a_plain_model_of_nor(
        writes in proptest::collection::vec(
            (0..SIZE / 0x100, proptest::collection::vec(any::<u8>(), 1..0x300), any::<bool>()),
            1..12,
        ),
    ) {
        let mut bench = Bench::stub();
        let mut model = vec![0xFF_u8; SIZE as usize];
        for (page, data, packed) in writes {
            let offset = (page * 0x100).min(SIZE - 0x300);
            let (start, end) = (offset as usize, offset as usize + data.len());
            let (begin, write, body) = if packed {
                (0x10, 0x11, deflate(&data))
            } else {
                (0x02, 0x03, data.clone())
            };
            bench.ok(begin, &[data.len() as u32, 1, body.len() as u32, offset]);
            prop_assert_eq!(bench.data(write, &body).failure, None);
            model[start / 0x1000 * 0x1000..end.next_multiple_of(0x1000)].fill(0xFF);
            model[start..end].copy_from_slice(&data);
        }
        prop_assert!(bench.chip.flash.cells() == model);
    }
}
