//! The sources as text: without tests, with comments or strings blanked.

use std::fs;
use std::path::Path;

use regex::Regex;

/// A source file without comments and tests.
pub(super) struct Source {
    /// Below `src`, such as `config/parse.rs`.
    pub(super) path: String,
    /// As it stands.
    pub(super) text: String,
    /// Comments are blank, and so is the inside of strings.
    pub(super) code: String,
    /// Comments are blank.
    pub(super) strings: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let tests = Regex::new(r"#\[cfg\(test\)\]\n(?:pub\((?:super|crate)\) )?mod tests \{").unwrap();
        let text = tests.split(text).next().unwrap_or_default().to_owned();
        let (code, strings) = (blank(&text, true), blank(&text, false));
        Self { path: path.to_owned(), text, code, strings }
    }

    /// Lines of `text` (code or strings) that match, as complaints.
    pub(super) fn complaints(&self, text: &str, pattern: &str, what: &str) -> Vec<String> {
        let pattern = Regex::new(pattern).unwrap();
        let hits = text.lines().enumerate().filter(|(_, line)| pattern.is_match(line));
        hits.map(|(index, line)| format!("{}:{}: {what}: {}", self.path, index + 1, line.trim())).collect()
    }
}

/// Replaces comments, and the inside of string literals if asked to, with spaces; lines stay where they are.
fn blank(text: &str, strings: bool) -> String {
    let token =
        Regex::new(r##"(?sx) //[^\n]* | /\*.*?\*/ | r\#"(?:.*?)"\# | "(?:\\.|[^"\\])*" | '(?:\\[^'\n]+|[^'\\\n])' "##)
            .unwrap();
    let blanked = |text: &str| text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    let replaced = token.replace_all(text, |found: &regex::Captures<'_>| {
        let found = &found[0];
        if found.starts_with('/') || (strings && !found.starts_with('\'')) { blanked(found) } else { found.to_owned() }
    });
    replaced.into_owned()
}

pub(super) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = glob::glob(root.join("**/*.rs").to_str().unwrap()).unwrap().map(Result::unwrap);
    let relative = files.map(|file| (file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), file.clone()));
    relative
        .filter(|(path, _)| !path.contains("tests"))
        .map(|(path, file)| Source::new(&path, &fs::read_to_string(file).unwrap()))
        .collect()
}
