//! A multipart upload that is ended or aborted, whatever becomes of the work that fills it.
//!
//! `object_store`'s own `WriteMultipart` leaves the parts behind when it is dropped, as all work is when the user stops
//! the program, and when the last part fails. Stores keep such parts, and charge for them, until somebody aborts the
//! upload.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use object_store::{MultipartUpload, PutPayload, PutPayloadMut, PutResult, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Constant, since some stores want equal parts; 10,000 of them allow files of 80 GB.
pub(crate) const PART_BYTES: usize = 8 << 20;

/// Parts of one file on their way at once.
pub(crate) const PARTS_IN_FLIGHT: usize = 2;

/// Uploads of this process that are neither ended nor aborted.
static OPEN: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Waits until each upload of this process is ended or aborted, at most so long. Returns whether they are.
pub(crate) async fn uploads_ended(within: Duration) -> bool {
    tokio::time::timeout(within, OPEN.subscribe().wait_for(|open| *open == 0)).await.is_ok()
}

/// Counts one upload as open.
struct OpenUpload;

impl OpenUpload {
    fn new() -> Self {
        OPEN.send_modify(|open| *open += 1);
        Self
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        OPEN.send_modify(|open| *open -= 1);
    }
}

/// Parts of one file.
pub(crate) struct Parts {
    buffer: PutPayloadMut,
    /// Nothing once the upload is ended or aborted.
    running: Option<RunningPart>,
}

struct RunningPart {
    upload: Box<dyn MultipartUpload>,
    sent: JoinSet<Result<()>>,
    _open: OpenUpload,
}

impl RunningPart {
    async fn wait(&mut self, in_flight: usize) -> Result<()> {
        while self.sent.len() > in_flight {
            if let Some(sent) = self.sent.join_next().await {
                sent.map_err(|source| object_store::Error::JoinError { source })??;
            }
        }
        Ok(())
    }

    async fn abort(mut self) {
        self.sent.shutdown().await;
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(%error, "could not abort a multipart upload");
        }
    }
}

impl Parts {
    pub(crate) fn new(upload: Box<dyn MultipartUpload>) -> Self {
        let running = RunningPart { upload, sent: JoinSet::new(), _open: OpenUpload::new() };
        Self { buffer: PutPayloadMut::new(), running: Some(running) }
    }

    /// Adds bytes, and sends each part that is full.
    ///
    /// # Errors
    /// Those of earlier parts; the upload is then of no use.
    pub(crate) async fn push(&mut self, mut bytes: Bytes) -> Result<()> {
        loop {
            let missing = PART_BYTES - self.buffer.content_length();
            if bytes.len() < missing {
                self.buffer.push(bytes);
                return Ok(());
            }
            self.buffer.push(bytes.split_to(missing));
            self.send().await?;
        }
    }

    async fn send(&mut self) -> Result<()> {
        let part: PutPayload = std::mem::take(&mut self.buffer).freeze();
        if let Some(running) = &mut self.running {
            running.wait(PARTS_IN_FLIGHT - 1).await?;
            let sent = running.upload.put_part(part);
            running.sent.spawn(sent);
        }
        Ok(())
    }

    /// Sends the rest and makes the file whole, or aborts the upload.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn finish(mut self) -> Result<PutResult> {
        let result = self.complete().await;
        if let (Err(_), Some(running)) = (&result, self.running.take()) {
            running.abort().await;
        }
        result
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.buffer.content_length() > 0 {
            self.send().await?;
        }
        // Only what consumes `self` takes it away.
        let running = self.running.as_mut().expect("the upload has not ended");
        running.wait(0).await?;
        running.upload.complete().await
    }

    /// Gives up: the store forgets the parts that it has.
    pub(crate) async fn abort(mut self) {
        if let Some(running) = self.running.take() {
            running.abort().await;
        }
    }
}

impl Drop for Parts {
    /// Work that is dropped cannot wait, so the upload is aborted beside it.
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) = (self.running.take(), Handle::try_current()) {
            runtime.spawn(running.abort());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use object_store::UploadPart;

    use super::*;

    /// Counts aborts; all parts after the first `good` fail.
    #[derive(Debug)]
    struct Store {
        good: usize,
        parts: usize,
        aborts: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl MultipartUpload for Store {
        fn put_part(&mut self, _: PutPayload) -> UploadPart {
            self.parts += 1;
            let fails = self.parts > self.good;
            let source = "no".into();
            Box::pin(
                async move { if fails { Err(object_store::Error::Generic { store: "test", source }) } else { Ok(()) } },
            )
        }

        async fn complete(&mut self) -> Result<PutResult> {
            Ok(PutResult { e_tag: None, version: None })
        }

        async fn abort(&mut self) -> Result<()> {
            self.aborts.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    fn parts(good: usize) -> (Parts, Arc<AtomicUsize>) {
        let aborts = Arc::new(AtomicUsize::new(0));
        (Parts::new(Box::new(Store { good, parts: 0, aborts: Arc::clone(&aborts) })), aborts)
    }

    #[tokio::test]
    async fn upload_is_aborted_once_when_its_last_part_fails_and_never_when_it_ends() {
        for (good, expected) in [(1, 1), (2, 0)] {
            let (mut upload, aborts) = parts(good);
            upload.push(Bytes::from(vec![0; PART_BYTES + 1])).await.unwrap();
            assert_eq!(upload.finish().await.is_err(), good == 1);
            assert!(uploads_ended(Duration::from_secs(60)).await);
            assert_eq!(aborts.load(Ordering::SeqCst), expected);
        }
    }

    #[tokio::test]
    async fn upload_that_is_dropped_is_aborted_and_waited_for() {
        let (mut upload, aborts) = parts(9);
        upload.push(Bytes::from(vec![0; PART_BYTES])).await.unwrap();
        assert!(!uploads_ended(Duration::ZERO).await);
        drop(upload);
        assert!(uploads_ended(Duration::from_secs(60)).await);
        assert_eq!(aborts.load(Ordering::SeqCst), 1);
    }
}
