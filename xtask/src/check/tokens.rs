//! What one module says, by its tokens: what it defines, what `use` makes known in it, which paths it names.
//!
//! Rust's own tokens, so that comments and strings do not count. Any path counts, not only `use`:
//! `crate::a::b` in an expression ties two files together just as well. Must not know of other modules.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What stands in one module.
#[derive(Debug, Default)]
pub struct Content {
    /// What is defined here by name.
    pub defined: BTreeSet<String>,
    /// What `use` makes known here: its name, and the path that it stands for.
    pub bound: BTreeMap<String, Vec<String>>,
    /// Paths of `use path::*`.
    pub globs: Vec<Vec<String>>,
    /// Every path of more than one word, and every `use`.
    pub named: Vec<Named>,
}

/// A path that a module names.
#[derive(Debug)]
pub struct Named {
    /// Its words, `*` for a glob.
    pub words: Vec<String>,
    /// Counted from 1.
    pub line: usize,
    /// `use` gives the name to others, and this file does nothing else with it.
    pub only_passed_on: bool,
}

/// Reads a module's tokens: what it says itself, and the modules in braces with theirs.
pub fn read_items(tokens: TokenStream) -> (Content, Vec<(String, TokenStream)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut reader = Reader::default();
    reader.read_items(&tokens);
    let Reader { mut content, inner, mentioned, passed_on } = reader;
    for (index, name) in passed_on {
        content.named[index].only_passed_on = !mentioned.contains(&name);
    }
    (content, inner)
}

/// Reads the tokens of one module.
#[derive(Default)]
struct Reader {
    content: Content,
    /// Modules in braces: name and content.
    inner: Vec<(String, TokenStream)>,
    /// Every name outside of `use`.
    mentioned: BTreeSet<String>,
    /// Index into `named` and name of what a `pub use` makes known.
    passed_on: Vec<(usize, String)>,
}

/// What a word makes of the one after it: a definition.
const DEFINING: [&str; 9] =
    ["struct", "enum", "union", "trait", "type", "const", "static", "fn", "macro_rules"];

impl Reader {
    /// The module's own level, where items are defined.
    fn read_items(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        let mut is_public = false;
        while at < tokens.len() {
            let rest = &tokens[at..];
            match word(rest) {
                Some("use") => {
                    at += 1 + self.read_use(&tokens[at + 1..], is_public);
                    is_public = false;
                    continue;
                }
                Some("mod") => {
                    if let [_, TokenTree::Ident(name), TokenTree::Group(body), ..] = rest
                        && body.delimiter() == Delimiter::Brace
                    {
                        self.inner.push((name.to_string(), body.stream()));
                    }
                    // With or without a body, declaring a module is no import of it.
                    at += 3;
                    is_public = false;
                    continue;
                }
                Some("pub") => {
                    is_public = true;
                    // What stands in `pub(in crate::a)` only says who may see it.
                    at += 1 + usize::from(is_group(tokens.get(at + 1), Delimiter::Parenthesis));
                    continue;
                }
                Some(keyword) if DEFINING.contains(&keyword) => {
                    let name = rest.iter().skip(1).find_map(|token| match token {
                        TokenTree::Ident(name) => Some(name.to_string()),
                        _ => None,
                    });
                    // `const fn f` is found at its `fn`.
                    self.content
                        .defined
                        .extend(name.filter(|name| name != "fn" && name != "unsafe"));
                    is_public = false;
                }
                _ => {}
            }
            at += self.read_token(tokens, at);
        }
    }

    /// Anything below that level.
    fn read_rest(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            if word(&tokens[at..]) == Some("use") {
                at += 1 + self.read_use(&tokens[at + 1..], false);
            } else if word(&tokens[at..]) == Some("pub")
                && is_group(tokens.get(at + 1), Delimiter::Parenthesis)
            {
                at += 2;
            } else {
                at += self.read_token(tokens, at);
            }
        }
    }

    /// One token or one path; returns how many tokens it took.
    fn read_token(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        match &tokens[at] {
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                self.read_rest(&inner);
                1
            }
            TokenTree::Ident(first) => {
                self.mentioned.insert(first.to_string());
                let mut words = vec![first.to_string()];
                let mut length = 1;
                while is_double_colon(&tokens[at + length..])
                    && let Some(TokenTree::Ident(next)) = tokens.get(at + length + 2)
                {
                    self.mentioned.insert(next.to_string());
                    words.push(next.to_string());
                    length += 3;
                }
                if words.len() > 1 {
                    let line = first.span().start().line;
                    self.content.named.push(Named { words, line, only_passed_on: false });
                }
                length
            }
            _ => 1,
        }
    }

    /// What follows `use` up to its semicolon; returns how many tokens that is.
    fn read_use(&mut self, tokens: &[TokenTree], is_public: bool) -> usize {
        let end = tokens.iter().position(|token| is_punct(token, ';')).unwrap_or(tokens.len());
        self.read_tree(&tokens[..end], &[], is_public);
        end + 1
    }

    fn read_tree(&mut self, tokens: &[TokenTree], before: &[String], is_public: bool) {
        let mut words = before.to_vec();
        let mut line = 0;
        let mut alias = None;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(name) if name == "as" => {
                    alias = tokens.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(name) => {
                    line = name.span().start().line;
                    words.push(name.to_string());
                }
                TokenTree::Punct(star) if star.as_char() == '*' => {
                    line = star.span().start().line;
                    words.push("*".to_owned());
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in inner.split(|token| is_punct(token, ',')) {
                        if !tree.is_empty() {
                            self.read_tree(tree, &words, is_public);
                        }
                    }
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        self.bind(words, alias, line, is_public);
    }

    fn bind(&mut self, words: Vec<String>, alias: Option<String>, line: usize, is_public: bool) {
        let last = words.iter().rev().find(|word| *word != "self").cloned();
        if words.last().is_some_and(|word| word == "*") {
            if is_public {
                self.passed_on.push((self.content.named.len(), "*".to_owned()));
            }
            self.content.globs.push(words.clone());
        } else if let Some(name) = alias.or(last) {
            if is_public {
                self.passed_on.push((self.content.named.len(), name.clone()));
            }
            self.content.bound.insert(name, words.clone());
        }
        self.content.named.push(Named { words, line, only_passed_on: false });
    }
}

fn word(tokens: &[TokenTree]) -> Option<&str> {
    // The words that matter are keywords, which have a static text each.
    const KEYWORDS: [&str; 12] = [
        "use",
        "mod",
        "pub",
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "const",
        "static",
        "fn",
        "macro_rules",
    ];
    let TokenTree::Ident(ident) = tokens.first()? else { return None };
    KEYWORDS.into_iter().find(|keyword| ident == keyword)
}

fn is_group(token: Option<&TokenTree>, delimiter: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
}

fn is_double_colon(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [first, second, ..] if is_punct(first, ':') && is_punct(second, ':'))
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
