//! Merges of made-up exports, compared with what a map says.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::job::Merge;
use crate::config::S3Settings;
use crate::error::{Error, Position, Result};
use crate::layout::Location;
use crate::session::Stores;
use crate::snapshot::exports::merged_manifest::MergedManifest;

/// The second at which the full export was made.
const FULL: i64 = 1_767_225_600;

/// A store with exports of one table.
struct Exports {
    store: Arc<dyn ObjectStore>,
    stores: Stores,
    sources: Vec<(Location, Position)>,
}

fn rfc(second: i64) -> String {
    chrono::DateTime::from_timestamp(FULL + second, 0).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

impl Exports {
    fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let stores = Stores::new(S3Settings::default());
        stores.insert("s3://b", Arc::clone(&store));
        Self { store, stores, sources: Vec::new() }
    }

    /// An export of these files, each of lines.
    async fn put(&mut self, summary: Value, files: &[Vec<String>]) {
        let id = format!("{:02}", self.sources.len());
        let folder = format!("x/AWSDynamoDB/{id}");
        let mut list = String::new();
        for (number, lines) in files.iter().enumerate() {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let key = format!("{folder}/data/{number}.json");
            let md5 = STANDARD.encode(Md5::digest(&text));
            let entry = json!({"itemCount": lines.len(), "md5Checksum": md5, "dataFileS3Key": key});
            list += &format!("{entry}\n");
            self.store.put(&Key::from(key), PutPayload::from(text)).await.unwrap();
        }
        let mut all = json!({
            "tableArn": "arn:aws:dynamodb:eu-west-1:1:table/t", "outputFormat": "DYNAMODB_JSON",
            "manifestFilesS3Key": format!("{folder}/manifest-files.json"),
            "itemCount": files.iter().map(Vec::len).sum::<usize>(),
        });
        all.as_object_mut().unwrap().extend(summary.as_object().unwrap().clone());
        self.store.put(&Key::from(format!("{folder}/manifest-files.json")), list.into()).await.unwrap();
        let summary = PutPayload::from(all.to_string());
        self.store.put(&Key::from(format!("{folder}/manifest-summary.json")), summary).await.unwrap();
        let location = Location::parse(&format!("s3://b/{folder}/"), Path::new("/")).unwrap();
        self.sources.push((location, Position { file: "a.sql".into(), line: 1, column: 1 }));
    }

    async fn full(&mut self, items: &[Value]) {
        let files: Vec<Vec<String>> = items.chunks(7).map(|items| items.iter().map(item).collect()).collect();
        self.put(json!({"exportTime": rfc(0)}), &files).await;
    }

    async fn incremental(&mut self, from: i64, to: i64, changes: &[String]) {
        let files: Vec<Vec<String>> = changes.chunks(5).map(<[String]>::to_vec).collect();
        let summary = json!({
            "exportType": "INCREMENTAL_EXPORT", "exportFromTime": rfc(from), "exportToTime": rfc(to),
            "outputView": "NEW_AND_OLD_IMAGES",
        });
        self.put(summary, &files).await;
    }

    fn merge(&self, bytes: u64) -> Merge<'_> {
        Merge {
            table: "t",
            sources: &self.sources,
            folder: Location::parse("s3://b/staging/m", Path::new("/")).unwrap(),
            stores: &self.stores,
            at_once: 2,
            bytes,
        }
    }

    /// The manifest and the items, sorted.
    async fn merged(&self, bytes: u64) -> Result<(MergedManifest, Vec<Value>)> {
        let manifest = self.merge(bytes).run().await?;
        let mut items = Vec::new();
        for file in &manifest.files {
            let key = Key::from(format!("staging/m/{}/{}", manifest.folder, file.name));
            let bytes = self.store.get(&key).await.unwrap().bytes().await.unwrap();
            let md5: String = Md5::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((md5, bytes.len() as u64), (file.md5.clone(), file.size));
            let mut text = String::new();
            zstd::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text.lines().count() as u64, file.rows);
            items.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["Item"].clone()));
        }
        items.sort_by_key(Value::to_string);
        Ok((manifest, items))
    }

    async fn refused(&self) -> String {
        let error = self.merge(1 << 20).run().await.unwrap_err();
        assert!(self.store.head(&Key::from("staging/m/merged-export.json")).await.is_err());
        error.to_string()
    }
}

