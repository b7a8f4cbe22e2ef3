//! Columns in the names of folders: `year=2024/month=01/part-0.csv`. Pure.
//!
//! A file's value of such a column is that of the nearest folder of this name, wherever LOCATION begins; it is
//! percent-decoded, and `__HIVE_DEFAULT_PARTITION__` is NULL. A value that its type cannot hold exactly, a file without
//! such a folder, and bytes that are not UTF-8 are errors. Names are compared exactly, as those of other columns are.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::datatypes::{DataType, Date32Type, FieldRef};
use datafusion::common::ScalarValue;

use crate::error::{Error, Result};
use crate::layout::partition;
use crate::snapshot::csv::columns::{Nulls, column_of};
use crate::snapshot::csv::fields::CsvField;
use crate::types::{sql_type, type_name};

/// Undeclared folder names that are reported.
const KEYS: usize = 32;

/// Keys whose values are numbers though they have zeros in front.
const COUNTED: [&str; 9] = ["year", "quarter", "month", "week", "day", "hour", "minute", "y", "m"];

/// The values of declared columns, file by file.
pub(crate) struct FolderColumns<'a> {
    table: &'a str,
    fields: &'a [FieldRef],
    /// The last folder and its partition: files of one folder follow each other.
    last: Option<(String, Arc<str>)>,
}

impl<'a> FolderColumns<'a> {
    pub(crate) fn new(table: &'a str, fields: &'a [FieldRef]) -> Self {
        Self { table, fields, last: None }
    }

    /// The file's partition in the form of [`partition::path`], which gives the same typed values back.
    ///
    /// # Errors
    /// [`Error::NoFolder`], [`Error::FolderValue`].
    pub(crate) fn of(&mut self, uri: &str) -> Result<Arc<str>> {
        let folder = uri.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some((known, partition)) = &self.last
            && known == folder
        {
            return Ok(Arc::clone(partition));
        }
        let values = self.fields.iter().map(|field| self.value(uri, folder, field)).collect::<Result<Vec<_>>>()?;
        let names = self.fields.iter().map(|field| field.name().as_str());
        let partition: Arc<str> = partition::path(names, &values).into();
        self.last = Some((folder.to_owned(), Arc::clone(&partition)));
        Ok(partition)
    }

    fn value(&self, uri: &str, folder: &str, field: &FieldRef) -> Result<Option<String>> {
        let (table, column) = (self.table.to_owned(), field.name().clone());
        let wrong = |value: &str| Error::FolderValue {
            table: self.table.to_owned(),
            uri: uri.to_owned(),
            column: field.name().clone(),
            value: value.to_owned(),
            data_type: type_name(field.data_type()),
        };
        let mut other_case = None;
        for part in folder.rsplit('/') {
            let Some(found) = partition::key_value(part) else { continue };
            // A folder of another name may be as it likes.
            let Ok((key, value)) = found else {
                if part.split('=').next() == Some(field.name()) {
                    return Err(wrong(part.split_once('=').map_or("", |(_, value)| value)));
                }
                continue;
            };
            if key == field.name().as_str() {
                let Some(value) = value else { return Ok(None) };
                return exact(&value, field.data_type()).map(Some).ok_or_else(|| wrong(&value));
            }
            if key.to_lowercase() == field.name().to_lowercase() {
                other_case = Some(key.into_owned());
            }
        }
        Err(Error::NoFolder { table, uri: uri.to_owned(), column, other_case })
    }
}

/// The value as [`partition::typed`] reads it back; `None` if the type does not hold it exactly.
fn exact(text: &str, data_type: &DataType) -> Option<String> {
    let array: ArrayRef = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => return Some(text.to_owned()),
        DataType::Dictionary(_, values) => return exact(text, values),
        _ if text.is_empty() => return None,
        // As a field of CSV: one rule for what a text is as a value.
        _ => column_of(&[CsvField::bare(text)], data_type, Nulls { regex: None, force: false }).ok()?,
    };
    let array = cast(&array, data_type).ok()?;
    let written = partition::text(&array, 0).ok()??;
    let same = partition::typed(Some(&written), data_type).ok()? == ScalarValue::try_from_array(&array, 0).ok()?;
    same.then_some(written)
}

