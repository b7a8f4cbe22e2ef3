//! What snaplake needs of a store, as functions over any store; here over memory and local folders, in `s3` over S3.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, Result,
};

/// How a store wants etags in a condition: S3 in quotes, the others as they are.
pub(crate) type Etag = fn(&str) -> String;

pub(crate) const QUOTED: Etag = |etag| format!("\"{}\"", etag.trim_matches('"'));
pub(crate) const BARE: Etag = |etag| etag.trim_matches('"').to_owned();

/// Raw keys that clients and servers like to decode, encode or tidy up.
const ODD_KEYS: [&str; 11] = [
    "k=a%2Fb/f",
    "k=%C3%A9/f",
    "k=é/f",
    "k=e\u{301}/f",
    "k=\u{202E}/f",
    "k=/f",
    "k=../f",
    "k=a b/f",
    "k=100%25/f",
    "k=x+y/f",
    "k=a:b&c=d/é 日本",
];

async fn create(store: &Arc<dyn ObjectStore>, path: &Path, text: String) -> Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(path, PutPayload::from(text), options).await.map(drop)
}

pub(crate) async fn create_has_one_winner(store: Arc<dyn ObjectStore>) {
    let path = Path::from("one/summary.json");
    create(&store, &path, "first".to_owned()).await.unwrap();
    let second = create(&store, &path, "second".to_owned()).await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "first");

    for round in 0..5 {
        let path = Path::from(format!("contested/{round}.json"));
        let writers = (0..8).map(|writer| {
            let (store, path) = (Arc::clone(&store), path.clone());
            tokio::spawn(async move { create(&store, &path, format!("writer {writer}")).await })
        });
        let mut winners = Vec::new();
        for (writer, result) in futures::future::join_all(writers).await.into_iter().enumerate() {
            match result.unwrap() {
                Ok(()) => winners.push(format!("writer {writer}")),
                Err(Error::AlreadyExists { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), winners[0]);
    }
}

async fn read_if(store: &dyn ObjectStore, path: &Path, etag: String) -> Result<Bytes> {
    store.get_opts(path, GetOptions { if_match: Some(etag), ..GetOptions::default() }).await?.bytes().await
}

pub(crate) async fn changed_object_is_not_read(store: Arc<dyn ObjectStore>, etag: Etag) {
    let path = Path::from("pinned.csv");
    let planned = etag(&store.put(&path, "old".into()).await.unwrap().e_tag.unwrap());
    assert_eq!(read_if(&store, &path, planned.clone()).await.unwrap(), "old");
    let listed = store.list(None).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(etag(listed[0].e_tag.as_ref().unwrap()), planned, "the listing has another etag");

    store.put(&path, "new".into()).await.unwrap();
    let changed = read_if(&store, &path, planned.clone()).await;
    assert!(matches!(changed, Err(Error::Precondition { .. })), "{changed:?}");
    let options = GetOptions { if_match: Some(planned), range: Some((0..1).into()), ..GetOptions::default() };
    let changed = store.get_opts(&path, options).await.map(|_| ());
    assert!(matches!(changed, Err(Error::Precondition { .. })), "{changed:?}");
}

pub(crate) async fn parts_arrive_as_one_object(store: Arc<dyn ObjectStore>, etag: Etag) {
    let path = Path::from("large/k=1/f.parquet");
    let content: Bytes = (0..20_000_000_u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut upload = store.put_multipart_opts(&path, PutMultipartOptions::default()).await.unwrap();
    let parts = content.chunks(6_000_000).map(|part| upload.put_part(Bytes::copy_from_slice(part).into()));
    futures::future::try_join_all(parts.collect::<Vec<_>>()).await.unwrap();
    let put = upload.complete().await.unwrap();
    let head = store.head(&path).await.unwrap();
    assert_eq!(head.size, 20_000_000);
    assert_eq!(put.e_tag.as_deref().map(etag), head.e_tag.as_deref().map(etag));
    assert!(read_if(&store, &path, etag(&head.e_tag.unwrap())).await.unwrap() == content, "content differs");

    let mut given_up = store.put_multipart(&Path::from("given_up")).await.unwrap();
    given_up.put_part(vec![0; 6_000_000].into()).await.unwrap();
    given_up.abort().await.unwrap();
    assert!(matches!(store.head(&Path::from("given_up")).await, Err(Error::NotFound { .. })));
}

pub(crate) async fn every_key_of_many_is_listed_at_once(store: Arc<dyn ObjectStore>) {
    let names: BTreeSet<String> = (0..1100).map(|number| format!("many/summary-{number}.json")).collect();
    let puts = names.iter().map(|name| {
        let store = Arc::clone(&store);
        async move { store.put(&Path::from(name.as_str()), "x".into()).await.map(drop) }
    });
    let puts = futures::stream::iter(puts.collect::<Vec<_>>().into_iter().map(Ok::<_, Error>));
    puts.try_for_each_concurrent(16, |put| put).await.unwrap();
    store.put(&Path::from("many-more"), "x".into()).await.unwrap();
    let listed = store.list(Some(&Path::from("many"))).try_collect::<Vec<_>>().await.unwrap();
    assert!(listed.iter().all(|meta| meta.size == 1 && meta.e_tag.is_some()));
    assert_eq!(listed.into_iter().map(|meta| meta.location.to_string()).collect::<BTreeSet<_>>(), names);
    let none = store.list(Some(&Path::from("none"))).try_collect::<Vec<_>>().await.unwrap();
    assert!(none.is_empty());
}

pub(crate) async fn ranges_are_what_was_asked_for(store: Arc<dyn ObjectStore>) {
    let path = Path::from("ranges");
    store.put(&path, "0123456789".into()).await.unwrap();
    assert_eq!(store.get_range(&path, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&path, 8..99).await.unwrap(), "89");
    assert_eq!(store.get_ranges(&path, &[0..1, 4..6, 9..10]).await.unwrap(), ["0", "45", "9"]);
    let last = GetOptions { range: Some(object_store::GetRange::Suffix(3)), ..GetOptions::default() };
    let last = store.get_opts(&path, last).await.unwrap();
    assert_eq!(last.meta.size, 10);
    assert_eq!(last.bytes().await.unwrap(), "789");
}

pub(crate) async fn odd_keys_stay_as_they_are(store: Arc<dyn ObjectStore>) {
    for key in ODD_KEYS {
        let path = Path::parse(key).unwrap();
        store.put(&path, PutPayload::from(key.to_owned())).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), key);
        assert_eq!(store.head(&path).await.unwrap().size, key.len() as u64);
    }
    let listed = store.list(None).map_ok(|meta| meta.location.to_string()).try_collect::<BTreeSet<_>>().await;
    assert_eq!(listed.unwrap(), ODD_KEYS.iter().map(ToString::to_string).collect());
}

