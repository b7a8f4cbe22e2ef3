//! How programs write CSV, as defaults of the options: `OPTIONS ('dialect' 'redshift')`. Pure.
//!
//! An option that is written wins over that of the dialect. Sources: the documentation of COPY (PostgreSQL), SELECT ...
//! INTO OUTFILE and `mysql --batch` (MySQL), UNLOAD (Redshift), COPY INTO location (Snowflake), EXPORT DATA (BigQuery)
//! and of S3 as a target (AWS DMS).

use super::values::CsvOptions;

/// The words that [`csv`] knows.
pub(super) const NAMES: &str =
    "postgres, postgres_text, mysql, mysql_batch, redshift, redshift_csv, snowflake, bigquery or dms";

/// The options of a dialect; None: it is not known.
pub(crate) fn csv(name: &str) -> Option<CsvOptions> {
    let plain = CsvOptions::default();
    let nulls = |regex: &str| Some(regex.to_owned());
    let escaped = CsvOptions { quote: None, escape: Some(b'\\'), escape_sequences: true, ..plain.clone() };
    let tabs = CsvOptions { delimiter: b'\t', terminator: Some(b'\n'), ..escaped.clone() };
    let copied = CsvOptions { has_header: false, null_regex: nulls(r"^\\N$"), ..tabs.clone() };
    Some(match name.to_ascii_lowercase().as_str() {
        // COPY ... TO as text: it escapes CR and LF in values, and a server on Windows ends lines with both.
        "postgres_text" => CsvOptions { terminator: None, ..copied },
        // SELECT ... INTO OUTFILE, mysqldump --tab: a CR in a value stands as it is.
        "mysql" => copied,
        // The text NULL is not told from NULL.
        "mysql_batch" => CsvOptions { null_regex: nulls("^NULL$"), ..tabs },
        // UNLOAD ... ESCAPE.
        "redshift" => CsvOptions { has_header: false, delimiter: b'|', ..escaped },
        // UNLOAD ... FORMAT CSV.
        "redshift_csv" => CsvOptions { has_header: false, terminator: Some(b'\n'), ..plain },
        "snowflake" => CsvOptions { has_header: false, null_regex: nulls(r"^\\N$"), ..plain },
        "postgres" | "bigquery" => plain,
        "dms" => CsvOptions { has_header: false, null_regex: nulls("^NULL$"), ..plain },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_dialect_is_one_of_csv_without_a_clash() {
        for name in NAMES.split([',', ' ']).filter(|word| !word.is_empty() && *word != "or") {
            let options = csv(&name.to_uppercase()).unwrap();
            assert_eq!(options.clash(), None, "{name}");
        }
        assert_eq!(csv("oracle"), None);
    }
}