/// Which type holds all values of the folders of one name, as far as they were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FolderType {
    is_int: bool,
    is_bigint: bool,
    is_date: bool,
    is_seen: bool,
}

impl Default for FolderType {
    fn default() -> Self {
        Self { is_int: true, is_bigint: true, is_date: true, is_seen: false }
    }
}

impl FolderType {
    /// Takes in the value of a folder with this key.
    pub(crate) fn add(&mut self, key: &str, value: &str) {
        let digits = value.strip_prefix('-').unwrap_or(value);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // Zeros in front are digits of a code, unless the name says that it is a number.
        let is_plain = digits.len() == 1 || !digits.starts_with('0') || COUNTED.contains(&&*key.to_lowercase());
        self.is_bigint &= is_number && is_plain && value.parse::<i64>().is_ok();
        self.is_int &= self.is_bigint && value.parse::<i32>().is_ok();
        self.is_date &= value.len() == 10 && Date32Type::parse(value).is_some();
        self.is_seen = true;
    }

    /// Takes in what others have seen.
    pub(crate) fn merge(&mut self, other: Self) {
        self.is_int &= other.is_int;
        self.is_bigint &= other.is_bigint;
        self.is_date &= other.is_date;
        self.is_seen |= other.is_seen;
    }

    /// The narrowest type; text if no value was seen.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self { is_seen: false, .. } => DataType::Utf8,
            Self { is_int: true, .. } => DataType::Int32,
            Self { is_bigint: true, .. } => DataType::Int64,
            Self { is_date: true, .. } => DataType::Date32,
            _ => DataType::Utf8,
        }
    }
}

/// Keys of folders below a LOCATION, and what their values are.
#[derive(Debug, Default)]
pub(crate) struct FolderKeys {
    /// By name, with the place in the path.
    keys: BTreeMap<String, (usize, FolderType)>,
    /// The last folder: files of one folder follow each other.
    last: String,
}

impl FolderKeys {
    /// Takes in a file; `path` counts from LOCATION on.
    pub(crate) fn add(&mut self, path: &str) {
        let Some((folder, _)) = path.rsplit_once('/').filter(|(folder, _)| folder.contains('=')) else { return };
        if self.last == folder {
            return;
        }
        folder.clone_into(&mut self.last);
        for (place, part) in folder.split('/').enumerate() {
            let Some(Ok((key, value))) = partition::key_value(part) else { continue };
            if !self.keys.contains_key(&*key) && self.keys.len() >= KEYS {
                continue;
            }
            let (first, seen) = self.keys.entry(key.to_string()).or_insert_with(|| (place, FolderType::default()));
            *first = place.min(*first);
            if let Some(value) = value {
                seen.add(&key, &value);
            }
        }
    }

    /// Name and SQL type of each, in the order of the path.
    pub(crate) fn finish(self) -> Vec<(String, String)> {
        let mut keys: Vec<_> = self.keys.into_iter().collect();
        keys.sort_by_key(|(_, (place, _))| *place);
        let sql = |seen: FolderType| sql_type(&seen.data_type()).unwrap_or_default();
        keys.into_iter().map(|(key, (_, seen))| (key, sql(seen))).collect()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, TimeUnit};
    use proptest::prelude::*;

    use super::*;

    fn of(uri: &str, name: &str, data_type: DataType) -> Result<String> {
        let fields = [Arc::new(Field::new(name, data_type, true))];
        FolderColumns::new("t", &fields).of(uri).map(|partition| partition.to_string())
    }

    fn typed(text: &str, data_type: &DataType) -> Result<ScalarValue> {
        let partition = of(&["s3://b/k=", text, "/f"].concat(), "k", data_type.clone())?;
        let values = partition::parse_path(&partition).unwrap();
        Ok(partition::typed(values[0].as_deref(), data_type).unwrap())
    }

