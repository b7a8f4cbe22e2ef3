//! How the text files of a full load of AWS DMS are written.
//!
//! The files do not say it, but the defaults of DMS are known: commas, double quotes, no header, `NULL` for NULL, and
//! an empty field is the empty text. Where the files cannot be so, another delimiter is looked for. With
//! `AddColumnName` all files begin with the names: a line that several files begin with, and that is no row, is a
//! header.

use super::dialect::{DialectText, NoTable, detect, fits, is_name, walk};
use crate::config::{CsvOptions, csv_dialect};
use crate::snapshot::distinct;

/// The options of a load's text files.
pub(crate) fn of_load(texts: &[DialectText<'_>]) -> Result<CsvOptions, NoTable> {
    let dms = csv_dialect("dms").unwrap_or_default();
    let written = match fits(texts, &dms) {
        true => dms,
        false => CsvOptions { null_regex: dms.null_regex, ..detect(texts, true)? },
    };
    Ok(CsvOptions { has_header: has_header(texts, &written), ..written })
}

/// Whether several files begin with the same names, and no row is like them.
fn has_header(texts: &[DialectText<'_>], options: &CsvOptions) -> bool {
    let mut names: Option<Vec<String>> = None;
    let (mut files, mut rows, mut is_one) = (0, 0_u64, true);
    for text in texts {
        let mut is_first = true;
        walk(*text, options, |record| {
            let is_same = names.as_ref().is_some_and(|names| {
                names.len() == record.len() && record.iter().zip(names).all(|(field, name)| field.text == name)
            });
            if std::mem::take(&mut is_first) {
                files += 1;
                match &names {
                    None => names = Some(record.iter().map(|field| field.text.to_owned()).collect()),
                    Some(_) => is_one &= is_same,
                }
            } else {
                rows += 1;
                is_one &= !is_same;
            }
            is_one
        });
    }
    let are_names = |names: Vec<String>| names.iter().all(|name| is_name(name)) && distinct(names.clone()) == names;
    files > 1 && rows > 0 && is_one && names.is_some_and(are_names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(texts: &[&str]) -> CsvOptions {
        let texts = texts.iter().map(|text| DialectText { bytes: text.as_bytes(), is_cut: false });
        of_load(&texts.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn first_line_of_one_file_is_a_row() {
        let dms = csv_dialect("dms").unwrap();
        for text in ["DE,Germany\nFR,France\n", "id,name\n1,a\n", "a;b,x;y\n", "1,NULL,a\n2,5,\n"] {
            assert_eq!(written(&[text]), dms, "{text}");
        }
        assert_eq!(written(&["a\nb\n"]), dms);
    }

    #[test]
    fn names_that_all_of_several_files_begin_with_are_a_header() {
        for (texts, expected) in [
            (["id,name\n1,a\n", "id,name\n2,b\n"], true),
            (["id,name\n1,a\n", "id,name\n"], true),
            (["DE,Germany\nFR,France\n", "IT,Italy\n"], false),
            (["DE,Germany\n", "DE,Germany\n"], false),
            (["DE,Germany\nDE,Germany\n", "DE,Germany\n"], false),
            (["1,a\n2,b\n", "1,a\n3,c\n"], false),
            (["a,a\n2,b\n", "a,a\n3,c\n"], false),
        ] {
            assert_eq!(written(&texts).has_header, expected, "{texts:?}");
        }
    }

    #[test]
    fn another_delimiter_is_found_and_the_rest_is_that_of_dms() {
        let options = written(&["DE|Germany\nFR|France\n"]);
        assert_eq!((options.delimiter, options.has_header), (b'|', false));
        assert_eq!(options.null_regex.as_deref(), Some("^NULL$"));
    }
}
