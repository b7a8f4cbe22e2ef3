//! Reads the sources and holds the invariants of `src/lib.rs`: who uses whom, who does I/O, who prints, who joins paths.
//!
//! Each check is a function from sources to complaints, so that a made-up source proves that it can fail.

use std::fs;
use std::path::Path;

use regex::Regex;

/// The code map: a module uses those of later lines; those of one line may use each other, but not in a circle.
const ORDER: [&[&str]; 15] = [
    &["main"],
    &["cli"],
    &["report"],
    &["lineage"],
    &["query", "clean", "diff", "repair", "replan", "init", "bench", "fuzz"],
    &["pipeline", "validate", "audit"],
    &["snapshot", "group", "staging", "compaction", "lake"],
    &["write"],
    &["session"],
    &["causes"],
    &["config"],
    &["manifest"],
    &["layout", "partition", "lake_type", "bundle"],
    &["spread", "checksum", "thrift", "redact", "digest", "advice", "width"],
    &["error", "verdict"],
];

/// A source file without comments and tests.
struct Source {
    /// Below `src`, such as `config/parse.rs`.
    path: String,
    /// As it stands.
    text: String,
    /// Comments are blank, and so is the inside of strings.
    code: String,
    /// Comments are blank.
    strings: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let tests = Regex::new(r"#\[cfg\(test\)\]\n(pub\(super\) )?mod tests \{").unwrap();
        let text = tests.split(text).next().unwrap_or_default().to_owned();
        let (code, strings) = (blank(&text, true), blank(&text, false));
        Self { path: path.to_owned(), text, code, strings }
    }

    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Lines of `text` (code or strings) that match, as complaints.
    fn complaints(&self, text: &str, pattern: &str, what: &str) -> Vec<String> {
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

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = glob::glob(root.join("**/*.rs").to_str().unwrap()).unwrap().map(Result::unwrap);
    let relative = files.map(|file| (file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), file.clone()));
    relative
        .filter(|(path, _)| !path.contains("tests"))
        .map(|(path, file)| Source::new(&path, &fs::read_to_string(file).unwrap()))
        .collect()
}

/// Modules of this crate that a source names, in `use` lines and in paths.
fn used(source: &Source) -> Vec<String> {
    let single = Regex::new(r"\b(?:crate|snaplake)::(\w+)").unwrap();
    let group = Regex::new(r"(?s)\b(?:crate|snaplake)::\{(.*?)\};").unwrap();
    let nested = Regex::new(r"\{[^{}]*\}").unwrap();
    let mut names: Vec<String> = single.captures_iter(&source.code).map(|found| found[1].to_owned()).collect();
    for found in group.captures_iter(&source.code) {
        let flat = nested.replace_all(&found[1], "").into_owned();
        names.extend(flat.split(',').map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()));
    }
    // The crate root re-exports a few types.
    let home = |name: &str| match name {
        "Error" | "Result" | "ConfigError" => "error".to_owned(),
        "Pipeline" | "Event" | "Reporter" => "pipeline".to_owned(),
        "Verdict" => "verdict".to_owned(),
        name => name.to_owned(),
    };
    let mut modules: Vec<String> = names.iter().filter(|name| !name.is_empty()).map(|name| home(name)).collect();
    modules.sort_unstable();
    modules.dedup();
    modules.retain(|module| module != source.module());
    modules
}

