//! What the fuzz targets of `tests/fuzz` call and the crate does not show: nothing here is part of the program.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::metrics::Count;
use futures::StreamExt;
use object_store::ObjectStore;

use crate::config::{Compression, ExportKind, FileFormat, SnapshotTable};
use crate::error::{Error, Result};
use crate::layout::split::split_of;
use crate::layout::{FilePartition, Location};
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::exports::{ExportPlace, Trouble, all_tables};
use crate::snapshot::ipc::ahead::dictionaries;
use crate::snapshot::scan::decode::{FileDecoder, Pace, target};
use crate::snapshot::scan::infer::infer;
use crate::snapshot::split::Split;
use crate::snapshot::text::bytes::{Chunks, Origin, Request};
use crate::snapshot::{FileListTable, ScanSize, TableFiles, register};

/// Reads all rows of a snapshot table as a stage task does, and says how many there are.
///
/// # Errors
/// Those of stores and decoders.
pub async fn read(engine: &Engine, table: &TableFiles) -> Result<u64> {
    let session = engine.task_session(&table.files).await?;
    register(&session, "snapshot", &table.name, FileListTable::of_export(table.clone(), ScanSize::Driving))?;
    let name = TableReference::partial("snapshot", table.name.as_str());
    let mut batches = session.table(name).await?.execute_stream().await?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

/// Decodes one file of a snapshot table without an engine, in pieces of so many bytes, and says how many rows it has.
///
/// # Errors
/// Those of decoders.
///
/// # Panics
/// When a batch is not what its schema says: then a decoder has let damage through.
pub async fn decode(store: &Arc<dyn ObjectStore>, table: &SnapshotTable, size: u64, piece: usize) -> Result<u64> {
    let Some((location, _)) = table.locations.first() else { return Ok(0) };
    let uri = location.uri();
    let schema = match &table.declared {
        Some(schema) => Arc::clone(schema),
        None => Arc::new(infer(Arc::clone(store), &location.key()?, &uri, "t", &table.format).await?.schema),
    };
    let file = FileEntry { uri: uri.into(), etag: "".into(), size, n_record: None, partition: FilePartition::None };
    rows(store, &table.format, schema, &[file], piece).await
}

/// Reads the catalogue of an export, and all rows of all its tables.
///
/// # Errors
/// Those of catalogues and decoders, as text.
///
/// # Panics
/// As [`decode`].
pub async fn export(kind: &str, store: &Arc<dyn ObjectStore>, location: &str, piece: usize) -> Result<u64, String> {
    let text = |error: Error| error.to_string();
    let kind = ExportKind::parse(kind).ok_or_else(|| format!("no export is {kind}"))?;
    let location = Location::parse(location, "/".as_ref()).map_err(text)?;
    let place = ExportPlace { store: Arc::clone(store), location };
    let tables = all_tables(kind, &place).await.map_err(|trouble| match trouble {
        Trouble::Fault(fault) => fault.to_string(),
        Trouble::Other(error) => error.to_string(),
    })?;
    let mut all = 0;
    for table in tables.iter().filter(|table| table.unreadable.is_none()) {
        let Some(schema) = &table.schema else { continue };
        // A table that cannot be read does not keep others from being read.
        match rows(store, &table.format, Arc::clone(schema), &table.files, piece).await {
            Ok(rows) => all += rows,
            Err(error) => drop(error.to_string()),
        }
    }
    Ok(all)
}

async fn rows(
    store: &Arc<dyn ObjectStore>,
    format: &FileFormat,
    schema: SchemaRef,
    files: &[FileEntry],
    piece: usize,
) -> Result<u64> {
    let target = Arc::new(target(format.clone(), schema, None)?);
    let mut all = 0;
    for file in files {
        let (uri, split) = match split_of(&file.uri) {
            None => (&*file.uri, None),
            Some(_) => {
                let unknown = || DataFusionError::Internal(format!("{} is not understood", file.uri));
                Split::of(&file.uri).map(|(uri, split)| (uri, Some(split))).ok_or_else(unknown)?
            }
        };
        let location = Location::from_uri(uri)?.key()?;
        let origin = Origin { table: "t".into(), uri: uri.into() };
        let request = Request {
            location: &location,
            e_tag: None,
            size: Some(file.size),
            compression: format.text().map_or(Some(Compression::None), |text| text.compression),
            split: split.as_ref(),
            charset: format.text().and_then(|text| text.charset.as_deref()),
            is_raw: !format.is_text(),
        };
        let mut chunks = Chunks::open(store.as_ref(), request, origin.clone(), Count::new()).await?;
        let unreadable = |error| origin.unreadable(error);
        let mut decoder = FileDecoder::new(Arc::clone(&target), Pace::new(7)).map_err(unreadable)?;
        if matches!(format, FileFormat::Arrow) {
            let ahead = dictionaries(store.as_ref(), &location, file.size).await;
            decoder.take_ahead(ahead.map_err(|source| origin.unavailable(source))?);
        }
        while let Some(mut chunk) = chunks.next().await? {
            while !chunk.is_empty() {
                let mut part: Bytes = chunk.split_to(piece.clamp(1, chunk.len()));
                while let Some(batch) = decoder.push(&mut part).map_err(unreadable)? {
                    all += checked(&batch);
                }
            }
        }
        while let Some(batch) = decoder.finish().map_err(unreadable)? {
            all += checked(&batch);
        }
    }
    Ok(all)
}

/// The rows of a batch that is whole.
fn checked(batch: &RecordBatch) -> u64 {
    for column in batch.columns() {
        // What is not whole is what the fuzzer looks for.
        column.to_data().validate_full().expect("a decoder gives whole arrays");
    }
    batch.num_rows() as u64
}
