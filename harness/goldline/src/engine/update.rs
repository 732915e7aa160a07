//! Updates over the air: what must not be taken is refused, a good one must arrive and run, one that does not start must
//! be rolled back, and at the end the planned application runs again from its own place.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until};

use super::{
    Failure, Run, millis,
    on_site::and_the_way,
    probing::{Talk, at_broker, at_update_server},
};
use crate::{
    check::{OtaObservation, Outgoing, UpdateObservation},
    clock::Deadline,
    hex::hex,
    image::spoilt,
    plan::Text,
    profile::{Ota, Template},
    testbed::update_server::UpdateServer,
};

/// One update to try.
struct Trial {
    what: String,
    version: String,
    image: Vec<u8>,
    outgoing: Outgoing,
}

/// How much later than at the broker a restart may be heard on the console.
const RESTART_HEARD: Duration = Duration::from_secs(10);

impl Run {
    pub(super) async fn update(&mut self, ota: &Ota) -> Result<(), Failure> {
        let before = (self.console()?.printed(), self.hearing.facts());
        self.placed_mut()?.activity.begin_update(before);
        let mut seen = OtaObservation::default();
        for trial in self.update_trials(ota)? {
            let update = self.try_update(ota, trial).await?;
            let failed = !update.reported;
            seen.updates.push(update);
            // After a failure nobody knows which application runs.
            if failed {
                break;
            }
        }
        self.seen.ota = Some(seen);
        Ok(())
    }

    /// What must be refused, a good update, a bad one, and the way back to what was flashed.
    fn update_trials(&self, ota: &Ota) -> Result<Vec<Trial>, Failure> {
        // In the profile's order; the map of the flash knows the same bytes.
        let mut images = self.images.updates.iter().cloned();
        let mut next_image = || images.next().ok_or(Failure::NotOffered("update"));
        let planned = self.bound()?.app()?.to_vec();
        let version = app_version(&planned).unwrap_or_default();
        let (good, offered) = (next_image()?, ota.update.version.clone());
        let mut trials = Vec::new();
        for bad in &ota.refuses {
            // Tried when the images were made.
            let image = spoilt(&good, *bad).map_err(|_| Failure::NotOffered("bad image"))?;
            let what = format!("refusal of {}", bad.words());
            trials.push(Trial {
                what,
                version: offered.clone(),
                image,
                outgoing: Outgoing::Refused,
            });
        }
        trials.push(Trial {
            what: format!("update to {offered}"),
            version: offered,
            image: good,
            outgoing: Outgoing::Runs,
        });
        if let Some(bad) = &ota.bad_update {
            trials.push(Trial {
                what: format!("roll-back of {}, which does not start", bad.version),
                version: bad.version.clone(),
                image: next_image()?,
                outgoing: Outgoing::RolledBack,
            });
        }
        trials.push(Trial {
            what: format!("update back to {version}"),
            version,
            image: planned,
            outgoing: Outgoing::Runs,
        });
        Ok(trials)
    }

