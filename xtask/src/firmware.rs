//! `cargo xtask firmware`: builds the reference firmware's machine code, by whichever compiler for its chip is
//! there: for the chip, and for QEMU's machine `virt`.
//!
//! Must not know what the firmware does, nor who flashes it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use crate::{
    Outcome,
    command::{answers, cargo, output, program, run, section},
    workspace,
};

const FOLDER: &str = "fixtures/firmware/reference";
const TARGET: &str = "riscv32imc-unknown-none-elf";
const PROFILES: &str = "fixtures/profiles/reference";
/// As those profiles name it.
const ELF: &str = "target/firmware/reference/goldline-reference.elf";
/// With profiles of its own, which name the two.
const VIRT_FOLDER: &str = "target/firmware/reference/virt";
const VIRT_ELF: &str = "target/firmware/reference/virt/goldline-reference.elf";
const VIRT_BOOTLOADER: &str = "target/firmware/reference/virt/bootloader.bin";
const VIRT: [&str; 3] = ["--no-default-features", "--features", "virt"];
/// A target directory of its own: another compiler may build it, and `cargo clean` of the rest leaves it alone.
const BUILT_IN: &str = "target/firmware";
/// Of Debian's packages rustc-web and cargo-web; a rustup on the `PATH` stands before them.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Of rust-web-src: Debian has no core for the chip, so it is built as well.
const DEBIAN_CORE: &str = "/usr/lib/rustlib/src/rust/library/core/Cargo.toml";
/// What the manifest's rust-version asks for.
const LEAST_MINOR: u32 = 95;

/// Something that compiles for the chip.
enum Compiler {
    /// The compiler that builds everything else here, with the chip's target installed.
    Rustup,
    /// Debian's newest, with the chip's core built from source.
    Debian,
}

/// Builds it for both boards; `words` go to cargo build, and mean the chip's alone.
pub fn build(words: &[&str]) -> Outcome {
    let compiler = Compiler::find()?;
    println!("building {FOLDER} for {TARGET} with {}", compiler.name());
    compile(&compiler, "reference firmware", words)?;
    keep(&read(&built("goldline-reference"))?, ELF)?;
    if words.is_empty() {
        compile(&compiler, "reference firmware for virt", &VIRT)?;
        keep(&read(&built("goldline-reference"))?, VIRT_ELF)?;
        keep(&sealed(read(&built("virt-bootloader"))?), VIRT_BOOTLOADER)?;
        for profile in profiles()? {
            let name = profile.file_name().unwrap_or_default().to_string_lossy();
            keep(&for_virt(&read(&profile)?), &format!("{VIRT_FOLDER}/{name}"))?;
        }
    }
    Ok(())
}

fn profiles() -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(workspace::root().join(PROFILES));
    let entries = entries.map_err(|error| format!("cannot read {PROFILES}: {error}"))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// A profile that names what lies beside it: the code for `virt`, and the bootloader that loads it.
fn for_virt(profile: &[u8]) -> Vec<u8> {
    let profile = String::from_utf8_lossy(profile);
    let profile = profile.replace(&format!("../../../{ELF}"), "goldline-reference.elf");
    profile.replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"").into_bytes()
}

fn compile(compiler: &Compiler, name: &str, words: &[&str]) -> Outcome {
    let mut command = compiler.cargo();
    command.args(["--release", "--locked"]).args(words);
    command.current_dir(workspace::root().join(FOLDER));
    command.env("CARGO_TARGET_DIR", workspace::root().join(BUILT_IN));
    // The flags are those of the folder's own configuration.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    section(name, || run(&mut command))
}

fn built(program: &str) -> PathBuf {
    workspace::root().join(BUILT_IN).join(TARGET).join("release").join(program)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn keep(bytes: &[u8], name: &str) -> Outcome {
    let path = workspace::root().join(name);
    let folder = path.parent().unwrap_or(&path);
    let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes));
    kept.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    println!("built {name}");
    Ok(())
}

/// An image of one segment with what no linker can calculate: its checksum, and its SHA-256.
fn sealed(mut image: Vec<u8>) -> Vec<u8> {
    const SEGMENT: usize = 32;
    const LINE: usize = 16;
    let checksum = image.iter().skip(SEGMENT).fold(0xEF, |sum, byte| sum ^ byte);
    image.resize(image.len() | (LINE - 1), 0);
    image.push(checksum);
    let digest = Sha256::digest(&image);
    image.extend_from_slice(&digest);
    image
}

