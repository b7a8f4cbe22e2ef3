//! What a plan says in its manifest, and the hashes that tell one plan from another.

use std::io::Cursor;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::arrow::ipc::reader::{FileReaderBuilder, StreamReader};
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::logical_expr::LogicalPlan;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::select::freeze;
use crate::config::FileFormat;
use crate::error::{Error, Result};
use crate::lake_type::depth;
use crate::manifest::FileEntry;
use crate::snapshot::{Coverage, TableFiles};

/// What the snapshot manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDetails {
    /// Hash of all that follows and of the files: what tasks of this plan say that they belong to.
    pub id: String,
    /// Hash of what decides the rows of the lake and their order: unlike `id` the same for the same snapshot and config,
    /// whoever planned it.
    pub result: String,
    /// Most bytes of a sorted run, in memory.
    pub run_bytes: u64,
    /// Bundles that small partitions fall into (`crate::bundle`); 0 if each has files to itself, as in plans of earlier versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bundles: u32,
    /// Database, schema and table.
    pub database: String,
    /// Schema in the path.
    pub schema: String,
    /// Lake table.
    pub table: String,
    /// Time of the snapshot.
    pub snapshot_time: String,
    /// When this was planned: what `now()` is in the SELECT, for every task and retry.
    pub planned_at: String,
    /// The SELECT, printed, with the helper views that it reads.
    pub select: String,
    /// `partitioned_by` and `sorted_by`.
    pub ordering: String,
    /// Bytes per group, or `all`.
    pub file_group_size: String,
    /// Number of file groups.
    pub groups: usize,
    /// Which way of packing files into groups made them: see [`PACKING`].
    #[serde(default)]
    pub packing: u32,
    /// Columns of the lake table with their types, for people.
    pub columns: Vec<(String, String)>,
    /// Columns of the lake table, exactly.
    pub output_schema: SchemaText,
    /// Columns that have nanoseconds because snapshot files have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nanoseconds: Vec<String>,
    /// Snapshot table whose files the groups hold.
    pub driving: Source,
    /// Snapshot tables that every task reads whole, with their files.
    pub whole: Vec<(Source, Vec<FileEntry>)>,
}

/// Number of the way in which [`Groups`](crate::staging::groups::Groups) packs files. A plan's groups are packed again by
/// whoever works on it, so a change of that way is a new number: files must not be staged twice, nor be left out.
pub const PACKING: u32 = 2;

/// A snapshot table as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Bare name.
    pub table: String,
    /// How files are decoded.
    pub format: FileFormat,
    /// Merged or declared schema.
    pub schema: SchemaText,
    /// Columns of folders, which follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<SchemaText>,
    /// What the config said: locations and declared columns.
    pub declared: String,
    /// The files that are left out, and the columns that some files lack.
    #[serde(default)]
    pub coverage: Coverage,
}

impl Source {
    /// Columns of files and folders.
    ///
    /// # Errors
    /// As [`SchemaText::decode`].
    pub(crate) fn columns(&self) -> Result<Vec<FieldRef>> {
        let of_folders = self.partition.as_ref().map(SchemaText::decode).transpose()?;
        let of_folders = of_folders.iter().flat_map(|schema| schema.fields().iter());
        Ok(self.schema.decode()?.fields().iter().chain(of_folders).cloned().collect())
    }

    /// The table over some of its files.
    ///
    /// # Errors
    /// As [`SchemaText::decode`].
    pub(crate) fn table_files(&self, files: &[FileEntry]) -> Result<TableFiles> {
        let (name, format) = (self.table.clone(), self.format.clone());
        let partition = self.partition.as_ref().map(SchemaText::decode).transpose()?;
        let partition = partition.map_or_else(Vec::new, |schema| schema.fields().to_vec());
        Ok(TableFiles { name, format, schema: self.schema.decode()?, partition, files: files.to_vec() })
    }
}

