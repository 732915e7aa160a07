//! `goldline device list`: a table for people, an array for programs.

use std::path::{Path, PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::info::Info;

use crate::{
    cli::{exit, output, table::aligned},
    device::{Holder, How, Known, Machine, Port, holders, serial_ports},
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

pub(super) fn list(arguments: &ListArguments) -> miette::Result<u8> {
    if arguments.schema {
        output::print_json(&schemars::schema_for!(Vec<ListedPort>))?;
        return Ok(exit::PASS);
    }
    let machine = Machine::of_environment();
    let mut ports = Vec::new();
    for port in serial_ports(&machine) {
        let asked = arguments.identify && port.may_be_asked();
        let mut listed = listed(&machine, port);
        if asked {
            listed.identify();
        }
        ports.push(listed);
    }
    if arguments.json {
        output::print_json(&ports)?;
    } else {
        output::print(&table(&ports, arguments.identify))?;
    }
    Ok(exit::PASS)
}

fn listed(machine: &Machine, port: Port) -> ListedPort {
    let held = holders(machine, &port.path);
    let known = port.known();
    let kind = match (known, &port.usb) {
        (Some(Known::Bridge(_)), _) => PortKind::Bridge,
        (Some(Known::UsbSerialJtag | Known::EspressifUsb), _) => PortKind::Esp,
        (None, Some(_)) => PortKind::OtherUsb,
        (None, None) => PortKind::Uart,
    };
    ListedPort {
        url: port.usb.as_ref().map(|usb| format!("serial:hub={}", usb.place())),
        kind,
        name: known.map(Known::words),
        usb: port.usb.map(|usb| ListedUsb {
            vendor_id: format!("{:04x}", usb.vendor),
            product_id: format!("{:04x}", usb.product),
            vendor: usb.vendor_name,
            product: usb.product_name,
            serial: usb.serial,
            hub: usb.hub,
            interface: usb.interface,
        }),
        held_by: held.seen.into_iter().map(ListedHolder::from).collect(),
        some_unseen: held.some_unseen,
        unit: None,
        not_identified: None,
        path: port.path,
        by_id: port.by_id,
        by_path: port.by_path,
        driver: port.driver,
    }
}

impl ListedPort {
    /// Asks the unit, unless somebody has its port.
    fn identify(&mut self) {
        if !self.held_by.is_empty() {
            self.not_identified = Some(format!("its port is held by {}", held_by(&self.held_by)));
            return;
        }
        match ask_unit(&self.path) {
            Ok(facts) => self.unit = Some(Info::from(facts)),
            Err(error) => self.not_identified = Some(error.to_string()),
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

fn table(ports: &[ListedPort], identified: bool) -> String {
    if ports.is_empty() {
        return NO_PORTS.to_owned();
    }
    let heads = ["PORT", "WHAT", "USB ID", "SERIAL NUMBER", "HUB", "DRIVER", "HELD BY"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(ports.iter().map(row));
    if identified {
        rows[0].push("UNIT".to_owned());
        for (row, port) in rows[1..].iter_mut().zip(ports) {
            row.push(unit(port));
        }
    }
    aligned(&rows)
}

fn row(port: &ListedPort) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let usb = port.usb.as_ref();
    let what = port.name.map(str::to_owned).or_else(|| usb?.product.clone());
    let place = |usb: &ListedUsb| match usb.interface {
        Some(interface) => format!("{}:{interface}", usb.hub),
        None => usb.hub.clone(),
    };
    vec![
        path(&port.path),
        or_dash(what),
        or_dash(usb.map(|usb| format!("{}:{}", usb.vendor_id, usb.product_id))),
        or_dash(usb.and_then(|usb| usb.serial.clone())),
        or_dash(usb.map(place)),
        or_dash(port.driver.clone()),
        held_by(&port.held_by),
    ]
}

fn unit(port: &ListedPort) -> String {
    match (&port.unit, &port.not_identified) {
        (Some(unit), _) => unit.in_short(),
        (None, Some(why)) => why.clone(),
        (None, None) => "-".to_owned(),
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn held_by(held: &[ListedHolder]) -> String {
    let name = |holder: &ListedHolder| {
        let program = holder.program.as_deref().unwrap_or("?");
        match &holder.user {
            Some(user) => format!("{program} (pid {} of {user})", holder.pid),
            None => format!("{program} (pid {})", holder.pid),
        }
    };
    if held.is_empty() {
        return "-".to_owned();
    }
    held.iter().map(name).collect::<Vec<_>>().join(", ")
}