fn item(item: &Value) -> String {
    json!({"Item": item}).to_string()
}

fn change(at: i64, keys: &Value, image: Option<&Value>) -> String {
    let micros = (FULL * 1_000_000 + at).to_string();
    let mut record = json!({"Metadata": {"WriteTimestampMicros": {"N": micros}}, "Keys": keys});
    if let Some(image) = image {
        record["NewImage"] = image.clone();
    }
    record.to_string()
}

fn keys(of: &str) -> Value {
    json!({"id": {"S": of}})
}

fn image(of: &str, value: u32) -> Value {
    json!({"id": {"S": of}, "v": {"N": value.to_string()}})
}

const SECOND: i64 = 1_000_000;

#[tokio::test]
async fn put_update_delete_and_insert_after_delete_in_one_and_two_exports_become_the_last_state() {
    let mut exports = Exports::new();
    let first = [
        change(1, &keys("b"), Some(&image("b", 2))),
        change(2, &keys("c"), None),
        change(3, &keys("e"), Some(&image("e", 1))),
        change(4, &keys("e"), None),
        change(5, &keys("f"), None),
    ];
    let second = [
        change(10 * SECOND, &keys("b"), Some(&image("b", 3))),
        change(10 * SECOND + 1, &keys("c"), Some(&image("c", 9))),
        change(10 * SECOND + 2, &keys("d"), None),
        change(10 * SECOND + 3, &keys("g"), Some(&image("g", 1))),
    ];
    // The order of LOCATIONs is no matter.
    exports.incremental(10, 20, &second).await;
    exports.full(&[image("a", 1), image("b", 1), image("c", 1), image("d", 1)]).await;
    exports.incremental(0, 10, &first).await;
    let (manifest, items) = exports.merged(1 << 20).await.unwrap();
    assert_eq!(items, [image("a", 1), image("b", 3), image("c", 9), image("g", 1)]);
    let counts = manifest.counts;
    assert_eq!((counts.items, counts.changes, counts.superseded, counts.known), (4, 9, 3, 0));
    assert_eq!((counts.replaced, counts.added, counts.deleted, counts.deleted_before), (2, 1, 1, 2));
    assert_eq!((manifest.check(), manifest.time), (Ok(()), rfc(20)));
    // A rerun finds it, also when the exports are gone.
    exports.store.delete(&Key::from("x/AWSDynamoDB/00/manifest-files.json")).await.unwrap();
    assert_eq!(exports.merged(1 << 20).await.unwrap().1, items);
}

#[tokio::test]
async fn keys_are_equal_by_type_and_value() {
    let mut exports = Exports::new();
    let key = |number: &str, bytes: &str| json!({"n": {"N": number}, "b": {"B": bytes}});
    let with = |number: &str, bytes: &str, value: u32| json!({"n": {"N": number}, "b": {"B": bytes}, "v": {"N": value.to_string()}});
    exports.full(&[with("1", "AA==", 1), with("1", "AQ==", 1), with("-0", "AA==", 1), with("100", "AA==", 1)]).await;
    let changes = [
        change(1, &key("1.0", "AA=="), Some(&with("1e0", "AA==", 2))),
        change(2, &key("0.00", "AA=="), None),
        change(3, &key("1E+2", "AA=="), Some(&with("1e2", "AA==", 3))),
    ];
    exports.incremental(0, 10, &changes).await;
    let (_, items) = exports.merged(1 << 20).await.unwrap();
    assert_eq!(items, [with("1", "AQ==", 1), with("1e0", "AA==", 2), with("1e2", "AA==", 3)]);
}

