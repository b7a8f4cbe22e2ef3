//! Results of audits, as text and as JSON.

use datafusion::arrow::json::writer::{JsonArray, WriterBuilder};
use datafusion::arrow::util::pretty::pretty_format_batches;
use indicatif::HumanCount;
use serde_json::{Value, json};

use super::report::{OutputFormat, Report};
use super::text::{count_u64, pretty, print, say, table};
use crate::error::Verdict;

impl Report {
    /// Results of audits.
    pub(crate) fn audits(&self, verdicts: &[Verdict]) {
        self.board.clear();
        match self.format {
            OutputFormat::Json => print(&pretty(&document(verdicts, &[]))),
            OutputFormat::Human if verdicts.is_empty() => print("these tables have no audits"),
            OutputFormat::Human => print(&table(&rows(verdicts))),
        }
    }

    /// The same when one failed, and for people the rows that were found.
    pub(super) fn failed_audits(&self, verdicts: &[Verdict], published: &[String]) {
        if self.format == OutputFormat::Json {
            self.board.clear();
            print(&pretty(&document(verdicts, published)));
        } else {
            self.audits(verdicts);
            verdicts.iter().filter(|verdict| !verdict.passed()).for_each(|verdict| say(&found(verdict)));
        }
    }
}

/// `passed`, or how much was found.
pub(super) fn outcome(verdict: &Verdict) -> String {
    match (verdict.passed(), verdict.ran) {
        (true, true) => "passed".to_owned(),
        (true, false) => "passed earlier".to_owned(),
        (false, _) => format!("failed, {} found", count_u64(verdict.rows, "row")),
    }
}

/// One line per audit, under a heading.
fn rows(verdicts: &[Verdict]) -> Vec<Vec<String>> {
    let mut rows = vec![["audit", "holds back", "rows", "outcome", "seconds"].map(str::to_owned).to_vec()];
    rows.extend(verdicts.iter().map(|verdict| {
        let outcome = match (verdict.passed(), verdict.ran) {
            (true, true) => "passed",
            (true, false) => "passed earlier",
            (false, _) => "failed",
        };
        vec![
            verdict.audit.clone(),
            verdict.tables.join(", "),
            HumanCount(verdict.rows).to_string(),
            outcome.to_owned(),
            format!("{:.1}", verdict.seconds),
        ]
    }));
    rows
}

/// The first rows that an audit found, and where more of them are.
fn found(verdict: &Verdict) -> String {
    let reported: usize = verdict.sample.iter().map(|rows| rows.num_rows()).sum();
    let title = format!("{} found {}", verdict.audit, count_u64(verdict.rows, "row"));
    let title = if reported as u64 == verdict.rows || reported == 0 { title } else { format!("{title}, such as") };
    let table = pretty_format_batches(&verdict.sample).map(|table| table.to_string()).unwrap_or_default();
    let file = verdict.rows_at.as_ref().map(|file| format!("in {file}")).unwrap_or_default();
    [title, if reported > 0 { table } else { String::new() }, file]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The document of all audits, and of the tables that were published although one failed.
fn document(verdicts: &[Verdict], published: &[String]) -> Value {
    let audits = verdicts.iter().map(|verdict| {
        json!({
            "audit": verdict.audit,
            "tables": verdict.tables,
            "passed": verdict.passed(),
            "rows": verdict.rows,
            "ran": verdict.ran,
            "seconds": verdict.seconds,
            "sample": sample(verdict),
            "file": verdict.rows_at,
        })
    });
    let mut document = json!({ "version": 1, "audits": audits.collect::<Vec<_>>() });
    if !published.is_empty() {
        document["published"] = json!(published);
    }
    document
}

/// Rows as objects; `null` for types that JSON has no form for.
fn sample(verdict: &Verdict) -> Value {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    let written = verdict.sample.iter().try_for_each(|rows| writer.write(rows)).and_then(|()| writer.finish());
    match written {
        Ok(()) if verdict.sample.is_empty() => json!([]),
        Ok(()) => serde_json::from_slice(&writer.into_inner()).unwrap_or_default(),
        Err(_) => Value::Null,
    }
}
