//! The README's walk from a staged table to a published one, done as it is written there.
//!
//! Commands are run, SQL becomes a file of the project, and each line of text must be something that a command has said.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use regex::Regex;

const TITLE: &str = "## Look before you publish\n";

/// A folder with the shipped config and its SQL, and a link to the shipped data.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["configs", "sql/nycflights13"] {
        fs::create_dir_all(folder.path().join(part)).unwrap();
        for file in fs::read_dir(repo.join(part)).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
        }
    }
    symlink(repo.join("tests"), folder.path().join("tests")).unwrap();
    folder
}

/// Kind and content of the fenced blocks of the section.
fn blocks(readme: &str) -> Vec<(String, String)> {
    let section = readme.split_once(TITLE).unwrap().1.split("\n## ").next().unwrap();
    let fenced = Regex::new(r"(?s)```(\w+)\n(.*?)```").unwrap();
    fenced.captures_iter(section).map(|block| (block[1].to_owned(), block[2].to_owned())).collect()
}

/// Runs a line of a shell: exit code, and all that was said.
fn shell(folder: &Path, line: &str) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_snaplake");
    let line = line.strip_prefix("snaplake ").map_or_else(|| line.to_owned(), |rest| format!("'{program}' {rest}"));
    let output = Command::new("sh").args(["-c", &format!("{line} 2>&1")]).current_dir(folder).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn walk_from_stage_to_publish_goes_as_the_readme_says() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let folder = project();
    let (mut said, mut codes, mut lines) = (String::new(), Vec::new(), 0);
    for (kind, content) in blocks(&readme) {
        match kind.as_str() {
            "sql" => fs::write(folder.path().join("sql/nycflights13/audits.sql"), content).unwrap(),
            "bash" => {
                for line in content.lines() {
                    let (code, text) = shell(folder.path(), line);
                    codes.push(code);
                    said.push_str(&text);
                }
            }
            _ => {
                for line in content.lines().filter(|line| *line != "...") {
                    assert!(said.contains(line), "nothing says '{line}' in:\n{said}");
                    lines += 1;
                }
            }
        }
    }
    assert_eq!(codes, [0, 0, 4, 0, 0, 0], "{said}");
    assert!(lines > 10, "{lines} lines of output in the README");
    let published = glob::glob(folder.path().join("target/demo/datalake/**/_SUCCESS").to_str().unwrap()).unwrap();
    assert_eq!(published.count(), 1);
}
