//! What the metadata files of database exports say: RDS and Aurora, DynamoDB, Redshift. Pure.
//!
//! AWS documents DynamoDB's form and not that of RDS, so of the latter everything is optional here: what is not there,
//! or not as expected, is not known.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;

/// What describes an export: a file below the location, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Described {
    /// `export_info_*.json`
    RdsExport { folder: String, time: Option<String> },
    /// `export_tables_info_*.json`
    RdsTables { folder: String, tables: Vec<RdsTable> },
    /// DynamoDB's `manifest-summary.json`
    Dynamo { folder: String, table: String, time: Option<String>, items: Option<u64>, span: DynamoSpan },
    /// Manifest of an UNLOAD of Redshift, and what the names of its files begin with.
    Unload { path: String, folder: String, prefix: String },
    /// A manifest of `s3manifesto`: a list of files.
    Manifest { path: String },
}

/// Which table an export of DynamoDB is of, and which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DynamoSpan {
    pub(crate) arn: String,
    /// Where an incremental export begins.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Its end, or the time of a full one.
    pub(crate) to: Option<DateTime<Utc>>,
    pub(crate) is_incremental: bool,
}

/// A table of an RDS export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RdsTable {
    /// `database.schema.table`, or `database.table`.
    pub(crate) target: String,
    pub(crate) is_complete: bool,
    pub(crate) warning: Option<String>,
    pub(crate) columns: Vec<RdsColumn>,
}

/// A column as the database had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RdsColumn {
    pub(crate) name: String,
    pub(crate) original: String,
    pub(crate) exported: String,
}

/// Reads one metadata file; None if it is something else.
pub(crate) fn describe(path: &str, bytes: &[u8]) -> Option<Described> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = folder.to_owned();
    let json: Value = serde_json::from_slice(bytes).ok()?;
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    if name.starts_with("export_tables_info_") {
        let tables = json.get("perTableStatus")?.as_array()?.iter().filter_map(rds_table).collect();
        return Some(Described::RdsTables { folder, tables });
    }
    if name.starts_with("export_info_") {
        return Some(Described::RdsExport { folder, time: text("snapshotTime").as_deref().and_then(time) });
    }
    if let Some(arn) = text("tableArn") {
        let table = arn.rsplit("table/").next().unwrap_or_default().split('/').next().unwrap_or_default().to_owned();
        let is_incremental = text("exportType").is_some_and(|kind| kind.starts_with("INCREMENTAL"));
        let end = text(if is_incremental { "exportToTime" } else { "exportTime" });
        let exact = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        let (from, to) = (text("exportFromTime").as_deref().and_then(exact), end.as_deref().and_then(exact));
        let (time, items) = (end.as_deref().and_then(time), json.get("itemCount").and_then(Value::as_u64));
        let span = DynamoSpan { arn, from, to, is_incremental };
        return Some(Described::Dynamo { folder, table, time, items, span });
    }
    if let Some(prefix) = name.strip_suffix("manifest") {
        json.pointer("/entries/0/url")?.as_str()?;
        return Some(Described::Unload { path: path.to_owned(), folder, prefix: prefix.to_owned() });
    }
    let is_manifest = text("manifest").is_some() && json.get("fingerprint").is_some();
    is_manifest.then(|| Described::Manifest { path: path.to_owned() })
}

fn rds_table(json: &Value) -> Option<RdsTable> {
    let text = |json: &Value, key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    let columns = json.pointer("/schemaMetadata/originalTypeMappings").and_then(Value::as_array);
    let columns = columns.into_iter().flatten().filter_map(|column| {
        Some(RdsColumn {
            name: text(column, "columnName")?,
            original: text(column, "originalType").unwrap_or_default(),
            exported: text(column, "expectedExportedType").unwrap_or_default(),
        })
    });
    Some(RdsTable {
        target: text(json, "target")?,
        is_complete: text(json, "status").is_none_or(|status| status.eq_ignore_ascii_case("complete")),
        warning: text(json, "warningMessage").filter(|warning| !warning.is_empty()),
        columns: columns.collect(),
    })
}

/// A time of an export as RFC 3339 in UTC.
pub(crate) fn time(text: &str) -> Option<String> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let zoned =
        zoned.or_else(|| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|time| time.to_utc()));
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f UTC"];
    let zoned =
        zoned.or_else(|| forms.iter().find_map(|form| Some(NaiveDateTime::parse_from_str(text, form).ok()?.and_utc())));
    zoned.map(seconds)
}

/// To the second.
pub(crate) fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The schema of an exported table without a file, by what its columns should have become; None if one is not known.
pub(crate) fn rds_schema(columns: &[RdsColumn]) -> Option<Schema> {
    let field = |column: &RdsColumn| {
        let exported = column.exported.to_lowercase();
        let data_type = match exported.as_str() {
            "int32" => DataType::Int32,
            "int64" => DataType::Int64,
            "double" => DataType::Float64,
            "float" => DataType::Float32,
            "boolean" => DataType::Boolean,
            "binary" => DataType::Binary,
            text if text.contains("utf8") || text.contains("string") => DataType::Utf8,
            time if time.contains("timestamp_micro") => DataType::Timestamp(TimeUnit::Microsecond, None),
            time if time.contains("timestamp_milli") => DataType::Timestamp(TimeUnit::Millisecond, None),
            int if int.contains("int_16") || int.contains("int(16") => DataType::Int16,
            int if int.contains("int_8") || int.contains("int(8") => DataType::Int8,
            int if int.starts_with("int32") => DataType::Int32,
            int if int.starts_with("int64") => DataType::Int64,
            _ => return None,
        };
        Some(Field::new(&column.name, data_type, true))
    };
    let fields: Option<Vec<Field>> = columns.iter().map(field).collect();
    fields.filter(|fields| !fields.is_empty()).map(Schema::new)
}

