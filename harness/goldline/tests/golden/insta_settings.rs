//! Which settings of insta would hide a drift, or write in a CI.
//!
//! Allowed is what fails on a drift and at most leaves a pending file; everything else is refused,
//! also what a later insta may invent.

use std::path::Path;

/// Variables that change what a drift does, with the values that let it fail.
const VARIABLES: [(&str, &[&str]); 4] = [
    ("INSTA_UPDATE", &["", "auto", "no", "new"]),
    ("INSTA_FORCE_PASS", &["", "0"]),
    ("INSTA_FORCE_UPDATE", &["", "0"]),
    ("INSTA_FORCE_UPDATE_SNAPSHOTS", &["", "0"]),
];
/// Where insta looks for settings that are not in the environment.
const FILES: [&str; 3] = [".config/insta.yaml", "insta.yaml", ".insta.yaml"];

/// Why the settings are refused; `None` when they are good.
pub fn refusal(repository: &Path, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let hides = VARIABLES.into_iter().find_map(|(name, allowed)| {
        let value = variable(name)?;
        (!allowed.contains(&value.as_str())).then(|| {
            format!("{name}={value} would hide a golden that differs: unset it, and accept goldens with cargo xtask golden")
        })
    });
    let file = || FILES.into_iter().find(|file| repository.join(file).exists());
    let configured = || {
        let file = file()?;
        Some(format!("{file} could hide a golden that differs: remove it; nothing here needs it"))
    };
    hides.or_else(configured).or_else(|| writes_in_ci(&variable))
}

/// `new` leaves pending files wherever it runs; a CI writes nothing.
fn writes_in_ci(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let in_ci = variable("CI").is_some_and(|ci| !["", "0", "false"].contains(&ci.as_str()));
    let writes = variable("INSTA_UPDATE").as_deref() == Some("new");
    (in_ci && writes)
        .then(|| "INSTA_UPDATE=new writes pending goldens, and this is a CI: unset it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn refused(variables: &[(&str, &str)]) -> Option<String> {
        let empty = tempfile::tempdir().expect("a folder");
        refusal(empty.path(), |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.to_owned())
        })
    }

    #[rstest]
    #[case("INSTA_UPDATE", "always")]
    #[case("INSTA_UPDATE", "1")]
    #[case("INSTA_UPDATE", "unseen")]
    #[case("INSTA_UPDATE", "force")]
    #[case("INSTA_FORCE_PASS", "1")]
    #[case("INSTA_FORCE_UPDATE", "1")]
    #[case("INSTA_FORCE_UPDATE_SNAPSHOTS", "1")]
    fn what_hides_a_drift_is_refused(#[case] name: &str, #[case] value: &str) {
        let refusal = refused(&[(name, value)]).expect("refused");
        assert!(refusal.starts_with(&format!("{name}={value} would hide")), "{refusal}");
    }

    #[test]
    fn what_fails_on_a_drift_is_allowed() {
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&[("CI", "true"), ("INSTA_UPDATE", "no")]), None);
        assert_eq!(refused(&[("INSTA_UPDATE", "new")]), None);
    }

    #[test]
    fn nothing_is_written_in_a_ci() {
        let refusal = refused(&[("CI", "true"), ("INSTA_UPDATE", "new")]).expect("refused");
        assert!(refusal.contains("this is a CI"), "{refusal}");
    }

    #[test]
    fn a_settings_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("insta.yaml"), "behavior:\n  force_pass: true\n")
            .expect("written");
        let refusal = refusal(folder.path(), |_| None).expect("refused");
        assert!(refusal.starts_with("insta.yaml could hide"), "{refusal}");
    }
}
