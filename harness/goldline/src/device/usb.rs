//! What this machine knows of a port on USB.

use std::{fs, path::Path};

/// Espressif's, and the USB that is part of its chips.
const SERIAL_JTAG: (&str, &str) = ("303a", "1001");
const PORTS: &str = "/sys/class/tty";

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
}
