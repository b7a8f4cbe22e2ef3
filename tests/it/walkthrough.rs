//! The walk-through of docs/getting-started.md, from an unknown export to a lake, done as it is written there.
//!
//! Commands are run, SQL becomes the file that its first line names, and each line of text must be something that the
//! commands before it printed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use regex::Regex;

const TITLE: &str = "## A walk-through\n";

/// Kind and content of the fenced blocks of the section.
fn blocks(page: &str) -> Vec<(String, String)> {
    let section = page.split_once(TITLE).unwrap().1.split("\n## ").next().unwrap();
    let fenced = Regex::new(r"(?s)```(\w+)\n(.*?)```").unwrap();
    fenced.captures_iter(section).map(|block| (block[1].to_owned(), block[2].to_owned())).collect()
}

/// Runs a line of a shell: exit code, and all its output.
fn shell(folder: &Path, line: &str) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_snaplake");
    let line = line.strip_prefix("snaplake ").map_or_else(|| line.to_owned(), |rest| format!("'{program}' {rest}"));
    let output = Command::new("sh").args(["-c", &format!("{line} 2>&1")]).current_dir(folder).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// Files of the lake.
fn published(folder: &Path) -> usize {
    let files = glob::glob(folder.join("out/nycflights13/datalake/**/*").to_str().unwrap()).unwrap();
    files.filter(|path| path.as_ref().unwrap().is_file()).count()
}

#[test]
fn walk_from_an_export_to_a_lake_goes_as_the_page_says() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(repo.join("docs/getting-started.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    symlink(repo.join("tests"), folder.join("tests")).unwrap();
    let (mut message, mut commands, mut failed, mut lines) = (String::new(), Vec::new(), Vec::new(), 0);
    for (kind, content) in blocks(&page) {
        match kind.as_str() {
            "sql" => {
                let name = content.lines().next().unwrap().strip_prefix("-- ").unwrap();
                fs::write(folder.join(name), &content).unwrap();
            }
            "bash" => {
                message.clear();
                for line in content.lines() {
                    let (code, text) = shell(folder, line);
                    message.push_str(&text);
                    commands.push(line.split(' ').take(2).collect::<Vec<_>>().join(" "));
                    if code != 0 {
                        failed.push((commands.len(), code, published(folder)));
                    }
                }
            }
            _ => {
                for line in content.lines().filter(|line| *line != "...") {
                    assert!(message.lines().any(|found| found == line), "nothing says '{line}' in:\n{message}");
                    lines += 1;
                }
            }
        }
    }
    for step in ["init", "plan", "stage", "query", "publish", "validate", "report"] {
        assert!(commands.contains(&format!("snaplake {step}")), "{commands:?}");
    }
    // One publication, which an audit held back: no file is in the lake.
    let first = 1 + commands.iter().position(|command| command == "snaplake publish").unwrap();
    assert_eq!(failed, [(first, 4, 0)], "{message}");
    assert!(lines > 30, "{lines} lines of output in the walk-through");
    let success = glob::glob(folder.join("out/nycflights13/datalake/**/_SUCCESS").to_str().unwrap()).unwrap();
    assert_eq!((success.count(), published(folder)), (1, 13));
    let report = fs::read_to_string(folder.join("out/report.html")).unwrap();
    assert!(report.starts_with("<!doctype html>") && report.contains("flights_have_a_plane"));
}
