//! Whether a LOCATION is, holds or lies in what snaplake wrote: a staging folder is no source, nor is a lake that is
//! not complete, nor two snapshots of one table at once.
//!
//! Owner files tell ([`OWNER`]). Those below a LOCATION are seen in its listing; above it one request per folder asks
//! for them, all at once. Staging folders of versions that wrote no owner files are known by their manifests. What
//! cannot be asked above a LOCATION is taken for no output: credentials may end there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::layout::store_error;
use crate::layout::{Location, OWNER, SUCCESS, completed, owned_by};

/// Folders above a LOCATION that are asked for.
const ABOVE: usize = 16;

/// What is asked at once.
const AT_ONCE: usize = 16;

const STAGING_HELP: &str = "staging files are not published: name the lake table's folder, or other files, in LOCATION; \
                            OPTIONS ('exclude' 'folder/') leaves a folder out";
const LAKE_HELP: &str = "complete it with `snaplake run` and its own config, or leave it out with \
                         OPTIONS ('exclude' 'folder/')";
const TWICE_HELP: &str = "name one of them in LOCATION, or leave the other out with OPTIONS ('exclude' 'folder/')";
const DAMAGED_HELP: &str = "if snaplake wrote this folder, name other files in LOCATION; otherwise remove the file";

/// Why something is no source, and what to do; the LOCATION is the subject of the sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoSource {
    pub(crate) problem: String,
    pub(crate) help: &'static str,
}

/// What an owner file says, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct OutputOwner {
    place: String,
    #[serde(default)]
    database: String,
    #[serde(default)]
    schema: String,
    #[serde(default)]
    table: String,
    #[serde(default)]
    snapshot: String,
}

impl OutputOwner {
    fn table(&self) -> String {
        [&self.database, &self.table].map(String::as_str).join(".")
    }
}

/// Folders of one listing that show themselves to be output, as keys.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    owned: Vec<String>,
    complete: HashSet<String>,
}

impl Outputs {
    /// Notes what the key of a listed file shows.
    pub(crate) fn note(&mut self, key: &str) {
        if let Some(folder) = owned_by(key) {
            self.owned.push(folder.to_owned());
        } else if let Some(folder) = completed(key) {
            self.complete.insert(folder.to_owned());
        }
    }

    /// What of them is no source; `is_read` says whether the files below a folder are meant at all.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`] for an owner file that cannot be read.
    pub(crate) async fn refused(
        mut self,
        store: &Arc<dyn ObjectStore>,
        location: &Location,
        is_read: impl Fn(&str) -> bool,
    ) -> Result<Option<NoSource>> {
        self.owned.retain(|folder| is_read(folder));
        self.owned.sort_unstable();
        let mut lakes: BTreeMap<(String, String, String), Location> = BTreeMap::new();
        let owners = self.owned.into_iter().map(|folder| async {
            let root = location.with_key(&folder);
            let owner = read(store, &root).await?;
            Ok::<_, Error>((folder, root, owner))
        });
        let mut owners = std::pin::pin!(futures::stream::iter(owners).buffered(AT_ONCE));
        while let Some(read) = owners.next().await {
            let (folder, root, owner) = read?;
            let owner = match owner {
                Ok(owner) => owner,
                Err(refused) => return Ok(Some(refused)),
            };
            if owner.place == "staging" {
                return Ok(Some(staging("holds", &root, Some(&owner))));
            }
            if !self.complete.contains(&folder) {
                return Ok(Some(incomplete("holds", &root, &owner)));
            }
            let table = owner.table();
            if let Some(other) = lakes.insert((owner.database, owner.schema, owner.table), root.clone()) {
                let problem =
                    format!("holds the lake of {table} twice, at {other} and {root}: rows would be read twice");
                return Ok(Some(NoSource { problem, help: TWICE_HELP }));
            }
        }
        Ok(None)
    }
}

/// What is no source of the folder that `folder` lies in, itself among them if `from_itself`; the nearest decides.
pub(crate) async fn refused_above(
    store: &Arc<dyn ObjectStore>,
    folder: &Location,
    from_itself: bool,
) -> Option<NoSource> {
    let mut folders = Vec::new();
    let mut key = folder.raw_key().trim_end_matches('/');
    if from_itself {
        folders.push(folder.with_key(key));
    }
    while !key.is_empty() && folders.len() < ABOVE {
        key = key.rsplit_once('/').map_or("", |(above, _)| above);
        folders.push(folder.with_key(key));
    }
    let asked = folders.into_iter().map(|root| async move {
        if !has(store, &root.join(OWNER)).await {
            return None;
        }
        match read(store, &root).await {
            Ok(Ok(owner)) if owner.place == "staging" => Some(Some(staging("lies in", &root, Some(&owner)))),
            Ok(Ok(_)) if has(store, &root.join(SUCCESS)).await => Some(None),
            Ok(Ok(owner)) => Some(Some(incomplete("lies in", &root, &owner))),
            Ok(Err(refused)) => Some(Some(refused)),
            Err(error) => {
                tracing::debug!(%error, folder = %root, "owner file above a location not read");
                None
            }
        }
    });
    let mut asked = std::pin::pin!(futures::stream::iter(asked).buffered(AT_ONCE));
    while let Some(answer) = asked.next().await {
        if let Some(answer) = answer {
            return answer;
        }
    }
    None
}

