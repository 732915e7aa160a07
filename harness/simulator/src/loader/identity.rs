//! What the chip says of itself, and how its flash is attached.

use super::packet::{Answer, Failure, Request};
use crate::chip::{Chip, SecurityInfoForm};

/// Version of the ROM's API that GET_SECURITY_INFO reports.
const API_VERSION: u32 = 0;

pub(super) fn security_info(chip: &Chip) -> Result<Answer, Failure> {
    let mut info = vec![0; 12];
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
