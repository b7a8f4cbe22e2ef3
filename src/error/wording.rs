//! Rewords the messages of the engine in SQL terms: types as declared, operations as written in SQL, and no names of
//! engine internals. Pure.
//!
//! The engine's messages are English sentences with its own names in them. Known sentences are replaced by ours. In all
//! others only type names are replaced, and the advice to file bugs elsewhere is removed. Text in single quotes is a
//! value or a name of the user and stays as it is.

use std::sync::LazyLock;

use datafusion::arrow::datatypes::DataType;
use regex::{Captures, Regex};

use crate::types::sqltype::type_name;

/// Prefixes of the engine's messages, which name its own parts.
const PREFIXES: [&str; 25] = [
    "Arrow error: ",
    "Execution error: ",
    "External error: ",
    "External: ",
    "Parquet error: ",
    "Parquet argument error: ",
    "Error during planning: ",
    "Object Store error: ",
    "Schema error: ",
    "Compute error: ",
    "Cast error: ",
    "Parser error: ",
    "Json error: ",
    "Csv error: ",
    "IO error: ",
    "Io error: ",
    "Invalid argument error: ",
    "sql parser error: ",
    "SQL error: ",
    "Optimizer error: ",
    "General error: ",
    "Generic LocalFileSystem error: ",
    "Arithmetic overflow: ",
    "This feature is not implemented: ",
    "Not yet implemented: ",
];

/// Known sentences, and ours. Types in them are replaced afterwards.
static SENTENCES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let sentences = [
        (r"^Cannot cast string '(.*)' to value of (.+) type$", "'$1' cannot be cast to $2"),
        (r"^Cannot cast value '(.*)' to value of Boolean type$", "'$1' cannot be cast to Boolean"),
        (r"^Can't cast value (.+) to type (.+)$", "$1 does not fit into $2"),
        (r"^value of (.+) is out of range (.+)$", "$1 does not fit into $2"),
        (r"^Cannot cast to (Decimal\d+\(\d+, \d+\))\. Overflowing on (.+)$", "$2 does not fit into $1"),
        (r"^Cannot cast to (Decimal\d+\(\d+, \d+\))\. Value overflows.*$", "a value does not fit into $1"),
        (r"^Cannot cast to (.+)\. The scale.* causes overflow\.$", "a value does not fit into $1"),
        (
            r"^(.+) is too (large|small) to store in a Decimal\d+ of precision (\d+)\. (?:Max|Min) is .*$",
            "$1 is too $2 for a DECIMAL of $3 digits",
        ),
        (r"^Overflow happened on: (.+)$", "$1 is beyond the range of its type"),
        (
            r"^Overflow converting (.+) to Nanosecond\..*$",
            "$1 does not fit into TIMESTAMP(9), which ends in the year 2262",
        ),
        (r"^(?:Divide by zero error|Division by zero)$", "division by zero"),
        (r"^Casting from (?:type )?(.+) to (?:type )?(.+) not supported$", "there is no cast from $1 to $2"),
        (r"^Unsupported CAST from (.+) to (.+)$", "there is no cast from $1 to $2"),
        (r"^Cannot coerce arithmetic expression (.+) to valid types$", "these types cannot be combined: $1"),
        (
            r"(?s)^Cannot infer common (?:argument |string )?type for (?:\w+ )*?operation (.+)$",
            "these types cannot be combined: $1",
        ),
        (r"(?s)^Cannot get result type for \w+ operation (.+?): .*$", "these types cannot be combined: $1"),
        (
            r"(?s)^.*?No function matches the given name and argument types '(\w+)\((.*?)\)'.*$",
            "there is no function $1($2); check the types of its arguments",
        ),
        (
            r"(?s)^Failed to coerce arguments to satisfy a call to '(\w+)' function: coercion from (.+?) to the signature .*$",
            "there is no function $1($2); check the types of its arguments",
        ),
        (
            r"(?s)^Function '(\w+)' (?:failed to match any signature, errors: .*?)?requires .+?, but received .+? \(DataType: (.+?)\)(?:\..*)?$",
            "function $1 does not take $2",
        ),
        (
            r"(?s)^Function '(\w+)' failed to match any signature, errors: .*?expects? (\d+) arguments? but received (\d+).*$",
            "function $1 takes $2 arguments, not $3",
        ),
        (
            r"(?s)^Function '(\w+)' (?:failed to match any signature, errors|user-defined coercion failed with): (?:Error during planning: )?(.*)$",
            "function $1 does not take these arguments: $2",
        ),
        (r"^Function '(\w+)' expects (\w+) but received (.+)$", "function $1 does not take $3"),
        (r"^Error parsing timestamp from '(.*)': (.+)$", "'$1' cannot be cast to TIMESTAMP: $2"),
        (
            r"(?is)^substring without for/from is not valid.*$",
            "substr takes a text and the position where the part begins",
        ),
        (
            r"(?s)^Invalid function '(\w+)'\.\s+Did you mean '(\w+)'\?$",
            "function '$1' does not exist; did you mean '$2'?",
        ),
        (
            r"^Unterminated string literal at Line: (\d+), Column: (\d+)$",
            "line $1, column $2: a quote ' that is opened here is never closed",
        ),
        (r"^Expected: (.+), found: (.+) at Line: (\d+), Column: (\d+)$", "line $3, column $4: expected $1, found $2"),
        (r"^(.+) at Line: (\d+), Column: (\d+)$", "line $2, column $3: $1"),
        (r"^(.+): While expanding wildcard, (.+), currently only .*$", "$2"),
    ];
    // A sentence that does not compile would be left out; a test holds that none is.
    sentences.into_iter().filter_map(|(pattern, ours)| Some((Regex::new(pattern).ok()?, ours))).collect()
});