async fn has(store: &Arc<dyn ObjectStore>, file: &Location) -> bool {
    let Ok(key) = file.key() else { return false };
    match store.head(&key).await {
        Ok(_) => true,
        Err(object_store::Error::NotFound { .. }) => false,
        Err(error) => {
            tracing::debug!(%error, file = %file, "not asked for");
            false
        }
    }
}

async fn read(store: &Arc<dyn ObjectStore>, root: &Location) -> Result<Result<OutputOwner, NoSource>> {
    let file = root.join(OWNER);
    let failed = |source| store_error("read", &file, source);
    let bytes = store.get(&file.key()?).await.map_err(failed)?.bytes().await.map_err(failed)?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| NoSource {
        problem: format!("has the owner file {file} of snaplake, which cannot be read: {error}"),
        help: DAMAGED_HELP,
    }))
}

fn staging(verb: &str, root: &Location, owner: Option<&OutputOwner>) -> NoSource {
    let of = owner.map(|owner| format!(" of {}, snapshot {}", owner.table(), owner.snapshot)).unwrap_or_default();
    NoSource { problem: format!("{verb} {root}, a staging folder of snaplake{of}"), help: STAGING_HELP }
}

fn incomplete(verb: &str, root: &Location, owner: &OutputOwner) -> NoSource {
    let (table, snapshot) = (owner.table(), &owner.snapshot);
    let problem =
        format!("{verb} {root}, the lake of {table}, snapshot {snapshot}, which is not complete: it has no _SUCCESS");
    NoSource { problem, help: LAKE_HELP }
}

#[cfg(test)]
mod tests {
    use object_store::PutPayload;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;

    async fn store(files: &[(&str, &str)]) -> Arc<dyn ObjectStore> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for (key, text) in files {
            store.put(&Path::parse(key).unwrap(), PutPayload::from((*text).to_owned())).await.unwrap();
        }
        store
    }

    fn at(uri: &str) -> Location {
        Location::from_uri(uri).unwrap()
    }

    const STAGING: &str = r#"{"version":1,"place":"staging","database":"d","table":"t","snapshot":"s1","plan":"p"}"#;
    const LAKE: &str = r#"{"version":1,"place":"lake","database":"d","table":"t","snapshot":"s1","later":{}}"#;

    #[tokio::test]
    async fn nearest_owner_above_a_location_decides() {
        let files = [
            ("st/_snaplake.json", STAGING),
            ("st/lake/_snaplake.json", LAKE),
            ("st/lake/_SUCCESS", ""),
            ("open/_snaplake.json", LAKE),
            ("bad/_snaplake.json", "[]"),
            ("foreign/manifests/manifest-summary.json", "{}"),
        ];
        let store = store(&files).await;
        let reported = async |key: &str| {
            let found = refused_above(&store, &at("s3://b/").with_key(key), false).await;
            found.map_or_else(String::new, |found| found.problem)
        };
        assert_eq!(reported("st/x/y/").await, "lies in s3://b/st, a staging folder of snaplake of d.t, snapshot s1");
        assert_eq!(reported("st/lake/k=1/a.parquet").await, "");
        let open = "lies in s3://b/open, the lake of d.t, snapshot s1, which is not complete: it has no _SUCCESS";
        assert_eq!(reported("open/k=1").await, open);
        assert!(reported("bad/x").await.contains("s3://b/bad/_snaplake.json of snaplake, which cannot be read"));
        assert_eq!([reported("foreign/x").await, reported("st/").await, reported("").await], ["", "", ""]);
    }

    #[tokio::test]
    async fn what_is_below_is_asked_only_where_it_is_meant() {
        let store = store(&[("in/a/_snaplake.json", STAGING), ("in/b/_snaplake.json", LAKE)]).await;
        let reported = async |keys: &[&str], meant: &str| {
            let mut outputs = Outputs::default();
            keys.iter().for_each(|key| outputs.note(key));
            let found = outputs.refused(&store, &at("s3://b/in"), |key| key.contains(meant)).await.unwrap();
            found.map_or_else(String::new, |found| found.problem)
        };
        let all = ["in/a/_snaplake.json", "in/b/_snaplake.json", "in/b/_SUCCESS"];
        assert!(reported(&all, "").await.starts_with("holds s3://b/in/a, a staging folder"));
        assert_eq!([reported(&all, "in/b").await, reported(&["in/x"], "").await], ["", ""]);
        assert!(reported(&all[..2], "in/b").await.contains("not complete"));
    }
}