#[tokio::test]
async fn one_change_in_two_exports_is_one_and_two_of_one_time_are_refused() {
    let with = |set: Value, number: &str| json!({"id": {"S": "a"}, "s": {"SS": set}, "n": {"M": {"x": {"N": number}}}});
    let mut exports = Exports::new();
    exports.full(&[image("a", 1)]).await;
    exports.incremental(0, 10, &[change(7 * SECOND, &keys("a"), Some(&with(json!(["x", "y"]), "1.0")))]).await;
    exports.incremental(5, 20, &[change(7 * SECOND, &keys("a"), Some(&with(json!(["y", "x"]), "1")))]).await;
    let (manifest, items) = exports.merged(1 << 20).await.unwrap();
    assert_eq!((items.len(), manifest.counts.superseded, manifest.counts.replaced), (1, 1, 1));

    for other in [Some(with(json!(["x", "z"]), "1")), None] {
        let mut exports = Exports::new();
        exports.full(&[image("a", 1)]).await;
        exports.incremental(0, 10, &[change(7 * SECOND, &keys("a"), Some(&with(json!(["x"]), "1")))]).await;
        exports.incremental(5, 20, &[change(7 * SECOND, &keys("a"), other.as_ref())]).await;
        let error = exports.refused().await;
        assert!(error.contains(r#"{"id":{"S":"a"}}"#) && error.contains("AWSDynamoDB/01"), "{error}");
        // A later change decides, so the two do not matter.
        exports.incremental(20, 30, &[change(21 * SECOND, &keys("a"), None)]).await;
        assert_eq!(exports.merged(1 << 20).await.unwrap().1, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn an_export_from_before_the_full_one_changes_nothing() {
    let mut exports = Exports::new();
    exports.full(&[image("a", 5)]).await;
    exports.incremental(-20, -10, &[change(-15 * SECOND, &keys("a"), None)]).await;
    let overlapping = [change(-SECOND, &keys("b"), None), change(SECOND, &keys("c"), Some(&image("c", 1)))];
    exports.incremental(-10, 10, &overlapping).await;
    let (manifest, items) = exports.merged(1 << 20).await.unwrap();
    assert_eq!(items, [image("a", 5), image("c", 1)]);
    assert_eq!((manifest.counts.known, manifest.counts.deleted_before), (1, 1));
}

#[tokio::test]
async fn exports_without_changes_are_the_full_one() {
    let items: Vec<Value> = (0..20).map(|number| image(&format!("{number:02}"), number)).collect();
    for full in [&items[..], &[]] {
        let mut exports = Exports::new();
        exports.full(full).await;
        exports.incremental(0, 10, &[]).await;
        let (manifest, found) = exports.merged(1 << 20).await.unwrap();
        assert_eq!((found, manifest.files.is_empty()), (full.to_vec(), false));
    }
}

#[tokio::test]
async fn contradictions_and_damage_are_refused_and_nothing_is_committed() {
    let of = |value: Value| async move {
        let mut exports = Exports::new();
        exports.full(&[image("a", 1), value]).await;
        exports.incremental(0, 10, &[change(1, &keys("b"), None)]).await;
        exports.refused().await
    };
    let error = of(json!({"x": {"S": "a"}})).await;
    assert!(error.contains("00/data/0.json, line 2, column 9: the key attribute id is missing"), "{error}");
    assert!(of(json!({"id": {"N": "1"}})).await.contains("type N, in records before of type S"));
    assert!(of(image("a", 2)).await.contains("two items of one key"));

    let mut exports = Exports::new();
    exports.full(&[image("a", 1)]).await;
    exports.incremental(0, 10, &[change(10 * SECOND, &keys("b"), None)]).await;
    assert!(exports.refused().await.contains("is not in the time of the export"));

    let mut exports = Exports::new();
    exports.full(&[image("a", 1)]).await;
    exports.incremental(0, 10, &[change(1, &keys("b"), None)]).await;
    let file = Key::from("x/AWSDynamoDB/01/data/0.json");
    let length = exports.store.head(&file).await.unwrap().size;
    exports.store.put(&file, PutPayload::from(vec![b' '; length as usize])).await.unwrap();
    assert!(matches!(exports.merge(1 << 20).run().await, Err(Error::ReadSnapshotFile { .. })));
    exports.store.delete(&file).await.unwrap();
    assert!(exports.refused().await.contains("01/data/0.json, which is not there"));
}

#[tokio::test]
async fn a_merge_of_other_exports_is_not_used() {
    let mut exports = Exports::new();
    exports.full(&[image("a", 1)]).await;
    exports.incremental(0, 10, &[change(1, &keys("b"), None)]).await;
    exports.merged(1 << 20).await.unwrap();
    exports.incremental(10, 20, &[]).await;
    let error = exports.merge(1 << 20).run().await.unwrap_err().to_string();
    assert!(error.contains("others were merged already"), "{error}");
    let last = exports.sources.pop().unwrap();
    exports.store.put(&Key::from("x/AWSDynamoDB/01/manifest-files.json"), "{}".into()).await.unwrap();
    let error = exports.merge(1 << 20).run().await.unwrap_err().to_string();
    assert!(error.contains("another export than the one that was merged"), "{error} {last:?}");
}

/// What happens to a key at a time: a put of a value, or a delete.
type Write = (u8, i64, Option<u32>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Writes to a table; a full export of one moment; incremental ones, each of the last change of each key in its
    /// time, as DynamoDB makes them. Merged, they are the table.
    #[test]
    fn a_merge_is_the_table_at_the_end(
        writes in prop::collection::vec((0_u8..40, -20_i64..60, prop::option::weighted(0.7, 0_u32..1000)), 0..200),
        borders in prop::collection::vec((0_i64..15, 0_i64..20), 1..4),
        bytes in prop_oneof![Just(1_u64 << 20), Just(600), Just(2000)],
    ) {
        let mut writes: Vec<Write> = writes;
        // Two writes of one item at one time do not happen.
        writes.sort_by_key(|(key, at, _)| (*at, *key));
        writes.dedup_by_key(|(key, at, _)| (*at, *key));
        let at = |second: i64| -> BTreeMap<u8, u32> {
            let mut table = BTreeMap::new();
            for (key, _, value) in writes.iter().filter(|(_, at, _)| *at < second) {
                match value {
                    Some(value) => drop(table.insert(*key, *value)),
                    None => drop(table.remove(key)),
                }
            }
            table
        };
        // Each begins where those before it end, or earlier.
        let (mut end, mut windows) = (0, Vec::new());
        for (back, length) in borders {
            windows.push((end - back, end + 1 + length));
            end += 1 + length;
        }
        let spelled = |key: u8, how: i64| match how.rem_euclid(3) {
            0 => key.to_string(),
            1 => format!("{key}.0"),
            _ => format!("{key}e0"),
        };
        let row = |key: u8, how: i64, value: u32| {
            json!({"k": {"N": spelled(key, how)}, "p": {"S": "é"}, "v": {"N": value.to_string()}})
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (manifest, found) = runtime.block_on(async {
            let mut exports = Exports::new();
            let items: Vec<Value> = at(0).into_iter().map(|(key, value)| row(key, i64::from(value), value)).collect();
            exports.full(&items).await;
            for (from, to) in &windows {
                let mut last: BTreeMap<u8, (i64, Option<u32>)> = BTreeMap::new();
                for (key, at, value) in writes.iter().filter(|(_, at, _)| (*from..*to).contains(at)) {
                    last.insert(*key, (*at, *value));
                }
                let change = |(key, (at, value)): (u8, (i64, Option<u32>))| {
                    let image = value.map(|value| row(key, at, value));
                    let keys = json!({"k": {"N": spelled(key, at + 1)}, "p": {"S": "\u{e9}"}});
                    change(at * SECOND, &keys, image.as_ref())
                };
                let changes: Vec<String> = last.into_iter().map(change).collect();
                exports.incremental(*from, *to, &changes).await;
            }
            exports.merged(bytes).await.unwrap()
        });
        let mut table = BTreeMap::new();
        for item in &found {
            let key: f64 = item["k"]["N"].as_str().unwrap().parse().unwrap();
            let value: u32 = item["v"]["N"].as_str().unwrap().parse().unwrap();
            prop_assert!(table.insert(key as u8, value).is_none());
        }
        prop_assert_eq!(&table, &at(end));
        prop_assert_eq!(manifest.check(), Ok(()));
        prop_assert_eq!(manifest.counts.rows, table.len() as u64);
    }
}
