//! How delimited text is written: delimiter, quotes, header, the word for NULL. Pure.
//!
//! Of all dialects that give every record the same number of fields, the one with the most fields is taken. A word such
//! as `NA` stands for NULL if it is all that keeps a column from being numbers or dates. `csv_core` splits the records,
//! as it does when a snapshot is read.

use csv_core::ReadRecordResult;

use crate::config::CsvOptions;

/// Words that exports write for NULL.
const NULL_WORDS: [&str; 9] = ["NA", "N/A", "NULL", "null", "Null", r"\N", "None", "-", "?"];

/// Words that stand for NULL wherever they occur: nobody writes them as a value.
const ALWAYS_NULL: [&str; 1] = [r"\N"];

/// Bytes and records that decide a dialect.
const HEAD: usize = 256 << 10;
const RECORDS: usize = 1_000;

/// A text and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether the file goes on.
    pub(super) is_cut: bool,
}

/// Why a text is no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoTable {
    /// Not even two fields.
    NoFields,
    /// Records of unequal length.
    Ragged { record: usize, fields: usize, expected: usize },
}

/// Walks the complete records, in order, until `each` says false; gives the bytes up to the end of the last one.
pub(super) fn walk(text: Text<'_>, options: &CsvOptions, mut each: impl FnMut(&[&[u8]]) -> bool) -> usize {
    let mut parser = csv_core::ReaderBuilder::new();
    parser.delimiter(options.delimiter).quote(options.quote).escape(options.escape).comment(options.comment);
    let mut parser = parser.build();
    let bytes = text.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text.bytes);
    let skipped = text.bytes.len() - bytes.len();
    let (mut output, mut ends) = (vec![0; 4096], vec![0; 64]);
    let (mut written, mut fields, mut at, mut complete) = (0, 0, 0, 0);
    loop {
        let input = &bytes[at..];
        if input.is_empty() && text.is_cut {
            break;
        }
        let (result, used, new, new_ends) = parser.read_record(input, &mut output[written..], &mut ends[fields..]);
        (at, written, fields) = (at + used, written + new, fields + new_ends);
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull => output.resize(output.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
            ReadRecordResult::Record => {
                let mut start = 0;
                let record: Vec<&[u8]> = ends[..fields]
                    .iter()
                    .map(|end| {
                        let field = &output[start..*end];
                        start = *end;
                        field
                    })
                    .collect();
                complete = at;
                (written, fields) = (0, 0);
                if !each(&record) {
                    break;
                }
            }
            ReadRecordResult::End => break,
        }
    }
    // The second byte of a line end.
    if bytes.get(complete) == Some(&b'\n') && complete > 0 && bytes[complete - 1] == b'\r' {
        complete += 1;
    }
    skipped + complete
}

