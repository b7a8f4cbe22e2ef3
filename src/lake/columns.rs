//! Where a lake table's columns are stored: in its files, or in their paths.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use crate::config::LakeTable;
use crate::error::{Error, Result};

/// The lake table's columns by where they are stored.
#[derive(Debug, Clone)]
pub struct LakeColumns {
    /// In the files, in the order of the SELECT.
    pub file: SchemaRef,
    /// In the path, in the order of `partitioned_by`.
    pub partition: Vec<Arc<Field>>,
}

impl LakeColumns {
    /// Splits the columns of the SELECT.
    ///
    /// # Errors
    /// [`Error::Engine`] when a partition column is not among them.
    pub(crate) fn new(output: &Schema, lake: &LakeTable) -> Result<Self> {
        let is_partition = |field: &Field| lake.partitioned_by.iter().any(|(name, _)| name == field.name());
        let file: Vec<_> = output.fields().iter().filter(|field| !is_partition(field)).cloned().collect();
        let partition = lake
            .partitioned_by
            .iter()
            .map(|(name, _)| output.field_with_name(name).cloned().map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Engine(error.into()))?;
        Ok(Self { file: Arc::new(Schema::new(file)), partition })
    }

    /// Columns of the staging files that hold several partitions: all, those of the path last.
    pub(crate) fn bundled(&self) -> SchemaRef {
        Arc::new(Schema::new(self.file.fields().iter().chain(&self.partition).cloned().collect::<Vec<_>>()))
    }
}
