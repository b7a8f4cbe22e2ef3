//! Reads manifests of an Iceberg table: which files a snapshot has. Pure.

use std::io::Cursor;

use arrow_avro::reader::ReaderBuilder;
use bytes::Bytes;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};

use crate::manifest::LakeContent;

/// Status of a file that is no longer in the snapshot.
const DELETED: i32 = 2;

/// The manifests that a manifest list names.
///
/// # Errors
/// Why it cannot be read, in words.
pub(super) fn manifests(list: Bytes) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    each_batch(list, |batch| {
        let paths = batch.column_by_name("manifest_path").ok_or("it names no manifest")?;
        let paths = cast(paths, &DataType::Utf8).map_err(|error| error.to_string())?;
        found.extend(paths.as_string::<i32>().iter().flatten().map(str::to_owned));
        Ok(())
    })?;
    Ok(found)
}

/// Adds the files of a manifest that are in the snapshot, by their whole paths.
///
/// # Errors
/// Why it cannot be read, in words.
pub(super) fn add_files(manifest: Bytes, content: &mut LakeContent) -> Result<(), String> {
    each_batch(manifest, |batch| {
        let of = |batch: &RecordBatch, name: &str, of: &DataType| {
            let column = batch.column_by_name(name).ok_or_else(|| format!("it has no {name}"))?;
            cast(column, of).map_err(|error| error.to_string())
        };
        let files = batch.column_by_name("data_file").ok_or("it has no data_file")?;
        let files = RecordBatch::from(files.as_struct_opt().ok_or("data_file is no record")?);
        let status = of(batch, "status", &DataType::Int32)?;
        let (paths, sizes) =
            (of(&files, "file_path", &DataType::Utf8)?, of(&files, "file_size_in_bytes", &DataType::Int64)?);
        let (status, sizes) = (status.as_primitive::<Int32Type>(), sizes.as_primitive::<Int64Type>());
        for (row, path) in paths.as_string::<i32>().iter().enumerate() {
            if status.value(row) != DELETED {
                content.add(path.unwrap_or_default(), u64::try_from(sizes.value(row)).unwrap_or_default());
            }
        }
        Ok(())
    })
}

fn each_batch(file: Bytes, mut each: impl FnMut(&RecordBatch) -> Result<(), String>) -> Result<(), String> {
    let reader = ReaderBuilder::new().build(Cursor::new(file)).map_err(|error| error.to_string())?;
    for batch in reader {
        each(&batch.map_err(|error| error.to_string())?)?;
    }
    Ok(())
}
