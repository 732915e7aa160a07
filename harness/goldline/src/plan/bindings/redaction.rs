//! Secret values in a text that came from the unit: found, and put out of it.
//!
//! Must not know where the text is kept.

use super::Bindings;
use crate::secret::Secret;

/// Shorter secrets would be found everywhere.
const SHORTEST_SECRET: usize = 4;
/// Shorter lines of a PEM text tell nothing.
const SHORTEST_LINE: usize = 16;

impl Bindings {
    /// Puts `‹name›` in place of every secret value in a text that came from the unit; says whose were
    /// there. Values of fewer than four bytes would be found everywhere and are left alone.
    pub fn redact(&self, text: &str) -> (String, Vec<String>) {
        let secret = self.bound.iter().filter(|(_, bound)| bound.text.is_secret());
        let mut secrets: Vec<(&String, &str)> = secret
            .flat_map(|(name, bound)| parts(bound.text.expose()).map(move |part| (name, part)))
            .filter(|(_, part)| text.contains(part))
            .collect();
        // The longest first: a secret that begins with another one must not keep its tail.
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut redacted = text.to_owned();
        for (name, value) in &secrets {
            redacted = redacted.replace(value, &format!("‹{name}›"));
        }
        let mut names: Vec<String> = secrets.into_iter().map(|(name, _)| name.clone()).collect();
        names.dedup();
        (redacted, names)
    }

    /// What [`Bindings::redact`] looks for.
    pub fn secret_parts(&self) -> Vec<Secret> {
        let secret = self.bound.values().filter(|bound| bound.text.is_secret());
        secret.flat_map(|bound| parts(bound.text.expose())).map(Secret::new).collect()
    }
}

/// What of a secret is looked for in a line: the whole, and each line of a PEM text by itself.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let lines = value.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
    let lines = lines.filter(move |_| value.contains('\n'));
    std::iter::once(value).filter(|whole| whole.len() >= SHORTEST_SECRET).chain(lines)
}
