//! The unit's row of the device registry, made of the plan's values.
//!
//! Also tried before a unit is touched: a row that the registry cannot hold must not be found when the
//! unit is written already.

use time::OffsetDateTime;

use crate::{
    identity::MacError,
    plan::BoundPlan,
    profile::{RegistrySpec, Template, UnboundSymbol},
    registry::{Device, DeviceRow, RowError, Status},
};

/// No row can be made of the unit's values. No value of a secret is shown.
#[derive(Debug, thiserror::Error)]
pub enum NoRow {
    /// A value is not known.
    #[error(transparent)]
    Unbound(#[from] UnboundSymbol),
    /// The UUID is none.
    #[error(
        "the registry's global_uuid: {0}; expected a UUID such as 550e8400-e29b-41d4-a716-446655440000"
    )]
    Uuid(#[from] uuid::Error),
    /// The MAC is none.
    #[error("the registry's mac_address: {0}")]
    Mac(#[from] MacError),
    /// A text does not fit its column.
    #[error("the registry cannot hold the unit: {0}; correct the unit's values")]
    Row(#[from] RowError),
}

/// What a row says of its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// It was given these values.
    Provisioned,
    /// It failed, with these values.
    FailedWithValues,
    /// It failed; whether it has these values is not known.
    Failed,
}

/// The row that says so, as of that time.
///
/// # Errors
/// [`NoRow`].
pub fn registry_row(
    plan: &BoundPlan,
    spec: &RegistrySpec,
    news: News,
    at: OffsetDateTime,
) -> Result<DeviceRow, NoRow> {
    let column = |template: &Option<Template>| -> Result<Option<String>, UnboundSymbol> {
        template.as_ref().map(|template| text(plan, template)).transpose()
    };
    Ok(DeviceRow::new(Device {
        uuid: text(plan, &spec.global_uuid)?.parse()?,
        mac: text(plan, &spec.mac_address)?.parse()?,
        psk: plan.render(&spec.psk_secret)?.as_secret().clone(),
        ca_service_url: column(&spec.ca_service_url)?,
        wifi_ssid: column(&spec.wifi_ssid)?,
        firmware_version: column(&spec.firmware_version)?,
        hardware_revision: column(&spec.hardware_revision)?,
        location: column(&spec.location)?,
        status: if news == News::Provisioned { Status::Provisioned } else { Status::Failed },
        status_only: news == News::Failed,
        provisioned_at: at,
        replaces: None,
    })?)
}

fn text(plan: &BoundPlan, template: &Template) -> Result<String, UnboundSymbol> {
    Ok(plan.render(template)?.expose().to_owned())
}
