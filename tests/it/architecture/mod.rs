//! Reads the sources and holds the invariants of `src/lib.rs`: who uses whom, who does I/O, who prints, who joins paths.
//!
//! Each check is a function from sources to complaints, so that a made-up source proves that it can fail.

mod graph;
mod names;
mod source;

use std::fs;
use std::path::Path;

use regex::Regex;

use self::graph::{circles, graph};
use self::names::{empty_docs, types_defined_twice, wide_comments};
use self::source::{Source, sources};

/// The code map in `src/lib.rs`, from top to bottom: rooms, those of one line in any order.
fn code_map(lib: &str) -> Vec<Vec<String>> {
    let map = lib.split("```text\n").nth(1).and_then(|rest| rest.split("//! ```").next()).unwrap_or_default();
    let rooms = Regex::new(r"^//! ([a-z]+(?:, [a-z]+)*) {2,}").unwrap();
    let rooms = map.lines().filter_map(|line| rooms.captures(line));
    rooms.map(|found| found[1].split(", ").map(str::to_owned).collect()).collect()
}

/// Every use goes down the code map.
fn order(map: &[Vec<String>], sources: &[Source]) -> Vec<String> {
    let rank = |room: &str| map.iter().position(|line| line.iter().any(|known| known == room));
    let mut complaints = Vec::new();
    for (file, used) in graph(sources).iter().filter(|(file, _)| !ABOVE.contains(&room(file))) {
        for to in used.iter().filter(|to| room(to) != room(file)) {
            match (rank(room(file)), rank(room(to))) {
                (Some(from), Some(to)) if from < to => {}
                _ => complaints.push(format!("{file} uses {to}, which is not below it in the code map")),
            }
            if matches!((room(file), room(to)), ("staging", "compaction") | ("compaction", "staging")) {
                complaints.push(format!("{file} uses {to}, but steps meet only in manifests"));
            }
        }
    }
    complaints
}

/// What stands above all rooms.
const ABOVE: [&str; 4] = ["lib", "main", "bench", "fuzz"];

/// The room that a file is in.
fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

/// Planning is pure: no I/O, not async.
fn pure(sources: &[Source]) -> Vec<String> {
    const PURE: [&str; 63] = [
        "compaction/plan.rs",
        "config/exclude.rs",
        "config/text/parse.rs",
        "config/text/quotes.rs",
        "config/text/unnamed.rs",
        "error/advice.rs",
        "error/describe.rs",
        "error/difference.rs",
        "error/wording.rs",
        "init/names.rs",
        "init/render.rs",
        "init/sqltype.rs",
        "init/survey/dates.rs",
        "init/survey/locate.rs",
        "init/survey/tally.rs",
        "init/tables/columns.rs",
        "init/tables/dialect.rs",
        "init/tables/dynamo.rs",
        "init/tables/exports.rs",
        "init/tables/form.rs",
        "init/tables/profile.rs",
        "init/tables/propose.rs",
        "inspect/warnings.rs",
        "layout/bundle.rs",
        "layout/owner.rs",
        "layout/partition.rs",
        "manifest/checksum.rs",
        "pipeline/covered.rs",
        "pipeline/warning.rs",
        "snapshot/csv/escapes.rs",
        "snapshot/csv/guess.rs",
        "snapshot/files/content.rs",
        "snapshot/files/cover.rs",
        "snapshot/files/folders.rs",
        "snapshot/files/found.rs",
        "snapshot/files/left_out.rs",
        "snapshot/json/leaf.rs",
        "snapshot/json/split.rs",
        "snapshot/json/text.rs",
        "snapshot/json/tree.rs",
        "snapshot/names.rs",
        "snapshot/parquet/exact.rs",
        "snapshot/parquet/old_footer.rs",
        "snapshot/parquet/page_head.rs",
        "snapshot/parquet/scalar.rs",
        "snapshot/schema/clash.rs",
        "snapshot/schema/widen.rs",
        "snapshot/text/place.rs",
        "snapshot/values/numeral.rs",
        "snapshot/values/octets.rs",
        "snapshot/values/quick.rs",
        "snapshot/values/times.rs",
        "staging/plan/grouping.rs",
        "staging/sort/order.rs",
        "staging/sort/units.rs",
        "thrift.rs",
        "types/convert.rs",
        "types/ident.rs",
        "types/lake.rs",
        "types/sqltype.rs",
        "types/width.rs",
        "write/copyable.rs",
        "write/roll.rs",
    ];
    const IO: &str =
        r"\basync\b|\.await\b|\b(tokio|futures|object_store|Stores|ObjectStore)\b|std::(fs|net|process|env)\b";
    let pure = sources.iter().filter(|source| PURE.contains(&source.path.as_str()));
    pure.flat_map(|source| source.complaints(&source.code, IO, "does I/O or waits")).collect()
}

