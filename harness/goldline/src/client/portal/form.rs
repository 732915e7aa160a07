//! The form in a unit's page.
//!
//! A small scanner that takes what firmware writes by hand: any case, any quotes or none, attributes
//! in any order. It is no HTML parser; comments and scripts are skipped.

use std::collections::BTreeSet;

use super::PortalError;

/// A form that is sent to the unit with POST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// The path that it is sent to.
    pub path: String,
    /// What is filled, in the page's order; buttons are none.
    pub fields: Vec<Field>,
}

/// Something that is filled or goes along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Whether it goes along without being shown.
    pub hidden: bool,
}

impl Form {
    /// Finds the first form in a page of this host.
    pub(super) fn find(page: &str, host: &str) -> Result<Self, PortalError> {
        let mut tags = Tags(page);
        let form = tags.find(|tag| tag.name == "form").ok_or(PortalError::NoForm)?;
        let action = form.attribute("action").unwrap_or_default();
        let method = form.attribute("method").unwrap_or_else(|| "get".to_owned());
        let path = path_at(&action, host).filter(|_| method.eq_ignore_ascii_case("post"));
        let method = method.to_ascii_uppercase();
        let path = path.ok_or(PortalError::Target { action, method })?;
        let fields = tags.take_while(|tag| tag.name != "/form").filter_map(|tag| tag.field());
        Ok(Self { path, fields: fields.collect() })
    }

    /// Requires that the form has exactly these fields; hidden ones may be more.
    ///
    /// # Errors
    /// [`PortalError::Fields`] names the missing and the unknown ones.
    pub fn require<'a>(
        &self,
        planned: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), PortalError> {
        let planned: BTreeSet<&str> = planned.into_iter().collect();
        let has = |name: &&&str| self.fields.iter().any(|field| field.name == **name);
        let missing: Vec<String> =
            planned.iter().filter(|name| !has(name)).map(|name| (*name).to_owned()).collect();
        let shown = self.fields.iter().filter(|field| !field.hidden);
        let unknown: Vec<String> = shown
            .filter(|field| !planned.contains(field.name.as_str()))
            .map(|field| field.name.clone())
            .collect();
        if missing.is_empty() && unknown.is_empty() {
            Ok(())
        } else {
            Err(PortalError::Fields { missing, unknown })
        }
    }
}

/// The path of an action on this host; `None` when it leads elsewhere.
fn path_at(action: &str, host: &str) -> Option<String> {
    let action = action.trim();
    let rest = match action.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let name = authority.strip_suffix(":80").unwrap_or(authority);
            (name == host).then_some(path)?
        }
        Some(_) => return None,
        None if action.starts_with("//") => return None,
        None => action,
    };
    Some(if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
}

struct Tag<'a> {
    name: String,
    attributes: &'a str,
}

impl Tag<'_> {
    fn field(&self) -> Option<Field> {
        if !matches!(self.name.as_str(), "input" | "select" | "textarea") {
            return None;
        }
        let kind = self.attribute("type").unwrap_or_default().to_ascii_lowercase();
        if matches!(kind.as_str(), "submit" | "button" | "reset" | "image") {
            return None;
        }
        let name = self.attribute("name").filter(|name| !name.is_empty())?;
        Some(Field { name, hidden: kind == "hidden" })
    }

    fn attribute(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
            // A lone equals sign is skipped, or the scanner would stand still.
            let (name, after) = rest.split_at(end.max(1));
            let (value, after) = match after.trim_start().strip_prefix('=') {
                Some(after) => value(after.trim_start()),
                None => ("", after),
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(value.replace("&quot;", "\"").replace("&amp;", "&"));
            }
            rest = after;
        }
    }
}

/// An attribute's value and what follows it.
fn value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// The tags of a page, in order; those of a comment, a script or a style are none.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let (_, rest) = self.0.split_once('<')?;
        if let Some(comment) = rest.strip_prefix("!--") {
            self.0 = comment.split_once("-->").map_or("", |(_, rest)| rest);
            return self.next();
        }
        let (inside, rest) = rest.split_at(end_of_tag(rest));
        self.0 = rest.strip_prefix('>').unwrap_or(rest);
        let end = inside.find(char::is_whitespace).unwrap_or(inside.len());
        let (name, attributes) = inside.split_at(end);
        let name = name.to_ascii_lowercase();
        if name == "script" || name == "style" {
            self.0 = after_closing(self.0, &name);
        }
        Some(Tag { name, attributes })
    }
}

/// Where the tag's `>` stands, outside of quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (place, c) in text.char_indices() {
        match quote {
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if c == '>' => return place,
            // A quote opens a value only after an equals sign; elsewhere it is a typing error.
            None if (c == '"' || c == '\'') && text[..place].trim_end().ends_with('=') => {
                quote = Some(c);
            }
            None => {}
        }
    }
    text.len()
}

fn after_closing<'a>(text: &'a str, name: &str) -> &'a str {
    let closing = format!("</{name}");
    text.to_ascii_lowercase().find(&closing).map_or("", |place| &text[place..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "192.168.4.1";

    fn names(form: &Form) -> Vec<&str> {
        form.fields.iter().map(|field| field.name.as_str()).collect()
    }

    #[test]
    fn a_form_is_found_however_it_is_written() {
        for page in [
            r#"<html><form action="/save" method="post"><input name="ssid"><input name="password" type="password"><input type="submit" name="go"></form></html>"#,
            "<FORM METHOD=POST ACTION=save>\n<INPUT TYPE=text NAME=ssid>\n<input\n name = 'password' /><button name=go></FORM><input name=other>",
            "<!-- <form action=/old> --><script>'<form action=/x>'</script><form action='http://192.168.4.1/save' method='post'><input placeholder=\"a > b\" name=ssid><textarea name=password></textarea></form>",
        ] {
            let form = Form::find(page, HOST).expect(page);
            assert_eq!(
                (form.path.as_str(), names(&form)),
                ("/save", vec!["ssid", "password"]),
                "{page}"
            );
        }
    }

    #[test]
    fn a_form_that_goes_elsewhere_or_by_get_is_refused() {
        for page in [
            "<form action=/save><input name=ssid></form>",
            "<form action=http://evil.example.test/save method=post></form>",
            "<form action=//evil.example.test/save method=post></form>",
            "<form action=https://192.168.4.1/save method=post></form>",
        ] {
            let error = Form::find(page, HOST).expect_err(page);
            assert!(matches!(error, PortalError::Target { .. }), "{error}");
        }
        assert!(matches!(Form::find("<p>no", HOST), Err(PortalError::NoForm)));
    }

    #[test]
    fn missing_and_unknown_fields_are_named() {
        let page = "<form action=/save method=post><input name=ssid><input name=company><input type=hidden name=csrf></form>";
        let form = Form::find(page, HOST).expect("a form");
        let error = form.require(["ssid", "mqtt_pass"]).expect_err("they differ").to_string();
        assert!(error.contains("missing in the form: mqtt_pass;"), "{error}");
        assert!(error.ends_with("unknown to the profile: company"), "{error}");
        form.require(["ssid", "company"]).expect("a hidden field is no surprise");
    }

    #[test]
    fn damaged_pages_end_the_scan() {
        for page in [
            "<",
            "<form",
            "<form action=\"",
            "<!--",
            "<script>",
            "<form = = method",
            "<ä",
            "<form 'x",
        ] {
            let _result = Form::find(page, HOST);
        }
    }
}
