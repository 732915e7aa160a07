//! The goldens: what is made of each shipped profile, what the command line says of itself, and what
//! Espressif's generator makes of the vectors.
//!
//! A drift fails and leaves a pending file beside the golden; `cargo xtask golden` shows and accepts
//! it. Nothing here writes a golden. Must not touch a device.

#[path = "../../nvs/tests/vectors/index.rs"]
#[expect(dead_code, reason = "the images are what is made here")]
mod index;
#[path = "golden/insta_settings.rs"]
mod insta_settings;
#[path = "golden/leftovers.rs"]
mod leftovers;
#[path = "golden/program.rs"]
mod program;
#[path = "golden/proofs.rs"]
mod proofs;
#[path = "golden/reference.rs"]
mod reference;

use std::{
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::Arc,
};

use goldline::{
    cli,
    plan::{Plan, Scope},
    profile::{Profile, find, list},
    station::SampleUnit,
};
use insta::{Settings, assert_binary_snapshot, assert_snapshot};
use sha2::{Digest, Sha256};

/// Of `fixtures/csv/espvault.csv`, as Espressif's generator makes it.
const ESPVAULT_IMAGE_SHA256: &str =
    "51d2715c7c92b2cea5ceee226a9a7d9201c5fe6c790d025b0faec8039f0be6fe";

/// Folder of the vectors' images.
const VECTORS: &str = "nvs-vectors";
const IMAGE_ENDS: &[&str] = &["snap", "snap.bin"];

/// One snapshot in golden/.
struct Golden {
    folder: &'static str,
    name: String,
    content: Content,
}

enum Content {
    Text(String),
    /// Of a sample unit, which are the only places in golden/ that hold its secrets, or of a vector.
    Image(Vec<u8>),
}

#[test]
fn the_nvs_image_of_each_sample_unit_is_as_reviewed() {
    compare(nvs_images());
}

#[test]
fn the_image_of_espvault_is_the_reference_generators() {
    let unit = sample(&Arc::new(find("espvault", None).expect("a shipped profile")));
    let digest = Sha256::digest(unit.nvs_image());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, ESPVAULT_IMAGE_SHA256);
}

#[test]
fn the_plan_of_each_profile_is_as_reviewed() {
    compare(plans());
}

#[test]
fn the_explanation_of_each_profile_is_as_reviewed() {
    compare(explanations());
}

#[test]
fn the_checklist_of_each_profile_is_as_reviewed() {
    compare(checklists());
}

#[test]
fn the_help_of_each_command_is_as_reviewed() {
    compare(helps());
}

#[test]
fn a_proof_is_told_as_reviewed() {
    compare(proofs());
}

#[test]
fn the_image_of_each_vector_is_the_reference_generators() {
    let Some(images) = reference::images() else { return };
    let golden = |(name, image)| Golden { folder: VECTORS, name, content: Content::Image(image) };
    compare(images.into_iter().map(golden).collect());
}

#[test]
fn no_golden_is_left_of_what_is_no_longer_made() {
    let goldens = [nvs_images(), plans(), explanations(), checklists(), helps(), proofs()]
        .into_iter()
        .flatten();
    // Also where the generator is not installed.
    let vectors = reference::names().flat_map(|name| Golden::files_of(VECTORS, &name, IMAGE_ENDS));
    let made: Vec<PathBuf> = goldens.flat_map(|golden| golden.files()).chain(vectors).collect();
    let left = leftovers::in_folders_of(&golden_folder(), &made);
    assert!(left.is_empty(), "remove these goldens, which nothing makes any more: {left:?}");
}

/// Of each unit a text and the image. The text tells which key differs, where two images only differ.
fn nvs_images() -> Vec<Golden> {
    let golden = |name, content| Golden { folder: "nvs", name, content };
    let of_profile = |profile: Arc<Profile>| {
        let unit = sample(&profile);
        let text = golden(profile.name.clone(), Content::Text(unit.nvs_text()));
        // What the unit's own firmware writes, it lays out as it likes.
        let image = profile.method.flashes_nvs().then(|| {
            golden(format!("{}_image", profile.name), Content::Image(unit.nvs_image().to_vec()))
        });
        [text].into_iter().chain(image)
    };
    shipped_profiles().into_iter().flat_map(of_profile).collect()
}

