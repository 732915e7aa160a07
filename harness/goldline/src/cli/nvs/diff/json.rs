//! `nvs diff --format json`: the differences as one document.
//!
//! ```text
//! { "schema": 1, "before", "after", "same": false,
//!   "changes": [{"namespace","key","change": "added|removed|type|value","secret",
//!                "before": {"type","length","value" or "fingerprint"} | null, "after": …}],
//!   "layout": ["…"] }
//! ```

use std::path::Path;

use goldline_nvs::{
    Value,
    diff::{Change, ChangeKind},
};
use serde::Serialize;

use super::{Compared, Shown, sides};
use crate::cli::nvs::value::Content;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    before: &'a Path,
    after: &'a Path,
    same: bool,
    changes: Vec<JsonChange>,
    layout: Vec<String>,
}

#[derive(Serialize)]
struct JsonChange {
    namespace: String,
    key: String,
    change: &'static str,
    secret: bool,
    before: Option<Side>,
    after: Option<Side>,
}

#[derive(Serialize)]
struct Side {
    #[serde(rename = "type")]
    kind: &'static str,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

impl<'a> Document<'a> {
    pub(super) fn of(compared: &'a Compared<'_>, shown: &Shown) -> Self {
        let Compared { a, b, changes, layout } = compared;
        Self {
            schema: 1,
            before: a.path(),
            after: b.path(),
            same: compared.is_same(),
            changes: changes.iter().map(|change| JsonChange::of(change, shown)).collect(),
            layout: layout.iter().map(ToString::to_string).collect(),
        }
    }
}

impl JsonChange {
    fn of(change: &Change, shown: &Shown) -> Self {
        let secret = shown.is_secret(change);
        let (before, after) = sides(&change.kind);
        let side = |value| Side::of(value, secret, shown);
        Self {
            namespace: change.namespace.to_string(),
            key: change.key.to_string(),
            change: match change.kind {
                ChangeKind::Added(_) => "added",
                ChangeKind::Removed(_) => "removed",
                ChangeKind::Type { .. } => "type",
                ChangeKind::Value { .. } => "value",
            },
            secret,
            before: before.map(side),
            after: after.map(side),
        }
    }
}

impl Side {
    fn of(value: &Value, secret: bool, shown: &Shown) -> Self {
        Self {
            kind: value.type_name(),
            length: value.len(),
            value: (!secret).then(|| Content::of(value)),
            fingerprint: secret.then(|| shown.fingerprint(value)),
        }
    }
}
