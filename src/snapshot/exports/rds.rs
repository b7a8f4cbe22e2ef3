//! Snapshot exports of RDS and Aurora to S3: `STORED AS RDS_EXPORT`.
//!
//! ```text
//! EXPORT/export_info_EXPORT.json                          status, time
//! EXPORT/export_tables_info_EXPORT_from_1_to_N.json       tables: target, status, types of the columns
//! EXPORT/DATABASE/SCHEMA.TABLE/1/part-00000-...parquet    a batch, complete once it has _SUCCESS
//! ```
//!
//! An export is complete if its status and that of the table are COMPLETE, all tables of its numbered lists are there,
//! and each batch of the table has its mark. It has no row counts: rows of a file that was cut short show in the file's
//! own footer, a part that is missing does not show. Layout: "Exporting DB snapshot data to Amazon S3" of the RDS User
//! Guide; what is not documented there is as the exports in the tests are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::FileFormat;
use crate::error::ExportFault;
use crate::layout::below;
use crate::manifest::FileEntry;
use crate::snapshot::files::named::entry;

const COMPLETE: &str = "COMPLETE";
const MARK: &str = "_SUCCESS";
const INFO: &str = "export_info_";
const TABLES: &str = "export_tables_info_";

#[derive(Deserialize)]
struct ExportInfo {
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TablesInfo {
    per_table_status: Vec<TableInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TableInfo {
    target: String,
    status: Option<String>,
    warning_message: Option<String>,
    table_statistics: Option<TableStatistics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TableStatistics {
    partitioning_info: Option<PartitioningInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartitioningInfo {
    number_of_partitions: Option<u64>,
    number_of_completed_partitions: Option<u64>,
}

/// The wanted tables of the export, if it and they are complete.
pub(super) async fn catalog(
    place: &ExportPlace,
    wanted: &(dyn Fn(&[String]) -> bool + Sync),
) -> Result<Vec<ExportedTable>, Trouble> {
    let root = place.location.with_key(place.location.raw_key().trim_end_matches('/'));
    let infos = metadata(place).await?;
    let is_info = |name: &&String| name.starts_with(INFO);
    if !infos.keys().any(|name| is_info(&name)) {
        return Err(ExportFault::NotFound { expected: "export_info_*.json" }.into());
    }
    for info in infos.keys().filter(is_info) {
        let ExportInfo { status } = parsed(info, &infos[info])?;
        if let Some(status) = status.filter(|status| !status.eq_ignore_ascii_case(COMPLETE)) {
            return Err(ExportFault::Status { file: info.clone(), status, expected: COMPLETE }.into());
        }
    }
    let lists: Vec<&String> = infos.keys().filter(|name| name.starts_with(TABLES)).collect();
    if lists.is_empty() {
        return Err(ExportFault::NotFound { expected: "export_tables_info_*.json" }.into());
    }
    check_numbers(&lists)?;
    let mut tables = Vec::new();
    for list in lists {
        let TablesInfo { per_table_status } = parsed(list, &infos[list])?;
        if let Some((from, to)) = numbers(list)
            && per_table_status.len() as u64 != (to + 1).saturating_sub(from)
        {
            let (one, other) = (list.clone(), "its name".to_owned());
            let (found, stated) = (per_table_status.len() as u64, (to + 1).saturating_sub(from));
            return Err(ExportFault::Counts { one, found, unit: "tables", other, stated }.into());
        }
        for table in per_table_status {
            let names = names(&table.target);
            if !wanted(&names) {
                // Its name is enough to tell which tables there are.
                let format = FileFormat::Parquet;
                tables.push(ExportedTable {
                    names,
                    format,
                    schema: None,
                    files: Vec::new(),
                    notes: Vec::new(),
                    is_part: false,
                    unreadable: None,
                    undeclared: None,
                });
                continue;
            }
            check_status(&table, list)?;
            let files = files(place, &root, &table, list).await?;
            let warning = table.warning_message.filter(|text| !text.is_empty());
            let mut notes = vec!["The export has no row counts; a missing part of a table does not show.".to_owned()];
            notes.extend(warning.map(|text| format!("The export warns: {text}")));
            tables.push(ExportedTable {
                names,
                format: FileFormat::Parquet,
                schema: None,
                files,
                notes,
                is_part: false,
                unreadable: None,
                undeclared: None,
            });
        }
    }
    Ok(tables)
}

/// The metadata files of the export by name.
async fn metadata(place: &ExportPlace) -> Result<BTreeMap<String, bytes::Bytes>, Trouble> {
    let location = &place.location;
    let failed = |source| crate::layout::store_error("list", location, source);
    let listed = place.store.list_with_delimiter(Some(&location.key()?)).await.map_err(failed)?;
    let mut found = BTreeMap::new();
    for object in listed.objects {
        let name = object.location.filename().unwrap_or_default().to_owned();
        if (name.starts_with(INFO) || name.starts_with(TABLES)) && name.ends_with(".json") {
            let bytes = place.get(&location.with_key(object.location.as_ref())).await?;
            found.insert(name, bytes);
        }
    }
    Ok(found)
}

fn parsed<'de, T: Deserialize<'de>>(file: &str, bytes: &'de [u8]) -> Result<T, ExportFault> {
    serde_json::from_slice(bytes)
        .map_err(|error| ExportFault::Metadata { file: file.to_owned(), reason: error.to_string() })
}

/// `export_tables_info_X_from_1_to_3.json` has the tables 1 to 3.
fn numbers(name: &str) -> Option<(u64, u64)> {
    let (rest, to) = name.strip_suffix(".json")?.rsplit_once("_to_")?;
    Some((rest.rsplit_once("_from_")?.1.parse().ok()?, to.parse().ok()?))
}

/// Lists that are numbered follow each other from 1 on: one that is missing leaves a gap.
fn check_numbers(lists: &[&String]) -> Result<(), ExportFault> {
    let mut ranges: Vec<(u64, u64)> = lists.iter().filter_map(|name| numbers(name)).collect();
    ranges.sort_unstable();
    let mut next = 1;
    for (from, to) in ranges {
        if from > next {
            let what = format!("tables {next} to {}", from - 1);
            return Err(ExportFault::Gap { place: format!("{TABLES}*.json"), what });
        }
        next = next.max(to + 1);
    }
    Ok(())
}

/// `shop.public.orders`: database, schema and table; MySQL has `shop.orders`.
fn names(target: &str) -> Vec<String> {
    target.splitn(3, '.').map(str::to_owned).collect()
}

fn check_status(table: &TableInfo, list: &str) -> Result<(), ExportFault> {
    let status = table.status.as_deref().unwrap_or(COMPLETE);
    if !status.eq_ignore_ascii_case(COMPLETE) {
        let (table, status, file) = (table.target.clone(), status.to_owned(), list.to_owned());
        return Err(ExportFault::TableStatus { table, status, file });
    }
    let parts = table.table_statistics.as_ref().and_then(|of| of.partitioning_info.as_ref());
    if let Some(PartitioningInfo { number_of_partitions: Some(stated), number_of_completed_partitions: Some(found) }) =
        parts
        && found < stated
    {
        let (one, other) = (format!("{} in {list}", table.target), "its table statistics".to_owned());
        return Err(ExportFault::Counts { one, found: *found, unit: "completed partitions", other, stated: *stated });
    }
    Ok(())
}

/// The folders that the data of a table may be in.
fn folders(target: &str) -> Vec<String> {
    // Characters that paths do not take are underscores there.
    let plain = |text: &str| text.replace([' ', '\\', '`', '"'], "_");
    let (database, rest) = target.split_once('.').unwrap_or(("", target));
    [rest, target].map(|table| below(&plain(database), &plain(table))).to_vec()
}

/// The Parquet files of a table whose batches are all complete.
async fn files(
    place: &ExportPlace,
    root: &crate::layout::Location,
    table: &TableInfo,
    list: &str,
) -> Result<Vec<FileEntry>, Trouble> {
    for path in folders(&table.target) {
        let folder = root.join(&below(&path, ""));
        let listed = place.list(&folder).await?;
        if listed.is_empty() {
            continue;
        }
        let mut batches: BTreeMap<&str, (bool, u64)> = BTreeMap::new();
        let mut files = Vec::new();
        for (name, meta) in &listed {
            let (batch, file) = name.rsplit_once('/').unwrap_or(("", name));
            let (is_complete, parts) = batches.entry(batch).or_default();
            if file == MARK {
                *is_complete = true;
            } else if file.to_ascii_lowercase().ends_with(".parquet") {
                *parts += 1;
                files.push(entry(&folder, meta));
            } else if !file.is_empty() && !file.starts_with(['_', '.']) {
                let what = format!("{}, which is no Parquet file,", below(&path, name));
                let help = "remove it from the folder of the export, or export again";
                return Err(ExportFault::Unread { what, help }.into());
            }
        }
        if let Some((batch, _)) = batches.iter().find(|(_, (is_complete, _))| !is_complete) {
            let folder = if batch.is_empty() { path.clone() } else { below(&path, batch) };
            return Err(ExportFault::Unfinished { folder, mark: MARK }.into());
        }
        // Batches are numbered from 1 on.
        let numbers: Vec<u64> = batches.keys().filter_map(|batch| batch.parse().ok()).collect();
        if numbers.len() == batches.len()
            && let Some(missing) = (1..=numbers.len() as u64).find(|number| !numbers.contains(number))
        {
            return Err(
                ExportFault::Missing { manifest: list.to_owned(), what: below(&path, &missing.to_string()) }.into()
            );
        }
        return Ok(files);
    }
    let what = format!("{}, whose folder {}", table.target, folders(&table.target)[0]);
    Err(ExportFault::Missing { manifest: list.to_owned(), what }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_with_a_gap_lack_the_tables_between() {
        let lists =
            ["export_tables_info_e_from_4_to_6.json", "export_tables_info_e_from_1_to_2.json"].map(String::from);
        let error = check_numbers(&lists.iter().collect::<Vec<_>>()).unwrap_err().to_string();
        assert_eq!(error, "export_tables_info_*.json has no tables 3 to 3, though it has others");
        let lists =
            ["export_tables_info_e_from_1_to_2.json", "export_tables_info_e_from_3_to_3.json"].map(String::from);
        assert!(check_numbers(&lists.iter().collect::<Vec<_>>()).is_ok());
    }

    #[test]
    fn target_has_database_schema_and_table_in_either_form() {
        assert_eq!(names("shop.public.a.b"), ["shop", "public", "a.b"]);
        assert_eq!(folders("shop.public.Mixed Case")[0], "shop/public.Mixed_Case");
        assert_eq!(folders("shop.orders"), ["shop/orders", "shop/shop.orders"]);
    }
}
