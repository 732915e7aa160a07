//! What the chip says of itself, and how its flash is attached.

use super::packet::{Answer, Failure, Request};
use crate::chip::{Chip, SecurityInfoForm};

/// Version of the ROM's API that GET_SECURITY_INFO reports.
const API_VERSION: u32 = 0;

pub(super) fn security_info(chip: &Chip) -> Result<Answer, Failure> {
    const SECURE_BOOT: u32 = 1 << 0;
    const SECURE_DOWNLOAD: u32 = 1 << 2;
    let efuse = chip.registers.efuse();
    let mut flags = 0;
    if efuse.requires_signature() {
        flags |= SECURE_BOOT;
    }
    if efuse.restricts_download() {
        flags |= SECURE_DOWNLOAD;
    }
    let mut info = u32::to_le_bytes(flags).to_vec();
    info.push(efuse.flash_crypt_count() as u8);
    info.extend(efuse.key_purposes());
    info.resize(12, 0);
    match chip.model.security_info {
        SecurityInfoForm::Unknown => return Err(Failure::Unknown),
        SecurityInfoForm::Short => {}
        SecurityInfoForm::Full => {
            info.extend(u32::from(chip.model.id).to_le_bytes());
            info.extend(API_VERSION.to_le_bytes());
        }
    }
    Ok(Answer::data(info))
}

pub(super) fn attach_flash(chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
    let [_pins] = request.words()?;
    chip.registers.flash_attached = true;
    Ok(Answer::default())
}

/// Id, size, block, sector and page sizes, status mask: the simulated flash knows its own.
pub(super) fn set_flash_parameters(request: &Request) -> Result<Answer, Failure> {
    request.words::<6>()?;
    Ok(Answer::default())
}