/// The dialect of a table's files, all but NULL; `one_field` says whether lines of one field are a table.
pub(super) fn detect(texts: &[Text<'_>], one_field: bool) -> Result<CsvOptions, NoTable> {
    let heads: Vec<Text<'_>> = texts
        .iter()
        .map(|text| {
            let length = text.bytes.len().min(HEAD);
            Text { bytes: &text.bytes[..length], is_cut: text.is_cut || length < text.bytes.len() }
        })
        .collect();
    let all = || heads.iter().flat_map(|head| head.bytes.split(|byte| *byte == b'\n'));
    let has = |needle: &[u8]| heads.iter().any(|head| head.bytes.windows(needle.len()).any(|found| found == needle));
    let escape = (has(b"\\\"")).then_some(b'\\');
    let comment = all().any(|line| line.starts_with(b"#")).then_some(b'#');
    let mut first_problem = None;
    let mut best: Option<(usize, CsvOptions)> = None;
    let mut variants = Vec::new();
    for (escape, comment) in [(escape, None), (escape, comment), (None, None)] {
        for quote in [b'"', b'\''] {
            for delimiter in *b",\t;|" {
                variants.push(CsvOptions { delimiter, quote, escape, comment, ..CsvOptions::default() });
            }
        }
    }
    for options in variants {
        match fields(&heads, &options) {
            Ok((fields, quoted)) => {
                let is_plain_quote = options.quote == b'"' || quoted;
                if is_plain_quote && best.as_ref().is_none_or(|(most, _)| fields > *most) {
                    best = Some((fields, options));
                }
            }
            Err(problem) if first_problem.is_none() && options.delimiter == b',' => first_problem = Some(problem),
            Err(_) => {}
        }
    }
    match best {
        Some((fields, mut options)) if fields > 1 || (fields == 1 && one_field && first_problem.is_none()) => {
            options.has_header = has_header(&heads, &options);
            Ok(options)
        }
        _ => Err(first_problem.unwrap_or(NoTable::NoFields)),
    }
}

/// Fields of every record, and whether most fields of single quotes begin and end with one.
fn fields(heads: &[Text<'_>], options: &CsvOptions) -> Result<(usize, bool), NoTable> {
    let (mut expected, mut problem, mut records) = (0, None, 0);
    let (mut single, mut records_with_single) = (0_usize, 0_usize);
    for head in heads {
        let mut number = 0;
        let unquoted = CsvOptions { quote: 0, ..options.clone() };
        walk(*head, options, |record| {
            number += 1;
            if expected == 0 {
                expected = record.len();
            }
            if record.len() != expected && problem.is_none() {
                problem = Some(NoTable::Ragged { record: number, fields: record.len(), expected });
            }
            records += 1;
            problem.is_none() && number < RECORDS
        });
        if options.quote == b'\'' {
            walk(*head, &unquoted, |record| {
                let is_quoted = |field: &&[u8]| field.len() > 1 && field.starts_with(b"'") && field.ends_with(b"'");
                let quoted = record.iter().filter(|field| is_quoted(field)).count();
                single += quoted;
                records_with_single += usize::from(quoted > 0);
                single < RECORDS
            });
        }
    }
    match problem {
        Some(problem) => Err(problem),
        None if records == 0 => Err(NoTable::NoFields),
        None => Ok((expected, records_with_single * 2 > records.min(RECORDS))),
    }
}

/// Whether the first record holds names: it has no empty, equal, or numeric field, and says the same in every file, or
/// stands over a column of other things.
fn has_header(heads: &[Text<'_>], options: &CsvOptions) -> bool {
    let mut firsts: Vec<Vec<Vec<u8>>> = Vec::new();
    let (mut typed_below, mut again) = (false, false);
    for head in heads {
        let mut first: Option<Vec<Vec<u8>>> = None;
        let mut seen = 0;
        walk(*head, options, |record| {
            seen += 1;
            match &first {
                None => first = Some(record.iter().map(|field| field.to_vec()).collect()),
                Some(first) => {
                    typed_below |= record.iter().any(|field| kind(field).is_typed());
                    again |= first.len() > 1 && record.iter().zip(first).all(|(field, name)| field == name);
                }
            }
            seen < RECORDS
        });
        firsts.extend(first);
    }
    let Some(first) = firsts.first() else { return true };
    let is_name = |field: &Vec<u8>| kind(field) == Kind::Other && field.len() <= 128 && !field.contains(&b'\n');
    let unique = first.iter().enumerate().all(|(index, name)| !first[..index].contains(name));
    let looks_like_names = unique && firsts.iter().flatten().all(is_name);
    let same = firsts.len() > 1 && firsts.iter().all(|other| other == first);
    let is_identifier = |field: &Vec<u8>| field.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let identifiers = || firsts.len() == 1 && first.iter().all(is_identifier);
    looks_like_names && !again && (same || typed_below || identifiers())
}

/// What a field looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Number,
    /// A number that is none to those who wrote it: `007`.
    Code,
    Date,
    Boolean,
    Other,
}

impl Kind {
    fn is_typed(self) -> bool {
        matches!(self, Self::Number | Self::Date | Self::Boolean)
    }
}

fn kind(field: &[u8]) -> Kind {
    if field.is_empty() {
        return Kind::Empty;
    }
    if field.eq_ignore_ascii_case(b"true") || field.eq_ignore_ascii_case(b"false") {
        return Kind::Boolean;
    }
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        return if digits.len() > 1 && digits[0] == b'0' { Kind::Code } else { Kind::Number };
    }
    let is_date = |at: usize| field.get(at) == Some(&b'-');
    if field.len() >= 10 && is_date(4) && is_date(7) && field[..4].iter().all(u8::is_ascii_digit) {
        return Kind::Date;
    }
    let text = std::str::from_utf8(field).unwrap_or_default();
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if numeric && text.parse::<f64>().is_ok() { Kind::Number } else { Kind::Other }
}

/// What the fields of one column are.
#[derive(Debug, Clone, Default)]
struct Column {
    typed: usize,
    codes: usize,
    empty: usize,
    other: usize,
    words: [usize; NULL_WORDS.len()],
}

/// What values say of a dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// The option `null_regex`.
    pub(super) null_regex: Option<String>,
    /// The words that it stands for.
    pub(super) null_words: Vec<&'static str>,
    /// Columns, by name or else by number from 1, whose numbers have leading zeros.
    pub(super) codes: Vec<String>,
}

