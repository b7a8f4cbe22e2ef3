//! Spreads many small jobs over all threads, a bounded number at once, with their results in order.
//!
//! Thousands of requests whose answers have to be decoded keep one thread busy and the others idle when a single task
//! awaits them all. What is not yet taken from the stream is not yet started, and what is dropped is aborted.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::{Stream, StreamExt};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// The results of `jobs` in their order; each job is a task of its own, `at_once` of them are under way.
pub(crate) fn spread<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    jobs: impl IntoIterator<Item = F>,
    at_once: usize,
) -> impl Stream<Item = Result<T>> {
    let tasks = jobs.into_iter().map(|job| async {
        let joined = SpawnedTask::spawn(job).join_unwind().await;
        joined.unwrap_or_else(|error| Err(Error::Engine(DataFusionError::ExecutionJoin(Box::new(error)))))
    });
    futures::stream::iter(tasks).buffered(at_once.max(1))
}

/// Does work on a thread of its own that knows no runtime: there the client of the local file system does what it is asked for,
/// instead of handing every single call to yet another thread, which takes as long as the call. Nothing stops the work: it should
/// be short.
///
/// # Errors
/// Those of the work, [`Error::Panicked`], and [`Error::Io`] when there is no thread.
pub(crate) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send {
    let (answer, answered) = oneshot::channel();
    async move {
        let thread = std::thread::Builder::new().spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            // Nobody listens any more when the caller was cancelled.
            let _ = answer.send(result.unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref()))));
        });
        thread.map_err(|source| Error::Io { action: "starting a thread".to_owned(), source })?;
        // The thread always answers.
        answered.await.unwrap_or_else(|error| Err(Error::Engine(DataFusionError::External(error.into()))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::TryStreamExt;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn results_are_in_order_and_no_more_run_at_once_than_allowed() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..100).map(|number| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            }
        });
        let results: Vec<usize> = spread(jobs, 4).try_collect().await.unwrap();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
        assert!((1..=4).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn work_apart_knows_no_runtime_and_its_panic_is_an_error() {
        assert!(apart(|| Ok(tokio::runtime::Handle::try_current().is_err())).await.unwrap());
        let error = apart::<()>(|| panic!("in vain")).await.unwrap_err();
        assert!(matches!(error, Error::Panicked { .. }), "{error}");
    }

    #[tokio::test]
    async fn first_error_in_order_is_the_result() {
        let failed = |uri: &str| Err(Error::Manifest { uri: uri.to_owned(), reason: String::new() });
        let jobs = [Ok(1), failed("a"), failed("b")].map(std::future::ready);
        let error = spread(jobs, 3).try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.to_string().contains('a'), "{error}");
    }
}
