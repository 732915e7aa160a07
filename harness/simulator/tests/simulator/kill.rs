//! A flash file whose simulator is killed in the middle of its writes.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use goldline_simulator::flash::{Nor, SECTOR_SIZE};

const SIZE: u32 = 0x3_0000;
/// One operation covers some sectors.
const REGION: u32 = 3 * SECTOR_SIZE;
/// Names the flash file to the child, which is this test in another process.
const FILE_OF_CHILD: &str = "KILLED_FLASH_FILE";
const ROUND: &str = "round done";
const KILLS: u32 = 120;
const BLANK: u32 = u32::MAX;

#[test]
fn a_kill_leaves_every_sector_before_or_after_one_operation() {
    if let Some(path) = env::var_os(FILE_OF_CHILD) {
        write_until_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flash.bin");
    for kill in 0..KILLS {
        kill_during_writes(kill, &path);
        if let Ok(found) = fs::metadata(&path) {
            assert_eq!(found.len(), u64::from(SIZE));
        }
        let flash = Nor::in_file(&path, SIZE).unwrap();
        for (sector, cells) in flash.cells().chunks(SECTOR_SIZE as usize).enumerate() {
            let stamp = u32::from_le_bytes(cells[..4].try_into().unwrap());
            let whole = cells.chunks(4).all(|word| word == stamp.to_le_bytes());
            assert!(whole, "sector {sector} is torn by kill {kill}");
            assert!(stamp == BLANK || stamp % sectors() == sector as u32);
        }
    }
}

fn sectors() -> u32 {
    SIZE / SECTOR_SIZE
}

fn kill_during_writes(kill: u32, path: &Path) {
    let test = "kill::a_kill_leaves_every_sector_before_or_after_one_operation";
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FILE_OF_CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first kill may come before there is a file.
    if kill > 0 {
        await_round(&mut output);
        // Nothing is awaited here: each kill comes at another moment of the round.
        thread::sleep(Duration::from_micros(37) * kill);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn await_round(output: &mut Lines<BufReader<ChildStdout>>) {
    let done = output.any(|line| line.unwrap().ends_with(ROUND));
    assert!(done, "the child ended by itself");
}

/// Fills each sector with words that name it and the round; ends with the reader of its output.
fn write_until_killed(path: &Path) -> ! {
    let mut flash = Nor::in_file(path, SIZE).unwrap();
    let mut round = 0;
    loop {
        let contents = contents(round);
        for (region, data) in (0..).step_by(REGION as usize).zip(contents.chunks(REGION as usize)) {
            flash.erase(region, REGION).unwrap();
            flash.program(region, data).unwrap();
        }
        round += 1;
        // Also ends an orphan, whose output nobody holds open.
        println!("{ROUND}");
    }
}

fn contents(round: u32) -> Vec<u8> {
    let words = (0..SIZE / 4).map(|word| round * sectors() + word * 4 / SECTOR_SIZE);
    words.flat_map(u32::to_le_bytes).collect()
}
