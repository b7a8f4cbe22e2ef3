//! Stands between the engine and a Parquet file that somebody else wrote: the footer is checked when the file is
//! opened, the pages when their bytes arrive, before one is decoded.
//!
//! ```text
//! footer        rows of the file = rows of its row groups = values of its columns        `claims`
//! chunks        values of the footer = values of the pages                               `pages`
//! INT96         no digit is cut                                                          `int96`
//! memory        row group, pages, batches and values fit                                 `bounds`
//! ```
//!
//! The engine gets a footer without statistics. The schema's metadata also holds the file's uri and its first row, so
//! that an error can name the place of a value that does not fit its column (`adapt`).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use datafusion::parquet::basic::{ConvertedType, Type as PhysicalType};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData,
};

use super::bounds::{StatisticsBounds, TooLarge};
use super::claims::{
    self, FooterBounds, arrow_schema, check_rows, decode_footer, empty_group, has_int96, leaves, places,
    without_empty_columns,
};
use super::int96::changed_int96;
use super::pages::Pages;
use crate::error::{Error, InvalidValue};
use crate::snapshot::names::{NameTree, lacked};
use crate::snapshot::presence::PresenceCounter;
use crate::types::type_name;

/// Metadata of a file's schema: its uri.
pub(crate) const URI: &str = "snaplake.uri";
/// Metadata of a file's schema: rows before those that are read of it.
pub(crate) const FIRST_ROW: &str = "snaplake.first_row";

/// Metadata of a file's schema: with a column's name behind it, that it holds bytes which the engine makes texts of
/// without looking.
pub(crate) const PLAIN_BYTES: &str = "snaplake.plain_bytes.";

/// What all files of a scan have in common.
#[derive(Debug)]
pub(crate) struct Export {
    /// Name of the snapshot table, for errors.
    pub(crate) table: Arc<str>,
    /// URL of the store, with a slash at its end.
    pub(crate) store: String,
    /// The table's columns.
    pub(crate) schema: SchemaRef,
    /// Names of those that are read.
    pub(crate) read: HashSet<String>,
    /// Counts which of these the files have.
    pub(crate) presence: PresenceCounter,
    /// What may be in memory at once, if that is limited.
    pub(crate) bounds: Option<StatisticsBounds>,
}

/// One file, see the module's head.
#[derive(Debug)]
pub(crate) struct Guard {
    export: Arc<Export>,
    file: PartitionedFile,
    footer: Option<Arc<ParquetMetaData>>,
    /// Bytes of each chunk by the footer, where more are read.
    stated: Option<Vec<Vec<u64>>>,
    /// Whether an INT96 column is read as nanoseconds, for each column, if there are any.
    nanoseconds: Vec<bool>,
    /// The row group that is probably next.
    next: usize,
}

impl Guard {
    pub(crate) fn new(export: &Arc<Export>, file: &PartitionedFile) -> Self {
        let (export, file) = (Arc::clone(export), file.clone());
        Self { export, file, footer: None, stated: None, nanoseconds: Vec::new(), next: 0 }
    }

    fn uri(&self) -> String {
        format!("{}{}", self.export.store, self.file.object_meta.location)
    }

    /// Whether the columns of each row group that are read fit as they are stored.
    fn check_stored(&self, footer: &ParquetMetaData) -> Result<()> {
        let Some(bounds) = &self.export.bounds else { return Ok(()) };
        for (number, group) in footer.row_groups().iter().enumerate() {
            let name = |of: &ColumnChunkMetaData| of.column_path().parts().first().cloned().unwrap_or_default();
            let read = group.columns().iter().filter(|column| self.export.read.contains(&name(column)));
            let read: Vec<_> = read.collect();
            let bytes = read.iter().map(|column| column.byte_range().1).fold(0, u64::saturating_add);
            if let Some(large) = bounds.stored(bytes) {
                let largest = read.iter().max_by_key(|column| column.byte_range().1);
                return Err(self.too_large(number, largest.map(|column| name(column)).unwrap_or_default(), &large));
            }
        }
        Ok(())
    }

    fn too_large(&self, group: usize, column: String, large: &TooLarge) -> ParquetError {
        let (table, uri) = (self.export.table.to_string(), self.uri());
        let row = self.rows_before(group) + large.row + 1;
        let TooLarge { what, bytes, most, .. } = *large;
        ParquetError::External(Box::new(Error::TooLarge { table, uri, row, column, what, bytes, most }))
    }

    fn rows_before(&self, group: usize) -> u64 {
        let groups = self.footer.as_ref().map_or(&[][..], |footer| footer.row_groups());
        groups.iter().take(group).filter_map(|group| u64::try_from(group.num_rows()).ok()).sum()
    }

