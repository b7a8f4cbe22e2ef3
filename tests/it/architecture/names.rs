//! Checks of words: each type has a name of its own, each doc line has content, and comments fit on a screen.

use std::collections::BTreeMap;

use regex::Regex;

use super::source::Source;

/// Characters of a line with a comment.
const MAX_WIDTH: usize = 120;

/// Types of a module that share their name with a type of another file.
pub(super) fn types_defined_twice(sources: &[Source]) -> Vec<String> {
    // A definition at the start of a line: types in functions may have any name.
    let definition = Regex::new(r"(?m)^(?:pub(?:\([^)]*\))? )?(?:struct|enum|union|trait|type) (\w+)").unwrap();
    let mut files = BTreeMap::<String, Vec<&str>>::new();
    for source in sources {
        for found in definition.captures_iter(&source.code) {
            let of_name = files.entry(found[1].to_owned()).or_default();
            // One file may define a type once per platform.
            if !of_name.contains(&source.path.as_str()) {
                of_name.push(&source.path);
            }
        }
    }
    let twice = files.into_iter().filter(|(_, files)| files.len() > 1);
    twice.map(|(name, files)| format!("type {name} is defined in {}", files.join(" and "))).collect()
}

/// Doc lines that repeat a name or refer elsewhere instead of saying something.
pub(super) fn empty_docs(sources: &[Source]) -> Vec<String> {
    const EMPTY: &str =
        r"^\s*///\s+(Why|Which|What|The file|(Lake|Snapshot|Staging) table|See the (module's|file's) head)\.$";
    sources.iter().flat_map(|source| source.complaints(&source.text, EMPTY, "says nothing")).collect()
}

/// Wide comments, which rustfmt does not wrap. Tables and drawings may be wider.
pub(super) fn wide_comments(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let mut in_drawing = false;
        for (index, line) in source.text.lines().enumerate() {
            let text = line.trim_start();
            let Some(comment) = text.strip_prefix("//").map(|text| text.trim_start_matches(['/', '!', ' '])) else {
                in_drawing = false;
                continue;
            };
            in_drawing ^= comment.starts_with("```");
            if line.chars().count() > MAX_WIDTH && !in_drawing && !comment.starts_with('|') {
                complaints.push(format!("{}:{}: comment is too wide", source.path, index + 1));
            }
        }
    }
    complaints
}
