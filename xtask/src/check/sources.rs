//! The modules of one crate: which file each stands in, what it defines, and which paths it names.
//!
//! Follows each path to the module that defines what it means. Must not know what is allowed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;

use super::tokens::{Content, read_items};

/// The names of modules from the crate's root to one of them; empty for the root.
pub type ModulePath = Vec<String>;

/// A crate as its sources tell.
#[derive(Debug, Default)]
pub struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// One module, in a file of its own or in braces.
#[derive(Debug, Default)]
struct Module {
    /// Below the crate's `src`.
    file: PathBuf,
    content: Content,
    /// It, or a module around it, is called `tests`.
    is_test: bool,
}

/// What one file has of another module of its crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Where the path stands, below the crate's `src`.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// The module around the path.
    pub from: ModulePath,
    /// The module that defines what is named.
    pub to: ModulePath,
    /// The file of that module.
    pub to_file: PathBuf,
    /// In a test, which may use all of its crate.
    pub is_test: bool,
    /// A module passes on what it does not use itself.
    pub only_passed_on: bool,
    /// The path is the whole crate's `*`.
    pub is_glob_of_crate: bool,
}

impl Crate {
    /// Reads every file below a crate's `src`.
    pub fn read(sources: &Path) -> Result<Self, String> {
        let mut texts = Vec::new();
        for file in rust_files(sources)? {
            let text = fs::read_to_string(&file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let place = file.strip_prefix(sources).expect("the file lies below the sources");
            texts.push((place.to_owned(), text));
        }
        Self::of_texts(texts.iter().map(|(place, text)| (place.as_path(), text.as_str())))
    }

    /// Reads files by their path below `src` and their text.
    pub fn of_texts<'a>(
        texts: impl IntoIterator<Item = (&'a Path, &'a str)>,
    ) -> Result<Self, String> {
        let mut found = Self::default();
        let mut streams = Vec::new();
        for (place, text) in texts {
            let tokens: TokenStream =
                text.parse().map_err(|error| format!("{}: not Rust: {error}", place.display()))?;
            let path = module_of(place);
            let module = Module { file: place.to_owned(), ..Module::default() };
            found.modules.insert(path.clone(), module);
            streams.push((path, tokens));
        }
        for (path, tokens) in streams {
            found.read_module(&path, tokens);
        }
        Ok(found)
    }

    /// The names of the modules right below the root.
    pub fn top_modules(&self) -> BTreeSet<&str> {
        self.modules.keys().filter_map(|path| path.first()).map(String::as_str).collect()
    }

    /// How many files were read.
    #[cfg(test)]
    pub fn files(&self) -> usize {
        self.modules.values().map(|module| &module.file).collect::<BTreeSet<_>>().len()
    }

    /// Every path that leads from one module to another one of the crate.
    pub fn imports(&self, crate_name: &str) -> Vec<Import> {
        let mut imports = Vec::new();
        for (from, module) in &self.modules {
            for named in &module.content.named {
                let words: Vec<&str> = named.words.iter().map(String::as_str).collect();
                let Some(start) = self.start(from, &words, crate_name) else { continue };
                let Some(to) = self.resolve(start, 0) else { continue };
                let to_file = self.modules[&to].file.clone();
                let is_glob_of_crate = to.is_empty() && words.last() == Some(&"*");
                imports.push(Import {
                    file: module.file.clone(),
                    line: named.line,
                    from: from.clone(),
                    to,
                    to_file,
                    is_test: module.is_test,
                    only_passed_on: named.only_passed_on,
                    is_glob_of_crate,
                });
            }
        }
        imports
    }

    fn read_module(&mut self, path: &ModulePath, tokens: TokenStream) {
        let (content, inner) = read_items(tokens);
        let file = self.modules[path].file.clone();
        let is_test = path.iter().any(|name| name == "tests");
        self.modules.insert(path.clone(), Module { file: file.clone(), content, is_test });
        for (name, tokens) in inner {
            let path: ModulePath = path.iter().cloned().chain([name]).collect();
            self.modules.insert(path.clone(), Module { file: file.clone(), ..Module::default() });
            self.read_module(&path, tokens);
        }
    }

    /// Where a path starts, and the words after that; `None` for one of another crate.
    fn start<'a>(
        &self,
        from: &[String],
        words: &'a [&'a str],
        crate_name: &str,
    ) -> Option<(ModulePath, &'a [&'a str])> {
        let (first, rest) = words.split_first()?;
        match *first {
            "crate" => Some((Vec::new(), rest)),
            "self" | "super" => Some((from.to_vec(), words)),
            // The binary names the library's modules by the crate's name.
            name if name == crate_name && from.first().is_some_and(|module| module == "main") => {
                Some((Vec::new(), rest))
            }
            name => {
                let child: ModulePath = from.iter().cloned().chain([name.to_owned()]).collect();
                self.modules.contains_key(&child).then(|| (from.to_vec(), words))
            }
        }
    }

    /// The module that defines what a path means.
    fn resolve(&self, (start, words): (ModulePath, &[&str]), hops: usize) -> Option<ModulePath> {
        let mut at = start;
        for word in words {
            match *word {
                "self" | "*" => {}
                "super" => {
                    at.pop();
                }
                name => {
                    at.push(name.to_owned());
                    if !self.modules.contains_key(&at) {
                        at.pop();
                        return self.definer(at, name, hops);
                    }
                }
            }
        }
        self.modules.contains_key(&at).then_some(at)
    }

    /// The module that defines what `at` knows by a name: itself, or the one that `use` has it from.
    fn definer(&self, at: ModulePath, name: &str, hops: usize) -> Option<ModulePath> {
        let module = self.modules.get(&at)?;
        // Names may be handed on in a circle; a path of that length means none of ours.
        if module.content.defined.contains(name) || hops > 8 {
            return Some(at);
        }
        if let Some(words) = module.content.bound.get(name) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            return self.resolve(self.start(&at, &words, "")?, hops + 1);
        }
        for glob in &module.content.globs {
            let words: Vec<&str> = glob.iter().map(String::as_str).collect();
            let target =
                self.start(&at, &words, "").and_then(|start| self.resolve(start, hops + 1));
            if let Some(target) = target.filter(|target| *target != at) {
                let there = &self.modules[&target].content;
                if there.defined.contains(name) || there.bound.contains_key(name) {
                    return self.definer(target, name, hops + 1);
                }
            }
        }
        Some(at)
    }
}

/// The module that a file is, by its path below `src`.
fn module_of(place: &Path) -> ModulePath {
    let mut parts: Vec<&str> = place.iter().filter_map(|part| part.to_str()).collect();
    let file = parts.pop().unwrap_or_default();
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let is_root = parts.is_empty() && stem == "lib";
    if stem != "mod" && !is_root {
        parts.push(stem);
    }
    parts.into_iter().map(str::to_owned).collect()
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot list {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
