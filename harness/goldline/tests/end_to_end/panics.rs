//! A crash is told by function, file and line, where the ELF of the image is named.

use std::{fs, process::Command};

use sha2::{Digest, Sha256};

use super::program::{Ended, PROFILE, Station, check};

const DEVICE: &str = "simulator:?flash-file=unit.flash";
/// The addresses that a simulated unit's crash names: the function where it is, and who called it.
const SOURCE: &str = r#"__attribute__((section(".at_wifi"), used, noinline)) int wifi_start(volatile int *where) {
    return *where + 1;
}
__attribute__((section(".at_call"), used, noinline)) int wifi_connect(volatile int *where) {
    return wifi_start(where) + 1;
}
__attribute__((section(".at_main"), used, noinline)) int app_main(void) {
    return wifi_connect(0);
}
"#;
/// Of the description that an application's first segment begins with.
const ELF_DIGEST: usize = 24 + 8 + 144;

/// The ELF of the project in the station's folder.
pub fn elf(station: &Station) -> Vec<u8> {
    for folder in ["main", "build"] {
        fs::create_dir(station.path(folder)).expect("a folder");
    }
    station.write("main/wifi.c", SOURCE);
    let mut compiler = Command::new("cc");
    compiler.current_dir(station.path("")).env_remove("PWD").args([
        "-g",
        "-Os",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fcf-protection=none",
        "-fno-pic",
        "-no-pie",
        "-nostdlib",
        "-static",
        "-Wl,-e,app_main",
        "-Wl,-Ttext=0x400c0000",
        "-Wl,--section-start=.at_wifi=0x400d5e28",
        "-Wl,--section-start=.at_call=0x400d5f04",
        "-Wl,--section-start=.at_main=0x400e1a3c",
        "-o",
        "build/app.elf",
        "main/wifi.c",
    ]);
    let done = compiler.output().expect("whoever builds Rust has a linker named cc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::read(station.path("build/app.elf")).expect("the ELF")
}

/// The image as its builder would have made it of that ELF.
fn made_of(mut app: Vec<u8>, elf: &[u8]) -> Vec<u8> {
    let length = app.iter().rposition(|byte| *byte != 0xFF).expect("it is not blank") + 1;
    let word = |app: &[u8], at: usize| {
        u32::from_le_bytes(app[at..at + 4].try_into().expect("four bytes")) as usize
    };
    app[ELF_DIGEST..ELF_DIGEST + 32].copy_from_slice(&Sha256::digest(elf));
    let (mut sum, mut at) = (0xEF, 24);
    for _ in 0..app[1] {
        let size = word(&app, at + 4);
        sum = app[at + 8..at + 8 + size].iter().fold(sum, |sum, byte| sum ^ byte);
        at += 8 + size;
    }
    let end = (at | 15) + 1;
    assert!(app[23] == 1 && length <= end + 32);
    app[end - 1] = sum;
    let digest = Sha256::digest(&app[..end]);
    app[end..end + 32].copy_from_slice(&digest);
    app
}

/// A station with images as files, and one line more below `[images]`; the application is made of its ELF.
fn station(more: &str) -> Station {
    let station = Station::new();
    let ended = station.unit(["provision", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    let elf = elf(&station);
    station.write("bootloader.bin", &flash[0x1000..0x8000]);
    station.write("app.bin", made_of(flash[0x2_0000..0x1A_0000].to_vec(), &elf));
    let app = format!("app = {{ file = \"app.bin\" }}\n{more}");
    let own = PROFILE
        .replace("app = { model = \"espvault\" }", &app)
        .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"");
    station.write("own.toml", own);
    station
}

fn crashed(station: &Station) -> Ended {
    let ended = station.unit(["run", "own.toml", "--json", "--fault", "firmware.boot_loop"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (1, &"boot.loop".into()), "{ended:?}");
    ended
}

#[test]
fn a_crash_is_told_by_function_file_and_line() {
    let station = station("elf = \"build/app.elf\"");
    let ended = crashed(&station);
    let record = ended.json();
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    let said = "panicked (LoadProhibited) in wifi_start at main/wifi.c:";
    assert!(message.contains(said), "{message}");
    let evidence = check(&record, "wifi_join")["evidence"].to_string();
    for call in
        ["wifi_start at main/wifi.c:", "wifi_connect at main/wifi.c:", "app_main at main/wifi.c:"]
    {
        assert!(evidence.contains(call), "{evidence}");
    }
    let panic = &record["panic"];
    assert_eq!(panic["cause"], "LoadProhibited");
    assert_eq!(panic["frames"][2]["function"], "app_main");
    assert_eq!(panic["frames"][0]["address"], "0x400d5e28");
    let folder = station.path("").display().to_string();
    assert!(
        !panic.to_string().contains(&folder),
        "where it was built is nobody's business: {panic}"
    );
    let told = station.unit(["run", "own.toml", "--fault", "firmware.boot_loop"]);
    assert!(told.stdout.contains(said) && told.stdout.contains("app_main at"), "{}", told.stdout);
}

#[test]
fn without_an_elf_it_is_said_how_to_name_it() {
    let ended = crashed(&station(""));
    let record = ended.json();
    let evidence = check(&record, "wifi_join")["evidence"].to_string();
    assert!(evidence.contains("name the ELF in [images] elf"), "{evidence}");
    assert_eq!(record["panic"]["frames"][1]["address"], "0x400d5f04");
    assert!(record["panic"]["frames"][1]["function"].is_null());
}

#[test]
fn an_elf_of_another_build_decodes_nothing_and_that_is_said() {
    let station = station("elf = \"build/app.elf\"");
    let mut elf = fs::read(station.path("build/app.elf")).expect("the ELF");
    elf.push(0);
    station.write("build/app.elf", elf);
    let record = crashed(&station).json();
    let evidence = check(&record, "wifi_join")["evidence"].to_string();
    assert!(evidence.contains("is not the ELF of the image that was flashed"), "{evidence}");
    assert!(!evidence.contains("wifi_start"), "{evidence}");
}

#[test]
fn what_is_no_elf_is_refused_before_anything_is_touched() {
    let station = station("elf = \"app.bin\"");
    for command in [&["profile", "check", "own.toml"][..], &["run", "own.toml"]] {
        let ended = match command[0] {
            "run" => station.unit(command),
            _ => station.goldline(command),
        };
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.stderr.contains("app.bin is no ELF file"), "{ended:?}");
    }
}
