//! What a plan says in its manifest, and the hashes that tell one plan from another.

use std::io::Cursor;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::arrow::ipc::reader::{FileReaderBuilder, StreamReader};
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::frozen::freeze;
use crate::config::digest;
use crate::config::{ColumnSet, FileFormat, Held};
use crate::error::{Error, Result};
use crate::manifest::FileEntry;
use crate::snapshot::{Coverage, TableFiles};
use crate::types::lake::depth;

/// What the snapshot manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDetails {
    /// Hash of all that follows and of the files: what tasks of this plan say that they belong to.
    pub id: String,
    /// Hash of what decides the rows of the lake and their order: unlike `id` the same for the same snapshot and
    /// config, whoever planned it.
    pub result: String,
    /// Most bytes of a sorted run, in memory.
    pub run_bytes: u64,
    /// Bundles that small partitions fall into (`crate::layout::bundle`); 0 if each has files to itself, as in plans of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bundles: u32,
    /// Database, schema and table.
    pub database: String,
    /// Schema in the path.
    pub schema: String,
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Time of the snapshot.
    pub snapshot_time: String,
    /// How its folder is named, if not by default ([`crate::layout::SnapshotFolder`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_folder: Option<String>,
    /// When this was planned: what `now()` is in the SELECT, for every task and retry.
    pub planned_at: String,
    /// The SELECT, printed, with the helper views that it reads, and with `${env:NAME}` as it is written.
    pub select: String,
    /// What the variables in `select` stood for, which is not kept; none where it has none, and in plans of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
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
    pub driving: PlannedSource,
    /// Snapshot tables that every task reads whole, with their files.
    pub whole: Vec<(PlannedSource, Vec<FileEntry>)>,
}

impl PlanDetails {
    /// Files that may have rows and are not read, without an `exclude` that asks for it, and one of them.
    pub(crate) fn left_out(&self) -> (u64, Option<String>) {
        let sources = self.whole.iter().map(|(source, _)| source).chain([&self.driving]);
        let left_out = sources.flat_map(|source| &source.coverage.left_out).filter(|left| left.reason.may_have_rows());
        left_out.fold((0, None), |(files, example), left| {
            (files + left.files, example.or_else(|| left.examples.first().cloned()))
        })
    }
}

/// Hashes of values of the environment, by which a changed one is noticed (`crate::config::digest`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Random, of this plan.
    salt: String,
    /// Rounds of the hash.
    rounds: NonZeroU32,
    /// Variables as they are written, and hashes of their values.
    values: Vec<(String, String)>,
}

impl Environment {
    /// `None` without values.
    pub(super) fn of(held: &[&Held]) -> Result<Option<Self>> {
        if held.is_empty() {
            return Ok(None);
        }
        let salt = digest::salt().ok_or_else(|| {
            Error::Engine(DataFusionError::ResourcesExhausted("the system gives no random numbers".to_owned()))
        })?;
        let rounds = digest::ROUNDS;
        let values = held.iter().map(|held| (held.variable.clone(), digest_of(held, &salt, rounds))).collect();
        Ok(Some(Self { salt, rounds, values }))
    }

    /// The first variable whose value is another one now.
    pub(super) fn changed<'a>(&self, held: &[&'a Held]) -> Option<&'a str> {
        let same = |held: &Held| {
            let digest = self.values.iter().find(|(variable, _)| *variable == held.variable).map(|(_, digest)| digest);
            digest.is_some_and(|digest| *digest == digest_of(held, &self.salt, self.rounds))
        };
        held.iter().find(|held| !same(held)).map(|held| held.variable.as_str())
    }

    /// Whether the variables are these.
    pub(super) fn is_of(&self, held: &[&Held]) -> bool {
        self.values.iter().map(|(variable, _)| variable).eq(held.iter().map(|held| &held.variable))
    }
}

fn digest_of(held: &Held, salt: &str, rounds: NonZeroU32) -> String {
    digest::slow([(held.variable.as_str(), held.value.as_str())], salt, rounds)
}

/// Number of the way in which [`Groups`](super::groups::Groups) packs files. A plan's groups are packed again by
/// whoever works on it, so a change of that way is a new number: files must not be staged twice, nor be left out.
pub const PACKING: u32 = 2;

/// A snapshot table as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedSource {
    /// Bare name.
    pub table: String,
    /// How files are decoded.
    pub format: FileFormat,
    /// Merged or declared schema.
    pub schema: SchemaText,
    /// Columns of folders, which follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<SchemaText>,
    /// Columns whose values are NULL where their type cannot hold them.
    #[serde(default, skip_serializing_if = "ColumnSet::is_none")]
    pub null_invalid: ColumnSet,
    /// What the config had: locations and declared columns.
    pub declared: String,
    /// The files that are left out, and the columns that some files lack.
    #[serde(default)]
    pub coverage: Coverage,
}

impl PlannedSource {
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
        let (schema, null_invalid) = (self.schema.decode()?, self.null_invalid.clone());
        Ok(TableFiles { name, format, schema, partition, null_invalid, files: files.to_vec() })
    }
}

/// An Arrow schema as base64 of an IPC stream without batches; of an IPC file where types are nested so deeply that
/// only the reader of files can be made to follow.
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
    /// Name of the lake table, without `lake.`.
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

/// Hash of what decides the rows. Values of the environment do, too: names of lake files come from here, and a rerun
/// with the same values has to find the same names. So they count by a hash that is as slow as that of [`Environment`],
/// salted by all the rest instead of by chance: the same again, and no easier to guess from.
pub(super) fn result_id(details: &PlanDetails, files: &str, select: LogicalPlan, held: &[&Held]) -> Result<String> {
    // What was planned when makes a difference only where the SELECT says now().
    let fixed = |at: &str| Ok::<_, Error>(freeze(select.clone(), at)?.display_indent().to_string());
    let says_now = fixed("2000-01-01T00:00:00Z")? != fixed("2001-02-03T04:05:06Z")?;
    let planned_at = if says_now { details.planned_at.clone() } else { String::new() };
    let mut alike = details.clone();
    (alike.run_bytes, alike.bundles, alike.planned_at) = (0, 0, planned_at);
    (alike.environment, alike.snapshot_folder) = (None, None);
    // What is left out makes no row.
    for source in std::iter::once(&mut alike.driving).chain(alike.whole.iter_mut().map(|(source, _)| source)) {
        source.coverage = Coverage::default();
    }
    let id = plan_id(&alike, files)?;
    if held.is_empty() {
        return Ok(id);
    }
    let values = held.iter().map(|held| (held.variable.as_str(), held.value.as_str()));
    let mut slow = digest::slow(values, &id, digest::ROUNDS);
    slow.truncate(id.len());
    Ok(slow)
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
