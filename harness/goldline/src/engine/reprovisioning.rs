//! Giving one part of a unit's values anew: the NVS partition is read, changed, laid out anew and written
//! back; every other key stays, in every namespace, and no earlier value does.

use goldline_nvs::{Document, Image, Version, edit::Editor, generate};

use super::{Event, Failure, Run};
use crate::{
    check::stops,
    plan::{NotLearnt, Region},
    profile::Part,
};

impl Run {
    /// Keeps what lies in the partition, to change it and to compare it afterwards.
    pub(super) async fn read_nvs(&mut self, region: &Region) -> Result<(), Failure> {
        let (offset, size) = (region.offset, region.capacity);
        let bytes = self.with_device(move |device| device.read(offset, size)).await?;
        self.seen.nvs_before = Some(bytes);
        Ok(())
    }

    pub(super) async fn rewrite_nvs(&mut self, part: Part, region: &Region) -> Result<(), Failure> {
        let bytes = self.rewritten(part)?;
        self.nvs_rewritten = Some(bytes.clone());
        let (offset, total, events) = (region.offset, bytes.len(), self.events.clone());
        self.with_device(move |device| {
            device.write(offset, &bytes, &mut |done| events.send(Event::Progress { done, total }))
        })
        .await
    }

    fn rewritten(&self, part: Part) -> Result<Vec<u8>, Failure> {
        let before = self.seen.nvs_before.as_ref();
        let before = before.ok_or(NotLearnt { what: "what the NVS partition holds" })?;
        let damaged = |reason: String| Failure::Unit(stops::nvs_unchangeable(reason));
        let plan = self.bound()?;
        let plain = plan.plain_nvs(before).map_err(|error| damaged(error.to_string()))?;
        let mut editor = Editor::open(&plain).map_err(|error| damaged(error.to_string()))?;
        for (namespace, key, value) in plan.document()?.entries() {
            let (namespace, key) = (namespace.to_string(), key.to_string());
            if self.plan.rewrites(part, &namespace, &key) {
                editor.set(&namespace, &key, value).map_err(|error| damaged(error.to_string()))?;
            }
        }
        let fresh = without_a_past(&editor.finish()).map_err(damaged)?;
        Ok(plan.flashable_nvs(fresh))
    }
}

/// The same entries laid out anew: a changed one would leave its earlier value in the flash.
fn without_a_past(partition: &[u8]) -> Result<Vec<u8>, String> {
    let image = Image::decode(partition).map_err(|error| error.to_string())?;
    let document = Document::from_view(&image.device_view()).map_err(|error| error.to_string())?;
    generate(&document, partition.len(), Version::of(&image)).map_err(|error| error.to_string())
}
