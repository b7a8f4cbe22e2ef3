//! Where and how one task writes its files.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use object_store::ObjectStore;

use super::encoding::FileEncoding;
use super::roll::RollRule;
use super::upload::Upload;
use crate::error::Error;
use crate::layout::Location;
use crate::layout::partition::Values;
use crate::manifest::checksum::Checksum;

/// Called with the rows of each batch written.
pub(crate) type OnRows = Arc<dyn Fn(u64) + Send + Sync>;

/// Where and how one task writes.
#[derive(Clone)]
pub(crate) struct WriteSpec {
    /// Lake table, for errors.
    pub(crate) table: String,
    /// Store of `folder`.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Folder above the partitions.
    pub(crate) folder: Location,
    /// First part of every file name; decided by the task's input alone.
    pub(crate) file_stem: String,
    /// Columns of the input that become path segments, in path order.
    pub(crate) partition_columns: Vec<String>,
    /// Hive path that all rows belong to, when the input has no partition columns.
    pub(crate) fixed_partition: String,
    /// By Hive path, when several partitions are published together: no other may come.
    pub(crate) planned: HashMap<String, PlannedPartition>,
    /// How files of several partitions are written, when there may be some.
    pub(crate) bundled: Option<Bundled>,
    /// Columns of the files; the input may have more.
    pub(crate) file_schema: SchemaRef,
    /// Encodings, compression, row-group size, sorting columns.
    pub(crate) encoding: FileEncoding,
    /// What the number in a file name counts.
    pub(crate) numbering: Numbering,
    /// Rows of the whole input, if known; makes files of even size.
    pub(crate) total_rows: Option<u64>,
    /// Whether others read the folder while it is written.
    pub(crate) is_published: bool,
    /// Whether to write a file without rows when there are none.
    pub(crate) write_empty: bool,
    /// What adds up the values that are written, if anything does; its columns are those of the input.
    pub(crate) checksum: Option<Arc<Checksum>>,
    /// Progress.
    pub(crate) on_rows: OnRows,
}

/// A partition of which it is known beforehand what comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPartition {
    /// First part of its files' names.
    pub(crate) file_stem: String,
    pub(crate) rows: u64,
}

/// Files that hold the rows of several partitions ([`crate::layout::bundle`]).
#[derive(Debug, Clone)]
pub(crate) struct Bundled {
    /// With the partition columns.
    pub(crate) schema: SchemaRef,
    pub(crate) encoding: FileEncoding,
}

/// What the number at the end of a file name counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Runs, one file per run and partition or bundle. The input's last columns are [`RunRows`](super::RunRows).
    Runs,
    /// Files of a partition, each ended by the rule.
    Rolling(RollRule),
}

impl fmt::Debug for WriteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteSpec({} {})", self.table, self.folder)
    }
}

impl WriteSpec {
    /// Begins file `number` in a folder: the Hive path of a partition, or that of a bundle.
    ///
    /// # Errors
    /// For paths that the store cannot have.
    pub(crate) fn create(&self, folder: &str, number: u32) -> Result<(Location, Upload), Error> {
        let stem = self.planned.get(folder).map_or(&self.file_stem, |planned| &planned.file_stem);
        let name = match self.numbering {
            Numbering::Runs => format!("{stem}-{number:06}.parquet"),
            Numbering::Rolling(_) => format!("{stem}-{number:04}.parquet"),
        };
        let location = self.folder.join(folder).join(&name);
        let is_local = location.is_local();
        let mut upload = Upload::new(Arc::clone(&self.store), location.key()?, is_local);
        if is_local && self.is_published {
            upload = upload.by_way_of(location.hidden().key()?);
        }
        Ok((location, upload))
    }
}

/// Whose rows a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowsOwner {
    Partition(Values),
    /// By its number.
    Bundle(u32),
}
