//! Where a lake table's columns are stored: in its files, or in their paths.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use super::field_ids::with_ids;
use crate::config::{LakeKind, LakeTable};
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
        let (output, location) = (output.fields(), String::new());
        let fields = match lake.kind {
            LakeKind::Parquet => output.to_vec(),
            LakeKind::Iceberg => {
                with_ids(output).map_err(|fault| Error::Iceberg { table: lake.name.clone(), location, fault })?
            }
        };
        let output = Schema::new(fields);
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;

    use super::*;
    use crate::pipeline::in_memory::{Job, TABLE};

    fn schema(names: &[&str]) -> Schema {
        Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>())
    }

    fn names<'a>(fields: impl IntoIterator<Item = &'a Arc<Field>>) -> Vec<&'a str> {
        fields.into_iter().map(|field| field.name().as_str()).collect()
    }

    #[test]
    fn path_has_the_order_of_partitioned_by_and_files_that_of_the_select() {
        let job = Job::new(&TABLE.replace("ARRAY['k']", "ARRAY['v', 'k']"));
        let columns = LakeColumns::new(&schema(&["k", "b", "v", "a"]), job.lake()).unwrap();
        assert_eq!((names(columns.file.fields()), names(&columns.partition)), (vec!["b", "a"], vec!["v", "k"]));
        assert_eq!(names(columns.bundled().fields()), ["b", "a", "v", "k"]);
    }

    #[test]
    fn partition_column_that_the_select_does_not_give_is_an_error_that_names_it() {
        let error = LakeColumns::new(&schema(&["id", "v"]), Job::new(TABLE).lake()).unwrap_err();
        assert!(matches!(&error, Error::Engine(cause) if cause.to_string().contains("\"k\"")), "{error:?}");
    }
}
