//! The S3 server that the tests run against: one in this process, or a real one that the environment names.
//!
//! With `SNAPLAKE_TEST_S3_ENDPOINT` and `SNAPLAKE_TEST_S3_BUCKET` (and `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`) the
//! tests use that server, each below a prefix of its own. Otherwise `s3s` speaks the protocol (signatures, XML, errors)
//! on a free port of 127.0.0.1 over [`Objects`]. Those are kept in memory by this file, because `s3s-fs` 0.14 ignores
//! If-Match when reading, lists objects without etags and lets two writers win a contested create. They do what S3
//! does: strong etags, also for parts; conditional reads and writes that are atomic; pages of 1000 keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::TcpListener;
use std::ops::Bound;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use md5::{Digest, Md5};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

const KEY: &str = "loopback";
const SECRET: &str = "loopback-secret";

/// Keys that every server takes too and that no other text contains; `tests/outside/start_weed.sh` has them as well.
pub(crate) const UNMISTAKABLE: (&str, &str) =
    ("SNAPKEYZULU0123456789", "snapsecretalpha/snapsecretbravo+snapsecretcharlie/");

/// What a server of this process does with etags; real ones do each of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Etags {
    /// As S3 does.
    #[default]
    Strong,
    /// The end of a multipart upload is answered with an empty one.
    EmptyAfterParts,
    /// The end of a multipart upload is answered without one.
    NoneAfterParts,
    /// All are weak, so no condition holds.
    Weak,
    /// A condition with the etag that the server gave is refused.
    RefusesItsOwn,
    /// Listings have none.
    NotListed,
}

/// A server's address, a bucket on it, and a prefix that no other test uses.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl Server {
    /// The server of this test; `name` is for people who look into the bucket.
    pub(crate) fn of_test(name: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let prefix = format!("test/{name}-{time:x}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let Ok(endpoint) = std::env::var("SNAPLAKE_TEST_S3_ENDPOINT") else { return Self::of_process(Etags::Strong) };
        let set = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} must be set, too"));
        let (key, secret) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY"));
        Self { endpoint, bucket: set("SNAPLAKE_TEST_S3_BUCKET"), prefix, key, secret }
    }

    /// A server of this process, of its own.
    pub(crate) fn of_process(etags: Etags) -> Self {
        let (bucket, key, secret) = ("loopback".to_owned(), KEY.to_owned(), SECRET.to_owned());
        Self { endpoint: start(&bucket, etags), bucket, prefix: "test".to_owned(), key, secret }
    }

    /// The same place with [`UNMISTAKABLE`] keys.
    pub(crate) fn with_unmistakable_keys(self) -> Self {
        let (key, secret) = UNMISTAKABLE;
        Self { key: key.to_owned(), secret: secret.to_owned(), ..self }
    }

    /// `s3://` URL of this test's prefix.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// A client whose root is this test's prefix.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        let client = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.key)
            .with_secret_access_key(&self.secret);
        Arc::new(PrefixStore::new(client.build().unwrap(), self.prefix.as_str()))
    }

    /// Lets the program find the server, and nothing else of this machine.
    pub(crate) fn configure(&self, command: &mut Command) {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.envs([
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", &self.key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
    }
}

/// Serves an empty bucket on a thread of its own until the process ends.
fn start(bucket: &str, etags: Etags) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let buckets = Buckets { of: HashMap::from([(bucket.to_owned(), BTreeMap::new())]), ..Buckets::default() };
    let objects = Objects { buckets: Mutex::new(buckets), etags };
    let mut builder = S3ServiceBuilder::new(objects);
    let mut keys = SimpleAuth::from_single(KEY, SECRET);
    keys.register(UNMISTAKABLE.0.to_owned(), UNMISTAKABLE.1.into());
    builder.set_auth(keys);
    let service = builder.build();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that hangs up is no failure of the server.
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
    });
    endpoint
}

/// Buckets in memory, as S3 shows them.
#[derive(Debug, Default)]
struct Objects {
    buckets: Mutex<Buckets>,
    etags: Etags,
}

