//! The folders that a config itself writes to, and whether a LOCATION leads there: by links, mounts, other letters or a
//! glob. That one path begins with another is seen when the config is read; this asks the disk.
//!
//! A folder that does not exist yet is known by those above it that do. In a store nothing but a glob can lead there.
//! Not seen is a hard link to a single file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::outputs::NoSource;
use super::same_file::{FileId, file_id, local_path};
use crate::config::{Exclude, LakeTable, Project};
use crate::layout::Location;
use crate::layout::partition;

const HELP: &str = "move the snapshot's files to a folder of their own, or set snaplake.staging and snaplake.datalake \
                    (or external_location) to other folders";

/// All folders that a config writes to.
#[derive(Debug, Default)]
pub(crate) struct Own {
    places: Vec<OwnFolder>,
    /// Those that exist, by what they are.
    itself: HashMap<FileId, usize>,
    /// Folders that are or hold one of them.
    above: HashMap<FileId, usize>,
}

#[derive(Debug)]
struct OwnFolder {
    location: Location,
    /// `where this config stages lake.t`.
    what: String,
    /// Paths that files in it may have, links resolved.
    samples: Vec<Location>,
}

impl Own {
    /// The folders of all lake tables.
    pub(crate) fn of(project: &Project) -> Self {
        let mut own = Self::default();
        for lake in project.all_lakes() {
            let layout = project.layout(lake);
            own.add(lake, layout.root(), layout.staging_data(), "stages");
            own.add(lake, layout.lake(), layout.lake(), "publishes");
        }
        own
    }

    fn add(&mut self, lake: &LakeTable, location: &Location, data: &Location, verb: &str) {
        if let Some(path) = local_path(location) {
            let number = self.places.len();
            self.itself.extend(file_id(&path).map(|id| (id, number)));
            chain(&path).into_iter().for_each(|id| _ = self.above.entry(id).or_insert(number));
        }
        let data = local_path(data).map_or_else(|| data.clone(), |path| data.with_key(&key(&resolved(&path))));
        let keys = lake.partitioned_by.iter().map(|(name, _)| name.as_str());
        let folders = partition::path(keys, &vec![Some("0".to_owned()); lake.partitioned_by.len()]);
        let name = "000001-0123456789ab-0000.parquet";
        self.places.push(OwnFolder {
            location: location.clone(),
            what: format!("where this config {verb} lake.{}", lake.name),
            samples: vec![data.join(name), data.join(&folders).join(name)],
        });
    }

    /// Why a location is no source, before it is listed. A glob, given with the folder where it begins, is reported by
    /// what it could match.
    pub(crate) fn refused(
        &self,
        location: &Location,
        glob: Option<(&str, &Pattern)>,
        exclude: &Exclude,
    ) -> Option<NoSource> {
        let problem = |verb: &str, place: &OwnFolder| NoSource {
            problem: format!("{verb} {}, {}", place.location, place.what),
            help: HELP,
        };
        let Some((base, pattern)) = glob else {
            let path = local_path(location)?;
            let covered = file_id(&path).and_then(|id| self.above.get(&id));
            return match covered {
                Some(place) => Some(problem("is or holds", &self.places[*place])),
                None => self.inside(&path).map(|place| problem("lies in", &self.places[place])),
            };
        };
        // The part of the glob after the folder where its wildcards begin.
        let rest = Pattern::new(pattern.as_str()[base.len()..].trim_start_matches('/')).ok()?;
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let folder = match local_path(&location.with_key(base)) {
            Some(path) => key(&resolved(&path)),
            None => base.to_owned(),
        };
        let meets = |sample: &&Location| {
            let below = sample.raw_key().strip_prefix(folder.as_str()).map(|below| below.trim_start_matches('/'));
            sample.store() == location.store()
                && location.with_key(&folder).holds(sample)
                && below.is_some_and(|below| !exclude.has(below) && rest.matches_with(below, options))
        };
        let place = self.places.iter().find(|place| place.samples.iter().any(|sample| meets(&sample)))?;
        Some(problem("matches files in", place))
    }

    /// The place that this folder is or holds, and whether it is that itself.
    pub(crate) fn at(&self, folder: &FileId) -> Option<(usize, bool)> {
        let itself = self.itself.get(folder).map(|place| (*place, true));
        itself.or_else(|| self.above.get(folder).map(|place| (*place, false)))
    }

    /// Why `path`, below a location, is no source: it leads to the place of this number, or into one.
    pub(crate) fn refused_below(&self, path: &str, place: usize) -> NoSource {
        let OwnFolder { location, what, .. } = &self.places[place];
        NoSource { problem: format!("leads by {path} to {location}, {what}"), help: HELP }
    }

    /// The number of the place that a folder lies in, wherever it is.
    pub(crate) fn holding(&self, folder: &Location) -> Option<usize> {
        let written = || self.places.iter().position(|place| place.location.holds(folder));
        local_path(folder).and_then(|path| self.inside(&path)).or_else(written)
    }

    /// The number of the place that a file or folder lies in.
    pub(crate) fn inside(&self, path: &Path) -> Option<usize> {
        if self.itself.is_empty() {
            return None;
        }
        chain(path).iter().find_map(|id| self.itself.get(id)).copied()
    }
}

/// What a path and the folders above it are, links resolved, as far as they exist.
fn chain(path: &Path) -> Vec<FileId> {
    resolved(path).ancestors().filter_map(file_id).collect()
}

/// A path with all links resolved; what does not exist yet is added as it is.
fn resolved(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(canonical) = std::fs::canonicalize(above) {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { canonical } else { canonical.join(rest) };
        }
    }
    path.to_owned()
}

fn key(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(config: &str) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sql");
        std::fs::write(&path, config).unwrap();
        let project = crate::config::load(&path, &crate::config::Variables::default()).unwrap();
        (folder, project)
    }

    /// In a store there are no links: globs alone lead where no folder does.
    #[test]
    fn glob_over_a_store_is_refused_where_it_could_match_what_is_written() {
        let (_folder, project) = project(
            "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
             SET snaplake.staging = 's3://b/st'; SET snaplake.datalake = 's3://b/lake';
             CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 's3://b/in/';
             CREATE TABLE lake.t WITH (partitioned_by = ARRAY['k']) AS SELECT * FROM snapshot.t;",
        );
        let own = Own::of(&project);
        let reported = |uri: &str, exclude: &Exclude| {
            let location = Location::from_uri(uri).unwrap();
            let (pattern, base) = (Pattern::new(location.raw_key()).unwrap(), location.raw_key().find('*').unwrap());
            let base = location.raw_key()[..base].rsplit_once('/').map_or("", |(folder, _)| folder);
            own.refused(&location, Some((base, &pattern)), exclude).map_or_else(String::new, |found| found.problem)
        };
        let none = Exclude::default();
        assert!(reported("s3://b/**", &none).starts_with("matches files in s3://b/st/d/t/snapshot="));
        assert!(reported("s3://b/lake/**/k=*/*.parquet", &none).ends_with("where this config publishes lake.t"));
        for uri in ["s3://b/*/a.parquet", "s3://b/*.parquet", "s3://c/**", "s3://b/in/**", "s3://b/lake-2/**"] {
            assert_eq!(reported(uri, &none), "", "{uri}");
        }
    }
}