/// Every use goes down the code map.
fn order(sources: &[Source]) -> Vec<String> {
    let rank = |module: &str| ORDER.iter().position(|line| line.contains(&module));
    let mut complaints = Vec::new();
    let mut edges: Vec<(String, String)> = Vec::new();
    for source in sources.iter().filter(|source| source.path != "lib.rs") {
        for module in used(source) {
            let (from, to) = (rank(source.module()), rank(&module));
            match (from, to) {
                (Some(from), Some(to)) if from < to => {}
                (Some(from), Some(to)) if from == to => edges.push((source.module().to_owned(), module)),
                _ => complaints.push(format!("{} uses {module}, which is not below it", source.path)),
            }
        }
    }
    // What is reached over uses within one line of the code map, until nothing new is.
    loop {
        let known = edges.len();
        for (from, over) in edges.clone() {
            for (_, to) in edges.clone().iter().filter(|(start, _)| *start == over) {
                if !edges.contains(&(from.clone(), to.clone())) {
                    edges.push((from.clone(), to.clone()));
                }
            }
        }
        if edges.len() == known {
            break;
        }
    }
    let circles = edges.iter().filter(|(from, to)| from == to);
    complaints.extend(circles.map(|(module, _)| format!("{module} uses itself in a circle")));
    let steps = edges.iter().filter(|(from, to)| {
        matches!((from.as_str(), to.as_str()), ("staging", "compaction") | ("compaction", "staging"))
    });
    complaints.extend(steps.map(|(from, to)| format!("{from} uses {to}, but steps meet only in manifests")));
    complaints
}

/// Planning is pure: no I/O, not async.
fn pure(sources: &[Source]) -> Vec<String> {
    const PURE: [&str; 53] = [
        "advice.rs",
        "bundle.rs",
        "causes.rs",
        "checksum.rs",
        "compaction/plan.rs",
        "config/exclude.rs",
        "config/ident.rs",
        "config/parse.rs",
        "config/quotes.rs",
        "config/sqltype.rs",
        "config/wording.rs",
        "group.rs",
        "init/columns.rs",
        "init/dialect.rs",
        "init/dynamo.rs",
        "init/exports.rs",
        "init/form.rs",
        "init/locate.rs",
        "init/names.rs",
        "init/profile.rs",
        "init/propose.rs",
        "init/render.rs",
        "init/sqltype.rs",
        "init/tally.rs",
        "lake_type/convert.rs",
        "lake_type/mod.rs",
        "layout/owner.rs",
        "pipeline/covered.rs",
        "snapshot/clash.rs",
        "snapshot/content.rs",
        "snapshot/cover.rs",
        "snapshot/escapes.rs",
        "snapshot/exact.rs",
        "snapshot/folders.rs",
        "snapshot/found.rs",
        "snapshot/guess.rs",
        "snapshot/json_leaf.rs",
        "snapshot/json_split.rs",
        "snapshot/json_text.rs",
        "snapshot/json_tree.rs",
        "snapshot/left_out.rs",
        "snapshot/names.rs",
        "snapshot/numeral.rs",
        "snapshot/octets.rs",
        "snapshot/old_footer.rs",
        "snapshot/page_head.rs",
        "snapshot/place.rs",
        "snapshot/quick.rs",
        "snapshot/scalar.rs",
        "snapshot/times.rs",
        "snapshot/widen.rs",
        "thrift.rs",
        "width.rs",
    ];
    const IO: &str =
        r"\basync\b|\.await\b|\b(tokio|futures|object_store|Stores|ObjectStore)\b|std::(fs|net|process|env)\b";
    let pure = sources.iter().filter(|source| PURE.contains(&source.path.as_str()));
    pure.flat_map(|source| source.complaints(&source.code, IO, "does I/O or waits")).collect()
}

/// One module prints.
fn printing(sources: &[Source]) -> Vec<String> {
    const PRINT: &str = r"\b(e?print(ln)?|dbg)!|\bstd(out|err)\(\)|\bio::Std(out|err)\b";
    let others = sources.iter().filter(|source| source.module() != "report");
    others.flat_map(|source| source.complaints(&source.code, PRINT, "prints")).collect()
}

/// One file joins storage paths: elsewhere no text is put together around a slash.
fn joining(sources: &[Source]) -> Vec<String> {
    const JOIN: &str = r#"format!\("[^"]*(\}/|/\{)|join\("/"\)|concat\(.*"/"|push\('/'\)|push_str\("/"#;
    let others = sources.iter().filter(|source| !matches!(source.module(), "layout" | "partition"));
    // A glob is a pattern over local files: the config's own models.
    let complaints = others.flat_map(|source| source.complaints(&source.strings, JOIN, "joins a path"));
    complaints.filter(|complaint| !complaint.contains("glob::Pattern::escape")).collect()
}

