//! How delimited text is written: delimiter, quotes, header, the word for NULL. Pure.
//!
//! Of all dialects that break no rule and give every record the same number of fields, the one with the most fields is
//! taken; one without quotes only if all with quotes break a rule, or have a quoted field of suspiciously many lines. A
//! word such as `NA` means NULL if it is all that keeps a column from being numbers or dates. Records are split as
//! when a snapshot is read.

use regex::Regex;

use crate::config::{ColumnSet, CsvOptions};
use crate::snapshot::{BYTE_ORDER_MARK, CsvField, Splitter, distinct};

/// Words that exports write for NULL.
const NULL_WORDS: [&str; 9] = ["NA", "N/A", "NULL", "null", "Null", r"\N", "None", "-", "?"];

/// Words that mean NULL wherever they occur: nobody writes them as a value.
const ALWAYS_NULL: [&str; 1] = [r"\N"];

/// The option `null_regex` of programs that write it.
pub(super) const MARKER_REGEX: &str = r"^\\N$";

/// Bytes and records that decide a dialect.
const HEAD: usize = 256 << 10;
const RECORDS: usize = 1_000;

/// A text and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DialectText<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether the file goes on.
    pub(crate) is_cut: bool,
}

/// Why a text is no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoTable {
    /// Not even two fields.
    NoFields,
    /// Records of unequal length.
    Ragged { record: usize, fields: usize, expected: usize },
    /// What breaks the rules of quotes and escapes, and where.
    Broken(String),
}

/// The result of a walk.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Bytes up to the end of the last complete record.
    pub(crate) complete: usize,
    /// What ended it too early.
    pub(crate) broken: Option<String>,
    /// There is a quoted field of suspiciously many lines.
    is_suspicious: bool,
}

/// Walks the complete records, in order, until `each` says false or a rule is broken.
pub(crate) fn walk(text: DialectText<'_>, options: &CsvOptions, mut each: impl FnMut(&[CsvField<'_>]) -> bool) -> Walk {
    let bytes = text.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text.bytes);
    let skipped = text.bytes.len() - bytes.len();
    let mut splitter = Splitter::new(options, None);
    // An escape in a word for NULL is none.
    let nulls = options.null_regex.as_deref().and_then(|pattern| Regex::new(pattern).ok());
    let (mut at, mut complete, mut goes_on, mut broken) = (0, 0, true, None);
    while goes_on && broken.is_none() {
        let rest = &bytes[at..];
        let pushed = match rest {
            [] if text.is_cut => break,
            [] => splitter.end().map(|()| 0),
            rest => splitter.push(rest, 1),
        };
        goes_on = !rest.is_empty();
        at += pushed.as_ref().copied().unwrap_or(0);
        let rows = splitter.rows();
        let records = pushed.and_then(|_| splitter.records(nulls.as_ref()));
        match records {
            Err(malformed) => broken = Some(malformed.to_string()),
            Ok(records) if rows > 0 => {
                for row in 0..rows {
                    goes_on &= each(&records.row(row).collect::<Vec<_>>());
                }
                complete = at;
                splitter.clear();
                splitter.forget_columns();
            }
            Ok(_) => {}
        }
    }
    // The second byte of a line end.
    if bytes.get(complete) == Some(&b'\n') && complete > 0 && bytes[complete - 1] == b'\r' {
        complete += 1;
    }
    let is_suspicious = splitter.take_long_field().is_some() || splitter.is_in_long_field();
    Walk { complete: skipped + complete, broken, is_suspicious }
}

