//! The README and the pages in `docs`: the references of keys and options are those in the code, the README is short,
//! text lines are short, and links lead to something.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use snaplake::config::options::{OptionDoc, PROPERTIES, SETTINGS, SNAPSHOT_OPTIONS};

/// Lines of the README.
const MAX_LINES: usize = 100;

/// Characters of a line outside of tables and code blocks.
const MAX_WIDTH: usize = 120;

/// The tables of docs/config.md.
fn keys() -> String {
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

/// The tables of docs/cli.md: the options of most commands, then those of each command.
fn commands() -> String {
    let mut program = snaplake::cli::command();
    program.build();
    let commands: Vec<&clap::Command> = program.get_subcommands().filter(|of| of.get_name() != "help").collect();
    let of = |command: &clap::Command| -> Vec<(String, String)> {
        let shown =
            command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()));
        shown.map(option).collect()
    };
    let users = |row: &(String, String)| commands.iter().filter(|command| of(command).contains(row)).count();
    let mut common: Vec<(String, String)> = Vec::new();
    for row in commands.iter().flat_map(|command| of(command)) {
        if users(&row) > 2 && !common.contains(&row) {
            common.push(row);
        }
    }
    let named = |row: &(String, String)| -> String {
        let (with, without): (Vec<&clap::Command>, Vec<_>) =
            commands.iter().copied().partition(|command| of(command).contains(row));
        let names = |commands: &[&clap::Command]| -> String {
            commands.iter().map(|command| format!("`{}`", command.get_name())).collect::<Vec<_>>().join(", ")
        };
        match without.len() {
            0 => "all".to_owned(),
            few if few < with.len() => format!("all but {}", names(&without)),
            _ => names(&with),
        }
    };
    let cell = |text: &str| text.replace('|', "\\|");
    let mut text = "| option | meaning | commands |\n| --- | --- | --- |\n".to_owned();
    for row in &common {
        text += &format!("| `{}` | {} | {} |\n", cell(&row.0), cell(&row.1), named(row));
    }
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        text += &format!("\n### `snaplake {}`\n\n{about}\n", command.get_name());
        let own: Vec<(String, String)> = of(command).into_iter().filter(|row| !common.contains(row)).collect();
        if !own.is_empty() {
            text += "\n| option | meaning |\n| --- | --- |\n";
        }
        for (option, meaning) in own {
            text += &format!("| `{}` | {} |\n", cell(&option), cell(&meaning));
        }
    }
    text
}

/// An argument as it is typed, and its help with the default.
fn option(argument: &clap::Arg) -> (String, String) {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let takes_value = argument.get_action().takes_values();
    let value = value.filter(|_| takes_value).unwrap_or_default();
    let mut typed: Vec<String> = argument.get_short().iter().map(|short| format!("-{short}")).collect();
    typed.extend(argument.get_long().map(|long| format!("--{long}")));
    let typed = match typed.as_slice() {
        [] => value,
        names if value.is_empty() => names.join(", "),
        names => format!("{} {value}", names.join(", ")),
    };
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !values.is_empty() {
        // Before a default that the help itself names.
        let at = meaning.find(" [default").unwrap_or(meaning.len());
        meaning.insert_str(at, &format!(": {}", values.join(", ")));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if takes_value && !defaults.is_empty() {
        meaning += &format!(" [default: {}]", defaults.join(", "));
    }
    (typed, meaning)
}

/// The text between the mark and the next one, which may be written `<!-- /options -->` too.
fn block<'a>(page: &'a str, mark: &str) -> Option<&'a str> {
    let (start, end) = (format!("<!-- {mark} -->"), format!("<!-- /{mark} -->"));
    let (_, rest) = page.split_once(&format!("{start}\n"))?;
    let at = rest.match_indices("<!--").map(|(at, _)| at);
    let end = at.into_iter().find(|&at| rest[at..].starts_with(&start) || rest[at..].starts_with(&end))?;
    Some(&rest[..end])
}

/// Compares a block of a page with what the code has, or writes it there if `UPDATE_README` is set.
#[track_caller]
fn check(page: &str, mark: &str, source: &str, expected: &str) {
    let path = repo().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let found = block(&text, mark).unwrap_or_else(|| panic!("{page} has no block <!-- {mark} --> <!-- /{mark} -->"));
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE_README").is_some() {
        let start = text.find(&format!("<!-- {mark} -->\n")).unwrap() + format!("<!-- {mark} -->\n").len();
        fs::write(&path, [&text[..start], expected, &text[start + found.len()..]].concat()).unwrap();
        return;
    }
    panic!(
        "{page} differs from {source}. Run\n\n    UPDATE_README=1 cargo test --release readme\n\n\
         or put this between the marks:\n\n{expected}"
    );
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
    check("docs/config.md", "options", "src/config/options.rs", &keys());
}

#[test]
fn cli_page_has_the_reference_of_all_options() {
    check("docs/cli.md", "commands", "src/cli/arguments.rs", &commands());
}

#[test]
fn block_is_the_text_between_the_marks() {
    assert_eq!(block("a\n<!-- options -->\nx\n<!-- /options -->\nb", "options"), Some("x\n"));
    assert_eq!(block("a\n<!-- options -->\n<!-- options -->\n", "options"), Some(""));
    assert_eq!(block("a\n<!-- options -->\nx\n", "options"), None);
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
