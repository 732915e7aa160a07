//! What the runs of an order are made of, for their records.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};

use super::order::Order;
use crate::{
    device::Emulator,
    hex::hex,
    image::FlashImages,
    profile::Nest,
    record::{ImageRecord, Provenance, Simulation},
};

/// Of a run with these images; `bench_ca` is the PEM of the root that units trust on this bench.
pub(super) fn provenance(
    order: &Order,
    images: &FlashImages,
    bench_ca: &str,
    (nest, emulator): (Option<&Nest>, Option<&Emulator>),
    simulation: Option<&Simulation>,
) -> Provenance {
    let der = CertificateDer::from_pem_slice(bench_ca.as_bytes());
    Provenance {
        goldline: Some(env!("CARGO_PKG_VERSION").to_owned()),
        profile_digest: Some(order.profile.digest.clone()),
        images: image_records(images),
        firmware: images.description(),
        golden: order.plan.golden.as_deref().map(sha256),
        bench_ca: der.ok().map(|der| sha256(&der)),
        station: order.station.clone(),
        port: nest.map(|nest| nest.device.clone()),
        emulator: emulator.map(|emulator| emulator.version.clone()),
        transfer: None,
        flashed: None,
        seed: simulation.map(|simulation| simulation.seed),
    }
}

/// The firmware that writes a unit's values is none of them: it holds them, secrets included.
fn image_records(images: &FlashImages) -> Vec<ImageRecord> {
    let FlashImages { bootloader, partition_table, app, others, updates, .. } = images;
    let fixed = [("bootloader", bootloader), ("partition_table", partition_table), ("app", app)];
    let fixed = fixed.map(|(name, bytes)| (name.to_owned(), bytes));
    let others = others.iter().enumerate().map(|(at, bytes)| (format!("other {}", at + 1), bytes));
    let updates =
        updates.iter().enumerate().map(|(at, bytes)| (format!("update {}", at + 1), bytes));
    let record = |(name, bytes): (String, &Vec<u8>)| ImageRecord {
        name,
        bytes: bytes.len(),
        sha256: sha256(bytes),
    };
    fixed.into_iter().chain(others).chain(updates).map(record).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