    #[test]
    fn nearest_folder_of_the_name_gives_the_value() {
        let uri = "s3://b/month=1/year=2024/month=02/day=%C3%BC%2F/a.csv";
        assert_eq!(of(uri, "month", DataType::Int32).unwrap(), partition::segment("month", Some("2")));
        assert_eq!(of(uri, "day", DataType::Utf8View).unwrap(), partition::segment("day", Some("ü/")));
        assert_eq!(typed("__HIVE_DEFAULT_PARTITION__", &DataType::Date32).unwrap(), ScalarValue::Date32(None));
        assert_eq!(typed("100%", &DataType::Utf8).unwrap(), ScalarValue::from("100%"));
        assert_eq!(typed("", &DataType::Utf8).unwrap(), ScalarValue::from(""));
        assert_eq!(typed("true", &DataType::Boolean).unwrap(), ScalarValue::from(true));
    }

    #[test]
    fn value_that_the_type_cannot_hold_is_an_error_with_file_and_value() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (text, data_type) in [
            ("1.5", DataType::Int32),
            ("3000000000", DataType::Int32),
            ("x", DataType::Int64),
            ("", DataType::Int64),
            ("2024-02-30", DataType::Date32),
            ("1.239", DataType::Decimal128(10, 2)),
            ("soon", micros),
            ("%FF", DataType::Utf8),
        ] {
            let error = typed(text, &data_type).unwrap_err();
            assert!(matches!(error, Error::FolderValue { .. }), "{text}");
        }
        let error = typed("x", &DataType::Decimal128(10, 2)).unwrap_err().to_string();
        assert!(error.contains("s3://b/") && error.contains("'x'") && error.contains("DECIMAL(10,2)"), "{error}");
    }

    #[test]
    fn file_without_the_folder_is_an_error_that_tells_one_of_other_case() {
        let error = of("s3://b/Year=2024/f", "year", DataType::Int32).unwrap_err().to_string();
        assert!(error.contains("Year=..."), "{error}");
        assert!(matches!(of("s3://b/f", "year", DataType::Int32), Err(Error::NoFolder { .. })));
        assert!(of("s3://b/x/year=1", "year", DataType::Int32).is_err(), "a file is no folder");
    }

    #[test]
    fn types_are_guessed_from_all_values() {
        let mut keys = FolderKeys::default();
        for path in [
            "year=2024/month=01/code=01/day=2024-01-31/id=1/f",
            "year=2023/month=12/code=1/day=2024-02-01/id=3000000000/f",
            "year=__HIVE_DEFAULT_PARTITION__/month=1/code=1/day=2024-02-01/id=1/f",
            "f",
        ] {
            keys.add(path);
        }
        let shown: Vec<String> = keys.finish().into_iter().map(|(key, kind)| key + " " + &kind).collect();
        assert_eq!(shown, ["year INT", "month INT", "code VARCHAR", "day DATE", "id BIGINT"]);
    }

    proptest! {
        /// What the lake writes into a path is read back as the same value.
        #[test]
        fn values_of_a_lake_are_read_back(text in "[a-zü/%= *,.:]{1,8}", number in any::<i64>(), day in -100_000i32..1_000_000) {
            let values = [ScalarValue::Utf8(Some(text)), ScalarValue::Int64(Some(number)), ScalarValue::Date32(Some(day))];
            for value in values {
                let written = partition::values_at(&[value.to_array().unwrap()], 0).unwrap();
                let uri = ["s3://b/", &partition::segment("k", written[0].as_deref()), "/f"].concat();
                let back = of(&uri, "k", value.data_type()).unwrap();
                let back = partition::parse_path(&back).unwrap();
                prop_assert_eq!(partition::typed(back[0].as_deref(), &value.data_type()).unwrap(), value);
            }
        }
    }
}