/// One test per property and store. `$store` is made anew for each.
macro_rules! conformance {
    ($etag:expr, $name:ident => $store:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn create_if_absent_has_exactly_one_winner_of_eight_writers() {
            let $name = stringify!(create);
            let (store, _guard) = $store;
            $crate::stores::create_has_one_winner(store).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn read_of_a_changed_object_with_if_match_fails() {
            let $name = stringify!(changed);
            let (store, _guard) = $store;
            $crate::stores::changed_object_is_not_read(store, $etag).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn object_of_many_parts_arrives_whole_with_its_etag() {
            let $name = stringify!(parts);
            let (store, _guard) = $store;
            $crate::stores::parts_arrive_as_one_object(store, $etag).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn more_than_a_page_of_keys_is_listed_right_after_the_writes() {
            let $name = stringify!(many);
            let (store, _guard) = $store;
            $crate::stores::every_key_of_many_is_listed_at_once(store).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn ranges_are_exact() {
            let $name = stringify!(ranges);
            let (store, _guard) = $store;
            $crate::stores::ranges_are_what_was_asked_for(store).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn odd_keys_are_neither_encoded_nor_decoded() {
            let $name = stringify!(odd);
            let (store, _guard) = $store;
            $crate::stores::odd_keys_stay_as_they_are(store).await;
        }
    };
}
pub(crate) use conformance;

mod memory {
    use super::*;

    conformance!(BARE, _name => (Arc::new(InMemory::new()) as Arc<dyn ObjectStore>, ()));
}

mod local {
    use super::*;

    conformance!(BARE, _name => {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()) as Arc<dyn ObjectStore>, folder)
    });
}
