//! What this machine knows of a port on USB.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Espressif's, and the USB that is part of its chips.
const SERIAL_JTAG: (&str, &str) = ("303a", "1001");
const PORTS: &str = "/sys/class/tty";

/// The name that a port has of what it is, which stays when its number changes: its link in `/dev/serial/by-id`.
pub(super) fn name_by_id(port: &Path) -> Option<PathBuf> {
    link_to(Path::new("/dev/serial/by-id"), port)
}

fn link_to(names: &Path, port: &Path) -> Option<PathBuf> {
    // A name that somebody chose stays as it is.
    if fs::symlink_metadata(port).ok()?.is_symlink() {
        return None;
    }
    let links = fs::read_dir(names).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut links: Vec<PathBuf> =
        links.filter(|link| fs::canonicalize(link).is_ok_and(|device| device == port)).collect();
    links.sort();
    links.into_iter().next()
}

/// Whether the port is a chip's own USB Serial/JTAG, which has a reset of its own.
pub(super) fn is_serial_jtag(port: &Path) -> bool {
    is_serial_jtag_in(Path::new(PORTS), port)
}

fn is_serial_jtag_in(ports: &Path, port: &Path) -> bool {
    // A name under /dev/serial is a link to the port itself.
    let Ok(device) = fs::canonicalize(port) else { return false };
    let Some(name) = device.file_name() else { return false };
    // The tty's device is an interface of the USB device.
    let usb = ports.join(name).join("device/..");
    let said = |file| fs::read_to_string(usb.join(file)).unwrap_or_default().trim().to_lowercase();
    (said("idVendor").as_str(), said("idProduct").as_str()) == SERIAL_JTAG
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As sysfs has it: the tty's `device` leads to an interface below the USB device.
    #[test]
    fn a_chips_own_usb_is_known_by_its_ids() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for (tty, product, expected) in [("ttyACM0", "1001", true), ("ttyUSB0", "ea60", false)] {
            let (interface, class) =
                (path(&format!("usb/{tty}/1:1.0")), path(&format!("tty/{tty}")));
            fs::create_dir_all(&interface).expect("an interface");
            fs::create_dir_all(&class).expect("a tty");
            fs::write(path(&format!("usb/{tty}/idVendor")), "303a\n").expect("its vendor");
            fs::write(path(&format!("usb/{tty}/idProduct")), product).expect("its product");
            symlink(&interface, class.join("device")).expect("its device");
            fs::write(path(tty), "").expect("what stands for the port");
            symlink(path(tty), path(&format!("by-id-{tty}"))).expect("its name by id");
            let port = path(&format!("by-id-{tty}"));
            assert_eq!(is_serial_jtag_in(&path("tty"), &port), expected, "{tty}");
        }
        assert!(!is_serial_jtag_in(&path("tty"), &path("ttyS0")));
    }

    #[test]
    fn a_port_is_found_again_by_its_name_of_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("its own path");
        let (port, names) = (folder.join("ttyACM0"), folder.join("by-id"));
        fs::write(&port, "").expect("what stands for the port");
        fs::create_dir(&names).expect("a folder");
        assert_eq!(link_to(&names, &port), None, "it has none");
        let name = names.join("usb-Espressif_24:0A:C4:00:01:10-if00");
        symlink("../ttyACM0", &name).expect("a name");
        assert_eq!(link_to(&names, &port), Some(name.clone()));
        assert_eq!(link_to(&names, &name), None, "that is what was named");
    }
}
