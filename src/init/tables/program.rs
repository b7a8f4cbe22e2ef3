//! Text of programs that write NULL as `\N` or NULL and escape with backslashes. Pure.
//!
//! ```text
//! 1<tab>a\tb<tab>\N            COPY of PostgreSQL as text: letters after the backslash
//! 1<tab>a\<tab>b<tab>\N        INTO OUTFILE of MySQL: the character itself
//! 1,"say \"a\"",\N             the same, with quotes
//! 1<tab>a\tb<tab>NULL          mysql --batch, below a line of names
//! 1|a\tb\|c|\N                 the first two with another delimiter
//! ```
//!
//! What is no escape of these programs (`\x`, `\D`) makes the text one of another program: its backslashes stay.
//! So do those of a text that shows none of the four, such as CSV of PostgreSQL written with `NULL '\N'`.

use super::dialect::{DialectText, fits, has_header};
use crate::config::{CsvOptions, csv_dialect};

/// The dialect of the program that wrote the texts, if they show it.
pub(super) fn of_program(texts: &[DialectText<'_>]) -> Option<CsvOptions> {
    let is_one = |options: &CsvOptions| fits(texts, options);
    let with_header = |options: CsvOptions| CsvOptions { has_header: has_header(texts, &options), ..options };
    let Some(delimiter) = b"\t,;|".iter().copied().find(|delimiter| has_field(texts, *delimiter, br"\N")) else {
        let seen = Sequences::of(texts, b'\t');
        let is_batch = has_field(texts, b'\t', b"NULL") && seen.is_any() && !seen.raw;
        return csv_dialect("mysql_batch").filter(|options| is_batch && is_one(options));
    };
    let seen = Sequences::of(texts, delimiter);
    if delimiter != b'\t' && has_quoted_field(texts, delimiter) {
        let quoted = csv_dialect("mysql").filter(|_| seen.quoted)?;
        return Some(with_header(CsvOptions { delimiter, quote: Some(b'"'), ..quoted })).filter(is_one);
    }
    // Text without an escape may as well be CSV, unless it has tabs. A header is not usual with these programs, so
    // there must be more to know them by; and below names in CSV a backslash before a letter is text.
    let is_shown = |has_header: bool| match (delimiter, has_header) {
        (b'\t', false) => true,
        (b'\t', true) | (_, false) => seen.is_any(),
        (_, true) => seen.delimiter,
    };
    let names = if seen.raw { ["mysql", "postgres_text"] } else { ["postgres_text", "mysql"] };
    let known = names.into_iter().filter_map(csv_dialect);
    known
        .map(|options| with_header(CsvOptions { delimiter, ..options }))
        .find(|options| is_shown(options.has_header) && is_one(options))
}

/// Whether a field begins with a quote.
fn has_quoted_field(texts: &[DialectText<'_>], delimiter: u8) -> bool {
    let is_start = |byte: Option<&u8>| byte.is_none_or(|byte| [delimiter, b'\n'].contains(byte));
    texts.iter().any(|DialectText { bytes, .. }| {
        memchr::memchr_iter(b'"', bytes).any(|at| is_start(at.checked_sub(1).and_then(|before| bytes.get(before))))
    })
}

/// The dialect that other files of the folder show, for texts that do not say how they are written.
pub(super) fn as_others(texts: &[DialectText<'_>], own: &CsvOptions, others: &CsvOptions) -> Option<CsvOptions> {
    let has_quotes = own.quote.is_some() && texts.iter().any(|text| text.bytes.contains(&b'"'));
    if own.delimiter != others.delimiter || own.escape.is_some() || (has_quotes && others.quote.is_none()) {
        return None;
    }
    let options = CsvOptions { text: own.text.clone(), ..others.clone() };
    // Names are those that the program always writes, or are seen here.
    let has_header = if others.null_regex.as_deref() == Some("^NULL$") { true } else { own.has_header };
    let options = CsvOptions { has_header, ..options };
    fits(texts, &options).then_some(options)
}

/// Whether a field is this word, without quotes.
pub(super) fn has_field(texts: &[DialectText<'_>], delimiter: u8, word: &[u8]) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(|byte| [delimiter, b'\n', b'\r'].contains(byte));
    texts.iter().any(|DialectText { bytes, .. }| {
        memchr::memmem::find_iter(bytes, word).any(|at| {
            is_end(at.checked_sub(1).and_then(|before| bytes.get(before))) && is_end(bytes.get(at + word.len()))
        })
    })
}

/// What follows backslashes, but for `\N`.
#[derive(Debug, Clone, Copy, Default)]
struct Sequences {
    /// A line end or tab as it is, NUL as a digit, or Ctrl+Z: MySQL.
    raw: bool,
    /// A delimiter that is no tab.
    delimiter: bool,
    /// In quotes: a line end, or a quote that no other quote follows. CSV with doubled quotes has two of them.
    quoted: bool,
    /// A letter or another backslash.
    other: bool,
}

impl Sequences {
    fn of(texts: &[DialectText<'_>], delimiter: u8) -> Self {
        texts.iter().fold(Self::default(), |seen, text| seen.with(text.bytes, delimiter))
    }

    fn is_any(self) -> bool {
        self.raw || self.delimiter || self.quoted || self.other
    }

    fn with(mut self, bytes: &[u8], delimiter: u8) -> Self {
        let (mut at, mut is_inside) = (0, false);
        while let Some(found) = memchr::memchr2(b'\\', b'"', &bytes[at..]) {
            if bytes[at + found] == b'"' {
                is_inside = !is_inside;
                at += found + 1;
                continue;
            }
            match (bytes.get(at + found + 1), bytes.get(at + found + 2)) {
                (Some(b'\n' | b'\t' | b'0' | b'Z'), _) => {
                    self.raw = true;
                    self.quoted |= is_inside && bytes[at + found + 1] == b'\n';
                }
                (Some(b'"'), next) => self.quoted |= is_inside && next != Some(&b'"'),
                (Some(b'N') | None, _) => {}
                (Some(byte), _) if *byte == delimiter => self.delimiter = true,
                (Some(_), _) => self.other = true,
            }
            at = (at + found + 2).min(bytes.len());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &str) -> Option<CsvOptions> {
        of_program(&[DialectText { bytes: lines.as_bytes(), is_cut: false }])
    }

    fn is(name: &str) -> Option<CsvOptions> {
        csv_dialect(name)
    }

    #[test]
    fn each_program_is_known_by_its_null_and_its_escapes() {
        assert_eq!(found("1\ta\\tb\t\\N\n2\t\t\\\\x00\n"), is("postgres_text"));
        assert_eq!(found("1\tx\t\\N\n2\t\ty\n"), is("postgres_text"), "both programs would write it so");
        assert_eq!(found("1\ta\\\tb\t\\N\n2\t\\\\\tc\n"), is("mysql"));
        assert_eq!(found("1\ta\\\nb\t\\N\n2\t\t\\0\n"), is("mysql"));
        assert_eq!(found("id\tnote\n1\ta\\nb\n2\tNULL\n"), is("mysql_batch"));
        let pipes = |name| CsvOptions { delimiter: b'|', ..is(name).unwrap() };
        assert_eq!(found("1|a\\tb|\\N\n2||x\n"), Some(pipes("postgres_text")));
        assert_eq!(found("1|say \"a\" \\| b|\\N\n2||x\n"), Some(pipes("postgres_text")));
        assert_eq!(found("1|a\\\nb|\\N\n2||x\n"), Some(pipes("mysql")));
        let named = CsvOptions { has_header: true, ..pipes("postgres_text") };
        assert_eq!(found("id|note|other\n1|a\\|b|\\N\n2||x\n"), Some(named));
        let quoted = CsvOptions { delimiter: b',', quote: Some(b'"'), ..is("mysql").unwrap() };
        assert_eq!(found("1,\"say \\\"a\\\"\",\\N\n2,\"\",\"a\\\nb\"\n"), Some(quoted));
    }

    #[test]
    fn backslashes_of_other_programs_stay() {
        for lines in [
            // CSV of PostgreSQL with NULL '\N', with JSON in it.
            "id,a\n1,\"{\"\"q\"\": \"\"x \\\"\"y\\\"\" \\\\ \\n\"\"}\"\n2,\\N\n",
            // No escapes of these programs.
            "1\tC:\\data\t\\N\n",
            "id\tpath\n1\tC:\\data\\x\n2\tNULL\n",
            // CSV without a quote: a backslash before a letter may be text.
            "id|path\n1|C:\\temp\n2|\\N\n",
            // Names above it, and no escape.
            "id\tname\n1\t\\N\n2\tx\n",
            "1\tx\n",
            "1,x,\\N\n",
            // A backslash is the last character of the record.
            "a,b,c\n1,x,\\N\n2,,\\\n",
        ] {
            assert_eq!(found(lines), None, "{lines}");
        }
    }

    #[test]
    fn other_files_of_the_folder_say_how_one_is_written_that_does_not_show_it() {
        let text = |bytes: &'static str| [DialectText { bytes: bytes.as_bytes(), is_cut: false }];
        let own = CsvOptions { delimiter: b'\t', has_header: false, ..CsvOptions::default() };
        let others = is("postgres_text").unwrap();
        assert_eq!(as_others(&text("1\t\n2\tx\n"), &own, &others), Some(others.clone()));
        assert_eq!(as_others(&text("1\t\"a\"\n"), &own, &others), None, "it has quotes");
        assert_eq!(as_others(&text("1,a\n"), &CsvOptions::default(), &others), None, "it has other delimiters");
        let batch = is("mysql_batch").unwrap();
        assert_eq!(as_others(&text("a\tb\n1\t\n"), &own, &batch), Some(batch.clone()));
    }
}
