//! The arguments of Espressif's QEMU as those of any QEMU's machine `virt`.

use std::fs::OpenOptions;

use crate::efuse;

/// The size of the machine's flash: QEMU takes no smaller file.
const FLASH: u64 = 32 << 20;
/// The device that sets the program counter at each reset: behind the headers of the image at the flash's start, where
/// a chip's ROM finds the bootloader.
const START: &str = "loader,addr=0x20000020,cpu-num=0";
/// Whose ROM waits for a loader.
const DOWNLOAD: &str = "property=strap_mode,value=0x02";

/// All that follows the program's name; what it is asked of itself, such as `--version`, stays as it is.
pub fn translate(given: &[String]) -> Result<Vec<String>, String> {
    if !given.iter().any(|word| word == "-drive") {
        return Ok(given.to_vec());
    }
    let mut virt: Vec<String> =
        ["-bios", "none", "-m", "16M", "-device", START, "-device", "virtio-rng-device", "-device"]
            .map(str::to_owned)
            .into();
    virt.push(efuse::as_device());
    let mut words = given.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{option}: requires an argument"));
        match option.as_str() {
            "-global" => refuse_download(value()?)?,
            "-drive" => virt.extend([option.clone(), flash(value()?)?]),
            "-nic" => virt.extend(card(value()?)),
            "-chardev" => virt.extend([option.clone(), efuse::between(value()?)?]),
            _ => virt.push(option.clone()),
        }
    }
    Ok(virt)
}

/// Other straps and the watchdogs are none of this machine's.
fn refuse_download(property: &str) -> Result<(), String> {
    match property.contains(DOWNLOAD) {
        true => Err("virt has no ROM that could load: leave provision=loader out".to_owned()),
        false => Ok(()),
    }
}

/// `file=PATH,if=mtd,format=raw`: the file grows to the size of the machine's flash, and what is in it stays where it is.
fn flash(drive: &str) -> Result<String, String> {
    let path = drive.strip_prefix("file=").and_then(|rest| rest.strip_suffix(",if=mtd,format=raw"));
    let path = path.ok_or_else(|| format!("-drive {drive}: virt has a flash, and no eFuses"))?;
    // A comma of its own is doubled.
    let file = OpenOptions::new().write(true).open(path.replace(",,", ","));
    let grown = file.and_then(|file| match file.metadata()?.len() {
        FLASH.. => Ok(()),
        _ => file.set_len(FLASH),
    });
    grown.map_err(|error| format!("-drive {drive}: {error}"))?;
    Ok(format!("if=pflash,unit=0,format=raw,file={path}"))
}

/// `socket,fd=0,model=open_eth` as a card of this machine, and `none` as it is.
fn card(nic: &str) -> Vec<String> {
    if nic == "none" {
        return ["-nic", nic].map(str::to_owned).into();
    }
    let mut fields: Vec<&str> =
        nic.split(',').filter(|field| !field.starts_with("model=")).collect();
    fields.insert(1, "id=net");
    let card = format!("virtio-net-device,netdev=net,mac={}", efuse::mac());
    vec!["-netdev".to_owned(), fields.join(","), "-device".to_owned(), card]
}
