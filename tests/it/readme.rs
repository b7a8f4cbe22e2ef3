//! The README's reference of keys is the one in the code.

use std::path::Path;

use snaplake::config::options::{OptionDoc, PROPERTIES, SETTINGS, SNAPSHOT_OPTIONS};

const START: &str = "<!-- options -->\n";

/// What stands between the two marks.
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
fn block(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once(START)?;
    let end = rest
        .match_indices("<!--")
        .map(|(at, _)| at)
        .find(|&at| rest[at..].starts_with("<!-- options -->") || rest[at..].starts_with("<!-- /options -->"))?;
    Some(&rest[..end])
}

#[test]
fn readme_has_the_reference_of_all_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let found = block(&readme).expect("README.md has a block between <!-- options --> and <!-- /options -->");
    let expected = reference();
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE_README").is_some() {
        let start = readme.find(START).unwrap() + START.len();
        std::fs::write(&path, [&readme[..start], &expected, &readme[start + found.len()..]].concat()).unwrap();
        return;
    }
    panic!(
        "README.md does not say what src/config/options.rs says. Run\n\n    UPDATE_README=1 cargo test --release readme\n\n\
         or put this between the marks:\n\n{expected}"
    );
}

#[test]
fn block_is_what_stands_between_the_marks() {
    assert_eq!(block("a\n<!-- options -->\nx\n<!-- /options -->\nb"), Some("x\n"));
    assert_eq!(block("a\n<!-- options -->\n<!-- options -->\n"), Some(""));
    assert_eq!(block("a\n<!-- options -->\nx\n"), None);
}
