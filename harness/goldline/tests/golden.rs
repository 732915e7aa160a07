//! The goldens: what is made of each shipped profile, and what the command line says of itself.
//!
//! A drift fails and leaves a pending file beside the golden; `cargo xtask golden` shows and accepts
//! it. Nothing here writes a golden. Must not touch a device.

#[path = "golden/insta_settings.rs"]
mod insta_settings;
#[path = "golden/leftovers.rs"]
mod leftovers;
#[path = "golden/program.rs"]
mod program;
#[path = "golden/sample_unit.rs"]
mod sample_unit;

use std::{
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::Arc,
};

use goldline::{
    cli,
    plan::{Plan, Scope},
    profile::{Profile, find, list},
};
use insta::{Settings, assert_binary_snapshot, assert_snapshot};
use sha2::{Digest, Sha256};

use sample_unit::SampleUnit;

/// Of `fixtures/csv/espvault.csv`, as Espressif's generator makes it.
const ESPVAULT_IMAGE_SHA256: &str =
    "51d2715c7c92b2cea5ceee226a9a7d9201c5fe6c790d025b0faec8039f0be6fe";

/// One file of golden/, without its ending.
struct Golden {
    folder: &'static str,
    name: String,
    text: String,
}

#[test]
fn the_nvs_image_of_each_sample_unit_is_as_reviewed() {
    // The text first: it tells which key differs, where two binary files only differ.
    compare(nvs_texts());
    for profile in shipped_profiles() {
        let name = format!("{}.bin", image_name(&profile.name));
        let image = SampleUnit::of(&profile).nvs_image().to_vec();
        in_golden("nvs").bind(|| assert_binary_snapshot!(&name, image));
    }
}

#[test]
fn the_image_of_espvault_is_the_reference_generators() {
    let unit = SampleUnit::of(&Arc::new(find("espvault", None).expect("a shipped profile")));
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
fn the_help_of_each_command_is_as_reviewed() {
    compare(helps());
}

#[test]
fn no_golden_is_left_of_what_is_no_longer_made() {
    let made: Vec<PathBuf> = [nvs_texts(), plans(), explanations(), helps()]
        .into_iter()
        .flatten()
        .map(|golden| Path::new(golden.folder).join(format!("{}.snap", golden.name)))
        .chain(shipped_profiles().iter().flat_map(|profile| {
            let image = image_name(&profile.name);
            [".snap", ".snap.bin"].map(|end| Path::new("nvs").join(format!("{image}{end}")))
        }))
        .collect();
    let left = leftovers::in_folders_of(&golden_folder(), &made);
    assert!(left.is_empty(), "remove these goldens, which nothing makes any more: {left:?}");
}

fn nvs_texts() -> Vec<Golden> {
    let text = |profile: Arc<Profile>| Golden {
        folder: "nvs",
        name: profile.name.clone(),
        text: SampleUnit::of(&profile).nvs_text(),
    };
    shipped_profiles().into_iter().map(text).collect()
}

fn plans() -> Vec<Golden> {
    let scopes = [(Scope::Run, "run"), (Scope::Provision, "provision"), (Scope::Check, "check")];
    let plan = |profile: &Arc<Profile>, (scope, name): (Scope, &str)| Golden {
        folder: "plans",
        name: format!("{}_{name}", profile.name),
        text: Plan::new(Arc::clone(profile), scope).to_string(),
    };
    shipped_profiles().iter().flat_map(|profile| scopes.map(|scope| plan(profile, scope))).collect()
}

fn explanations() -> Vec<Golden> {
    let explanation = |profile: Arc<Profile>| Golden {
        folder: "explain",
        name: profile.name.clone(),
        text: cli::profile::explain(&profile.name, None).expect("a shipped profile"),
    };
    shipped_profiles().into_iter().map(explanation).collect()
}

fn helps() -> Vec<Golden> {
    let help = |(command, text): (Vec<String>, String)| Golden {
        folder: "help",
        name: ["goldline".to_owned()].into_iter().chain(command).collect::<Vec<_>>().join("_"),
        text,
    };
    program::helps().into_iter().map(help).collect()
}

/// Fails when a text is not the accepted one, after all of them were compared.
fn compare(goldens: Vec<Golden>) {
    let differing: Vec<String> = goldens
        .into_iter()
        .filter_map(|golden| {
            let file = format!("golden/{}/{}.snap", golden.folder, golden.name);
            catch_unwind(|| compare_one(golden)).is_err().then_some(file)
        })
        .collect();
    assert!(differing.is_empty(), "differ, see above, and cargo xtask golden: {differing:?}");
}

fn compare_one(Golden { folder, name, text }: Golden) {
    for unit in shipped_profiles().iter().map(SampleUnit::of) {
        let shown = unit.secrets().any(|secret| text.contains(secret));
        assert!(!shown, "{folder}/{name} shows a secret of a sample unit");
    }
    in_golden(folder).bind(|| assert_snapshot!(name, text));
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

/// `espvault_image`; `espvault` is the text beside it.
fn image_name(profile: &str) -> String {
    format!("{profile}_image")
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
