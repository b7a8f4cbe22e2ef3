//! What the operators of a finished task measured, for its manifest.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;

use crate::manifest::Operator;

/// All operators of a plan, the last one first.
pub(crate) fn operators(plan: &Arc<dyn ExecutionPlan>) -> Vec<Operator> {
    let mut all = vec![operator(plan)];
    all.extend(plan.children().into_iter().flat_map(operators));
    all
}

/// Bytes that a plan's operators put on disk for want of memory.
pub(crate) fn bytes_spilled(operators: &[Operator]) -> u64 {
    operators.iter().map(|operator| operator.bytes_spilled).sum()
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn operator(plan: &Arc<dyn ExecutionPlan>) -> Operator {
    let metrics = plan.metrics().unwrap_or_default();
    let named = |name: &str| metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64);
    let compute = metrics.elapsed_compute().unwrap_or(0) as u64;
    // Scans measure decoding under a name of their own.
    let nanoseconds = compute.max(named("time_elapsed_processing"));
    Operator {
        operator: plan.name().to_owned(),
        seconds: nanoseconds as f64 / 1e9,
        rows: metrics.output_rows().unwrap_or(0) as u64,
        bytes_read: named("bytes_scanned"),
        bytes_spilled: metrics.spilled_bytes().unwrap_or(0) as u64,
        bytes_written: named("bytes_written"),
        runs: named("runs"),
        stretches: named("stretches"),
    }
}
