//! A machine with ports, as the program is shown one: Linux's folders of devices in a tree, whose ports are pseudo
//! terminals of this machine; processes and their descriptors are the real ones.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    fs::{OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use super::program::Station;

/// The tree lies in a folder of the station's.
pub struct Jig<'a> {
    pub station: &'a Station,
    root: PathBuf,
}

/// What of USB a port is.
pub struct Usb<'a> {
    /// Below the host controller: `1-1.4` hangs on the hub `1-1`.
    pub hub: &'a str,
    pub id: (&'a str, &'a str),
    pub names: Option<(&'a str, &'a str)>,
    pub serial: Option<&'a str>,
}

pub const CP2102N: (&str, &str) = ("10c4", "ea60");
pub const FT2232H: (&str, &str) = ("0403", "6010");
pub const SERIAL_JTAG: (&str, &str) = ("303a", "1001");

impl<'a> Jig<'a> {
    pub fn new(station: &'a Station) -> Self {
        let root = station.path("machine");
        for folder in
            ["sys/class/tty", "sys/bus", "dev/serial/by-id", "dev/serial/by-path", "run/lock"]
        {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for real in ["proc", "etc"] {
            symlink(Path::new("/").join(real), root.join(real)).expect("a link");
        }
        Self { station, root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of a port as the program says it.
    pub fn port(&self, name: &str) -> String {
        self.path("dev").join(name).display().to_string()
    }

    /// The program on this machine.
    pub fn command(&self) -> Command {
        let mut command = self.station.command();
        command.env("GOLDLINE_MACHINE", &self.root);
        command
    }

    /// A device of USB, and the interface of it that a driver took.
    pub fn usb(&self, usb: &Usb<'_>, interface: u8) -> PathBuf {
        let mut device = self.path("sys/devices/pci0000:00/0000:00:14.0/usb1");
        for (end, _) in usb.hub.match_indices('.') {
            device.push(&usb.hub[..end]);
        }
        device.push(usb.hub);
        let folder = device.join(format!("{}:1.{interface}", usb.hub));
        fs::create_dir_all(&folder).expect("a folder");
        let write = |folder: &Path, name: &str, text: &str| {
            fs::write(folder.join(name), format!("{text}\n")).expect("an attribute");
        };
        write(&device, "idVendor", usb.id.0);
        write(&device, "idProduct", usb.id.1);
        if let Some((maker, product)) = usb.names {
            write(&device, "manufacturer", maker);
            write(&device, "product", product);
        }
        if let Some(serial) = usb.serial {
            write(&device, "serial", serial);
        }
        write(&folder, "bInterfaceNumber", &format!("{interface:02x}"));
        folder
    }

    /// A port as usb-serial makes it: a folder of its own below the interface.
    pub fn tty_usb(&self, name: &str, driver: &str, usb: &Usb<'_>, interface: u8) {
        let device = self.usb(usb, interface).join(name);
        self.tty(name, &device, "usb-serial", driver);
    }

    /// A port as cdc_acm makes it: at the interface itself.
    pub fn tty_acm(&self, name: &str, usb: &Usb<'_>, interface: u8) {
        let device = self.usb(usb, interface);
        self.tty(name, &device, "usb", "cdc_acm");
    }

    /// A UART of the machine's own; of type 0 there is none in its place.
    pub fn uart(&self, name: &str, kind: u32) {
        let device = self.path("sys/devices/platform/serial8250");
        self.tty(name, &device, "platform", "serial8250");
        fs::write(self.path("sys/class/tty").join(name).join("type"), format!("{kind}\n"))
            .expect("an attribute");
    }

    fn tty(&self, name: &str, device: &Path, bus: &str, driver: &str) {
        let class = device.join("tty").join(name);
        fs::create_dir_all(&class).expect("a folder");
        symlink(device, class.join("device")).expect("a link");
        symlink(&class, self.path("sys/class/tty").join(name)).expect("a link");
        let driver = self.path(&format!("sys/bus/{bus}/drivers/{driver}"));
        fs::create_dir_all(&driver).expect("a folder");
        // Two ports of one driver at one place are one device.
        let _there = symlink(driver, device.join("driver"));
    }

    /// What is behind a port: a terminal of this machine.
    pub fn wire(&self, name: &str, terminal: &Path) {
        symlink(terminal, self.path("dev").join(name)).expect("a link");
    }

    /// udev's links to a port.
    pub fn links(&self, name: &str, by_id: &str, by_path: &str) {
        let target = Path::new("../..").join(name);
        symlink(&target, self.path("dev/serial/by-id").join(by_id)).expect("a link");
        symlink(&target, self.path("dev/serial/by-path").join(by_path)).expect("a link");
    }
}

/// A pseudo terminal of this process; it is there for as long as its master is open.
pub struct Terminal {
    _master: std::os::fd::OwnedFd,
    pub path: PathBuf,
}

impl Terminal {
    pub fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it may be used");
        let name = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        Self { _master: master, path: PathBuf::from(name) }
    }

    /// The end that a unit's port would be, for a child to hold.
    pub fn open(&self) -> File {
        // Never as the controlling terminal.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        File::from(open(&self.path, flags, rustix::fs::Mode::empty()).expect("it opens"))
    }
}