/// A better type for a column that the export made text or bytes, as a cast and the reason.
pub(crate) fn better(original: &str, is_text: bool) -> Option<(&'static str, &'static str)> {
    let original = original.to_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| original.starts_with(word));
    match is_text {
        true if starts(&["numeric", "decimal"]) => Some(("try_cast({} AS DECIMAL(38,10))", "NaN becomes NULL")),
        true if starts(&["date"]) && !starts(&["datetime"]) => {
            Some(("try_cast({} AS DATE)", "invalid dates, such as 0000-00-00, become NULL"))
        }
        true if starts(&["timestamp", "datetime"]) => Some(("try_cast({} AS TIMESTAMP)", "'infinity' becomes NULL")),
        true if original == "money" => Some(("try_cast(replace(replace({}, '$', ''), ',', '') AS DECIMAL(38,2))", "")),
        true => None,
        false if starts(&["char", "bpchar"]) => {
            Some(("CAST({} AS VARCHAR)", "CHAR is exported without saying that it is text"))
        }
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rds_files_give_time_tables_and_original_types() {
        let info = describe("e/export_info_e.json", br#"{"snapshotTime":"2024-01-31 05:06:07.891 UTC"}"#).unwrap();
        assert_eq!(info, Described::RdsExport { folder: "e".into(), time: Some("2024-01-31T05:06:07Z".into()) });
        let tables = br#"{"perTableStatus":[{"target":"shop.public.orders","status":"COMPLETE","schemaMetadata":{
            "originalTypeMappings":[{"columnName":"id","originalType":"bigint","expectedExportedType":"int64",
            "originalNumPrecision":"64"}]}},{"target":"postgres","warningMessage":"w"}]}"#;
        let Some(Described::RdsTables { tables, .. }) = describe("export_tables_info_e_from_1_to_2.json", tables)
        else {
            panic!()
        };
        assert_eq!(
            tables[0].columns,
            [RdsColumn { name: "id".into(), original: "bigint".into(), exported: "int64".into() }]
        );
        assert_eq!((tables[1].warning.as_deref(), tables[1].columns.len()), (Some("w"), 0));
    }

    #[test]
    fn a_summary_is_dynamodbs_or_a_manifest_by_what_it_says() {
        let summary = br#"{"tableArn":"arn:aws:dynamodb:eu-west-1:1:table/Orders","exportTime":"2024-01-31T00:00:00.5Z","itemCount":3}"#;
        let expected = Described::Dynamo {
            folder: "AWSDynamoDB/01".into(),
            table: "Orders".into(),
            time: Some("2024-01-31T00:00:00Z".into()),
            items: Some(3),
            span: DynamoSpan {
                arn: "arn:aws:dynamodb:eu-west-1:1:table/Orders".into(),
                from: None,
                to: DateTime::parse_from_rfc3339("2024-01-31T00:00:00.5Z").ok().map(|time| time.to_utc()),
                is_incremental: false,
            },
        };
        assert_eq!(describe("AWSDynamoDB/01/manifest-summary.json", summary), Some(expected));
        let manifest = br#"{"manifest":"s3://b/m.parquet","size":1,"n_record":1,"fingerprint":"x","details":{}}"#;
        assert_eq!(
            describe("m/manifest-summary.json", manifest),
            Some(Described::Manifest { path: "m/manifest-summary.json".into() })
        );
        let unload = br#"{"entries": [{"url": "s3://b/x/o_0000_part_00", "meta": {"content_length": 1}}]}"#;
        let expected = Described::Unload { path: "x/o_manifest".into(), folder: "x".into(), prefix: "o_".into() };
        assert_eq!(describe("x/o_manifest", unload), Some(expected));
        assert_eq!(describe("x/o_manifest", b"{}"), None);
        assert_eq!(describe("manifest-summary.json", b"{}"), None);
        assert_eq!(describe("manifest-summary.json", b"["), None);
    }

    #[test]
    fn a_schema_is_known_only_if_every_column_is() {
        let column =
            |exported: &str| RdsColumn { name: "c".into(), original: String::new(), exported: exported.into() };
        let schema = rds_schema(&[column("int64 (TIMESTAMP_MICRO)")]).unwrap();
        assert_eq!(schema.field(0).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(rds_schema(&[column("binary (UTF8)")]).unwrap().field(0).data_type(), &DataType::Utf8);
        assert_eq!(rds_schema(&[column("int64"), column("fixed")]), None);
        assert_eq!(rds_schema(&[]), None);
    }
}