    fn contradiction(&self, what: String) -> ParquetError {
        let (table, uri) = (self.export.table.to_string(), self.uri());
        ParquetError::External(Box::new(Error::Contradiction { table, uri, what }))
    }

    /// The footer that the engine is handed; `end` holds all of the file's.
    ///
    /// # Errors
    /// [`Error::Contradiction`]; those of the Parquet reader.
    pub(crate) fn admit(&mut self, end: &Bytes) -> Result<Arc<ParquetMetaData>> {
        let footer = decode_footer(end, FooterBounds::Skipped)?;
        let rows = check_rows(&footer).map_err(|what| self.contradiction(what))?;
        if let Some(column) =
            empty_group(footer.file_metadata().schema_descr().root_schema(), Some(&self.export.schema))
        {
            let (table, uri) = (self.export.table.to_string(), self.uri());
            return Err(ParquetError::External(Box::new(Error::NoFields { table, uri, column })));
        }
        self.count_columns(&footer)?;
        let placed = places(&footer, self.file.object_meta.size)?.map_err(|what| self.contradiction(what))?;
        let file = match without_empty_columns(footer.file_metadata())? {
            Some(file) => file,
            None => footer.file_metadata().clone(),
        };
        let (groups, stated) = placed.unwrap_or_else(|| (footer.into_builder().take_row_groups(), None));
        let mut reported: Vec<KeyValue> = file.key_value_metadata().cloned().unwrap_or_default();
        if has_int96(&file) {
            let schema = arrow_schema(&file, Some(&self.export.schema))?;
            let mut types = Vec::new();
            leaves(schema.fields(), &mut types);
            let is_nanos = |of: &&DataType| matches!(of, DataType::Timestamp(TimeUnit::Nanosecond, _));
            self.nanoseconds = types.iter().map(is_nanos).collect();
            reported.retain(|pair| pair.key != ARROW_SCHEMA_META_KEY);
            reported.push(KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(&schema)));
        }
        reported.push(KeyValue::new(URI.to_owned(), self.uri()));
        let declared = &self.export.schema;
        let is_text = |name: &str| declared.field_with_name(name).is_ok_and(|field| field.data_type().is_string());
        let plain = file.schema_descr().root_schema().get_fields().iter().filter(|field| {
            field.is_primitive()
                && field.get_physical_type() == PhysicalType::BYTE_ARRAY
                && field.get_basic_info().converted_type() != ConvertedType::UTF8
                && is_text(field.name())
        });
        reported.extend(plain.map(|field| KeyValue::new(format!("{PLAIN_BYTES}{}", field.name()), String::new())));
        reported.push(KeyValue::new(FIRST_ROW.to_owned(), self.first_row(&groups).to_string()));
        let (rows, created_by) = (rows.cast_signed(), file.created_by().map(ToOwned::to_owned));
        let (schema, orders) = (file.schema_descr_ptr(), file.column_orders().cloned());
        let file = FileMetaData::new(file.version(), rows, created_by, Some(reported), schema, orders);
        let footer = Arc::new(ParquetMetaDataBuilder::new(file).set_row_groups(groups).build());
        self.stated = stated;
        self.footer = Some(Arc::clone(&footer));
        self.check_stored(&footer)?;
        Ok(footer)
    }

    /// Counts the declared columns that are read and the file lacks.
    fn count_columns(&self, footer: &ParquetMetaData) -> Result<()> {
        let Export { table, schema, read, presence, .. } = self.export.as_ref();
        let of_file = arrow_schema(footer.file_metadata(), Some(schema))?;
        let declared = schema.fields().iter().filter(|field| read.contains(field.name())).cloned().collect();
        let (absent, unknown) = lacked(&declared, &NameTree::of_fields(of_file.fields()))
            .map_err(|other| ParquetError::External(Box::new(other.into_error(table.to_string(), self.uri()))))?;
        presence.add_file(absent.iter().map(String::as_str), unknown.iter().map(String::as_str));
        Ok(())
    }

    /// Rows before the first row group that is read: of a part of a file, those are read that begin in it.
    fn first_row(&self, groups: &[RowGroupMetaData]) -> i64 {
        let Some(range) = &self.file.range else { return 0 };
        let begins_in = |group: &&RowGroupMetaData| {
            let start = group.columns().first().map(|column| column.byte_range().0.cast_signed());
            !start.is_some_and(|start| range.contains(start))
        };
        groups.iter().take_while(begins_in).map(RowGroupMetaData::num_rows).sum()
    }

    /// What has to be read, and handed to [`Self::check`], although the engine asks for nothing: a chunk of each row
    /// group of a file that has none of the columns.
    pub(crate) fn unasked(&self) -> Vec<Range<u64>> {
        let Some(footer) = &self.footer else { return Vec::new() };
        let columns = footer.file_metadata().schema_descr();
        let is_read = |name: &str| self.export.read.contains(name);
        if columns.root_schema().get_fields().iter().any(|field| is_read(field.name())) {
            return Vec::new();
        }
        let smallest = footer.row_groups().iter().filter_map(|group| {
            let chunks =
                group.columns().iter().map(|column| (column.column_descr().max_rep_level(), column.byte_range()));
            let (_, (start, length)) = chunks.min_by_key(|(repetition, (_, length))| (*repetition > 0, *length))?;
            Some(start..start + length)
        });
        smallest.collect()
    }

    /// Looks at chunks of one row group, as they were fetched, and gives them to be decoded.
    ///
    /// # Errors
    /// [`Error::Contradiction`], [`Error::InvalidValue`]; those of the Parquet reader.
    pub(crate) fn check(&mut self, ranges: &[Range<u64>], mut fetched: Vec<Bytes>) -> Result<Vec<Bytes>> {
        let Some(footer) = self.footer.clone() else { return Ok(fetched) };
        let Some((number, columns)) = find(footer.row_groups(), ranges, self.next) else { return Ok(fetched) };
        self.next = number + 1;
        let group = footer.row_group(number);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let in_group = |what: String| self.contradiction(format!("in row group {}, {what}", number + 1));
        let is_compressed = footer.file_metadata().created_by().is_some_and(claims::compresses_all_pages);
        let (mut has_rows, mut unpacked) = (false, 0);
        for (bytes, &column) in fetched.iter_mut().zip(&columns) {
            let stated = self.stated.as_ref().and_then(|stated| stated.get(number)?.get(column));
            let stated = stated.map_or(bytes.len(), |stated| usize::try_from(*stated).unwrap_or(usize::MAX));
            let pages = Pages { column: group.column(column), rows, bytes, stated, is_compressed };
            let counted = pages.count().map_err(in_group)?;
            has_rows |= counted.has_rows;
            if let Some(bounds) = &self.export.bounds
                && let Some(large) = bounds.check(&pages, &counted, &mut unpacked)?
            {
                let column = group.column(column).column_path().parts().join(".");
                return Err(self.too_large(number, column, &large));
            }
            if let Some(mended) = counted.mended {
                *bytes = mended;
            }
            if group.column(column).column_type() == PhysicalType::INT96 {
                self.check_int96(
                    number,
                    column,
                    &Pages { column: group.column(column), rows, bytes, stated, is_compressed },
                )?;
            }
        }
        if !has_rows && let Some((bytes, &column)) = fetched.iter().zip(&columns).min_by_key(|(bytes, _)| bytes.len()) {
            let pages = Pages { column: group.column(column), rows, bytes, stated: bytes.len(), is_compressed };
            pages.count_rows()?.map_err(in_group)?;
        }
        Ok(fetched)
    }

    fn check_int96(&self, group: usize, column: usize, pages: &Pages<'_>) -> Result<()> {
        let nanoseconds = self.nanoseconds.get(column).copied().unwrap_or(false);
        let Some(changed) = changed_int96(pages, nanoseconds)? else { return Ok(()) };
        let before = self.rows_before(group);
        let unit = if nanoseconds { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        let value = InvalidValue {
            row: before + changed.row + 1,
            column: pages.column.column_path().parts().join("."),
            value: changed.value,
            data_type: type_name(&DataType::Timestamp(unit, None)),
            reason: Some(changed.reason),
        };
        let (table, uri) = (self.export.table.to_string(), self.uri());
        Err(ParquetError::External(Box::new(Error::InvalidValue { table, uri, value: Box::new(value) })))
    }
}

/// The row group that these chunks belong to, probably the expected one, and their columns.
fn find(groups: &[RowGroupMetaData], ranges: &[Range<u64>], expected: usize) -> Option<(usize, Vec<usize>)> {
    if ranges.is_empty() {
        return None;
    }
    let order = (expected..groups.len()).chain(0..expected.min(groups.len()));
    order.into_iter().find_map(|number| Some((number, columns_of(&groups[number], ranges)?)))
}

fn columns_of(group: &RowGroupMetaData, ranges: &[Range<u64>]) -> Option<Vec<usize>> {
    let mut columns = group.columns().iter().enumerate();
    let mut found = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (index, _) = columns.find(|(_, column)| {
            let (start, length) = column.byte_range();
            (start..start + length) == *range
        })?;
        found.push(index);
    }
    Some(found)
}
