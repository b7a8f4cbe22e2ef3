//! The tables of one folder: what its groups of files are, which of them are one table, and what each table is like.
//!
//! Groups are one table if their files have the same form and columns, and their names or the number of columns say so;
//! two lists of codes and names stay two tables. A group that is none is refused with a reason, and the others go on.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::Schema;

use super::dialect::MARKER_REGEX;
use super::draft::draft;
use super::form::{parquet, text, view};
use super::found_table::FoundTable;
pub(crate) use super::part::{Data, KnownFolder, SampledGroup};
use super::program::{as_others, has_field};
use super::typed::typed;
use crate::config::CsvOptions;
use crate::error::Result;
use crate::init::survey::read::Read;
use crate::init::survey::sample::{SampleSource, Sampled, SampledText, sample};
use crate::init::survey::tally::{Group, Key};
use crate::layout::below;
use crate::session::Engine;
use crate::snapshot::SchemaMerger;

/// Columns from which on equal ones are no accident.
const SAME_COLUMNS: usize = 4;

/// A table without its place and names.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) keys: Vec<Key>,
    pub(crate) group: Group,
    pub(crate) found: FoundTable,
}

/// A group that is no table.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) folder: String,
    pub(crate) reason: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) example: String,
    pub(crate) may_have_rows: bool,
}

/// Tables found in a folder.
#[derive(Debug, Default)]
pub(crate) struct FolderTables {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) read: Read,
}

/// Looks into the files of a folder's groups; reads about `budget` bytes of them.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn look_into(
    source: &SampleSource,
    engine: &Engine,
    groups: Vec<(Key, Group)>,
    known: &KnownFolder,
    budget: u64,
) -> Result<FolderTables> {
    let mut looked = FolderTables::default();
    let mut parts: Vec<SampledGroup> = Vec::new();
    let share = budget / groups.len().max(1) as u64;
    for (key, group) in groups {
        if group.files == 0 {
            let empty = Refused { may_have_rows: false, ..refused(&group, &key, "files of no bytes".to_owned()) };
            looked.refused.push(empty);
            continue;
        }
        let sampled = sample(source, &group, share).await?;
        looked.read.add(sampled.read);
        if let Sampled::Text { texts, .. } = &sampled.what
            && texts.iter().all(|text| !text.is_cut && text.bytes.iter().all(u8::is_ascii_whitespace))
        {
            let empty = Refused { may_have_rows: false, ..refused(&group, &key, "files without a line".to_owned()) };
            looked.refused.push(empty);
            continue;
        }
        let data = match sampled.what {
            Sampled::Unusable(reason) => Err(reason),
            Sampled::Parquet(files) => parquet(files),
            Sampled::Typed(files, format) => typed(source, files, format).await?,
            Sampled::Text { texts, compression } => text(texts, compression, &key, known),
        };
        match data {
            Err(reason) => looked.refused.push(refused(&group, &key, reason)),
            Ok((data, columns)) => {
                let (read, is_whole) = (sampled.read, sampled.is_whole);
                let part = SampledGroup { keys: vec![key], group, data, columns, read, is_whole };
                match parts.iter_mut().find(|other| other.is_same_table(&part)) {
                    Some(other) => other.merge(part),
                    None => parts.push(part),
                }
            }
        }
    }
    share_dialect(&mut parts);
    for part in parts {
        let (keys, group) = (part.keys.clone(), part.group.clone());
        match draft(engine, part, known, budget, &mut looked.read).await? {
            Ok(found) => looked.drafts.push(Draft { keys, group, found }),
            Err(reason) => looked.refused.push(refused(&group, &keys[0], reason)),
        }
    }
    Ok(looked)
}

/// Files of one folder whose names end alike were written by one program: what some show of NULL and escapes holds for
/// those that do not.
fn share_dialect(parts: &mut [SampledGroup]) {
    let endings = |part: &SampledGroup| part.keys.iter().map(|key| key.ending.clone()).collect::<BTreeSet<_>>();
    let shown: Vec<(BTreeSet<String>, CsvOptions)> = parts
        .iter()
        .filter_map(|part| match &part.data {
            Data::Csv(texts, options) if options.escape_sequences || is_marked(texts, options) => {
                Some((endings(part), options.clone()))
            }
            _ => None,
        })
        .collect();
    for part in parts {
        let own = endings(part);
        let Data::Csv(texts, options) = &mut part.data else { continue };
        let Some((_, others)) = shown.iter().find(|(endings, _)| !endings.is_disjoint(&own)) else { continue };
        if !others.escape_sequences && others.delimiter == options.delimiter {
            options.null_regex = Some(MARKER_REGEX.to_owned());
        } else if others.escape_sequences && !options.escape_sequences {
            let views: Vec<_> = texts.iter().map(view).collect();
            if let Some(written) = as_others(&views, options, others) {
                *options = written;
            }
        }
    }
}

