//! Reads the published files once more and compares every value, by checksum, with what was written.
//!
//! One task per partition file group, as many at once as threads and memory allow; a task holds one batch at a time. A
//! file that cannot be read is a difference like any other, reported with its name.

use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, Result};
use crate::lake::LakeColumns;
use crate::lake::sums;
use crate::manifest::FileEntry;
use crate::manifest::checksum::ColumnSums;
use crate::session::{Engine, check_content};

/// Files of one publish task, and the sums of what it wrote.
#[derive(Debug)]
pub(super) struct PublishedTask {
    pub(super) partition: String,
    pub(super) files: Vec<FileEntry>,
    pub(super) sums: ColumnSums,
}

/// What differs, in words.
///
/// # Errors
/// Those of opening stores; what is wrong with a file is no error.
pub(super) async fn differences(
    engine: &Engine,
    columns: &LakeColumns,
    published: &[PublishedTask],
) -> Result<Vec<String>> {
    let reads = futures::stream::iter(published).map(|group| async move {
        let of = if group.partition.is_empty() { String::new() } else { format!("partition {}: ", group.partition) };
        let first = group.files.first().map_or("no file", |file| &*file.uri);
        let place = match group.files.len() {
            0 | 1 => first.to_owned(),
            files => format!("one of {files} files, the first of which is {first}"),
        };
        let mut message = Vec::new();
        if let Err(error) = check_content(&group.files).await {
            message.push(format!("{of}{error}"));
        }
        match sums(engine, columns, &group.files).await {
            Err(error) if message.is_empty() => message.push(format!("{of}cannot read {place}: {error}")),
            Err(_) => {}
            Ok(found) => {
                let changed = found.differing(&group.sums).into_iter();
                message
                    .extend(changed.map(|column| format!("{of}values of column '{column}' were changed in {place}")));
            }
        }
        Ok::<_, Error>(message)
    });
    let message: Vec<Vec<String>> = reads.buffered(engine.parallel_tasks()).try_collect().await?;
    Ok(message.into_iter().flatten().collect())
}