/// Looks at all values of the texts. `is_whole` says that there are no others.
pub(super) fn values(texts: &[Text<'_>], options: &CsvOptions, is_whole: bool) -> Values {
    let mut columns: Vec<(String, Column)> = Vec::new();
    for text in texts {
        let mut places: Vec<usize> = Vec::new();
        let mut is_header = options.has_header;
        walk(*text, options, |record| {
            for (index, field) in record.iter().enumerate() {
                if places.len() <= index {
                    let name = match is_header {
                        true => String::from_utf8_lossy(field).into_owned(),
                        false => format!("column_{}", index + 1),
                    };
                    let known = columns.iter().position(|(known, _)| *known == name);
                    places.push(known.unwrap_or(columns.len()));
                    if known.is_none() {
                        columns.push((name, Column::default()));
                    }
                }
                if !is_header {
                    columns[places[index]].1.count(field);
                }
            }
            is_header = false;
            true
        });
    }
    let stands_for_null = |word: usize| {
        let only_that = |column: &Column| {
            let others: usize = column.words.iter().sum();
            column.words[word] > 0 && column.typed > 0 && column.other == others && column.codes == 0
        };
        let always = ALWAYS_NULL.contains(&NULL_WORDS[word]);
        columns.iter().any(|(_, column)| only_that(column) || (always && column.words[word] > 0))
    };
    let null_words: Vec<&'static str> =
        (0..NULL_WORDS.len()).filter(|word| stands_for_null(*word)).map(|word| NULL_WORDS[word]).collect();
    let has_empty = !is_whole || columns.iter().any(|(_, column)| column.empty > 0);
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
    let codes = columns.into_iter().filter(|(_, column)| column.codes > 0).map(|(name, _)| name).collect();
    Values { null_regex, null_words, codes }
}

impl Column {
    fn count(&mut self, field: &[u8]) {
        match kind(field) {
            Kind::Empty => self.empty += 1,
            Kind::Code => self.codes += 1,
            Kind::Number | Kind::Date | Kind::Boolean => self.typed += 1,
            Kind::Other => {
                self.other += 1;
                if let Some(word) = NULL_WORDS.iter().position(|word| word.as_bytes() == field) {
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

    fn text(text: &str) -> Text<'_> {
        Text { bytes: text.as_bytes(), is_cut: false }
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
        assert_eq!((options.quote, options.delimiter), (b'\'', b','));
        let options = detected("a,b\n\"x \\\"y\\\", z\",2\n").unwrap();
        assert_eq!((options.quote, options.escape), (b'"', Some(b'\\')));
        let options = detected("# made today, by hand, twice\na,b\n1,2\n").unwrap();
        assert_eq!((options.comment, options.has_header), (Some(b'#'), true));
        assert_eq!(detected("a,b\nit's,1\n").unwrap().quote, b'"');
    }

    #[test]
    fn header_has_names_and_stands_above_values() {
        for (lines, expected) in [
            ("id,name\n1,x\n", true),
            ("carrier,name\nAA,American Airlines\n", true),
            ("1,x\n2,y\n", false),
            ("x,2024-01-01\ny,2024-01-02\n", false),
            ("Order No,Price (EUR)\n7,1.5\n", true),
            ("a,a\nx,1\n", false),
        ] {
            assert_eq!(detected(lines).unwrap().has_header, expected, "{lines}");
        }
        let differ = [text("red,x\nblue,y\n"), text("green,z\n")];
        assert!(!detect(&differ, false).unwrap().has_header);
    }

    #[test]
    fn prose_and_ragged_lines_are_no_table() {
        assert_eq!(detected("hello\nworld\n").unwrap_err(), NoTable::NoFields);
        assert!(detect(&[text("id\n1\n")], true).is_ok());
        let ragged = detected("a,b\n1,2\n1,2,3\n").unwrap_err();
        assert_eq!(ragged, NoTable::Ragged { record: 3, fields: 3, expected: 2 });
    }

    fn of(lines: &str, is_whole: bool) -> Values {
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
    fn leading_zeros_make_a_code_not_a_number() {
        assert_eq!(of("zip,n,f\n01234,1,0.5\n94110,0,-0.1\n", true).codes, ["zip"]);
    }

    #[test]
    fn a_cut_text_ends_with_its_last_complete_record() {
        let cut = Text { bytes: b"a,b\r\n1,\"x\ny\"\r\n2,\"z\n", is_cut: true };
        let mut records = 0;
        let complete = walk(cut, &CsvOptions::default(), |_| {
            records += 1;
            true
        });
        assert_eq!((records, &cut.bytes[..complete]), (2, &b"a,b\r\n1,\"x\ny\"\r\n"[..]));
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
