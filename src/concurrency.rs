//! Spreads many small jobs over all threads, a bounded number at once, with their results in order.
//!
//! Thousands of requests whose answers have to be decoded keep one thread busy and the others idle when a single task
//! awaits them all. What is not yet taken from the stream is not yet started, and what is dropped is aborted.
//!
//! What is asked of each table of a project goes through [`read_tables`] and [`write_tables`]: a store that is far away
//! is then asked for many tables at once. Requests of all tables together are bounded by [`turn`], what is held of
//! their manifests by
//! [`room`].

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

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

/// Tables of which something is asked at once.
pub(crate) const TABLES_AT_ONCE: usize = 32;

/// Does the jobs, each of which has a weight, as many at once as weigh no more than `capacity` together, or one that
/// weighs more alone. Results are handed to `take` in the order of the jobs. After an error no further job is started,
/// and those under way are finished; the error that is returned is that of the first job in order, and all results
/// before it were handed out.
///
/// # Errors
/// Those of the jobs.
pub(crate) async fn in_order<T, F: Future<Output = Result<T>>>(
    jobs: impl IntoIterator<Item = (usize, F)>,
    capacity: usize,
    mut take: impl FnMut(T),
) -> Result<()> {
    let mut waiting = jobs.into_iter().enumerate().peekable();
    let (mut running, mut load) = (FuturesUnordered::new(), 0);
    let (mut done, mut next) = (BTreeMap::new(), 0);
    let mut failed: Option<(usize, Error)> = None;
    loop {
        while failed.is_none()
            && let Some((index, (weight, job))) =
                waiting.next_if(|(_, (weight, _))| running.is_empty() || load + weight <= capacity)
        {
            load += weight;
            running.push(async move { (index, weight, job.await) });
        }
        let Some((index, weight, result)) = running.next().await else { break };
        load -= weight;
        match result {
            Ok(result) => drop(done.insert(index, result)),
            Err(error) if failed.as_ref().is_none_or(|(first, _)| index < *first) => failed = Some((index, error)),
            Err(_) => {}
        }
        while let Some(result) = done.remove(&next) {
            take(result);
            next += 1;
        }
    }
    failed.map_or(Ok(()), |(_, error)| Err(error))
}

/// What jobs find that only read, one per table, many at once; in order.
///
/// # Errors
/// That of the first table in order that fails; jobs of tables after it are dropped.
pub(crate) async fn read_tables<T, F: Future<Output = Result<T>>>(jobs: impl IntoIterator<Item = F>) -> Result<Vec<T>> {
    futures::stream::iter(jobs).buffered(TABLES_AT_ONCE).try_collect().await
}

/// The results of jobs that write, one per table, many at once; in order. What was begun is finished, see [`in_order`].
///
/// # Errors
/// That of the first table in order that fails.
pub(crate) async fn write_tables<T, F: Future<Output = Result<T>>>(
    jobs: impl IntoIterator<Item = F>,
) -> Result<Vec<T>> {
    let mut results = Vec::new();
    in_order(jobs.into_iter().map(|job| (1, job)), TABLES_AT_ONCE, |result| results.push(result)).await?;
    Ok(results)
}

/// A job as a task of its own, on any thread; its panic is an error.
///
/// # Errors
/// Those of the job.
pub(crate) async fn on_any_thread<T: Send + 'static>(
    job: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let joined = SpawnedTask::spawn(job).join().await;
    joined.unwrap_or_else(|error| Err(Error::Engine(DataFusionError::ExecutionJoin(Box::new(error)))))
}

/// Small requests that a process sends at once, of all tables together: each has a connection, of which a process may
/// have about a thousand.
static REQUESTS: Semaphore = Semaphore::const_new(128);

/// Waits for the turn to send a small request, until the permit is dropped. Who has one must not ask for another.
pub(crate) async fn turn() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    REQUESTS.acquire().await.ok()
}

/// Manifests whose contents a process holds at once, as far as tables are not alone.
const MANIFESTS: u32 = 512;

static ROOM: Semaphore = Semaphore::const_new(MANIFESTS as usize);

/// Waits until there is room for what so many manifests of a table say. A table that has more than all the room has it
/// alone. Who has room must not ask for more.
pub(crate) async fn room(manifests: usize) -> Option<SemaphorePermit<'static>> {
    let manifests = u32::try_from(manifests).unwrap_or(MANIFESTS).clamp(1, MANIFESTS);
    // It is never closed.
    ROOM.acquire_many(manifests).await.ok()
}

/// Does work on a thread of its own that knows no runtime: there the client of the local file system does what it is
/// asked for, instead of handing every single call to yet another thread, which takes as long as the call. Nothing
/// stops the work: it should be short.
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
    async fn results_are_taken_in_order_and_jobs_weigh_no_more_than_allowed_together() {
        let (load, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let job = |number: usize, weight: usize| {
            let (load, most) = (&load, &most);
            (weight, async move {
                most.fetch_max(load.fetch_add(weight, Ordering::SeqCst) + weight, Ordering::SeqCst);
                for _ in 0..(100 - number) {
                    tokio::task::yield_now().await;
                }
                load.fetch_sub(weight, Ordering::SeqCst);
                Ok(number)
            })
        };
        let mut results = Vec::new();
        let jobs = (0..100).map(|number| job(number, if number % 10 == 0 { 4 } else { 1 }));
        in_order(jobs, 8, |number| results.push(number)).await.unwrap();
        assert_eq!(results, (0..100).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 8);
        in_order([job(0, 9), job(1, 9)], 8, |_| ()).await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 9, "one that is too heavy is done alone");
    }

    #[tokio::test]
    async fn error_of_the_first_job_in_order_is_reported_after_those_under_way_are_finished() {
        let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let jobs = (0..20).map(|number| {
            let (begun, ended) = (&begun, &ended);
            (1, async move {
                begun.fetch_add(1, Ordering::SeqCst);
                for _ in 0..(20 - number) {
                    tokio::task::yield_now().await;
                }
                ended.fetch_add(1, Ordering::SeqCst);
                let uri = number.to_string();
                if [2, 3].contains(&number) { Err(Error::Manifest { uri, reason: String::new() }) } else { Ok(number) }
            })
        });
        let mut taken = Vec::new();
        let error = in_order(jobs, 4, |number| taken.push(number)).await.unwrap_err();
        assert!(matches!(&error, Error::Manifest { uri, .. } if uri == "2"), "{error}");
        assert_eq!(taken, [0, 1]);
        let begun = begun.load(Ordering::SeqCst);
        assert!(begun < 20 && ended.load(Ordering::SeqCst) == begun, "{begun}");
    }

    #[tokio::test]
    async fn panic_on_any_thread_is_an_error() {
        let error = on_any_thread::<()>(async { panic!("in vain") }).await.unwrap_err();
        assert!(matches!(error, Error::Engine(DataFusionError::ExecutionJoin(_))), "{error}");
    }

    #[tokio::test]
    async fn table_of_more_manifests_than_there_is_room_for_is_alone() {
        let small = room(1).await;
        assert!(futures::poll!(std::pin::pin!(room(usize::MAX))).is_pending());
        drop(small);
        drop(room(usize::MAX).await.unwrap());
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
