//! Full loads of AWS DMS to S3: `STORED AS DMS_EXPORT`, with the folder of the target (`BucketFolder`) as LOCATION.
//!
//! ```text
//! shop/orders/LOAD00000001.csv             the files of a table, numbered from 1 on in hexadecimal digits
//! shop/orders/LOAD00000002.csv.gz          packed, with CompressionType GZIP
//! shop/orders/LOAD00000001.parquet         with DataFormat parquet
//! shop/orders/20260131-134010000.csv       changes after the load
//! ```
//!
//! A number that is missing before the last one is an error. DMS writes no manifest, no counts and no mark at the
//! end, so nothing shows that the last files are missing. Changes are not merged into the load: the notes list them.
//! Neither CSV nor its options are in the export, so the config says them; defaults are those of DMS. Layout: "Using
//! Amazon S3 as a target for AWS Database Migration Service" of the DMS User Guide.

use std::collections::BTreeMap;

use object_store::ObjectMeta;

use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::{CsvOptions, FileFormat};
use crate::error::ExportFault;
use crate::layout::{Location, below};
use crate::snapshot::files::named::entry;

/// The tables of the export.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let folder = place.folder();
    let listed = place.list(&folder).await?;
    let mut folders: BTreeMap<&str, Vec<(&str, &ObjectMeta)>> = BTreeMap::new();
    for (path, meta) in &listed {
        let (table, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !name.starts_with(['.', '_']) {
            folders.entry(table).or_default().push((name, meta));
        }
    }
    let mut tables = Vec::new();
    for (path, files) in &folders {
        if files.iter().any(|(name, _)| name.starts_with("LOAD")) {
            let changes = folders.iter().filter(|(other, _)| is_below(other, path)).flat_map(|(_, files)| files);
            let changes: Vec<&str> = changes.map(|(name, _)| *name).filter(|name| !name.starts_with("LOAD")).collect();
            tables.push(table(&folder, path, files, &changes)?);
        }
    }
    if tables.is_empty() {
        return Err(ExportFault::NotFound { expected: "LOAD*.csv or LOAD*.parquet in the folder of a table" }.into());
    }
    Ok(tables)
}

/// Whether a folder is the other one, or below it: changes may be in folders of dates.
fn is_below(folder: &str, above: &str) -> bool {
    folder.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above.is_empty())
}

fn table(
    folder: &Location,
    path: &str,
    files: &[(&str, &ObjectMeta)],
    changes: &[&str],
) -> Result<ExportedTable, ExportFault> {
    let mut numbered = BTreeMap::new();
    let mut ending = None;
    for (name, meta) in files.iter().filter(|(name, _)| name.starts_with("LOAD")) {
        let Some((number, end)) = load_file(name) else {
            let help = "only the files LOAD00000001.csv and so on of DMS are read; move others to another folder";
            return Err(ExportFault::Unread { what: below(path, name), help });
        };
        if *ending.get_or_insert(end) != end {
            let reason = format!("{path} has files of two kinds, {} and {end}", ending.unwrap_or_default());
            return Err(ExportFault::Metadata { file: (*name).to_owned(), reason });
        }
        if let Some((other, _)) = numbered.insert(number, (*name, *meta)) {
            let reason = format!("{} has the same number", below(path, other));
            return Err(ExportFault::Metadata { file: (*name).to_owned(), reason });
        }
    }
    if let Some((missing, _)) = (1..).zip(numbered.keys()).find(|(expected, found)| expected != *found) {
        let what = format!("LOAD{missing:08X}{}", ending.unwrap_or_default());
        return Err(ExportFault::Gap { place: path.to_owned(), what });
    }
    let mut notes =
        vec!["The export has no row counts; files that are missing after the last one do not show.".to_owned()];
    if let Some(first) = changes.first() {
        let note = format!("Not read: {} with changes after the load, such as {first}.", count(changes.len()));
        notes.push(note);
    }
    // LOCATION may be the folder of one table.
    let own = folder.raw_key().rsplit('/').next().unwrap_or_default();
    let names = if path.is_empty() { own } else { path };
    let is_parquet = ending.is_some_and(|ending| ending.contains("parquet"));
    let mut entries: Vec<_> = numbered.values().map(|(_, meta)| entry(folder, meta)).collect();
    entries.sort_by(|one, other| one.uri.cmp(&other.uri));
    Ok(ExportedTable {
        names: names.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        format: if is_parquet { FileFormat::Parquet } else { FileFormat::Csv(CsvOptions::default()) },
        schema: None,
        files: entries,
        notes,
        is_part: false,
        unreadable: None,
        undeclared: None,
    })
}

fn count(files: usize) -> String {
    format!("{files} file{}", if files == 1 { "" } else { "s" })
}

/// Number and ending of `LOAD0000000A.csv.gz`. Five digits at least: `LOADED.csv` is none.
pub(crate) fn load_file(name: &str) -> Option<(u64, &str)> {
    let (number, _) = name.strip_prefix("LOAD")?.split_once('.')?;
    let is_number = (5..=16).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    let ending = &name["LOAD".len() + number.len()..];
    let is_known = [".csv", ".csv.gz", ".parquet", ".parquet.gz"].contains(&ending);
    (is_number && is_known).then(|| u64::from_str_radix(number, 16).ok()).flatten().map(|number| (number, ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_load_have_hexadecimal_numbers() {
        assert_eq!(load_file("LOAD0000000A.csv"), Some((10, ".csv")));
        assert_eq!(load_file("LOAD00001.csv.gz"), Some((1, ".csv.gz")));
        assert_eq!(load_file("LOAD00000010.parquet"), Some((16, ".parquet")));
        for name in [
            "LOAD.csv",
            "LOADED.csv",
            "LOAD0001.csv",
            "LOAD_1_0001.csv",
            "LOAD00000001",
            "LOAD00000001.txt",
            "20260131-134010000.csv",
            "LOAD+0000001.csv",
        ] {
            assert_eq!(load_file(name), None, "{name}");
        }
    }

    #[test]
    fn folders_of_dates_are_below_a_table() {
        assert!(is_below("s/t", "s/t") && is_below("s/t/2026/01", "s/t") && is_below("s", ""));
        assert!(!is_below("s/tt", "s/t") && !is_below("s", "s/t"));
    }
}