    async fn try_update(&mut self, ota: &Ota, trial: Trial) -> Result<UpdateObservation, Failure> {
        let (began, before) = (Instant::now(), self.hearing.facts());
        let deadline = Deadline::after(ota.within);
        let testbed = self.testbed()?;
        let server = testbed.update_server.as_ref();
        let server = server.ok_or(Failure::NotOffered("update server"))?;
        let place = server.publish(trial.image.clone());
        let (host, port) = &ota.server;
        let url = match port {
            443 => format!("https://{}{place}", host.in_url()),
            port => format!("https://{}:{port}{place}", host.in_url()),
        };
        let mut bindings = self.bound()?.bindings().clone();
        let digest = hex(&Sha256::digest(&trial.image));
        for (name, value) in [
            ("ota.url", url.clone()),
            ("ota.sha256", digest),
            ("ota.size", trial.image.len().to_string()),
            ("ota.version", trial.version.clone()),
        ] {
            bindings.bind(name, Text::public(value))?;
        }
        let text = |template: &Template| -> Result<String, Failure> {
            Ok(bindings.render(template)?.expose().to_owned())
        };
        let (topic, notice, report) =
            (text(&ota.topic)?, text(&ota.notice)?, text(&ota.report_topic)?);
        let texts = |texts: &[Template]| -> Result<Vec<String>, Failure> {
            texts.iter().map(text).collect()
        };
        let failure = texts(&ota.failure_contains)?;
        let (runs, rolled_back) = (texts(&ota.report_contains)?, texts(&ota.rollback_contains)?);
        // What ends the wait beside what must come.
        let (expected, otherwise) = match trial.outgoing {
            Outgoing::Runs => (runs, vec![failure]),
            Outgoing::RolledBack => (rolled_back, Vec::new()),
            Outgoing::Refused => (failure, vec![runs, rolled_back]),
        };
        self.hearing.expect_restart();
        if trial.outgoing != Outgoing::Runs {
            self.hearing.excuse_reset();
        }
        testbed
            .broker
            .publish(&topic, notice.as_bytes())
            .map_err(|error| Failure::Publish(error.to_string()))?;

        let reports = || -> Vec<String> {
            let connections = testbed.broker.unit_connections();
            let messages = connections.iter().flat_map(|connection| connection.published.iter());
            messages
                .filter(|(at, message)| *at >= began && message.topic == report)
                .map(|(_, message)| String::from_utf8_lossy(&message.payload).into_owned())
                .collect()
        };
        let holds =
            |parts: &[String], text: &String| parts.iter().all(|part| text.contains(part.as_str()));
        let mut events = testbed.broker.follow();
        let (console, refuses) = (self.console()?, trial.outgoing == Outgoing::Refused);
        let mut restart_until = None;
        let arrived = loop {
            let printed = console.printed();
            if reports().iter().any(|text| holds(&expected, text)) {
                break true;
            }
            let otherwise =
                otherwise.iter().any(|parts| reports().iter().any(|text| holds(parts, text)));
            let restarted = refuses && self.hearing.facts().has_restarted_since(&before);
            if restarted || otherwise && !refuses {
                break false;
            }
            // That it started what it must refuse, its log tells: the broker may have heard of it first.
            if otherwise && restart_until.is_none() {
                restart_until = Some(Instant::now() + RESTART_HEARD);
            }
            let restart_until = restart_until.unwrap_or_else(|| deadline.instant());
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(restart_until) => break false,
                _ = events.next(deadline) => {}
                () = sleep_until(deadline.instant()) => break false,
                failure = self.interrupted() => return Err(failure),
            }
        };
        // Whatever it reports: what restarts the unit was taken.
        let accepted = trial.outgoing == Outgoing::Refused
            && !arrived
            && self.hearing.facts().has_restarted_since(&before);
        let fetched = was_fetched(server, &place);
        let last_report = reports().pop().map(|text| text.len());
        let took_ms = millis(began.elapsed());
        let (witness, download) = match arrived {
            false => {
                let plan = self.bound()?;
                let broker = at_broker(testbed, plan, &self.bench, Talk::Update).await?;
                let there =
                    at_update_server(testbed, plan, &self.bench, &url, &trial.image).await?;
                let way_in = self.way_in()?.without_its_own();
                (Some(broker), Some(and_the_way(testbed, &way_in, there, fetched).await))
            }
            true => (None, None),
        };
        Ok(UpdateObservation {
            what: trial.what,
            outgoing: trial.outgoing,
            reported: arrived,
            accepted,
            fetched,
            last_report,
            within_s: ota.within.as_secs(),
            took_ms,
            witness,
            download,
        })
    }
}

fn was_fetched(server: &UpdateServer, place: &str) -> bool {
    server.downloads().iter().any(|download| download.event.what.path == place)
}

/// The version in ESP-IDF's application descriptor: 32 bytes, 16 behind its magic word.
fn app_version(image: &[u8]) -> Option<String> {
    const MAGIC: [u8; 4] = 0xABCD_5432_u32.to_le_bytes();
    let at = image.windows(4).position(|word| word == MAGIC)?;
    let version = image.get(at + 16..at + 48)?;
    let end = version.iter().position(|byte| *byte == 0)?;
    String::from_utf8(version[..end].to_vec()).ok()
}