fn is_marked(texts: &[SampledText], options: &CsvOptions) -> bool {
    has_field(&texts.iter().map(view).collect::<Vec<_>>(), options.delimiter, br"\N")
}

fn refused(group: &Group, key: &Key, reason: String) -> Refused {
    let none = || below(&key.folder, &group.prefix);
    let first = group.sample().first().map_or_else(none, |file| file.path.clone());
    let files = group.files + group.empty;
    Refused { folder: key.folder.clone(), reason, files, bytes: group.bytes, example: first, may_have_rows: true }
}

impl SampledGroup {
    /// Whether the files of both are rows of one table.
    fn is_same_table(&self, other: &Self) -> bool {
        let stems = || self.keys.iter().flat_map(|key| other.keys.iter().map(move |other| (&key.stem, &other.stem)));
        let words = |stem: &str| stem.split('_').map(str::to_owned).collect::<Vec<_>>();
        let is_one_stem = stems().any(|(a, b)| a == b);
        let are_alike = stems().any(|(a, b)| words(a)[0] == words(b)[0] || a.is_empty() || b.is_empty());
        let has_form = match (&self.data, &other.data) {
            (Data::Parquet(_, a), Data::Parquet(_, b)) => a.fields() == b.fields() || do_merge(a, b),
            (Data::Typed(_, a, one), Data::Typed(_, b, other)) => {
                one == other && (a.fields() == b.fields() || do_merge(a, b))
            }
            (Data::Csv(_, a), Data::Csv(_, b)) => a == b,
            (Data::Json(_, a), Data::Json(_, b)) => a == b,
            _ => false,
        };
        // Columns of files without a header have no names: only the names of the files say what is one table.
        if matches!(&self.data, Data::Csv(_, options) if !options.has_header) {
            return has_form && is_one_stem && self.columns.len() == other.columns.len();
        }
        let (small, large) = match self.columns.len() < other.columns.len() {
            true => (&self.columns, &other.columns),
            false => (&other.columns, &self.columns),
        };
        let shared = small.iter().filter(|name| large.contains(name)).count();
        let is_same = shared == large.len();
        let is_near = shared > 0 && shared * 2 >= small.len();
        // Folders of partitions hold one table, whatever its files are called; newer ones may have more columns.
        let is_keyed = !self.group.keys.is_empty() && self.group.keys.keys().eq(other.group.keys.keys());
        let is_part = is_keyed && shared == small.len();
        has_form && (is_part || (is_same && (are_alike || large.len() >= SAME_COLUMNS)) || (is_near && is_one_stem))
    }

    fn merge(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.group.merge(other.group);
        self.read.add(other.read);
        self.is_whole &= other.is_whole;
        match (&mut self.data, other.data) {
            (Data::Parquet(files, schema), Data::Parquet(more, other)) => {
                files.extend(more);
                let mut merger = SchemaMerger::typed("t");
                if merger.add("", schema).and_then(|()| merger.add("", &other)).is_ok() {
                    *schema = merger.finish();
                }
            }
            (Data::Typed(files, schema, _), Data::Typed(more, other, _)) => {
                files.extend(more);
                let mut merger = SchemaMerger::typed("t");
                if merger.add("", schema).and_then(|()| merger.add("", &other)).is_ok() {
                    *schema = merger.finish();
                }
            }
            (Data::Csv(texts, _), Data::Csv(more, _)) | (Data::Json(texts, _), Data::Json(more, _)) => {
                texts.extend(more);
            }
            _ => {}
        }
    }
}

fn do_merge(a: &Schema, b: &Schema) -> bool {
    let mut merger = SchemaMerger::typed("t");
    merger.add("", a).and_then(|()| merger.add("", b)).is_ok()
}