impl Compiler {
    /// The one that is there; what is missing is installed where that takes one command.
    fn find() -> Result<Self, String> {
        if has_target() || add_target() {
            return Ok(Self::Rustup);
        }
        if !debian_is_there() {
            run(program("ci/install").arg("--firmware"))?;
        }
        match debian_is_there() {
            true => Ok(Self::Debian),
            false => Err(format!(
                "no compiler for {TARGET}: run rustup target add {TARGET}, or on Debian install \
                 rustc-web, cargo-web, rust-web-src and lld"
            )),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup's toolchain",
            Self::Debian => "Debian's rustc-web, and core from rust-web-src",
        }
    }

    fn cargo(&self) -> Command {
        match self {
            Self::Rustup => cargo(["build"]),
            Self::Debian => {
                let mut command = program(DEBIAN_CARGO);
                command.arg("build").arg("-Zbuild-std=core,alloc");
                command.env("RUSTC", DEBIAN_RUSTC);
                // Building core is not stable; this compiler is told that it may.
                command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
                let linker = "CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER";
                command.env(linker, "ld.lld");
                command
            }
        }
    }
}

/// Whether the compiler that builds everything else has a core for the chip.
fn has_target() -> bool {
    let asked = output(program("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    let folder = asked.map(|folder| PathBuf::from(folder.trim()));
    let files = folder.ok().and_then(|folder| fs::read_dir(folder).ok());
    files.is_some_and(|files| {
        let names = files.flatten().map(|file| file.file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with("libcore-"))
    })
}

/// Asks rustup for it, where there is one; without a network it fails, and that is said.
fn add_target() -> bool {
    answers("rustup", &["--version"])
        && run(program("rustup").args(["target", "add", TARGET]))
            .inspect_err(|reason| println!("{reason}"))
            .is_ok()
        && has_target()
}

fn debian_is_there() -> bool {
    let recent = output(program(DEBIAN_RUSTC).arg("--version")).ok();
    recent.as_deref().and_then(minor).is_some_and(|minor| minor >= LEAST_MINOR)
        && Path::new(DEBIAN_CARGO).is_file()
        && Path::new(DEBIAN_CORE).is_file()
        && answers("ld.lld", &["--version"])
}

/// The second number of `rustc 1.96.0 (…)`.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_own_version_is_read() {
        assert_eq!(
            minor("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some(96)
        );
        assert_eq!(minor("rustc 1.63.0"), Some(63));
        assert_eq!(minor("cargo 1.96.0"), None);
    }

    #[test]
    fn the_profiles_name_the_file_that_is_built() {
        let texts: Vec<_> =
            profiles().unwrap().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert!(!texts.is_empty());
        assert!(texts.iter().all(|text| text.contains(&format!("file = \"../../../{ELF}\""))));
        for text in texts {
            let text = String::from_utf8(for_virt(text.as_bytes())).unwrap();
            assert!(text.contains("file = \"goldline-reference.elf\""));
            assert!(text.contains("bootloader = \"bootloader.bin\""));
        }
    }

    /// By esp_image_format.h: the checksum ends a line of 16 bytes, the SHA-256 of all follows.
    #[test]
    fn an_image_is_sealed_by_checksum_and_digest() {
        let image = sealed([vec![0; 32], vec![0x12, 0x34, 0x56]].concat());
        assert_eq!(image.len(), 48 + 32);
        assert_eq!(image[47], 0xEF ^ 0x12 ^ 0x34 ^ 0x56);
        assert_eq!(image[48..], Sha256::digest(&image[..48])[..]);
    }

    /// The compiler that builds the rest must be able to build it.
    #[test]
    fn the_firmware_asks_for_no_newer_compiler_than_the_workspace() {
        let asked = |manifest: &str| {
            let text = fs::read_to_string(workspace::root().join(manifest)).unwrap();
            let line =
                text.lines().find(|line| line.starts_with("rust-version = ")).map(str::to_owned);
            line.expect("a manifest names its rust-version")
        };
        assert_eq!(asked("Cargo.toml"), asked(&format!("{FOLDER}/Cargo.toml")));
        assert_eq!(asked("Cargo.toml"), format!("rust-version = \"1.{LEAST_MINOR}\""));
    }
}
