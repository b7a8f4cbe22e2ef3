//! Where the folders of mongodump are among the files of a listing, by their names. Pure.
//!
//! ```text
//! backup/prelude.json                  from tool version 100.12 on; with --db it is in the database's folder
//! backup/shop/orders.bson              documents
//! backup/shop/orders.metadata.json     notes on the collection
//! ```
//!
//! A folder with notes and documents is that of a database. The dump is the folder above if that has a prelude;
//! otherwise only the database's own folder is certain to have nothing else in it.

use std::collections::BTreeSet;

use super::tally::{ListedFile, Tally, key_of};

/// The folders of dumps; their files are taken out of `tally`. Notes that belong to no dump are files as any other.
pub(crate) fn mongodumps(tally: &mut Tally, notes: Vec<ListedFile>) -> Vec<String> {
    let is_prelude = |file: &ListedFile| file.path.rsplit('/').next().is_some_and(|name| name.starts_with("prelude."));
    let preludes: BTreeSet<String> = notes.iter().filter(|file| is_prelude(file)).map(folder).collect();
    let mut dumps = BTreeSet::new();
    let mut databases = BTreeSet::new();
    for file in notes.iter().filter(|file| !is_prelude(file)) {
        // Groups have the folder less what only counts.
        let database = key_of(&file.path).folder;
        let is_documents = |ending: &str| ending == ".bson" || ending == ".bson.gz";
        if !tally.groups.keys().any(|key| key.folder == database && is_documents(&key.ending)) {
            continue;
        }
        let of_file = folder(file);
        let above = of_file.rsplit_once('/').map_or("", |(above, _)| above);
        let is_whole = !of_file.is_empty() && preludes.contains(above);
        let dump = if is_whole { above.to_owned() } else { of_file };
        databases.extend([database, dump.clone()]);
        dumps.insert(dump);
    }
    // The log of what was written meanwhile lies beside the databases.
    tally.groups.retain(|key, _| !databases.contains(&key.folder) || !is_of_dump(&key.ending));
    for file in notes {
        let is_in = |dump: &String| {
            dump.is_empty() || file.path.strip_prefix(dump.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if dumps.iter().any(is_in) {
            tally.ignore("metadata of an export", &file.path, file.size);
        } else {
            tally.add_data(file);
        }
    }
    dumps.into_iter().collect()
}

fn is_of_dump(ending: &str) -> bool {
    [".bson", ".bson.gz", ".metadata.json", ".json", ".json.gz"].contains(&ending)
}

fn folder(file: &ListedFile) -> String {
    file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn dumps(paths: &[&str]) -> (Vec<String>, usize) {
        let mut tally = Tally::default();
        for path in paths {
            let file = ListedFile { path: (*path).to_owned(), size: 9, etag: String::new() };
            tally.add(file, DateTime::UNIX_EPOCH);
        }
        let notes = std::mem::take(&mut tally.dumps);
        (mongodumps(&mut tally, notes), tally.groups.len())
    }

    #[test]
    fn a_dump_is_the_folder_with_the_prelude_or_that_of_a_database() {
        let whole = ["b/prelude.json", "b/shop/o.bson", "b/shop/o.metadata.json", "b/oplog.bson", "x/a.csv"];
        assert_eq!(dumps(&whole), (vec!["b".to_owned()], 1));
        assert_eq!(dumps(&["prelude.json", "shop/o.bson.gz", "shop/o.metadata.json.gz"]), (vec![String::new()], 0));
        assert_eq!(dumps(&["b/shop/o.bson", "b/shop/o.metadata.json"]), (vec!["b/shop".to_owned()], 0));
        assert_eq!(dumps(&["shop/prelude.json", "shop/o.bson", "shop/o.metadata.json"]), (vec!["shop".to_owned()], 0));
    }

    #[test]
    fn notes_without_documents_are_files_as_any_other() {
        assert_eq!(dumps(&["a/o.metadata.json", "a/prelude.json"]).0, Vec::<String>::new());
        assert_eq!(dumps(&["a/o.metadata.json", "b/o.bson"]).0, Vec::<String>::new());
        assert_eq!(dumps(&["b/o.bson"]).1, 1);
    }
}
