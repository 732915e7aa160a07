//! A page of the documentation as a reader follows it: what stands in its blocks.
//!
//! Commands stand in blocks that name no kind, files in blocks whose kind is followed by the file's name; whatever is shown
//! and not run (what is printed, what needs hardware) in blocks of text.

/// The commands of a page, in order: their arguments.
pub fn commands(page: &str) -> Vec<Vec<&str>> {
    let of_no_kind = blocks(page).filter(|(kind, _)| kind.is_empty());
    let lines =
        of_no_kind.flat_map(|(_, text)| text.lines()).filter(|line| line.starts_with("goldline "));
    lines.map(|line| line.split_whitespace().skip(1).collect()).collect()
}

/// The file of a page that has this name.
pub fn file<'a>(page: &'a str, name: &str) -> &'a str {
    let names_it = |kind: &str| kind.split_once(' ').is_some_and(|(_, found)| found == name);
    let found = blocks(page).find(|(kind, _)| names_it(kind));
    found.unwrap_or_else(|| panic!("the page has no file {name}")).1
}

/// What a page only shows.
pub fn shown(page: &str) -> Vec<&str> {
    blocks(page).filter(|(kind, _)| *kind == "text").map(|(_, text)| text).collect()
}

/// Each block: what stands behind its first fence, and what between both.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let between = page.split("```").skip(1).step_by(2);
    between.map(|block| block.split_once('\n').expect("a fence ends its line"))
}
