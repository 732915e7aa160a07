//! `goldline device list`: a table for people, an array for programs.

use std::path::PathBuf;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::info::Info;

use crate::{
    cli::{exit, output, table::aligned},
    device::{Holder, Holders, How, Known, Machine, Port, UsbPlace, holders, serial_ports},
    station::ask_unit,
};

#[derive(Args)]
pub(in crate::cli) struct ListArguments {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// Reset each unit that may be an ESP32's into its loader, ask for chip and MAC, and start it again; ports that
    /// others have are left alone
    #[arg(long)]
    identify: bool,
    /// Print the JSON Schema of that array, and nothing else
    #[arg(long, conflicts_with_all = ["json", "identify"])]
    schema: bool,
}

/// A serial port of this machine.
#[derive(Serialize, JsonSchema)]
struct ListedPort {
    /// Such as `/dev/ttyUSB0`; another one's after the next start of the machine
    path: PathBuf,
    /// The device URL that finds this port again wherever the machine puts it; null of one that is not on USB
    url: Option<String>,
    /// udev's link by vendor, product and serial number
    by_id: Option<PathBuf>,
    /// udev's link by the socket that it is plugged into
    by_path: Option<PathBuf>,
    /// Linux's name of the driver
    driver: Option<String>,
    kind: PortKind,
    /// The name of the bridge or of the chip's own USB, where it is known
    name: Option<&'static str>,
    usb: Option<ListedUsb>,
    /// Who has it open or locked, as far as this user may see
    held_by: Vec<ListedHolder>,
    /// Whether there are processes of other users' into which this user may not look: nobody in `held_by` is no
    /// proof then
    some_unseen: bool,
    /// What its unit said of itself with --identify; null of one that was not asked, or did not answer
    unit: Option<Info>,
    /// Why the unit did not say who it is; null of one that did, or was not asked
    not_identified: Option<String>,
}

/// What hangs on a port, as far as the port tells.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PortKind {
    /// A bridge to a UART: any unit may be behind it
    Bridge,
    /// The USB of an ESP32 itself
    Esp,
    /// Another device on USB
    OtherUsb,
    /// A UART of the machine's own
    Uart,
}

/// What a port on USB is, and where it is plugged in.
#[derive(Serialize, JsonSchema)]
struct ListedUsb {
    /// Four hexadecimal digits, as `lsusb` shows them
    vendor_id: String,
    /// Four hexadecimal digits
    product_id: String,
    /// In the device's own words
    vendor: Option<String>,
    /// In the device's own words
    product: Option<String>,
    /// In the device's own words
    serial: Option<String>,
    /// Bus and sockets from hub to hub, such as `1-1.4.2`
    hub: String,
    /// Tells the ports of one device apart
    interface: Option<u8>,
}

/// A process that has a port.
#[derive(Serialize, JsonSchema)]
struct ListedHolder {
    pid: u32,
    program: Option<String>,
    /// Whose process it is, where it is another user's
    user: Option<String>,
    /// What tells of it
    by: HeldBy,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum HeldBy {
    /// It has the port open
    Open,
    /// It has a lock on the port's node
    Lock,
    /// A lock file names it
    LockFile,
}

/// A port, who has it, and what its unit said if it was asked.
struct Seen {
    port: Port,
    held: Holders,
    unit: Option<Result<Info, String>>,
}

pub(super) fn list(arguments: &ListArguments) -> miette::Result<u8> {
    if arguments.schema {
        output::print_json(&schemars::schema_for!(Vec<ListedPort>))?;
        return Ok(exit::PASS);
    }
    let machine = Machine::of_environment();
    let ports = serial_ports(&machine).into_iter();
    let seen: Vec<Seen> = ports.map(|port| Seen::new(&machine, port, arguments.identify)).collect();
    if arguments.json {
        output::print_json(&seen.into_iter().map(ListedPort::from).collect::<Vec<_>>())?;
    } else {
        output::print(&table(&seen, arguments.identify))?;
    }
    Ok(exit::PASS)
}

impl Seen {
    fn new(machine: &Machine, port: Port, identify: bool) -> Self {
        let held = holders(machine, &port.path);
        let unit = (identify && port.may_be_asked()).then(|| match held.seen.is_empty() {
            false => Err(format!("its port is held by {held}")),
            true => ask_unit(&port.path).map(Info::from).map_err(|error| error.to_string()),
        });
        Self { port, held, unit }
    }
}

impl From<Seen> for ListedPort {
    fn from(Seen { port, held, unit }: Seen) -> Self {
        let known = port.known();
        let kind = match (known, &port.usb) {
            (Some(Known::Bridge(_)), _) => PortKind::Bridge,
            (Some(Known::UsbSerialJtag | Known::EspressifUsb), _) => PortKind::Esp,
            (None, Some(_)) => PortKind::OtherUsb,
            (None, None) => PortKind::Uart,
        };
        let (unit, not_identified) = match unit {
            Some(Ok(unit)) => (Some(unit), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        Self {
            url: port.usb.as_ref().map(|usb| format!("serial:hub={}", usb.place())),
            kind,
            name: known.map(Known::words),
            usb: port.usb.map(ListedUsb::from),
            held_by: held.seen.into_iter().map(ListedHolder::from).collect(),
            some_unseen: held.some_unseen,
            unit,
            not_identified,
            path: port.path,
            by_id: port.by_id,
            by_path: port.by_path,
            driver: port.driver,
        }
    }
}

impl From<UsbPlace> for ListedUsb {
    fn from(usb: UsbPlace) -> Self {
        Self {
            vendor_id: format!("{:04x}", usb.vendor),
            product_id: format!("{:04x}", usb.product),
            vendor: usb.vendor_name,
            product: usb.product_name,
            serial: usb.serial,
            hub: usb.hub,
            interface: usb.interface,
        }
    }
}

impl From<Holder> for ListedHolder {
    fn from(Holder { pid, program, user, how }: Holder) -> Self {
        let by = match how {
            How::Open => HeldBy::Open,
            How::Lock => HeldBy::Lock,
            How::LockFile => HeldBy::LockFile,
        };
        Self { pid, program, user, by }
    }
}

const NO_PORTS: &str = "\
no serial port is plugged in; if one should be: look at its cable (many carry power only), and what the kernel said \
when it was plugged in (dmesg)
";

fn table(seen: &[Seen], identified: bool) -> String {
    if seen.is_empty() {
        return NO_PORTS.to_owned();
    }
    let heads = ["PORT", "WHAT", "USB ID", "SERIAL NUMBER", "HUB", "DRIVER", "HELD BY", "UNIT"];
    let columns = if identified { heads.len() } else { heads.len() - 1 };
    let rows = std::iter::once(heads.map(str::to_owned)).chain(seen.iter().map(row));
    aligned(&rows.map(|row| row[..columns].to_vec()).collect::<Vec<_>>())
}

fn row(Seen { port, held, unit }: &Seen) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let usb = port.usb.as_ref();
    let known = port.known().map(|known| known.words().to_owned());
    let unit = unit.as_ref().map(|unit| match unit {
        Ok(unit) => unit.in_short(),
        Err(why) => why.clone(),
    });
    [
        port.path.display().to_string(),
        or_dash(known.or_else(|| usb?.product_name.clone())),
        or_dash(usb.map(|usb| format!("{:04x}:{:04x}", usb.vendor, usb.product))),
        or_dash(usb.and_then(|usb| usb.serial.clone())),
        or_dash(usb.map(UsbPlace::place)),
        or_dash(port.driver.clone()),
        or_dash((!held.seen.is_empty()).then(|| held.to_string())),
        or_dash(unit),
    ]
}