/// The dialect of a table's files, all but NULL; `one_field` says whether lines of one field are a table.
pub(crate) fn detect(texts: &[DialectText<'_>], one_field: bool) -> Result<CsvOptions, NoTable> {
    let heads: Vec<DialectText<'_>> = texts
        .iter()
        .map(|text| {
            let length = text.bytes.len().min(HEAD);
            DialectText { bytes: &text.bytes[..length], is_cut: text.is_cut || length < text.bytes.len() }
        })
        .collect();
    let mut first_problem = None;
    let mut best: Option<(usize, CsvOptions)> = None;
    // Dialects with quotes that look as if quotes were text, and dialects without.
    let mut others: Vec<(usize, CsvOptions)> = Vec::new();
    for options in variants(&heads) {
        match fields(&heads, &options, RECORDS) {
            Ok(Fields { count, is_suspicious, .. }) if options.quote.is_none() || is_suspicious => {
                others.push((count, options));
            }
            Ok(Fields { count, is_single, .. }) => {
                let is_plain_quote = options.quote == Some(b'"') || is_single;
                if is_plain_quote && best.as_ref().is_none_or(|(most, _)| count > *most) {
                    best = Some((count, options));
                }
            }
            Err(problem) if first_problem.is_none() && options.delimiter == b',' => first_problem = Some(problem),
            Err(_) => {}
        }
    }
    if best.as_ref().is_none_or(|(most, _)| *most == 1) {
        others.sort_by_key(|(count, options)| (options.quote.is_some(), std::cmp::Reverse(*count)));
        let other = others.into_iter().find(|(count, _)| *count > 1);
        best = other.or(best);
    }
    match best {
        Some((count, options)) if count > 1 || (count == 1 && one_field && first_problem.is_none()) => {
            let mut options = without_quotes(texts, &options).unwrap_or(options);
            options.has_header = has_header(&heads, &options);
            Ok(options)
        }
        _ => Err(first_problem.unwrap_or(NoTable::NoFields)),
    }
}

/// All dialects that are tried, the usual ones first.
fn variants(heads: &[DialectText<'_>]) -> Vec<CsvOptions> {
    let all = || heads.iter().flat_map(|head| head.bytes.split(|byte| *byte == b'\n'));
    let has = |needle: &[u8]| heads.iter().any(|head| head.bytes.windows(needle.len()).any(|found| found == needle));
    let escape = (has(b"\\\"")).then_some(b'\\');
    let comment = all().any(|line| line.starts_with(b"#")).then_some(b'#');
    let mut variants = Vec::new();
    for (escape, comment) in [(escape, None), (escape, comment), (None, None)] {
        for quote in [Some(b'"'), Some(b'\'')] {
            for delimiter in *b",\t;|" {
                variants.push(CsvOptions { delimiter, quote, escape, comment, ..CsvOptions::default() });
            }
        }
    }
    if has(b"\"") {
        for comment in [None, comment] {
            for delimiter in *b",\t;|" {
                variants.push(CsvOptions { delimiter, quote: None, comment, ..CsvOptions::default() });
            }
        }
    }
    variants
}

/// The dialect with quotes as text, if only then all of the texts keep to the rules.
fn without_quotes(texts: &[DialectText<'_>], options: &CsvOptions) -> Option<CsvOptions> {
    let is_broken = texts.iter().any(|text| walk(*text, options, |_| true).broken.is_some());
    let plain = CsvOptions { quote: None, escape: None, ..options.clone() };
    (is_broken && options.quote.is_some() && fields(texts, &plain, usize::MAX).is_ok()).then_some(plain)
}

/// Whether all records keep to the rules of a dialect and have the same number of fields, more than one.
pub(super) fn fits(texts: &[DialectText<'_>], options: &CsvOptions) -> bool {
    fields(texts, options, usize::MAX).is_ok_and(|fields| fields.count > 1)
}

/// What the records of a dialect have in common.
struct Fields {
    /// Fields of every record.
    count: usize,
    /// Most records have fields that begin and end with a single quote.
    is_single: bool,
    is_suspicious: bool,
}

/// Looks at so many records of each text.
fn fields(texts: &[DialectText<'_>], options: &CsvOptions, limit: usize) -> Result<Fields, NoTable> {
    let (mut expected, mut problem, mut records) = (0, None, 0);
    let (mut single, mut records_with_single, mut is_suspicious) = (0_usize, 0_usize, false);
    for text in texts {
        let mut number = 0;
        let walked = walk(*text, options, |record| {
            number += 1;
            if expected == 0 {
                expected = record.len();
            }
            if record.len() != expected && problem.is_none() {
                problem = Some(NoTable::Ragged { record: number, fields: record.len(), expected });
            }
            records += 1;
            problem.is_none() && number < limit
        });
        is_suspicious |= walked.is_suspicious;
        problem = problem.or(walked.broken.map(NoTable::Broken));
        if options.quote == Some(b'\'') {
            let unquoted = CsvOptions { quote: None, ..options.clone() };
            walk(*text, &unquoted, |record| {
                let is_quoted = |field: &&CsvField<'_>| {
                    field.text.len() > 1 && field.text.starts_with('\'') && field.text.ends_with('\'')
                };
                let quoted = record.iter().filter(is_quoted).count();
                single += quoted;
                records_with_single += usize::from(quoted > 0);
                single < RECORDS
            });
        }
    }
    match problem {
        Some(problem) => Err(problem),
        None if records == 0 => Err(NoTable::NoFields),
        None => {
            let is_single = records_with_single * 2 > records.min(RECORDS);
            Ok(Fields { count: expected, is_single, is_suspicious })
        }
    }
}

/// Whether the first record holds names: none of them is numeric, and it says the same in every file, or is above a
/// column of other things. If a name is empty, or there twice, a column with a name must hold nothing but other things.
pub(super) fn has_header(heads: &[DialectText<'_>], options: &CsvOptions) -> bool {
    let mut firsts: Vec<Vec<String>> = Vec::new();
    let (mut below, mut again): (Vec<FieldColumn>, _) = (Vec::new(), false);
    for head in heads {
        let mut first: Option<Vec<String>> = None;
        let mut seen = 0;
        walk(*head, options, |record| {
            seen += 1;
            match &first {
                None => first = Some(record.iter().map(|field| field.text.to_owned()).collect()),
                Some(first) => {
                    below.resize_with(below.len().max(record.len()), FieldColumn::default);
                    record.iter().zip(&mut below).for_each(|(field, column)| column.count(*field));
                    again |= first.len() > 1 && record.iter().zip(first).all(|(field, name)| field.text == name);
                }
            }
            seen < RECORDS
        });
        firsts.extend(first);
    }
    let Some(first) = firsts.first() else { return true };
    let is_usual = distinct(first.clone()) == *first && !first.contains(&String::new());
    let are_names = firsts.iter().flatten().all(|field| is_name(field) || (!is_usual && field.is_empty()));
    if again || !are_names || first.iter().all(String::is_empty) {
        return false;
    }
    let same = firsts.len() > 1 && firsts.iter().all(|other| other == first);
    let is_identifier = |field: &String| field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_usual {
        let identifiers = || firsts.len() == 1 && first.iter().all(is_identifier);
        return same || below.iter().any(|column| column.typed > 0) || identifiers();
    }
    let stands_over =
        |(name, column): (&String, &FieldColumn)| !name.is_empty() && column.typed > 0 && column.is_typed();
    same || first.iter().zip(&below).any(stands_over)
}

/// Whether a field may be the name of a column.
pub(super) fn is_name(field: &str) -> bool {
    kind(field) == FieldKind::Other && field.len() <= 128 && !field.contains('\n')
}

/// What a field looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Empty,
    Number,
    /// A number that is none to those who wrote it: `007`.
    Code,
    Date,
    Boolean,
    Other,
}

fn kind(text: &str) -> FieldKind {
    let field = text.as_bytes();
    if field.is_empty() {
        return FieldKind::Empty;
    }
    if field.eq_ignore_ascii_case(b"true") || field.eq_ignore_ascii_case(b"false") {
        return FieldKind::Boolean;
    }
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        return if digits.len() > 1 && digits[0] == b'0' { FieldKind::Code } else { FieldKind::Number };
    }
    let is_date = |at: usize| field.get(at) == Some(&b'-');
    if field.len() >= 10 && is_date(4) && is_date(7) && field[..4].iter().all(u8::is_ascii_digit) {
        return FieldKind::Date;
    }
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if numeric && text.parse::<f64>().is_ok() { FieldKind::Number } else { FieldKind::Other }
}

/// What the fields of one column are.
#[derive(Debug, Clone, Default)]
struct FieldColumn {
    typed: usize,
    codes: usize,
    /// Without quotes, and with.
    empty: usize,
    quoted_empty: usize,
    other: usize,
    /// Without quotes.
    words: [usize; NULL_WORDS.len()],
}

/// What values say of a dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DialectValues {
    /// The option `null_regex`.
    pub(crate) null_regex: Option<String>,
    /// The words that it represents.
    pub(crate) null_words: Vec<&'static str>,
    /// The option `force_null`: columns of numbers and the like in which quotes are around nothing.
    pub(crate) force_null: ColumnSet,
    /// Columns, by name or else by number from 1, whose numbers have leading zeros.
    pub(crate) codes: Vec<String>,
}

/// Looks at all values of the texts. `is_whole` says that there are no others.
pub(crate) fn values(texts: &[DialectText<'_>], options: &CsvOptions, is_whole: bool) -> DialectValues {
    let mut columns: Vec<(String, FieldColumn)> = Vec::new();
    for text in texts {
        let mut places: Vec<usize> = Vec::new();
        let mut is_header = options.has_header;
        walk(*text, options, |record| {
            if places.is_empty() {
                let names = match is_header {
                    true => distinct(record.iter().map(|field| field.text.to_owned()).collect()),
                    false => (1..=record.len()).map(|number| format!("column_{number}")).collect(),
                };
                for name in names {
                    let known = columns.iter().position(|(known, _)| *known == name);
                    places.push(known.unwrap_or(columns.len()));
                    if known.is_none() {
                        columns.push((name, FieldColumn::default()));
                    }
                }
            }
            if !is_header {
                record.iter().zip(&places).for_each(|(field, place)| columns[*place].1.count(*field));
            }
            is_header = false;
            true
        });
    }
    // Other files of the folder show it.
    let is_marked = options.null_regex.as_deref() == Some(MARKER_REGEX);
    let stands_for_null = |word: usize| {
        let only_that = |column: &FieldColumn| {
            let others: usize = column.words.iter().sum();
            column.words[word] > 0 && column.typed > 0 && column.other == others && column.codes == 0
        };
        let always = ALWAYS_NULL.contains(&NULL_WORDS[word]);
        (always && is_marked)
            || columns.iter().any(|(_, column)| only_that(column) || (always && column.words[word] > 0))
    };
    let null_words: Vec<&'static str> =
        (0..NULL_WORDS.len()).filter(|word| stands_for_null(*word)).map(|word| NULL_WORDS[word]).collect();
    // A program that writes NULL as `\N` writes an empty text without quotes.
    let has_marker = null_words.iter().any(|word| ALWAYS_NULL.contains(word));
    let is_empty = || columns.iter().any(|(_, column)| column.empty > 0);
    let has_empty = !has_marker && (!is_whole || is_empty());
    let null_regex = match null_words.as_slice() {
        [] => None,
        words => {
            let escaped: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
            let words = escaped.join("|");
            Some(match (has_empty, escaped.len()) {
                (true, _) => format!("^({words})?$"),
                (false, 1) => format!("^{words}$"),
                (false, _) => format!("^({words})$"),
            })
        }
    };
    let named = |is: fn(&FieldColumn) -> bool| {
        columns.iter().filter(|(_, column)| is(column)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let codes = named(|column| column.codes > 0 && column.is_typed());
    // Where other fields are empty without quotes, quotes tell an empty text from NULL.
    let forced = named(|column| column.quoted_empty > 0 && column.typed > 0 && column.codes == 0 && column.is_typed());
    let force_null = if forced.is_empty() || is_empty() { ColumnSet::None } else { ColumnSet::Columns(forced) };
    DialectValues { null_regex, null_words, force_null, codes }
}

impl FieldColumn {
    /// Whether all its values but words for NULL are numbers, dates or booleans.
    fn is_typed(&self) -> bool {
        self.other == self.words.iter().sum::<usize>()
    }

    fn count(&mut self, field: CsvField<'_>) {
        match kind(field.text) {
            FieldKind::Empty if field.is_quoted() => self.quoted_empty += 1,
            FieldKind::Empty => self.empty += 1,
            FieldKind::Code => self.codes += 1,
            FieldKind::Number | FieldKind::Date | FieldKind::Boolean => self.typed += 1,
            FieldKind::Other => {
                self.other += 1;
                let word = NULL_WORDS.iter().position(|word| *word == field.text);
                if let Some(word) = word.filter(|_| field.is_bare()) {
                    self.words[word] += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> DialectText<'_> {
        DialectText { bytes: text.as_bytes(), is_cut: false }
    }

    fn detected(lines: &str) -> Result<CsvOptions, NoTable> {
        detect(&[text(lines)], false)
    }

    #[test]
    fn delimiter_is_the_one_that_gives_every_record_the_most_fields() {
        for (lines, delimiter) in [
            ("a,b,c\n1,2,3\n", b','),
            ("a;b\n1,5;2\n3,4;5\n", b';'),
            ("a\tb\n1\tx, y\n", b'\t'),
            ("a|b\n\"1|2\"|3\n", b'|'),
        ] {
            assert_eq!(detected(lines).unwrap().delimiter, delimiter, "{lines}");
        }
    }

    #[test]
    fn quotes_escapes_and_comments_are_found() {
        let options = detected("a,b\n'x, y','2'\n'z','3'\n").unwrap();
        assert_eq!((options.quote, options.delimiter), (Some(b'\''), b','));
        let options = detected("a,b\n\"x \\\"y\\\", z\",2\n").unwrap();
        assert_eq!((options.quote, options.escape), (Some(b'"'), Some(b'\\')));
        let options = detected("# made today, by hand, twice\na,b\n1,2\n").unwrap();
        assert_eq!((options.comment, options.has_header), (Some(b'#'), true));
        assert_eq!(detected("a,b\nit's,1\n").unwrap().quote, Some(b'"'));
    }

    #[test]
    fn header_has_names_and_stands_above_values() {
        for (lines, expected) in [
            ("id,name\n1,x\n", true),
            ("carrier,name\nAA,American Airlines\n", true),
            ("1,x\n2,y\n", false),
            ("x,2024-01-01\ny,2024-01-02\n", false),
            ("Order No,Price (EUR)\n7,1.5\n", true),
            ("a,a\nx,1\n", true),
            ("a,a\nx,y\n", false),
            (",a,b\n0,1,x\n1,2,y\n", true),
            (",x,y\n0,z,w\n", false),
            ("a,b,\n1,2,\n", true),
            (",\n1,2\n", false),
        ] {
            assert_eq!(detected(lines).unwrap().has_header, expected, "{lines}");
        }
        let differ = [text("red,x\nblue,y\n"), text("green,z\n")];
        assert!(!detect(&differ, false).unwrap().has_header);
    }

    #[test]
    fn quotes_are_text_where_no_dialect_with_quotes_keeps_to_the_rules() {
        let options = detected("ns\ttitle\n0\t!\n0\t\"\n0\t\"!\"\n0\tA\n").unwrap();
        assert_eq!((options.quote, options.delimiter, options.has_header), (None, b'\t', true));
        assert_eq!(detected("a,b\n\"1,5\",x\n\"2,5\",y\n").unwrap().quote, Some(b'"'));
        let late = format!("a\tb\n{}1\t5\" pipe\n", "1\tx\n".repeat(2 * RECORDS));
        assert_eq!(detected(&late).unwrap().quote, None);
        // One quote that swallows all that follows.
        let lines = format!("a\tb\n1\t\"x\n{}", "2\ty\n".repeat(2 * RECORDS));
        let cut = DialectText { bytes: lines.as_bytes(), is_cut: true };
        assert_eq!(detect(&[cut], false).unwrap().quote, None);
        let long = format!("a,b\n1,\"{}\"\n", "some text, and more\n".repeat(200));
        assert_eq!(detected(&long).unwrap().quote, Some(b'"'));
    }

    #[test]
    fn prose_and_ragged_lines_are_no_table() {
        assert_eq!(detected("hello\nworld\n").unwrap_err(), NoTable::NoFields);
        assert!(detect(&[text("id\n1\n")], true).is_ok());
        let ragged = detected("a,b\n1,2\n1,2,3\n").unwrap_err();
        assert_eq!(ragged, NoTable::Ragged { record: 3, fields: 3, expected: 2 });
    }

    fn of(lines: &str, is_whole: bool) -> DialectValues {
        let options = detected(lines).unwrap();
        values(&[text(lines)], &options, is_whole)
    }

    #[test]
    fn a_word_is_null_if_it_alone_keeps_a_column_from_numbers() {
        assert_eq!(of("a,b\n1,NA\n2,NA\nNA,x\n", true).null_regex.as_deref(), Some("^NA$"));
        assert_eq!(of("a,b\n1,\n2,NA\nNA,x\n", true).null_regex.as_deref(), Some("^(NA)?$"));
        assert_eq!(of("a,b\n1,NA\n2,NA\nNA,x\n", false).null_regex.as_deref(), Some("^(NA)?$"));
        assert_eq!(of("a,b\n1,NA\n2,FR\n", true).null_regex, None);
        assert_eq!(of("a,b\n1,\\N\n2,FR\n", true).null_regex.as_deref(), Some("^\\\\N$"));
    }

    #[test]
    fn null_words_are_not_quoted_and_a_marker_leaves_empty_text_alone() {
        assert_eq!(of("a,b\n1,\"NA\"\n2,\"NA\"\n", true).null_regex, None);
        assert_eq!(of("a,b\n1,\\N\n2,\n", false).null_regex.as_deref(), Some("^\\\\N$"));
        assert_eq!(of("a,b\n1,\\N\n,x\n", true).null_regex.as_deref(), Some("^\\\\N$"));
        let values = of("a,b\n\"1\",\"x\"\n\"\",\"\"\n", true);
        assert_eq!((values.null_regex, values.force_null), (None, ColumnSet::Columns(vec!["a".into()])));
        assert_eq!(of("a,b\n\"1\",\"x\"\n\"\",\n", true).force_null, ColumnSet::None);
    }

    #[test]
    fn leading_zeros_make_a_code_not_a_number() {
        assert_eq!(of("zip,n,f\n01234,1,0.5\n94110,0,-0.1\n", true).codes, ["zip"]);
    }

    #[test]
    fn a_cut_text_ends_with_its_last_complete_record() {
        let cut = DialectText { bytes: b"a,b\r\n1,\"x\ny\"\r\n2,\"z\n", is_cut: true };
        let mut records = 0;
        let complete = walk(cut, &CsvOptions::default(), |_| {
            records += 1;
            true
        });
        assert_eq!((records, &cut.bytes[..complete.complete]), (2, &b"a,b\r\n1,\"x\ny\"\r\n"[..]));
    }

    proptest! {
        /// Whatever the values of a table of two columns and more are, its written form is found to have these columns.
        #[test]
        fn a_written_table_is_read_in_its_dialect(
            rows in prop::collection::vec(prop::collection::vec("[a-z0-9 ,;|\t\"\n]{0,8}", 3), 1..20),
            delimiter in prop::sample::select(vec![b',', b'\t', b';', b'|']),
        ) {
            let field = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let separator = char::from(delimiter).to_string();
            let lines = rows.iter().map(|row| row.iter().map(field).collect::<Vec<_>>().join(&separator) + "\n");
            let lines = format!("first{separator}second{separator}third\n") + &lines.collect::<String>();
            prop_assert_eq!(detected(&lines).unwrap().delimiter, delimiter);
        }
    }
}