/// An Arrow schema as base64 of an IPC stream without batches; of an IPC file where types are nested so deeply that
/// only the reader of files can be told to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaText(String);

/// Levels that the reader of streams follows for certain; it stops at 61.
const STREAM_DEPTH: usize = 50;

/// What that of files is to follow: types have at most 128 levels, JSON's limit, each of which is two or three tables.
const FILE_DEPTH: usize = 2048;

/// How IPC files begin.
const FILE_MAGIC: &[u8] = b"ARROW1";

impl SchemaText {
    pub(super) fn encode(schema: &Schema) -> Result<Self> {
        let mut bytes = Vec::new();
        let deep = schema.fields().iter().any(|field| depth(field.data_type()) > STREAM_DEPTH);
        let written = if deep {
            FileWriter::try_new(&mut bytes, schema).and_then(|mut writer| writer.finish())
        } else {
            StreamWriter::try_new(&mut bytes, schema).and_then(|mut writer| writer.finish())
        };
        written.map_err(|error| Error::Engine(error.into()))?;
        Ok(Self(BASE64_STANDARD.encode(bytes)))
    }

    /// The schema.
    ///
    /// # Errors
    /// [`Error::Manifest`] when the text is not such a schema.
    pub fn decode(&self) -> Result<SchemaRef> {
        let wrong = |reason: String| Error::Manifest { uri: "details.schema".to_owned(), reason };
        let bytes = BASE64_STANDARD.decode(&self.0).map_err(|error| wrong(error.to_string()))?;
        let read = if bytes.starts_with(FILE_MAGIC) {
            let reader = FileReaderBuilder::new().with_max_footer_fb_depth(FILE_DEPTH).build(Cursor::new(bytes));
            reader.map(|reader| reader.schema())
        } else {
            StreamReader::try_new(Cursor::new(bytes), None).map(|reader| reader.schema())
        };
        read.map_err(|error| wrong(error.to_string()))
    }
}

/// What a snapshot file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupDetails {
    /// Lake table.
    pub table: String,
    /// Number of this group, from 1.
    pub group: usize,
    /// [`PlanDetails::id`] of the plan that it is a part of.
    pub plan: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(super) fn result_id(details: &PlanDetails, files: &str, select: LogicalPlan) -> Result<String> {
    // What was planned when makes a difference only where the SELECT says now().
    let fixed = |at: &str| Ok::<_, Error>(freeze(select.clone(), at)?.display_indent().to_string());
    let says_now = fixed("2000-01-01T00:00:00Z")? != fixed("2001-02-03T04:05:06Z")?;
    let planned_at = if says_now { details.planned_at.clone() } else { String::new() };
    let mut alike = PlanDetails { run_bytes: 0, bundles: 0, planned_at, ..details.clone() };
    // What is left out makes no row.
    for source in std::iter::once(&mut alike.driving).chain(alike.whole.iter_mut().map(|(source, _)| source)) {
        source.coverage = Coverage::default();
    }
    plan_id(&alike, files)
}

pub(super) fn plan_id(details: &PlanDetails, files: &str) -> Result<String> {
    let text = serde_json::to_vec(details)
        .map_err(|source| Error::DecodeManifest { uri: "details".to_owned(), source: source.into() })?;
    let hash = Md5::new().chain_update(files).chain_update(text).finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn schemas_of_any_depth_are_read_back() {
        for levels in [1, 49, 50, 51, 60, 61, 128, 256] {
            let lists = (1..levels).fold(DataType::Int64, |of, _| DataType::new_list(of, true));
            let structs =
                (1..levels).fold(DataType::Int64, |of, _| DataType::Struct(vec![Field::new("x", of, true)].into()));
            let schema = Schema::new(vec![Field::new("a", lists, true), Field::new("b", structs, true)]);
            assert_eq!(SchemaText::encode(&schema).unwrap().decode().unwrap().as_ref(), &schema, "{levels}");
        }
    }
}