/// One file writes `key=value`, and knows the word for NULL.
fn partitions(sources: &[Source]) -> Vec<String> {
    const SEGMENT: &str = r#""[^"]*\}=\{|__HIVE_DEFAULT_PARTITION__"#;
    let others = sources.iter().filter(|source| source.path != "partition.rs");
    others.flat_map(|source| source.complaints(&source.strings, SEGMENT, "writes a partition")).collect()
}

/// What cannot fail says why, in a comment on the line or above it.
fn unwraps(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().collect();
        let proven = |index: usize| {
            lines[index].contains("//") || (index > 0 && lines[index - 1].trim_start().starts_with("//"))
        };
        for (index, line) in source.code.lines().enumerate() {
            // What is in a const block cannot panic when the program runs.
            let panics = (line.contains(".unwrap()") || line.contains(".expect(")) && !line.contains("const {");
            if panics && !proven(index) {
                complaints.push(format!("{}:{}: may panic: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    complaints
}

const NOTHING: [&str; 0] = [];

#[test]
fn modules_use_only_those_below_them_in_the_code_map() {
    let sources = sources();
    assert_eq!(order(&sources), NOTHING);
    let known: Vec<&str> = ORDER.concat();
    for source in sources.iter().filter(|source| source.path != "lib.rs") {
        assert!(known.contains(&source.module()), "{} is not in the code map", source.path);
    }
}

#[test]
fn planning_is_pure() {
    assert_eq!(pure(&sources()), NOTHING);
}

#[test]
fn only_report_prints() {
    assert_eq!(printing(&sources()), NOTHING);
}

#[test]
fn only_layout_joins_storage_paths() {
    assert_eq!(joining(&sources()), NOTHING);
}

#[test]
fn only_partition_writes_keys_with_values() {
    assert_eq!(partitions(&sources()), NOTHING);
}

#[test]
fn what_may_panic_says_why_it_does_not() {
    assert_eq!(unwraps(&sources()), NOTHING);
}

#[test]
fn every_check_can_fail() {
    let complains =
        |check: fn(&[Source]) -> Vec<String>, path: &str, text: &str| check(&[Source::new(path, text)]).len();
    assert_eq!(complains(order, "layout/table.rs", "use crate::manifest::Ledger;"), 1);
    assert_eq!(complains(order, "write/exec.rs", "use crate::{\n    error::{Error, Result},\n    staging,\n};"), 1);
    assert_eq!(complains(order, "error/mod.rs", "fn f() { crate::layout::f() }"), 1);
    assert_eq!(complains(order, "staging/run.rs", "use crate::compaction::plan;"), 1);
    assert_eq!(complains(order, "config/x.rs", "use crate::Pipeline;"), 1);
    assert_eq!(complains(pure, "group.rs", "pub async fn f() {}\nuse std::fs;"), 2);
    assert_eq!(complains(printing, "cli/mod.rs", "println!(\"x\");\nstd::io::stderr();"), 2);
    assert_eq!(complains(joining, "write/exec.rs", "format!(\"{folder}/{name}\");\nparts.join(\"/\");"), 2);
    assert_eq!(complains(partitions, "write/exec.rs", "format!(\"{key}={value}\")"), 1);
    assert_eq!(complains(unwraps, "group.rs", "a.unwrap();\n// b is set above\nb.expect(\"b\");"), 1);
    let circle = [("snapshot/a.rs", "use crate::group::f;"), ("group.rs", "use crate::snapshot::g;")];
    assert_eq!(order(&circle.map(|(path, text)| Source::new(path, text))).len(), 2);
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let innocent = "//! println!\nlet a = \"println!(\\\"\"; let b = '\"'; /* dbg! */\n#[cfg(test)]\nmod tests {\n  println!();\n}";
    assert_eq!(printing(&[Source::new("cli/mod.rs", innocent)]), NOTHING);
    assert_eq!(
        order(&[Source::new("write/mod.rs", "use crate::layout::{Location, Step};\nuse crate::error::Error;")]),
        NOTHING
    );
}