/// Names with which a type begins that the engine prints.
static TYPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"\b(?:Boolean|U?Int(?:8|16|32|64)|Float(?:16|32|64)|(?:Large)?Utf8(?:View)?|LargeBinary|BinaryView|Binary|FixedSizeBinary\(|Date(?:32|64)|Time(?:32|64)\(|Timestamp\(|Duration\(|Interval\(|Decimal(?:32|64|128|256)\(|(?:Large)?List(?:View)?\(|FixedSizeList\(|Struct\(|Map\(|Dictionary\(|Null\b)"#,
    )
    .ok()
});

/// A message of the engine as we say it.
pub(crate) fn reworded(message: &str) -> String {
    let mut text = message.trim();
    // Contexts name rules of the optimizer; the last part is what happened.
    if let Some((_, cause)) = text.rsplit_once("\ncaused by\n") {
        text = cause;
    }
    if let Some((before, _)) = text.split_once("This issue was likely caused by a bug in DataFusion") {
        text = before.trim_end().trim_end_matches('.');
    }
    if let Some((before, _)) = text.split_once("\n\nbacktrace:") {
        text = before;
    }
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    let (is_internal, text) = match text.strip_prefix("Internal error: ") {
        Some(message) => (true, message),
        None => (false, text),
    };
    let known = |(pattern, ours): &(Regex, &'static str)| {
        pattern.is_match(text).then(|| pattern.replace(text, *ours).into_owned())
    };
    let text = match SENTENCES.iter().find_map(known) {
        Some(message) => message,
        None if is_internal => format!("the query engine failed: {text}"),
        None => text.to_owned(),
    };
    types_as_declared(&text)
}

/// The text with the engine's names of types replaced by SQL's.
fn types_as_declared(text: &str) -> String {
    let Some(pattern) = TYPE.as_ref() else { return text.to_owned() };
    let quoted = quoted(text);
    let mut done = String::with_capacity(text.len());
    let mut from = 0;
    for found in pattern.find_iter(text) {
        if found.start() < from || quoted.iter().any(|(start, end)| (*start..*end).contains(&found.start())) {
            continue;
        }
        let whole = &text[found.start()..found.start() + extent(&text[found.start()..], found.len())];
        let Ok(data_type) = whole.parse::<DataType>() else { continue };
        done.push_str(&text[from..found.start()]);
        match data_type {
            DataType::Null => done.push_str("NULL"),
            data_type => done.push_str(&type_name(&data_type)),
        }
        from = found.start() + whole.len();
    }
    done.push_str(&text[from..]);
    done
}

