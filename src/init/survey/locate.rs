//! The LOCATION of a table: a literal that names its files and no others. Pure.
//!
//! A folder is best, since a person reads it at once; it means all files of the table's format below it. Where other
//! files are there too, a glob is made of what the names have in common, or the files are listed. Files that
//! none of these can separate from others are not a table.

use glob::Pattern;

use super::tally::{Group, Key, SAMPLE, Tally};
use crate::config::FileFormat;
use crate::init::names::split_ending;
use crate::layout::below;
use crate::snapshot::files::cover::{Meant, by_name};

/// What a folder of this format does with a file of this ending, given a name that says nothing.
fn meant(format: &FileFormat, ending: &str) -> Meant {
    by_name(format, &["x", ending].concat())
}

/// Whether a folder of this format reads files with this ending.
fn is_meant(format: &FileFormat, ending: &str) -> bool {
    meant(format, ending) == Meant::Data
}

/// Whether a folder of this format leaves files with this ending out.
fn is_left_out(format: &FileFormat, ending: &str) -> bool {
    matches!(meant(format, ending), Meant::Left(_))
}

/// Whether `other` is `folder` or below it.
fn is_below(other: &str, folder: &str) -> bool {
    folder.is_empty() || other.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The location itself, as a folder.
pub(crate) const HERE: &str = "./";

/// Whether a text would be read as a glob.
fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The literals for LOCATION, from the location on; None if no literal names these files only.
pub(crate) fn locations(tally: &Tally, keys: &[Key], group: &Group, format: &FileFormat) -> Option<Vec<String>> {
    let folder = keys[0].folder.as_str();
    let others = || tally.groups.iter().filter(|(key, _)| !keys.contains(key) && is_below(&key.folder, folder));
    let strays = || tally.strays.iter().filter(|(stray, _)| is_below(stray, folder));
    let files: Vec<String> = group.sample().iter().map(|file| file.path.clone()).collect();
    let has_all = files.len() as u64 == group.files;
    if files.first().is_some_and(String::is_empty) {
        return Some(vec![String::new()]);
    }
    let is_folder = keys.iter().all(|key| is_meant(format, &key.ending))
        && others().all(|(key, _)| is_left_out(format, &key.ending))
        && strays().all(|(_, ending)| is_left_out(format, ending));
    let is_one_at_root = has_all && files.len() == 1 && folder.is_empty();
    if is_folder && !is_one_at_root && !is_glob(folder) {
        return Some(vec![if folder.is_empty() { HERE.to_owned() } else { below(folder, "") }]);
    }
    // A folder with a star in its name would be taken for a glob: it is made one.
    if is_folder && is_glob(folder) && others().next().is_none() && strays().next().is_none() {
        return Some(vec![below(&Pattern::escape(folder), &below("**", "*"))]);
    }
    if has_all && files.len() == 1 {
        return Some(files.iter().map(|file| escaped(file)).collect());
    }
    let collides = |prefix: &str, suffix: &str, key: &Key, other: &Group| {
        let is_near = group.is_nested || key.folder == folder;
        let fits = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
        let ends = |a: &str, b: &str| a.ends_with(b) || b.ends_with(a);
        is_near && fits(prefix, &other.prefix) && ends(suffix, &other.suffix)
    };
    let (prefix, suffix) = pattern(group);
    let is_alone = others().all(|(key, other)| !collides(&prefix, &suffix, key, other))
        && strays().all(|(stray, ending)| {
            !(group.is_nested || stray == folder) || !suffix.ends_with(&**ending) && !ending.ends_with(&suffix)
        });
    if is_alone {
        let name = format!("{}*{}", Pattern::escape(&prefix), Pattern::escape(&suffix));
        let name = if group.is_nested { below("**", &name) } else { name };
        return Some(vec![below(&Pattern::escape(folder), &name)]);
    }
    (has_all && files.len() <= SAMPLE).then(|| files.iter().map(|file| escaped(file)).collect())
}

/// A path that is no glob, or a glob that means only this path.
fn escaped(path: &str) -> String {
    if is_glob(path) { Pattern::escape(path) } else { path.to_owned() }
}

/// Beginning and end that all names have, which do not overlap, and do not cut a number in two.
fn pattern(group: &Group) -> (String, String) {
    let prefix = group.prefix.trim_end_matches(|c: char| c.is_ascii_digit());
    let (_, ending) = split_ending(&group.suffix);
    let suffix = if ending.is_empty() && !group.suffix.starts_with('.') { String::new() } else { ending };
    let suffix = if group.suffix.to_lowercase().ends_with(&suffix) {
        group.suffix[group.suffix.len() - suffix.len()..].to_owned()
    } else {
        String::new()
    };
    let suffix = if suffix.is_empty() && group.suffix.starts_with('.') { group.suffix.clone() } else { suffix };
    let prefix = prefix.strip_suffix(&*suffix).filter(|_| !suffix.is_empty()).unwrap_or(prefix);
    (prefix.to_owned(), suffix)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use proptest::prelude::*;

    use super::super::tally::ListedFile;
    use super::*;
    use crate::config::{CsvOptions, JsonOptions};

    fn tally(paths: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for path in paths {
            let file = ListedFile { path: (*path).to_owned(), size: 1, etag: String::new() };
            tally.add(file, DateTime::UNIX_EPOCH);
        }
        tally
    }

    fn csv() -> FileFormat {
        FileFormat::Csv(CsvOptions::default())
    }

    /// Locations of each group on its own.
    fn each(paths: &[&str], format: &FileFormat) -> Vec<String> {
        let tally = tally(paths);
        let one = |(key, group): (&Key, &Group)| {
            locations(&tally, std::slice::from_ref(key), group, format).unwrap().join(" ")
        };
        tally.groups.iter().map(one).collect()
    }

    #[test]
    fn a_folder_of_its_own_is_the_location_else_a_glob_or_a_file() {
        assert_eq!(each(&["a/1/part-1.csv", "a/2/part-2.csv"], &csv()), ["a/"]);
        assert_eq!(each(&["a/x-1.csv", "a/x-2.csv", "a/y.csv"], &csv()), ["a/x-*.csv", "a/y.csv"]);
        assert_eq!(each(&["a/part-1.gz", "a/part-2.gz"], &csv()), ["a/part-*.gz"]);
        assert_eq!(each(&["a/part-1", "a/part-2"], &csv()), ["a/part-*"]);
        assert_eq!(each(&["[a]/1.csv", "[a]/2.csv"], &csv()), ["[[]a[]]/**/*"]);
        assert_eq!(each(&["x.csv"], &csv()), ["x.csv"]);
        assert_eq!(each(&["a/x-1.csv", "a/x-2.csv", "a/readme.txt"], &csv()), ["a/"]);
        assert_eq!(each(&["a/x-1.csv", "a/x-2.csv", "a/x.csv.bak"], &csv()), ["a/x-*.csv"]);
    }

    proptest! {
        /// Whatever files there are: those that the literals mean are exactly the group's.
        #[test]
        fn locations_mean_the_files_of_the_table_and_no_others(
            paths in prop::collection::btree_set("(|a/|a/b/|a/1/|\\[c\\]/|d/k=1/)(x|xy|part|x\\*)[-_]?[0-9]{0,2}(\\.csv|\\.CSV|\\.json|\\.csv\\.gz|)", 1..25)
        ) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let tally = tally(&paths);
            for (key, group) in &tally.groups {
                for format in [csv(), FileFormat::Json(JsonOptions::default())] {
                    let Some(found) = locations(&tally, std::slice::from_ref(key), group, &format) else { continue };
                    let meant: BTreeSet<&str> = paths.iter().copied().filter(|path| found.iter().any(|literal| means(literal, path, &format))).collect();
                    let all: BTreeSet<String> = group.sample().iter().map(|file| file.path.clone()).collect();
                    let meant: BTreeSet<String> = meant.into_iter().map(str::to_owned).collect();
                    prop_assert_eq!(&meant, &all, "{:?} for {:?}", found, key);
                }
            }
        }
    }

    /// What `snapshot::discover` takes a literal to mean.
    fn means(literal: &str, path: &str, format: &FileFormat) -> bool {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        if is_glob(literal) {
            return Pattern::new(literal).unwrap().matches_with(path, options);
        }
        if literal.ends_with('/') {
            let may_be_read = matches!(by_name(format, path), Meant::Data | Meant::Unknown);
            return (literal == HERE || path.starts_with(literal)) && may_be_read;
        }
        literal == path
    }
}