fn plans() -> Vec<Golden> {
    let scopes = [(Scope::Run, "run"), (Scope::Provision, "provision"), (Scope::Check, "check")];
    let plan = |profile: &Arc<Profile>, (scope, name): (Scope, &str)| Golden {
        folder: "plans",
        name: format!("{}_{name}", profile.name),
        content: Content::Text(Plan::new(Arc::clone(profile), scope).to_string()),
    };
    shipped_profiles().iter().flat_map(|profile| scopes.map(|scope| plan(profile, scope))).collect()
}

fn explanations() -> Vec<Golden> {
    let explanation = |profile: Arc<Profile>| Golden {
        folder: "explain",
        name: profile.name.clone(),
        content: Content::Text(
            cli::profile::explain(&profile.name, None).expect("a shipped profile"),
        ),
    };
    shipped_profiles().into_iter().map(explanation).collect()
}

fn checklists() -> Vec<Golden> {
    let checklist = |profile: Arc<Profile>| Golden {
        folder: "checklists",
        name: profile.name.clone(),
        content: Content::Text(
            cli::profile::checklist(&profile.name, None).expect("a shipped profile"),
        ),
    };
    shipped_profiles().into_iter().map(checklist).collect()
}

fn proofs() -> Vec<Golden> {
    let report = |(name, text)| Golden { folder: "proofs", name, content: Content::Text(text) };
    proofs::reports().into_iter().map(report).collect()
}

fn helps() -> Vec<Golden> {
    let help = |(command, text): (Vec<String>, String)| Golden {
        folder: "help",
        name: ["goldline".to_owned()].into_iter().chain(command).collect::<Vec<_>>().join("_"),
        content: Content::Text(text),
    };
    program::helps().into_iter().map(help).collect()
}

impl Golden {
    /// Its files below golden/.
    fn files(&self) -> Vec<PathBuf> {
        let ends: &[&str] = match self.content {
            Content::Text(_) => &["snap"],
            Content::Image(_) => IMAGE_ENDS,
        };
        Self::files_of(self.folder, &self.name, ends)
    }

    fn files_of(folder: &str, name: &str, ends: &[&str]) -> Vec<PathBuf> {
        ends.iter().map(|end| PathBuf::from(format!("{folder}/{name}.{end}"))).collect()
    }

    /// Panics when it is not the accepted one.
    fn compare(self) {
        let settings = in_golden(self.folder);
        match self.content {
            Content::Text(text) => {
                refuse_secrets(&self.name, &text);
                settings.bind(|| assert_snapshot!(self.name, text));
            }
            Content::Image(image) => {
                let name = format!("{}.bin", self.name);
                settings.bind(|| assert_binary_snapshot!(&name, image));
            }
        }
    }
}

/// Fails when one is not as accepted, after all of them were compared.
fn compare(goldens: Vec<Golden>) {
    let differs = |golden: Golden| {
        let name = format!("{}/{}", golden.folder, golden.name);
        catch_unwind(|| golden.compare()).is_err().then_some(name)
    };
    let differing: Vec<String> = goldens.into_iter().filter_map(differs).collect();
    assert!(
        differing.is_empty(),
        "not as in golden/: {}; review with cargo xtask golden",
        differing.join(", ")
    );
}

fn refuse_secrets(name: &str, text: &str) {
    for unit in shipped_profiles().iter().map(sample) {
        let shown = unit.secrets().any(|secret| text.contains(secret));
        assert!(!shown, "{name} shows a secret of a sample unit");
    }
}

/// Where snapshots of a kind lie, and that the environment hides none of their drifts.
fn in_golden(folder: &str) -> Settings {
    if let Some(refusal) = insta_settings::refusal(&repository(), |name| std::env::var(name).ok()) {
        panic!("{refusal}");
    }
    let mut settings = Settings::new();
    settings.set_snapshot_path(golden_folder().join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

fn sample(profile: &Arc<Profile>) -> SampleUnit {
    SampleUnit::of(profile).expect("every value has a sample")
}

fn shipped_profiles() -> Vec<Arc<Profile>> {
    let listed = list(None).expect("the built-in profiles are listed");
    listed
        .iter()
        .map(|listed| Arc::new(listed.load().expect("a shipped profile is valid")))
        .collect()
}

fn golden_folder() -> PathBuf {
    repository().join("golden")
}

fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies two folders deep").to_owned()
}
