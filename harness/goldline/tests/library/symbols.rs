//! Addresses of a backtrace by an ELF that is made here: function, file and line, with what was inlined.

use std::{fs, path::PathBuf, process::Command};

use goldline::image::Symbols;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SOURCE: &str = r#"static inline __attribute__((always_inline)) int follow(volatile int *where) {
    return *where;
}
__attribute__((section(".at_wifi"), used, noinline)) int wifi_start(volatile int *where) {
    return follow(where) + 1;
}
int mangled(volatile int *where) __asm__("_ZN4wifi7connectEPVi");
__attribute__((section(".at_call"), used, noinline)) int mangled(volatile int *where) {
    return wifi_start(where) + 1;
}
"#;
const WIFI: u32 = 0x400d_5e20;
const CALL: u32 = 0x400d_5f00;

/// A project with its ELF; the host's compiler writes the same DWARF as any other.
fn elf(debug: &str) -> (TempDir, PathBuf, Vec<u8>) {
    let project = tempfile::tempdir().expect("a folder");
    for folder in ["main", "build"] {
        fs::create_dir(project.path().join(folder)).expect("a folder");
    }
    fs::write(project.path().join("main/wifi.c"), SOURCE).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.current_dir(project.path()).env_remove("PWD").args([
        debug,
        "-Os",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fcf-protection=none",
        "-fno-pic",
        "-no-pie",
        "-nostdlib",
        "-static",
        "-Wl,-e,wifi_start",
        "-Wl,-Ttext=0x400c0000",
        "-Wl,--section-start=.at_wifi=0x400d5e20",
        "-Wl,--section-start=.at_call=0x400d5f00",
        "-o",
        "build/app.elf",
        "main/wifi.c",
    ]);
    let done = compiler.output().expect("whoever builds Rust has a linker named cc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let path = project.path().join("build/app.elf");
    let bytes = fs::read(&path).expect("the ELF");
    (project, path, bytes)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_address_is_a_function_a_file_of_the_project_and_a_line() {
    let (_project, path, bytes) = elf("-g");
    let named = digest(&bytes);
    let symbols = Symbols::named(&path, bytes, Some(&named));
    let (frames, note) = symbols.frames(&[CALL, 0x4000_0000], Some(&named[..16]));
    assert_eq!(note, None);
    let told: Vec<_> = frames
        .iter()
        .map(|frame| (frame.address.as_str(), frame.function.as_deref(), frame.place.as_deref()))
        .collect();
    // The compiler may count from the brace or from the statement.
    let (function, place) = (told[0].1, told[0].2.expect("a line"));
    assert!(function.is_some_and(|name| name == "mangled" || name.starts_with("wifi::connect")));
    assert!(["main/wifi.c:8", "main/wifi.c:9"].contains(&place), "{told:?}");
    assert_eq!(told[1], ("0x40000000", None, None));
}

#[test]
fn what_was_inlined_stands_before_the_function_that_it_is_a_part_of() {
    let (_project, path, bytes) = elf("-g");
    let symbols = Symbols::named(&path, bytes, None);
    let inlined = (WIFI..WIFI + 32).find_map(|address| {
        let (frames, note) = symbols.frames(&[address], None);
        let names: Vec<_> = frames.iter().map(|frame| frame.function.clone()).collect();
        (frames.len() == 2).then_some((names, frames, note))
    });
    let (names, frames, note) = inlined.expect("an instruction of it");
    assert_eq!(names, [Some("follow".to_owned()), Some("wifi_start".to_owned())]);
    assert_eq!(frames[0].place.as_deref(), Some("main/wifi.c:2"));
    assert_eq!(frames[1].place.as_deref(), Some("main/wifi.c:5"));
    assert!(note.is_some_and(|note| note.contains("not compared")), "nobody named the ELF");
}

#[test]
fn without_lines_the_symbol_table_names_the_function() {
    let (_project, path, bytes) = elf("-g0");
    let (frames, _) = Symbols::named(&path, bytes, None).frames(&[WIFI, CALL], None);
    assert_eq!(frames[0].function.as_deref(), Some("wifi_start"));
    assert_eq!(frames[1].function.as_deref(), Some("wifi::connect(int volatile*)"));
    assert!(frames.iter().all(|frame| frame.place.is_none()));
}

#[test]
fn an_elf_of_another_image_decodes_nothing() {
    let (_project, path, bytes) = elf("-g");
    let own = digest(&bytes);
    let other = "ab".repeat(32);
    for (named, running, says) in [
        (Some(other.as_str()), None, "not the ELF of the image that was flashed"),
        (Some(own.as_str()), Some("abababab"), "the unit ran an image of the ELF abababab"),
    ] {
        let (frames, note) = Symbols::named(&path, bytes.clone(), named).frames(&[WIFI], running);
        assert!(frames.iter().all(|frame| frame.function.is_none()), "{frames:?}");
        assert!(note.as_deref().is_some_and(|note| note.contains(says)), "{note:?}");
    }
    let (frames, note) = Symbols::named(&path, bytes[..200].to_vec(), None).frames(&[WIFI], None);
    assert_eq!((frames.len(), frames[0].function.as_deref()), (1, None));
    assert!(note.is_some());
}
