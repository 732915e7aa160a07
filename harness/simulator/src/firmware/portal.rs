//! The web page that a firmware serves in a network of its own until it is configured.
//!
//! `GET /` shows a form; a POST of it stores the values and restarts the chip. What does not fit is
//! refused whole: nothing is stored then.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::console::Console;
use super::description::{Description, Portal};
use super::nvs_keys::NvsKeys;
use super::say::say;
use super::settings::Settings;
use super::storage::store;
use crate::boot::ResetReason;
use crate::chip::Chip;
use crate::fault::{Fault, Faults};
use crate::layout::partitions::PartitionTable;
use crate::world::{OwnNetwork, Passphrase, Visitors, World};

const LONGEST_FORM: usize = 8192;
/// So that the answer leaves before the network goes.
const BEFORE_RESTART: Duration = Duration::from_millis(20);

/// A portal that is open.
pub(super) struct Service<'a, 'c> {
    pub(super) description: &'a Description,
    pub(super) portal: &'a Portal,
    pub(super) table: &'a PartitionTable,
    pub(super) chip: &'a RefCell<&'c mut Chip>,
    pub(super) keys: Option<&'a NvsKeys>,
    pub(super) faults: &'a Faults,
    pub(super) world: Arc<dyn World>,
    pub(super) settings: &'a Settings,
}

/// A network of the unit's own, which goes when its firmware does: at a reset too.
struct OpenNetwork {
    visitors: Visitors,
    mac: [u8; 6],
    world: Arc<dyn World>,
}

impl Drop for OpenNetwork {
    fn drop(&mut self) {
        self.world.leave(self.mac);
    }
}

impl Service<'_, '_> {
    /// Serves until values were stored.
    pub(super) async fn run(&self, console: &Console) -> ResetReason {
        let Some(mut open) = self.open().await else {
            console.error(&self.description.app.tag, "Failed to start the access point");
            return pending().await;
        };
        say(&self.portal.opened, self.settings, console);
        let saved = Cell::new(false);
        while let Some(visitor) = open.visitors.recv().await {
            let Ok(stream) = from_std(visitor) else { continue };
            self.serve(stream, &saved).await;
            if saved.get() {
                say(&self.portal.saved, self.settings, console);
                sleep(BEFORE_RESTART).await;
                return ResetReason::Software;
            }
        }
        pending().await
    }

    async fn open(&self) -> Option<OpenNetwork> {
        let mac = self.chip.borrow().mac;
        let (ssid, password) = (self.portal.ssid.clone(), self.portal.password.clone());
        let (service, world) = (self.portal.address, self.world.clone());
        let opened = spawn_blocking(move || {
            let passphrase = Passphrase::new(&password);
            let network = OwnNetwork { mac, ssid: ssid.as_bytes(), passphrase, service };
            let visitors = world.open_network(&network)?;
            io::Result::Ok(OpenNetwork { visitors, mac, world })
        });
        opened.await.ok()?.ok()
    }

    async fn serve(&self, stream: UnixStream, saved: &Cell<bool>) {
        if self.faults.has(Fault::FirmwarePortalSilent) {
            return pending().await;
        }
        let service =
            service_fn(|request| async { Ok::<_, Infallible>(self.answer(request, saved).await) });
        let mut builder = http1::Builder::new();
        // One request a connection: the next client is not kept waiting.
        builder.keep_alive(false);
        // A client that breaks off is no reason to stop serving.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        saved: &Cell<bool>,
    ) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/") => reply(StatusCode::OK, "text/html", &self.page()),
            (&Method::POST, path) if path == self.portal.path => match self.save(request).await {
                Ok(()) => {
                    saved.set(true);
                    reply(StatusCode::OK, "text/plain", "Configuration saved. Restarting...")
                }
                Err((status, reason)) => reply(status, "text/plain", &reason),
            },
            _ => reply(StatusCode::NOT_FOUND, "text/plain", "Not found"),
        }
    }

    async fn save(&self, request: Request<Incoming>) -> Result<(), (StatusCode, String)> {
        let bad = |reason: String| (StatusCode::BAD_REQUEST, reason);
        if self.faults.has(Fault::FirmwarePortalSaveFailed) {
            return Err((StatusCode::INTERNAL_SERVER_ERROR, "Saving failed".to_owned()));
        }
        let kind = request.headers().get("content-type").and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            return Err(bad("Unsupported content type".to_owned()));
        }
        let body = Limited::new(request.into_body(), LONGEST_FORM).collect().await;
        let body = body.map_err(|_| bad("Form too long".to_owned()))?.to_bytes();
        let values = self.values(&body).map_err(bad)?;
        if self.faults.has(Fault::FirmwarePortalForgets) {
            return Ok(());
        }
        let settings = &self.description.settings;
        let mut chip = self.chip.borrow_mut();
        store(settings, self.table, &mut chip.flash, self.keys, &values)
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    /// The form's values by setting, and the mark of a provisioned unit.
    fn values(&self, body: &[u8]) -> Result<BTreeMap<String, String>, String> {
        let given: BTreeMap<String, String> =
            form_urlencoded::parse(body).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let mut values = BTreeMap::new();
        for (field, setting) in &self.portal.fields {
            let value = given.get(field).ok_or_else(|| format!("Missing field: {field}"))?;
            let wanted = self.description.settings.values.get(setting);
            let longest = wanted.map_or(0, |setting| setting.max_bytes);
            if value.is_empty() || value.len() > longest {
                return Err(format!("Field {field}: 1 to {longest} bytes"));
            }
            if value.contains(['\0', '\r', '\n']) {
                return Err(format!("Field {field}: control characters"));
            }
            values.insert(setting.clone(), value.clone());
        }
        let flag = self.description.provisioning.as_ref().and_then(|rule| rule.flag.clone());
        values.extend(flag.map(|flag| (flag, "1".to_owned())));
        Ok(values)
    }

    fn page(&self) -> String {
        let inputs: String = self
            .portal
            .fields
            .keys()
            .map(|field| format!("<label>{field} <input name=\"{field}\"></label><br>"))
            .collect();
        format!(
            "<!DOCTYPE html><html><head><title>{}</title></head><body><form action=\"{}\" method=\"post\">{inputs}<button type=\"submit\">Save &amp; Restart</button></form></body></html>",
            self.portal.ssid, self.portal.path
        )
    }
}

fn from_std(visitor: std::os::unix::net::UnixStream) -> std::io::Result<UnixStream> {
    visitor.set_nonblocking(true)?;
    UnixStream::from_std(visitor)
}

fn reply(status: StatusCode, kind: &'static str, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", kind.parse().expect("a media type is a header"));
    response
}
