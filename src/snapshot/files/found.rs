//! What is met below a LOCATION besides the files that are read: names that say nothing, what may hold rows or not, and
//! what there is at all, for messages. Pure.

use std::collections::BTreeMap;

use glob::Pattern;

use super::cover::{ending, is_hidden};
use super::outputs::Outputs;
use crate::config::Exclude;
use crate::layout::below;
use crate::manifest::FileEntry;

/// Kinds of endings that an error lists when no file is read.
const ENDINGS: usize = 20;

/// Files that may hold rows or not.
#[derive(Debug)]
pub(crate) struct Doubtful {
    pub(crate) uri: String,
    pub(crate) reason: String,
    pub(crate) more: u64,
}

impl Doubtful {
    /// Adds a file; the first by name is the example.
    pub(crate) fn add(all: &mut Option<Self>, uri: &str, reason: &str) {
        match all {
            None => *all = Some(Self { uri: uri.to_owned(), reason: reason.to_owned(), more: 0 }),
            Some(first) => {
                first.more += 1;
                if uri < first.uri.as_str() {
                    uri.clone_into(&mut first.uri);
                    reason.clone_into(&mut first.reason);
                }
            }
        }
    }

    /// A glob that means files of this kind, or this one where others of its ending are read; as an option takes it.
    pub(crate) fn glob(uri: &str, read: &[FileEntry]) -> String {
        let name = uri.rsplit('/').next().unwrap_or_default();
        let of_ending = name.rfind('.').map(|dot| &name[dot..]).filter(|ending| ending.len() > 1);
        let glob = match of_ending {
            Some(ending) if !read.iter().any(|file| file.uri.ends_with(ending)) => {
                format!("*{}", Pattern::escape(ending))
            }
            _ => Pattern::escape(name),
        };
        glob.replace(',', "?").replace('\'', "''")
    }
}

/// What was met below one folder besides what is read.
#[derive(Debug, Default)]
pub(crate) struct FoundBelow {
    /// Files whose names say nothing.
    pub(crate) unknown: Vec<FileEntry>,
    pub(crate) doubtful: Option<Doubtful>,
    /// What shows that folders are the output of a run.
    pub(crate) outputs: Outputs,
    pub(crate) finished: bool,
    pub(crate) empty: u64,
    /// The last empty file, path and uri: a store may list the mark of a folder before what is in it.
    pub(crate) last_empty: Option<(String, String)>,
    files: u64,
    hidden: u64,
    endings: BTreeMap<String, u64>,
}

impl FoundBelow {
    pub(crate) fn note(&mut self, path: &str) {
        self.files += 1;
        if path.split('/').any(is_hidden) {
            self.hidden += 1;
            return;
        }
        let ending = ending(path);
        if self.endings.len() < ENDINGS || self.endings.contains_key(&ending) {
            *self.endings.entry(ending).or_default() += 1;
        }
    }

    /// `16 files *.csv.gz and 1 hidden file are there`.
    pub(crate) fn there(&self) -> String {
        let mut endings: Vec<_> = self.endings.iter().collect();
        endings.sort_by_key(|(_, files)| std::cmp::Reverse(**files));
        let files = |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        let reported = endings.iter().take(5).map(|(ending, count)| match ending.as_str() {
            "" => format!("{} without an ending", files(**count)),
            ending => format!("{} *{ending}", files(**count)),
        });
        let mut reported: Vec<String> = reported.collect();
        let hidden =
            if self.hidden == 1 { "1 hidden file".to_owned() } else { format!("{} hidden files", self.hidden) };
        reported.extend((self.hidden > 0).then_some(hidden));
        let verb = if self.files == 1 { "is" } else { "are" };
        match reported.pop() {
            None => "nothing is there; check the path".to_owned(),
            Some(last) if reported.is_empty() => format!("{last} {verb} there"),
            Some(last) => format!("{} and {last} are there", reported.join(", ")),
        }
    }
}

/// Whether files of a folder below a LOCATION are meant: a glob means only what it matches, and what is excluded is not
/// meant at all.
#[derive(Debug)]
pub(crate) struct MeantBelow<'a> {
    exclude: &'a Exclude,
    /// Paths that a glob matches, in order.
    matched: Option<Vec<&'a str>>,
}

impl<'a> MeantBelow<'a> {
    pub(crate) fn new(exclude: &'a Exclude, mut matched: Option<Vec<&'a str>>) -> Self {
        matched.iter_mut().for_each(|paths| paths.sort_unstable());
        Self { exclude, matched }
    }

    /// Whether a glob says which files are meant.
    pub(crate) fn is_of_glob(&self) -> bool {
        self.matched.is_some()
    }

    /// Whether `path`, of a file or folder, is or holds something that is meant.
    pub(crate) fn has(&self, path: &str) -> bool {
        // As of a file in it, too, so that globs of folders are seen.
        if self.exclude.has(path) || self.exclude.has(&below(path, "any")) {
            return false;
        }
        let Some(matched) = &self.matched else { return true };
        let folder = below(path, "");
        let first = |start: &str| matched.get(matched.partition_point(|found| *found < start));
        first(path).is_some_and(|found| *found == path)
            || first(&folder).is_some_and(|found| found.starts_with(&folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_means_what_it_matches_and_a_folder_all_but_what_is_excluded() {
        let none = Exclude::default();
        let glob = MeantBelow::new(&none, Some(vec!["b/x.csv", "a.csv", "b-1/y.csv"]));
        let has = |path| glob.has(path);
        assert_eq!(["", "a.csv", "b", "b-1", "b/x", "c", "a"].map(has), [true, true, true, true, false, false, false]);
        assert!(!MeantBelow::new(&none, Some(vec![])).has(""));
        assert!(MeantBelow::new(&none, None).has("a"));
    }
}
