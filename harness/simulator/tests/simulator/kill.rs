//! A flash file whose simulator is killed in the middle of its writes.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::{env, fs};

use goldline_simulator::flash::{Nor, SECTOR_SIZE};

const SIZE: u32 = 0x3_0000;
/// One operation covers some sectors.
const REGION: u32 = 3 * SECTOR_SIZE;
/// Names the flash file to the child, which is this test in another process.
const FILE_OF_CHILD: &str = "KILLED_FLASH_FILE";
const OPERATION: &str = "operation done";
const BLANK: u32 = u32::MAX;

#[test]
fn a_kill_leaves_every_sector_before_or_after_one_operation() {
    if let Some(path) = env::var_os(FILE_OF_CHILD) {
        write_until_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flash.bin");
    // The first kill may come before there is a file.
    for operations in (0..200).step_by(9) {
        kill_after(operations, &path);
        if let Ok(found) = fs::metadata(&path) {
            assert_eq!(found.len(), u64::from(SIZE));
        }
        let flash = Nor::in_file(&path, SIZE).unwrap();
        for (sector, cells) in flash.cells().chunks(SECTOR_SIZE as usize).enumerate() {
            let stamp = u32::from_le_bytes(cells[..4].try_into().unwrap());
            let whole = cells.chunks(4).all(|word| word == stamp.to_le_bytes());
            assert!(whole, "sector {sector} is torn after {operations} operations");
            assert!(stamp == BLANK || stamp % sectors() == sector as u32);
        }
    }
}

fn sectors() -> u32 {
    SIZE / SECTOR_SIZE
}

fn kill_after(operations: usize, path: &Path) {
    let test = "kill::a_kill_leaves_every_sector_before_or_after_one_operation";
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FILE_OF_CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    (0..operations).for_each(|_| await_operation(&mut output));
    child.kill().unwrap();
    child.wait().unwrap();
}

fn await_operation(output: &mut Lines<BufReader<ChildStdout>>) {
    let done = output.any(|line| line.unwrap().ends_with(OPERATION));
    assert!(done, "the child ended by itself");
}

/// Fills each sector with words that name it and the round; ends with the reader of its output.
fn write_until_killed(path: &Path) -> ! {
    let mut flash = Nor::in_file(path, SIZE).unwrap();
    for round in 0.. {
        for offset in (0..SIZE).step_by(REGION as usize) {
            flash.erase(offset, REGION).unwrap();
            println!("{OPERATION}");
            let stamp = |at: u32| round * sectors() + (offset + at) / SECTOR_SIZE;
            let data: Vec<u8> =
                (0..REGION).step_by(4).flat_map(|at| stamp(at).to_le_bytes()).collect();
            flash.program(offset, &data).unwrap();
            println!("{OPERATION}");
        }
    }
    unreachable!("the rounds do not end before the kill")
}
