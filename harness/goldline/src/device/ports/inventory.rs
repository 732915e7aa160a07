//! The serial ports that Linux has: path, driver, and what of USB each hangs on.
//!
//! `/sys/class/tty/NAME/device` leads into the tree of devices: for `ttyACM0` to the USB interface itself, for
//! `ttyUSB0` to a folder of the port's own below it. The USB device is the first folder above that has a vendor id.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    bridge::{Known, known},
    machine::Machine,
};

/// A serial port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Such as `/dev/ttyUSB0`: another one's after the next start of the machine.
    pub path: PathBuf,
    /// A link that names the device by its vendor, product and serial number.
    pub by_id: Option<PathBuf>,
    /// A link that names the socket that it is plugged into.
    pub by_path: Option<PathBuf>,
    /// Linux's name of its driver.
    pub driver: Option<String>,
    /// What of USB it is; other ports are the machine's own.
    pub usb: Option<UsbPlace>,
}

/// What a port on USB is, and where it is plugged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsbPlace {
    /// idVendor.
    pub vendor: u16,
    /// idProduct.
    pub product: u16,
    /// In the device's own words.
    pub vendor_name: Option<String>,
    /// In the device's own words.
    pub product_name: Option<String>,
    /// In the device's own words; cheap bridges have none, or one that all of them have.
    pub serial: Option<String>,
    /// The bus and the sockets from hub to hub, such as `1-1.4.2`.
    pub hub: String,
    /// bInterfaceNumber: it tells the ports of one device apart.
    pub interface: Option<u8>,
}

impl Port {
    /// What the numbers of its USB device tell.
    pub fn known(&self) -> Option<Known> {
        self.usb.as_ref().and_then(|usb| known(usb.vendor, usb.product))
    }
}

impl UsbPlace {
    /// Hub path and interface, as a device URL takes it: `1-1.4.2:0`.
    pub fn place(&self) -> String {
        match self.interface {
            Some(interface) => format!("{}:{interface}", self.hub),
            None => self.hub.clone(),
        }
    }
}

/// Every serial port that a unit may hang on, in the order of their names.
pub fn serial_ports(machine: &Machine) -> Vec<Port> {
    let class = machine.sys().join("class/tty");
    // A machine without terminals has no such folder.
    let entries = fs::read_dir(&class).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_by_cached_key(|name| numbered(name));
    names.iter().filter_map(|name| port(machine, name)).collect()
}

/// Whether the port is a chip's own USB Serial/JTAG, which has a reset of its own. A name under `/dev/serial` is a link
/// to the port itself.
pub(in crate::device) fn is_serial_jtag(machine: &Machine, port: &Path) -> bool {
    let Ok(node) = fs::canonicalize(port) else { return false };
    let is_node = |port: &Port| fs::canonicalize(&port.path).is_ok_and(|path| path == node);
    let found = serial_ports(machine).into_iter().find(is_node);
    found.and_then(|port| port.known()) == Some(Known::UsbSerialJtag)
}

/// A name and the number at its end, so that `ttyUSB10` comes after `ttyUSB9`.
fn numbered(name: &str) -> (String, Option<u32>) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem.to_owned(), name[stem.len()..].parse().ok())
}

fn port(machine: &Machine, name: &str) -> Option<Port> {
    let class = machine.sys().join("class/tty").join(name);
    // Consoles and pseudo terminals have no device.
    let device = fs::canonicalize(class.join("device")).ok()?;
    let usb = usb_place(&device, machine);
    if usb.is_none() && !has_uart(&class) {
        return None;
    }
    Some(Port {
        path: machine.dev().join(name),
        by_id: link_to(name, &machine.dev().join("serial/by-id")),
        by_path: link_to(name, &machine.dev().join("serial/by-path")),
        driver: driver(&device),
        usb,
    })
}

/// Linux keeps four places for UARTs of a PC whether there are any or not: type 0 is none.
fn has_uart(class: &Path) -> bool {
    text(class, "type").and_then(|kind| kind.parse::<u32>().ok()).is_some_and(|kind| kind != 0)
}

fn driver(device: &Path) -> Option<String> {
    let link = fs::read_link(device.join("driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

/// Of the folder of a device, or of one above it.
fn usb_place(device: &Path, machine: &Machine) -> Option<UsbPlace> {
    let sys = fs::canonicalize(machine.sys()).ok()?;
    let above = || device.ancestors().take_while(|folder| *folder != sys);
    let usb = above().find(|folder| folder.join("idVendor").is_file())?;
    let interface = above().find_map(|folder| hexadecimal(folder, "bInterfaceNumber"));
    Some(UsbPlace {
        vendor: hexadecimal(usb, "idVendor")?,
        product: hexadecimal(usb, "idProduct")?,
        vendor_name: text(usb, "manufacturer"),
        product_name: text(usb, "product"),
        serial: text(usb, "serial"),
        hub: usb.file_name()?.to_string_lossy().into_owned(),
        interface: interface.and_then(|number| u8::try_from(number).ok()),
    })
}

fn hexadecimal(folder: &Path, name: &str) -> Option<u16> {
    u16::from_str_radix(&text(folder, name)?, 16).ok()
}

/// What an attribute holds. The device wrote some of them: what would move a terminal's cursor is taken out.
fn text(folder: &Path, name: &str) -> Option<String> {
    let bytes = fs::read(folder.join(name)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let plain: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    (!plain.is_empty()).then_some(plain)
}

/// The link in a folder of udev's that leads to the port; the first, where there are several.
fn link_to(name: &str, folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let leads_there = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|target| target.file_name().is_some_and(|to| to == name))
    };
    entries.filter(leads_there).min()
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
        let machine = Machine::at(folder.path());
        fs::create_dir_all(path("dev/serial/by-id")).expect("a folder");
        for (tty, product, expected) in [("ttyACM0", "1001", true), ("ttyUSB0", "ea60", false)] {
            let device = path(&format!("sys/devices/usb1/{tty}"));
            let (interface, class) =
                (device.join("1-1:1.0"), path(&format!("sys/class/tty/{tty}")));
            fs::create_dir_all(&interface).expect("an interface");
            fs::create_dir_all(&class).expect("a tty");
            fs::write(device.join("idVendor"), "303a\n").expect("its vendor");
            fs::write(device.join("idProduct"), product).expect("its product");
            symlink(&interface, class.join("device")).expect("its device");
            fs::write(path(&format!("dev/{tty}")), "").expect("what stands for the port");
            let by_id = path(&format!("dev/serial/by-id/{tty}"));
            symlink(path(&format!("dev/{tty}")), &by_id).expect("its name by id");
            assert_eq!(is_serial_jtag(&machine, &by_id), expected, "{tty}");
        }
        assert!(!is_serial_jtag(&machine, &path("dev/ttyS0")));
    }
}