/// Length of the type at the beginning of a text; its name, with an opening parenthesis if it has one, is `name` bytes
/// long.
fn extent(text: &str, name: usize) -> usize {
    if !text[..name].ends_with('(') {
        return name;
    }
    let mut depth = 1_usize;
    for (index, c) in text[name..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return name + index + 1;
        }
    }
    name
}

/// The parts of a text in single quotes; an apostrophe in a word is not a quote.
fn quoted(text: &str) -> Vec<(usize, usize)> {
    static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)(^|[^\w])'(.*?)'($|[^\w])").ok());
    let spans = |found: Captures<'_>| {
        let inner = found.get(2)?;
        // The place of a type may be in quotes, too.
        (!text[..inner.start() - 1].ends_with("type ")).then_some((inner.start(), inner.end()))
    };
    QUOTED.as_ref().map_or_else(Vec::new, |pattern| pattern.captures_iter(text).filter_map(spans).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sentences_are_written_in_our_words() {
        assert_eq!(SENTENCES.len(), 29, "a sentence is not understood");
        assert!(TYPE.is_some());
        let texts = [
            "Arrow error: Cast error: Cannot cast string 'Int64 type' to value of Int64 type",
            "Cast error: Can't cast value 300 to type Int8",
            "Cast error: Cannot cast to Decimal128(4, 2). Overflowing on 99999",
            "Invalid argument error: 99.999 is too large to store in a Decimal128 of precision 4. Max is 99.99",
            "Arrow error: Divide by zero error",
            "Arrow error: Arithmetic overflow: Overflow happened on: 9223372036854775807 + 1",
            "Cast error: Casting from Boolean to Date32 not supported",
            "Error during planning: Cannot coerce arithmetic expression Int64 + Utf8 to valid types",
            "Error during planning: Cannot infer common argument type for comparison operation List(Int64) = Utf8View",
            "Error during planning: Cannot get result type for temporal operation Date32 * Interval(MonthDayNano): Invalid argument error: x",
            "type_coercion\ncaused by\nError during planning: Function 'sum' failed to match any signature, errors: Error during planning: Function 'sum' requires Decimal, but received String (DataType: Utf8View).,Error during planning: Function 'sum' requires UInt64, but received String (DataType: Utf8View).",
            "Error during planning: Internal error: No function matches the given name and argument types 'round(Utf8, Timestamp(µs, \"UTC\"))'. You might need to add explicit type casts.\n\tCandidate functions:\n\tround(Float64)",
            "Internal error: Assertion failed: a == b.\nThis issue was likely caused by a bug in DataFusion's code. Please help us to resolve this by filing a bug report in our issue tracker: https://github.com/apache/datafusion/issues",
            "Error while parsing value 'Int64' as type 'Date32' for column 'Int8' in row 2",
            "Incompatible inputs for Union: Previous inputs were of type Struct(\"a\": Int64), but got incompatible type FixedSizeList(2 x Float32) on column 'x'",
            "it isn't Utf8, it's Decimal128(38, 10); don't",
        ];
        insta::assert_snapshot!(texts.map(reworded).join("\n"), @r#"
        'Int64 type' cannot be cast to BIGINT
        300 does not fit into TINYINT
        99999 does not fit into DECIMAL(4,2)
        99.999 is too large for a DECIMAL of 4 digits
        division by zero
        9223372036854775807 + 1 is beyond the range of its type
        there is no cast from BOOLEAN to DATE
        these types cannot be combined: BIGINT + VARCHAR
        these types cannot be combined: BIGINT[] = VARCHAR
        these types cannot be combined: DATE * INTERVAL
        function sum does not take VARCHAR
        there is no function round(VARCHAR, TIMESTAMP(6) WITH TIME ZONE); check the types of its arguments
        the query engine failed: Assertion failed: a == b
        Error while parsing value 'Int64' as type 'DATE' for column 'Int8' in row 2
        Incompatible inputs for Union: Previous inputs were of type STRUCT<a BIGINT>, but got incompatible type REAL[] on column 'x'
        it isn't VARCHAR, it's DECIMAL(38,10); don't
        "#);
    }

    #[test]
    fn whatever_is_reported_no_slice_is_cut_in_a_character() {
        for text in ["Struct(", "é'Ü' List(é", "Timestamp(µs", "", "'", "Decimal128((", "x'y'z Utf8'"] {
            reworded(text);
        }
    }
}
