//! The columns of files that have a schema of their own, such as Avro, by their heads.

use std::sync::Arc;

use super::form::FormResult;
use super::part::Data;
use crate::config::FileFormat;
use crate::error::Error;
use crate::init::survey::sample::SampleSource;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::snapshot::SchemaMerger;
use crate::snapshot::scan::infer::infer;

/// Files of a format that has a schema, by the heads of these.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn typed(
    source: &SampleSource,
    files: Vec<FileEntry>,
    format: FileFormat,
) -> crate::error::Result<FormResult> {
    let mut merger = SchemaMerger::typed("t");
    for file in &files {
        let key = Location::from_uri(&file.uri)?.key()?;
        let merged = match infer(Arc::clone(&source.store), &key, &file.uri, "t", &format).await {
            Ok(found) => merger.add(&file.uri, &found.schema),
            Err(error @ Error::Store { .. }) => return Err(error),
            Err(error) => Err(error),
        };
        if let Err(error) = merged {
            return Ok(Err(error.to_string()));
        }
    }
    let schema = merger.finish();
    if schema.fields().is_empty() {
        return Ok(Err(format!("{} without columns", format.name())));
    }
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    Ok(Ok((Data::Typed(files, schema, format), columns)))
}
