//! QEMU's command line, as far as a harness uses it.

use std::{
    ffi::OsString,
    fs,
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
};

use goldline_simulator::{Mode, chip::Model};

const RISC_V: &str = "qemu-system-riscv32";

/// What the real ones print, by program.
const TEXTS: [(&str, &str, &str); 2] = [
    (
        RISC_V,
        include_str!("../../../../fixtures/emulators/qemu/qemu-system-riscv32-version.txt"),
        include_str!("../../../../fixtures/emulators/qemu/qemu-system-riscv32-machines.txt"),
    ),
    (
        "qemu-system-xtensa",
        include_str!("../../../../fixtures/emulators/qemu/qemu-system-xtensa-version.txt"),
        include_str!("../../../../fixtures/emulators/qemu/qemu-system-xtensa-machines.txt"),
    ),
];

/// What a command line asks for.
pub enum Asked {
    /// A text of the program's about itself.
    Text(String),
    /// A machine to run.
    Machine(Box<Arguments>),
}

/// A machine.
pub struct Arguments {
    pub model: &'static Model,
    pub mode: Mode,
    pub flash: PathBuf,
    pub flash_size: u32,
    pub efuse: Option<PathBuf>,
    /// Whether it begins to run.
    pub runs: bool,
    /// The network card's frames, which come over descriptor 0.
    pub frames: Option<UnixStream>,
    chardevs: Vec<(String, UnixStream)>,
}

impl Arguments {
    /// Takes them apart, in the real program's words where it refuses them.
    pub fn parse(program: &str, arguments: &[OsString]) -> Result<Asked, String> {
        let (_, version, machines) = TEXTS.iter().find(|(name, ..)| *name == program).ok_or(
            "stands in for qemu-system-riscv32 and qemu-system-xtensa: call it by that name",
        )?;
        let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
        match words[..] {
            ["--version"] => return Ok(Asked::Text((*version).to_owned())),
            ["-M", "help"] => return Ok(Asked::Text((*machines).to_owned())),
            _ => {}
        }
        let mut machine = None;
        let mut parsed = Raw::default();
        let mut words = words.into_iter();
        while let Some(option) = words.next() {
            if option == "-S" {
                parsed.still = true;
                continue;
            }
            if ![
                "-M", "-display", "-monitor", "-drive", "-global", "-nic", "-chardev", "-mon",
                "-serial",
            ]
            .contains(&option)
            {
                return Err(format!("{option}: invalid option"));
            }
            let value = words.next().ok_or_else(|| format!("{option}: requires an argument"))?;
            match option {
                "-M" => machine = Some(known_machine(value, machines)?),
                "-drive" => parsed.drive(value)?,
                "-global" => parsed.global(value)?,
                "-nic" => parsed.nic(value)?,
                "-chardev" => parsed.chardevs.push(connect(value)?),
                _ => {}
            }
        }
        let model = machine.ok_or("the machine is not named")?;
        parsed.finish(program, model).map(Box::new).map(Asked::Machine)
    }

    /// The connection of this name.
    pub fn take_chardev(&mut self, id: &str) -> Result<UnixStream, String> {
        let at = self.chardevs.iter().position(|(name, _)| name == id);
        at.map(|at| self.chardevs.swap_remove(at).1)
            .ok_or_else(|| format!("there is no chardev {id}"))
    }
}

/// Connects to where it is awaited.
fn connect(value: &str) -> Result<(String, UnixStream), String> {
    let fields = fields(value);
    let (Some(id), Some(path)) = (field(&fields, "id"), field(&fields, "path")) else {
        return Err(format!("-chardev {value}: no transcript shows it"));
    };
    let stream = UnixStream::connect(path).map_err(|error| {
        format!("-chardev {value}: Failed to connect to '{path}': {}", words_of(&error))
    })?;
    Ok((id.to_owned(), stream))
}

/// The C library's words alone.
fn words_of(error: &std::io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

fn known_machine(name: &str, machines: &str) -> Result<&'static Model, String> {
    let listed = machines.lines().any(|line| line.split_whitespace().next() == Some(name));
    listed.then(|| Model::named(name)).flatten().ok_or_else(|| {
        "unsupported machine type\nUse -machine help to list supported machines".to_owned()
    })
}

#[derive(Default)]
struct Raw {
    still: bool,
    mode: Option<Mode>,
    flash: Option<(PathBuf, String)>,
    efuse: Option<PathBuf>,
    wired: bool,
    chardevs: Vec<(String, UnixStream)>,
}

impl Raw {
    fn drive(&mut self, value: &str) -> Result<(), String> {
        let fields = fields(value);
        let path = field(&fields, "file").ok_or_else(|| format!("-drive {value}: no file"))?;
        let path = PathBuf::from(path);
        if let Err(error) = fs::File::open(&path) {
            let words = words_of(&error);
            return Err(format!("-drive {value}: Could not open '{}': {words}", path.display()));
        }
        match (field(&fields, "if"), field(&fields, "id")) {
            (Some("mtd"), _) => self.flash = Some((path, value.to_owned())),
            (Some("none"), Some("efuse")) => self.efuse = Some(path),
            _ => return Err(format!("-drive {value}: no transcript shows it")),
        }
        Ok(())
    }

    fn global(&mut self, value: &str) -> Result<(), String> {
        let fields = fields(value);
        let mode = match (field(&fields, "property"), field(&fields, "value")) {
            (Some("strap_mode"), Some("0x12" | "0x08")) => Mode::Boot,
            (Some("strap_mode"), Some("0x0f" | "0x02")) => Mode::Download,
            (Some("wdt_disable" | "drive"), _) => return Ok(()),
            _ => return Err(format!("-global {value}: no transcript shows it")),
        };
        self.mode = Some(mode);
        Ok(())
    }

    fn nic(&mut self, value: &str) -> Result<(), String> {
        let fields = fields(value);
        self.wired = match value {
            "none" => false,
            _ if field(&fields, "fd") == Some("0") && field(&fields, "model").is_some() => true,
            _ => return Err(format!("-nic {value}: no transcript shows it")),
        };
        Ok(())
    }

    fn finish(self, program: &str, model: &'static Model) -> Result<Arguments, String> {
        let (flash, drive) = self.flash.ok_or("there is no flash")?;
        let length = fs::metadata(&flash).map_err(|error| error.to_string())?.len();
        if !matches!(length >> 20, 2 | 4 | 8 | 16) || !length.is_power_of_two() {
            eprintln!("Adding SPI flash device");
            return Err(format!(
                "Drive size error: only 2, 4, 8, and 16MB images are supported\n{program}: -drive {drive}: machine type does not support if=mtd,bus=0,unit=0"
            ));
        }
        Ok(Arguments {
            model,
            mode: self.mode.unwrap_or(Mode::Boot),
            flash,
            flash_size: u32::try_from(length).expect("16 MB at most"),
            efuse: self.efuse,
            runs: !self.still,
            frames: self.wired.then(frames).transpose()?,
            chardevs: self.chardevs,
        })
    }
}

fn frames() -> Result<UnixStream, String> {
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned();
    descriptor.map(UnixStream::from).map_err(|error| format!("-nic socket,fd=0: {error}"))
}

/// `a=b,c=d,,e`: a doubled comma is one of the value's own.
fn fields(text: &str) -> Vec<(String, String)> {
    let marked = text.replace(",,", "\0");
    let fields = marked.split(',').map(|field| field.replace('\0', ","));
    fields
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((&field, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}