#[derive(Debug, Default)]
struct Buckets {
    of: HashMap<String, BTreeMap<String, Stored>>,
    uploads: BTreeMap<String, Upload>,
    started: usize,
}

/// A multipart upload that is under way.
#[derive(Debug)]
struct Upload {
    key: String,
    at: SystemTime,
    parts: BTreeMap<i32, Bytes>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    etag: String,
    at: SystemTime,
}

impl Stored {
    fn new(bytes: Bytes, etag: String) -> Self {
        Self { bytes, etag, at: SystemTime::now() }
    }

    fn size(&self) -> i64 {
        i64::try_from(self.bytes.len()).unwrap()
    }
}

impl Buckets {
    fn bucket(&mut self, name: &str) -> S3Result<&mut BTreeMap<String, Stored>> {
        self.of.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    fn object(&mut self, bucket: &str, key: &str) -> S3Result<Stored> {
        self.bucket(bucket)?.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }
}

impl Objects {
    fn etag(&self, of: &Stored) -> Option<ETag> {
        let etag = of.etag.clone();
        Some(if self.etags == Etags::Weak { ETag::Weak(etag) } else { ETag::Strong(etag) })
    }

    /// 412 unless the condition of a request holds.
    fn check(
        &self,
        stored: Option<&Stored>,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let fits = |condition: &ETagCondition| match (stored, condition.as_etag()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(_), Some(_)) if matches!(self.etags, Etags::Weak | Etags::RefusesItsOwn) => false,
            (Some(stored), Some(etag)) => etag.value() == stored.etag,
        };
        if if_match.is_some_and(|condition| !fits(condition)) || if_none_match.is_some_and(fits) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn whole(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let parts = body.try_fold(BytesMut::new(), |mut whole, part| async move {
        whole.extend_from_slice(&part);
        Ok(whole)
    });
    parts.await.map(BytesMut::freeze).map_err(|_| s3_error!(IncompleteBody))
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let bytes = whole(input.body).await?;
        let stored = Stored::new(bytes.clone(), md5_hex(&bytes));
        let mut buckets = self.lock();
        let bucket = buckets.bucket(&input.bucket)?;
        self.check(bucket.get(&input.key), input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let e_tag = self.etag(&stored);
        bucket.insert(input.key, stored);
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let found = self.lock().object(&input.bucket, &input.key)?;
        self.check(Some(&found), input.if_match.as_ref(), None)?;
        let all = found.bytes.len() as u64;
        let range = input.range.map(|range| range.check(all)).transpose()?;
        let content_range = range.as_ref().map(|range| format!("bytes {}-{}/{all}", range.start, range.end - 1));
        let range = range.map_or(0..all, |range| range);
        let part = found.bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(i64::try_from(part.len()).unwrap()),
            body: Some(StreamingBlob::from(Body::from(part))),
            content_range,
            e_tag: self.etag(&found),
            last_modified: Some(found.at.into()),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let found = self.lock().object(&input.bucket, &input.key)?;
        self.check(Some(&found), input.if_match.as_ref(), None)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(found.size()),
            e_tag: self.etag(&found),
            last_modified: Some(found.at.into()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        if let Some(delimiter) = input.delimiter {
            // Folders below a folder of folders: all that the program asks for.
            let mut buckets = self.lock();
            let keys = buckets.bucket(&input.bucket)?.keys().filter_map(|key| key.strip_prefix(&prefix));
            let folders: BTreeSet<&str> =
                keys.filter_map(|key| key.split_once(&delimiter)).map(|(folder, _)| folder).collect();
            let folders = folders.into_iter().map(|folder| format!("{prefix}{folder}{delimiter}"));
            return Ok(S3Response::new(ListObjectsV2Output {
                common_prefixes: Some(folders.map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect()),
                is_truncated: Some(false),
                name: Some(input.bucket),
                ..ListObjectsV2Output::default()
            }));
        }
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let page = usize::try_from(input.max_keys.unwrap_or(1000).min(1000)).unwrap();
        let mut buckets = self.lock();
        let rest = buckets.bucket(&input.bucket)?.range::<String, _>((Bound::Excluded(&after), Bound::Unbounded));
        let mut found = rest.filter(|(key, _)| key.starts_with(&prefix)).peekable();
        let mut contents = Vec::new();
        for (key, stored) in found.by_ref().take(page) {
            contents.push(Object {
                key: Some(key.clone()),
                size: Some(stored.size()),
                e_tag: self.etag(stored).filter(|_| self.etags != Etags::NotListed),
                last_modified: Some(stored.at.into()),
                ..Object::default()
            });
        }
        let is_truncated = found.peek().is_some();
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(contents.len()).ok(),
            next_continuation_token: contents.last().filter(|_| is_truncated).and_then(|last| last.key.clone()),
            contents: Some(contents),
            is_truncated: Some(is_truncated),
            name: Some(input.bucket),
            prefix: Some(prefix),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut buckets = self.lock();
        let bucket = buckets.bucket(&request.input.bucket)?;
        let objects = request.input.delete.objects;
        let deleted = objects.into_iter().map(|object| {
            bucket.remove(&object.key);
            DeletedObject { key: Some(object.key), ..DeletedObject::default() }
        });
        let deleted = Some(deleted.collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut buckets = self.lock();
        buckets.bucket(&request.input.bucket)?;
        buckets.started += 1;
        let upload_id = format!("upload-{:06}", buckets.started);
        let upload = Upload { key: request.input.key.clone(), at: SystemTime::now(), parts: BTreeMap::new() };
        buckets.uploads.insert(upload_id.clone(), upload);
        let (bucket, key) = (Some(request.input.bucket), Some(request.input.key));
        let upload_id = Some(upload_id);
        Ok(S3Response::new(CreateMultipartUploadOutput { bucket, key, upload_id, ..Default::default() }))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let bytes = whole(request.input.body).await?;
        let e_tag = Some(ETag::Strong(md5_hex(&bytes)));
        let mut buckets = self.lock();
        let upload = buckets.uploads.get_mut(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(request.input.part_number, bytes);
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let mut buckets = self.lock();
        let parts = buckets.uploads.remove(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?.parts;
        let digests: Vec<u8> = parts.values().flat_map(Md5::digest).collect();
        let stored =
            Stored::new(parts.values().flatten().copied().collect(), format!("{}-{}", md5_hex(&digests), parts.len()));
        let bucket = buckets.bucket(&input.bucket)?;
        self.check(bucket.get(&input.key), input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let e_tag = match self.etags {
            Etags::EmptyAfterParts => Some(ETag::Strong(String::new())),
            Etags::NoneAfterParts => None,
            _ => self.etag(&stored),
        };
        let key = Some(input.key.clone());
        bucket.insert(input.key, stored);
        Ok(S3Response::new(CompleteMultipartUploadOutput { e_tag, key, ..CompleteMultipartUploadOutput::default() }))
    }

    /// In pages of two, by the order in which they began.
    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let (prefix, after) =
            (request.input.prefix.unwrap_or_default(), request.input.upload_id_marker.unwrap_or_default());
        let buckets = self.lock();
        let mut found =
            buckets.uploads.iter().filter(|(id, upload)| **id > after && upload.key.starts_with(&prefix)).peekable();
        let uploads = found.by_ref().take(2).map(|(id, upload)| MultipartUpload {
            key: Some(upload.key.clone()),
            upload_id: Some(id.clone()),
            initiated: Some(upload.at.into()),
            ..MultipartUpload::default()
        });
        let uploads: Vec<MultipartUpload> = uploads.collect();
        let last = uploads.last().filter(|_| found.peek().is_some());
        Ok(S3Response::new(ListMultipartUploadsOutput {
            is_truncated: Some(last.is_some()),
            next_key_marker: last.and_then(|last| last.key.clone()),
            next_upload_id_marker: last.and_then(|last| last.upload_id.clone()),
            uploads: Some(uploads),
            ..ListMultipartUploadsOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.lock().uploads.remove(&request.input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
