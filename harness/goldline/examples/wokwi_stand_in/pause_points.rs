//! Moments at which a simulation pauses by itself: a time, or bytes on the console. Times are simulated nanoseconds.

use serde_json::Value;

/// The pause points that are set.
#[derive(Default)]
pub struct PausePoints(Vec<PausePoint>);

struct PausePoint {
    id: String,
    moment: Moment,
}

enum Moment {
    At(u64),
    /// These bytes, of which so many came.
    After {
        bytes: Vec<u8>,
        came: usize,
    },
}

impl PausePoints {
    /// Sets one, of the parameters of `pause-point:add`.
    pub fn add(&mut self, params: &Value, now: u64) -> Result<(), String> {
        let id = params["id"].as_str().ok_or("a pause point without id")?.to_owned();
        let nanos = || params["nanos"].as_f64().map(|nanos| nanos as u64).ok_or("no nanos");
        let moment = match params["type"].as_str() {
            Some("time-absolute") => Moment::At(nanos()?),
            Some("time-relative") => Moment::At(now + nanos()?),
            Some("serial-bytes") => {
                let bytes = serde_json::from_value(params["bytes"].clone());
                Moment::After { bytes: bytes.map_err(|error| error.to_string())?, came: 0 }
            }
            other => return Err(format!("no pause point of the type {other:?} here")),
        };
        self.0.push(PausePoint { id, moment });
        Ok(())
    }

    /// Takes one back.
    pub fn remove(&mut self, id: &str) {
        self.0.retain(|point| point.id != id);
    }

    /// The one whose time has come.
    pub fn reached_at(&mut self, now: u64) -> Option<String> {
        let is_due = |point: &PausePoint| matches!(point.moment, Moment::At(at) if at <= now);
        let index = self.0.iter().position(is_due)?;
        Some(self.0.remove(index).id)
    }

    /// The one that this byte of the console completes.
    pub fn reached_by(&mut self, byte: u8) -> Option<String> {
        let mut reached = None;
        for (index, point) in self.0.iter_mut().enumerate() {
            let Moment::After { bytes, came } = &mut point.moment else { continue };
            // Good for texts that do not begin anew within themselves.
            *came = match () {
                () if bytes.get(*came) == Some(&byte) => *came + 1,
                () if bytes.first() == Some(&byte) => 1,
                () => 0,
            };
            if *came == bytes.len() {
                reached = Some(index);
            }
        }
        Some(self.0.remove(reached?).id)
    }
}
