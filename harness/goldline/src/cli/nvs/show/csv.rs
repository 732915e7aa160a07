//! `nvs show --format csv`: whether a view may become the CSV that `nvs generate` takes.
//!
//! Only decides on secrets; the codec knows what a CSV can say, and reads it back.

use goldline_nvs::{DeviceView, csv, device::DeviceEntry};

use crate::cli::nvs::{problem::NvsProblem, secrets::Secrets};

pub(super) fn text(
    view: &DeviceView,
    secrets: &Secrets,
    shows_secrets: bool,
) -> Result<String, NvsProblem> {
    let is_secret =
        |entry: &&DeviceEntry| secrets.is_secret(&entry.namespace, &entry.key, &entry.value);
    let hidden = view.entries().iter().filter(is_secret).count();
    if hidden > 0 && !shows_secrets {
        return Err(NvsProblem::CsvShowsSecrets { secrets: hidden });
    }
    csv::write(view).map_err(NvsProblem::NotCsv)
}