/// One module prints.
fn printing(sources: &[Source]) -> Vec<String> {
    const PRINT: &str = r"\b(e?print(ln)?|dbg)!|\bstd(out|err)\(\)|\bio::Std(out|err)\b";
    let others = sources.iter().filter(|source| !source.path.starts_with("cli/print/"));
    others.flat_map(|source| source.complaints(&source.code, PRINT, "prints")).collect()
}

/// One file joins storage paths: elsewhere no text is put together around a slash.
fn joining(sources: &[Source]) -> Vec<String> {
    const JOIN: &str = r#"format!\("[^"]*(\}/|/\{)|join\("/"\)|concat\(.*"/"|push\('/'\)|push_str\("/"#;
    let others = sources.iter().filter(|source| room(&source.path) != "layout");
    // A glob is a pattern over local files: the config's own models.
    let complaints = others.flat_map(|source| source.complaints(&source.strings, JOIN, "joins a path"));
    complaints.filter(|complaint| !complaint.contains("glob::Pattern::escape")).collect()
}

/// One file writes `key=value`, and knows the word for NULL.
fn partitions(sources: &[Source]) -> Vec<String> {
    const SEGMENT: &str = r#""[^"]*\}=\{|__HIVE_DEFAULT_PARTITION__"#;
    let others = sources.iter().filter(|source| source.path != "layout/partition.rs");
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
fn rooms_use_only_those_below_them_in_the_code_map() {
    let sources = sources();
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let map = code_map(&lib);
    assert!((10..=15).contains(&map.len()), "{map:?}");
    assert_eq!(order(&map, &sources), NOTHING);
    let known: Vec<String> = map.concat();
    let rooms = sources.iter().map(|source| room(&source.path)).filter(|room| !ABOVE.contains(room));
    let unknown: Vec<&str> = rooms.filter(|room| !known.iter().any(|known| known == room)).collect();
    assert_eq!(unknown, NOTHING, "not in the code map");
}

#[test]
fn no_files_and_no_folders_use_each_other_in_a_circle() {
    assert_eq!(circles(&graph(&sources())), NOTHING);
}

#[test]
fn planning_is_pure() {
    assert_eq!(pure(&sources()), NOTHING);
}

#[test]
fn only_print_prints() {
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
fn each_type_has_a_name_of_its_own() {
    assert_eq!(types_defined_twice(&sources()), NOTHING);
}

#[test]
fn each_doc_line_says_something() {
    assert_eq!(empty_docs(&sources()), NOTHING);
}

#[test]
fn comments_fit_on_a_screen() {
    assert_eq!(wide_comments(&sources()), NOTHING);
}

fn read(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| Source::new(path, text)).collect()
}

/// A map of four lines.
fn map() -> Vec<Vec<String>> {
    code_map(
        "//! ```text\n//! staging, compaction  steps\n//! write   files\n//! manifest, layout  paths\n//! error   ..\n//! ```\n",
    )
}

#[test]
fn use_of_a_room_above_is_seen_in_every_form() {
    assert_eq!(map().len(), 4);
    let others = [("layout/mod.rs", ""), ("manifest/mod.rs", ""), ("staging/mod.rs", ""), ("compaction/plan.rs", "")];
    for (path, text) in [
        ("layout/table.rs", "use crate::manifest::Ledger;"),
        ("write/exec.rs", "use crate::{\n    error::{Error, Result},\n    staging,\n};"),
        ("error/mod.rs", "fn f() { crate::layout::f() }"),
        ("error/kinds.rs", "use super::super::layout::f;"),
    ] {
        let sources = read(&[&others[..], &[(path, text)]].concat());
        assert_eq!(order(&map(), &sources).len(), 1, "{path}");
    }
    let sources = read(&[&others[..], &[("staging/run.rs", "use crate::compaction::plan;")]].concat());
    assert_eq!(order(&map(), &sources).len(), 2, "one line of the map, and the steps");
    let sources = read(&[
        ("lib.rs", "pub use write::Pipeline;"),
        ("write/mod.rs", "pub use self::a::Pipeline;"),
        ("write/a.rs", ""),
        ("layout/b.rs", "use crate::Pipeline;"),
    ]);
    assert_eq!(order(&map(), &sources).len(), 1, "through re-exports");
}

#[test]
fn circle_of_files_folders_or_a_folder_and_its_files_is_seen() {
    let planted = |files: &[(&str, &str)]| circles(&graph(&read(files)));
    let files = [("a/mod.rs", "mod b; mod c;"), ("a/b.rs", "use super::c::X;"), ("a/c.rs", "use crate::a::b::Y;")];
    assert_eq!(planted(&files), ["a circle in src/a: b, c"]);
    let by_reexport =
        [("a/mod.rs", "pub use self::b::Y;"), ("a/b.rs", "use super::c::X;"), ("a/c.rs", "use super::Y;")];
    assert_eq!(planted(&by_reexport), ["a circle in src/a: b, c"]);
    let folders = [
        ("a/b/x.rs", "use crate::a::c::y::F;"),
        ("a/b/z.rs", ""),
        ("a/c/y.rs", ""),
        ("a/c/w.rs", "use crate::a::b::z::G;"),
    ];
    assert_eq!(planted(&folders), ["a circle in src/a: b, c"]);
    let own = [("a/mod.rs", "use self::b::X; struct Y;"), ("a/b.rs", "use super::Y;")];
    assert_eq!(planted(&own), ["a circle in src/a: b, mod"]);
    let tests =
        [("a/b.rs", "use super::c::X;"), ("a/c.rs", "#[cfg(test)]\nmod tests {\n    use super::super::b::Y;\n}")];
    assert_eq!(planted(&tests), NOTHING);
}

#[test]
fn every_check_can_fail() {
    let complains =
        |check: fn(&[Source]) -> Vec<String>, path: &str, text: &str| check(&[Source::new(path, text)]).len();
    assert_eq!(complains(pure, "layout/bundle.rs", "pub async fn f() {}\nuse std::fs;"), 2);
    assert_eq!(complains(printing, "cli/mod.rs", "println!(\"x\");\nstd::io::stderr();"), 2);
    assert_eq!(complains(joining, "write/exec.rs", "format!(\"{folder}/{name}\");\nparts.join(\"/\");"), 2);
    assert_eq!(complains(partitions, "write/exec.rs", "format!(\"{key}={value}\")"), 1);
    assert_eq!(complains(unwraps, "write/exec.rs", "a.unwrap();\n// b is set above\nb.expect(\"b\");"), 1);
}

#[test]
fn type_defined_in_two_files_is_seen_and_those_of_tests_and_functions_are_not() {
    let twice = [("a/b.rs", "pub(crate) struct Source;"), ("a/c.rs", "enum Source {\n    A,\n}")];
    assert_eq!(types_defined_twice(&read(&twice)), ["type Source is defined in a/b.rs and a/c.rs"]);
    let innocent = [
        ("a/b.rs", "type T = u8;\n#[cfg(unix)]\ntype T = u16;"),
        ("a/c.rs", "fn f() {\n    struct T;\n}\n// struct T;\n#[cfg(test)]\nmod tests {\nstruct T;\n}"),
    ];
    assert_eq!(types_defined_twice(&read(&innocent)), NOTHING);
}

#[test]
fn empty_doc_lines_and_wide_comments_are_seen() {
    let text = "/// Lake table.\n    /// Why.\n/// See the module's head.\n/// Why it failed.\nlet a = \"/// Why.\";";
    assert_eq!(empty_docs(&[Source::new("a.rs", text)]).len(), 3);
    let wide = format!(
        "//! {0}\n    // {0}\nlet a = \"{0}\";\n// short\n//! | {0}\n//! ```text\n//! {0}\n//! ```",
        "x".repeat(117)
    );
    assert_eq!(wide_comments(&[Source::new("a.rs", &wide)]).len(), 2);
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let innocent = "//! println!\nlet a = \"println!(\\\"\"; let b = '\"'; /* dbg! */\n#[cfg(test)]\nmod tests {\n  println!();\n}";
    assert_eq!(printing(&[Source::new("cli/mod.rs", innocent)]), NOTHING);
    let down = [
        ("layout/mod.rs", ""),
        ("error/mod.rs", ""),
        ("write/mod.rs", "use crate::layout::{Location, Step};\nuse crate::error::Error;"),
    ];
    assert_eq!(order(&map(), &read(&down)), NOTHING);
}
