//! Where a port is found again that went away: at the socket that it was plugged into.
//!
//! Its number is the next free one when it comes back, and a serial number is not asked: cheap bridges have none, or
//! one that all of them have, and udev leaves the link that those share at the last one that came. Opens nothing.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{
    inventory::{Port, UsbPlace, serial_ports},
    machine::Machine,
};

/// What a port is found again by.
#[derive(Clone, Debug)]
pub(in crate::device) enum Socket {
    /// The sockets from hub to hub, and the interface of the device there.
    Usb { machine: Machine, place: String },
    /// A link or a node that stays its own.
    Path(PathBuf),
}

impl Socket {
    /// The socket of a port that is there, as far as Linux tells: by its hubs and its interface, by udev's link to
    /// those, or else by the path that was given.
    pub(in crate::device) fn of(machine: Machine, path: &Path) -> Self {
        let Ok(node) = fs::canonicalize(path) else { return Self::Path(path.to_owned()) };
        let is_node = |path: &Path| fs::canonicalize(path).is_ok_and(|other| other == node);
        let ports = serial_ports(&machine);
        let port = ports.iter().find(|port| is_node(&port.path));
        if let Some(place) = port.and_then(|port| port.usb.as_ref()).map(UsbPlace::place)
            && only_at(&ports, &place).is_some()
        {
            return Self::Usb { machine, place };
        }
        // Several ports at one interface have a number in their links, and a container may have links alone.
        let links = fs::read_dir(machine.dev().join("serial/by-path")).into_iter().flatten();
        let link = links.flatten().map(|link| link.path()).filter(|link| is_node(link)).min();
        Self::Path(link.unwrap_or_else(|| path.to_owned()))
    }

    /// The port that is plugged in there now, if any.
    pub(in crate::device) fn port(&self) -> Option<PathBuf> {
        match self {
            Self::Usb { machine, place } => only_at(&serial_ports(machine), place),
            Self::Path(path) => Some(path.clone()),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb { place, .. } => write!(f, "serial:hub={place}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

fn only_at(ports: &[Port], place: &str) -> Option<PathBuf> {
    let is_there = |port: &&Port| port.usb.as_ref().is_some_and(|usb| usb.place() == place);
    let mut there = ports.iter().filter(is_there);
    let port = there.next()?;
    there.next().is_none().then(|| port.path.clone())
}

#[cfg(test)]
pub(in crate::device) mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// Bridges with one serial number, as Linux and udev show them.
    pub(in crate::device) struct Bridges(TempDir);

    impl Bridges {
        pub(in crate::device) fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for name in ["sys/class/tty", "dev/serial/by-id", "dev/serial/by-path"] {
                fs::create_dir_all(folder.path().join(name)).expect("a folder");
            }
            Self(folder)
        }

        pub(in crate::device) fn machine(&self) -> Machine {
            Machine::at(self.0.path())
        }

        pub(in crate::device) fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// A bridge comes: the next link by id is its.
        pub(in crate::device) fn plug(&self, name: &str, hub: &str, terminal: &Path) {
            let device = self.path(&format!("sys/devices/usb1/{hub}"));
            let port = device.join(format!("{hub}:1.0")).join(name);
            fs::create_dir_all(&port).expect("a folder");
            for (file, text) in [("idVendor", "10c4"), ("idProduct", "ea60"), ("serial", "0001")] {
                fs::write(device.join(file), text).expect("an attribute");
            }
            fs::write(device.join(format!("{hub}:1.0/bInterfaceNumber")), "00")
                .expect("its number");
            let class = self.path(&format!("sys/class/tty/{name}"));
            fs::create_dir(&class).expect("a folder");
            symlink(port, class.join("device")).expect("its device");
            symlink(terminal, self.path("dev").join(name)).expect("its node");
            let by_id = self.path("dev/serial/by-id/usb-Silicon_Labs_0001-if00-port0");
            let _earlier = fs::remove_file(&by_id);
            symlink(Path::new("../..").join(name), by_id).expect("its name of what it is");
        }

        pub(in crate::device) fn unplug(&self, name: &str) {
            fs::remove_dir_all(self.path(&format!("sys/class/tty/{name}"))).expect("it was there");
            fs::remove_file(self.path("dev").join(name)).expect("it was there");
        }
    }

    fn node(bridges: &Bridges, name: &str) -> PathBuf {
        fs::write(bridges.path(name), "").expect("what stands for a unit");
        bridges.path(name).canonicalize().expect("its own path")
    }

    #[test]
    fn a_bridge_without_a_serial_number_of_its_own_is_found_at_its_socket() {
        let bridges = Bridges::new();
        let (one, two) = (node(&bridges, "one"), node(&bridges, "two"));
        bridges.plug("ttyUSB1", "1-1.2", &two);
        bridges.plug("ttyUSB0", "1-1.1", &one);
        let shared = bridges.path("dev/serial/by-id/usb-Silicon_Labs_0001-if00-port0");
        for given in [bridges.path("dev/ttyUSB0"), shared] {
            let socket = Socket::of(bridges.machine(), &given);
            assert_eq!(socket.port(), Some(bridges.path("dev/ttyUSB0")), "{}", given.display());
        }
        let socket = Socket::of(bridges.machine(), &bridges.path("dev/ttyUSB0"));
        bridges.unplug("ttyUSB0");
        bridges.unplug("ttyUSB1");
        assert_eq!(socket.port(), None, "it is away");
        bridges.plug("ttyUSB0", "1-1.2", &two);
        assert_eq!(socket.port(), None, "another one has its number");
        bridges.plug("ttyUSB1", "1-1.1", &one);
        assert_eq!(socket.port(), Some(bridges.path("dev/ttyUSB1")));
    }

    #[test]
    fn what_has_no_socket_of_its_own_is_found_by_its_link_or_as_it_was_named() {
        let bridges = Bridges::new();
        let unit = node(&bridges, "unit");
        let named = |path: &Path| Socket::of(bridges.machine(), path).port();
        assert_eq!(named(&unit), Some(unit.clone()), "no device of Linux's");
        assert_eq!(named(Path::new("/nothing/here")), Some("/nothing/here".into()));
        bridges.plug("ttyUSB0", "1-1", &unit);
        bridges.plug("ttyUSB1", "1-1", &node(&bridges, "other"));
        let path = bridges.path("dev/ttyUSB0");
        assert_eq!(named(&path), Some(path.clone()), "two ports at one interface");
        let link = bridges.path("dev/serial/by-path/usb-0:1:1.0-port0");
        symlink("../../ttyUSB0", &link).expect("udev's link");
        assert_eq!(named(&path), Some(link));
    }
}
