//! The README and the pages in `docs`: the reference of keys is the one in the code, the README is short, text lines are
//! short, and links lead to something.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use snaplake::config::options::{OptionDoc, PROPERTIES, SETTINGS, SNAPSHOT_OPTIONS};

const START: &str = "<!-- options -->\n";

/// Lines of the README.
const MAX_LINES: usize = 100;

/// Characters of a line outside of tables and code blocks.
const MAX_WIDTH: usize = 120;

/// The text between the two marks.
fn reference() -> String {
    let tables = [
        ("`SET key = value;`", SETTINGS),
        ("`CREATE TABLE lake.t WITH (key = value) AS SELECT ...`", PROPERTIES),
        (
            "`CREATE EXTERNAL TABLE snapshot.t ... OPTIONS (key value)`; the prefix `format.` may be left out",
            SNAPSHOT_OPTIONS,
        ),
    ];
    tables.map(|(title, options)| table(title, options)).join("\n")
}

fn table(title: &str, options: &[OptionDoc]) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let rows = options
        .iter()
        .map(|option| format!("| `{}` | {} | {} |\n", option.name, cell(option.default), cell(option.doc)));
    format!("{title}\n\n| key | default | meaning |\n| --- | --- | --- |\n{}", rows.collect::<String>())
}

/// The text between the mark and the next one, which may be written `<!-- /options -->` too.
fn block(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(START)?;
    let end = rest
        .match_indices("<!--")
        .map(|(at, _)| at)
        .find(|&at| rest[at..].starts_with("<!-- options -->") || rest[at..].starts_with("<!-- /options -->"))?;
    Some(&rest[..end])
}

fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and all pages in `docs`.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(repo().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    pages.insert(0, repo().join("README.md"));
    pages
}

/// Lines outside of code blocks, numbered from 1.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(page.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// Anchors of the headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let headings = prose(page).map(|(_, line)| line).filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |text: &str| text.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Long lines of a page, and its links that lead nowhere.
fn problems(path: &Path, page: &str) -> Vec<String> {
    let code = Regex::new("`[^`]*`").unwrap();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut found = Vec::new();
    for (number, line) in prose(page) {
        let width = line.chars().count();
        if width > MAX_WIDTH && !line.starts_with('|') {
            found.push(format!("line {number} has {width} characters"));
        }
        for target in link.captures_iter(&code.replace_all(line, "")).map(|link| link[1].to_owned()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { path.to_owned() } else { path.parent().unwrap().join(file) };
            if !file.exists() {
                found.push(format!("line {number}: no file {target}"));
            } else if !anchor.is_empty() {
                let other = if file == path { page.to_owned() } else { fs::read_to_string(&file).unwrap() };
                if !anchors(&other).iter().any(|heading| heading == anchor) {
                    found.push(format!("line {number}: no heading {target}"));
                }
            }
        }
    }
    found
}

#[test]
fn config_page_has_the_reference_of_all_keys() {
    let path = repo().join("docs/config.md");
    let page = fs::read_to_string(&path).unwrap();
    let found = block(&page).expect("docs/config.md has a block between <!-- options --> and <!-- /options -->");
    let expected = reference();
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE_README").is_some() {
        let start = page.find(START).unwrap() + START.len();
        fs::write(&path, [&page[..start], &expected, &page[start + found.len()..]].concat()).unwrap();
        return;
    }
    panic!(
        "docs/config.md differs from src/config/options.rs. Run\n\n    UPDATE_README=1 cargo test --release readme\n\n\
         or put this between the marks:\n\n{expected}"
    );
}

#[test]
fn block_is_the_text_between_the_marks() {
    assert_eq!(block("a\n<!-- options -->\nx\n<!-- /options -->\nb"), Some("x\n"));
    assert_eq!(block("a\n<!-- options -->\n<!-- options -->\n"), Some(""));
    assert_eq!(block("a\n<!-- options -->\nx\n"), None);
}

#[test]
fn pages_have_short_lines_and_links_that_lead_somewhere() {
    let pages = pages();
    let lines = fs::read_to_string(&pages[0]).unwrap().lines().count();
    assert!(lines <= MAX_LINES, "README.md has {lines} lines, at most {MAX_LINES} are allowed");
    for path in pages {
        let found = problems(&path, &fs::read_to_string(&path).unwrap());
        assert!(found.is_empty(), "{}:\n{}", path.display(), found.join("\n"));
    }
}

#[test]
fn each_problem_of_a_page_is_found() {
    let path = repo().join("docs/config.md");
    let wide = "x".repeat(MAX_WIDTH + 1);
    let page = format!(
        "# A `b`: c\n{wide}\n| {wide} |\n```\n{wide} [a](gone.md)\n```\n`[a](gone.md)` [a](#a-b-c) [a](types.md#times)\n\
         [a](gone.md) [a](#gone)\n[`a`](types.md#gone)\n"
    );
    let expected = [
        "line 2 has 121 characters",
        "line 8: no file gone.md",
        "line 8: no heading #gone",
        "line 9: no heading types.md#gone",
    ];
    assert_eq!(problems(&path, &page), expected);
}
