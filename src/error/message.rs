//! Parts of error messages that depend on the fields of the error.

use super::position::Position;
use super::verdict::Verdict;

pub(super) fn in_partition(partition: &Option<String>) -> String {
    partition.as_ref().map(|partition| format!(" ({partition})")).unwrap_or_default()
}

pub(super) fn from_to(change: &Option<(String, String)>) -> String {
    change.as_ref().map(|(from, to)| format!(": {from} -> {to}")).unwrap_or_default()
}

pub(super) fn belongs(within: &Option<String>) -> String {
    within
        .as_ref()
        .map_or_else(|| "it is the folder of".to_owned(), |around| format!("it is in {around}, which is the folder of"))
}

pub(super) fn at_file(file: &Option<String>) -> String {
    file.as_ref().map(|file| format!(" at {file}")).unwrap_or_default()
}

pub(super) fn at_place(at: &Option<Position>) -> String {
    at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default()
}

pub(super) fn audits_failed(verdicts: &[Verdict], published: &[String]) -> String {
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.passed()).collect();
    let found = failed.iter().map(|verdict| format!("{} found {}", verdict.audit, counted(verdict.rows, "row")));
    let found = found.collect::<Vec<_>>().join(", ");
    let all = counted(verdicts.len(), "audit");
    if published.is_empty() {
        return format!("{} of {all} failed, so nothing was published: {found}", failed.len());
    }
    let mut held: Vec<String> = Vec::new();
    for table in failed.iter().flat_map(|verdict| &verdict.tables).map(|table| format!("lake.{table}")) {
        if !held.contains(&table) {
            held.push(table);
        }
    }
    let were = if held.len() == 1 { "was" } else { "were" };
    let others = match published {
        [one] => format!("lake.{one} was published"),
        more => format!("{} others were published", more.len()),
    };
    format!("{} of {all} failed, so {} {were} not published: {found}; {others}", failed.len(), held.join(", "))
}

/// The cause in plain words; empty when the store's message is clear.
pub(super) fn store_hint(source: &object_store::Error) -> &'static str {
    match source {
        other if other.to_string().contains("NoSuchBucket") => ": the bucket does not exist",
        object_store::Error::NotFound { .. } => ": it does not exist",
        object_store::Error::Precondition { .. } => ": it changed after it was planned",
        object_store::Error::PermissionDenied { .. } => ": the credentials do not allow it",
        object_store::Error::Unauthenticated { .. } => ": the credentials are missing or wrong",
        _ => "",
    }
}

/// A number with its noun: `1 file`, `2 files`.
pub(super) fn counted(number: impl std::fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

pub(super) fn published_groups(done: usize) -> String {
    let verb = if done == 1 { "is" } else { "are" };
    format!("{} {verb} already published", counted(done, "publish group"))
}

pub(super) fn and_more(more: u64) -> String {
    if more == 0 { String::new() } else { format!(" and {}", counted(more, "more file")) }
}

pub(super) fn other_folder(other_case: &Option<String>) -> String {
    let found = |name: &String| format!("; it is in a folder {name}=..., but names are case-sensitive");
    other_case.as_ref().map(found).unwrap_or_default()
}

pub(super) fn partition_text(column: &str, value: &str) -> String {
    if value.is_empty() {
        format!("partition column '{column}' has an empty text, and Spark cannot read a folder '{column}='")
    } else {
        format!("partition column '{column}' has the text {value}, which query engines read as NULL")
    }
}

/// Whether the plan is already published, as a verb.
pub(super) fn was_planned(published: usize) -> &'static str {
    if published == 0 { "was planned" } else { "is already published for this snapshot, from the plan of" }
}

pub(super) fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// The known name nearest to what the user wrote, unless it is too far off to be a typing error.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(written.chars().count()) / 3)
        .min_by_key(|(distance, name)| (*distance, name.len()))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_a_transposition_and_ignores_strangers() {
        assert_eq!(nearest("partiitoned_by", ["sorted_by", "partitioned_by"]), Some("partitioned_by".into()));
        assert_eq!(nearest("zzz", ["sorted_by", "partitioned_by"]), None);
    }
}
