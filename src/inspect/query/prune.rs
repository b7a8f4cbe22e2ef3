//! Which files a filter can pass over, by what manifests say of them.
//!
//! A filter of partition columns alone holds for all rows of a partition or for none: where each file is of one, it is
//! decided here for good. Any other is compared with the ranges of the columns, by the engine's own rules; the rows of
//! what is left are filtered again.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::{cast, filter, filter_record_batch, take};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ScalarValue, ToDFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::index::FileIndex;

impl FileIndex {
    /// What becomes of a filter here.
    pub(super) fn support(&self, filter: &Expr) -> TableProviderFilterPushDown {
        let is_elsewhere = |expr: &Expr| {
            Ok(matches!(
                expr,
                Expr::ScalarSubquery(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::Placeholder(_)
            ))
        };
        if filter.is_volatile() || filter.exists(is_elsewhere).unwrap_or(true) {
            TableProviderFilterPushDown::Unsupported
        } else if self.one_partition_each && self.is_of_partition(filter) {
            TableProviderFilterPushDown::Exact
        } else {
            TableProviderFilterPushDown::Inexact
        }
    }

    fn is_of_partition(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        let is_partition = |column: &&Column| self.partition.iter().any(|field| *field.name() == column.name);
        !columns.is_empty() && columns.iter().all(is_partition)
    }

    /// Positions of the files of which a row may match all filters.
    ///
    /// # Errors
    /// What the engine says of a filter of partition columns, as it would of one of their rows.
    pub(super) fn prune(&self, state: &dyn Session, filters: &[Expr]) -> Result<UInt32Array> {
        let all = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let mut kept = UInt32Array::from_iter_values(0..all);
        let (of_partition, others): (Vec<&Expr>, Vec<&Expr>) =
            filters.iter().partition(|filter| self.is_of_partition(filter));
        if !of_partition.is_empty() {
            let values = (0..self.partition.len()).map(|position| self.values(position));
            let schema = Arc::new(Schema::new(self.partition.clone()));
            let mut rows = RecordBatch::try_new(Arc::clone(&schema), values.collect::<Result<_>>()?)?;
            kept = self.parts();
            for expr in of_partition {
                let expr = state.create_physical_expr(expr.clone(), &Arc::clone(&schema).to_dfschema()?)?;
                let holds = expr.evaluate(&rows)?.into_array(rows.num_rows())?;
                let holds = cast(&holds, &DataType::Boolean)?;
                // What comes next is not evaluated for the files that are gone.
                rows = filter_record_batch(&rows, holds.as_boolean())?;
                kept = filter(&kept, holds.as_boolean())?.to_data().into();
            }
            let mut files = kept.values().to_vec();
            files.dedup();
            kept = files.into();
        }
        let schema = Arc::clone(&self.schema).to_dfschema()?;
        for expr in others {
            let expr = state.create_physical_expr(expr.clone(), &schema)?;
            let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.schema)).build(expr);
            if let Some(predicate) = predicate {
                let may_match = predicate.prune(&Kept { index: self, files: &kept })?;
                kept = filter(&kept, &BooleanArray::from(may_match))?.to_data().into();
            }
        }
        Ok(kept)
    }
}

/// The files that are left so far.
struct Kept<'a> {
    index: &'a FileIndex,
    files: &'a UInt32Array,
}

impl Kept<'_> {
    fn ranges(&self, column: &Column) -> Option<super::index::TypedRanges> {
        // What cannot be read keeps all files.
        self.index.ranges(&column.name, self.files).ok().flatten()
    }
}

impl PruningStatistics for Kept<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(beside_zero(self.ranges(column)?.min, -1.0))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(beside_zero(self.ranges(column)?.max, 1.0))
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.ranges(column)?.nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows: UInt64Array = self.index.files.iter().map(|file| file.n_record).collect();
        take(&rows, self.files, None).ok()
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Bounds that are a zero become a little wider: some of the engine's comparisons tell the two zeros apart, others do
/// not.
fn beside_zero(bounds: ArrayRef, sign: f32) -> ArrayRef {
    if let Some(bounds) = bounds.as_primitive_opt::<Float64Type>() {
        let beside = f64::MIN_POSITIVE.copysign(sign.into());
        return Arc::new(bounds.unary::<_, Float64Type>(|bound| if bound == 0.0 { beside } else { bound }));
    }
    if let Some(bounds) = bounds.as_primitive_opt::<Float32Type>() {
        let beside = f32::MIN_POSITIVE.copysign(sign);
        return Arc::new(bounds.unary::<_, Float32Type>(|bound| if bound == 0.0 { beside } else { bound }));
    }
    if *bounds.data_type() == DataType::Float16 { new_null_array(&DataType::Float16, bounds.len()) } else { bounds }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray,
        TimestampMicrosecondArray,
    };
    use datafusion::arrow::datatypes::Field;
    use datafusion::common::stats::Precision;
    use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
    use datafusion::logical_expr::Accumulator;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::prelude::SessionContext;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::layout::FilePartition;
    use crate::layout::partition;
    use crate::manifest::FileEntry;
    use crate::manifest::statistics::encode_ranges;
    use crate::write::FileRanges;

    /// Values of the columns n, x, t, d, s, m, b.
    type Row = (Option<i64>, Option<f64>, Option<String>, Option<i32>, Option<i64>, Option<i128>, Option<bool>);

    /// Values of the partition columns k and w, and the rows.
    type File = (Option<i32>, Option<String>, Vec<Row>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let s = rows.iter().map(|row| row.4).collect::<TimestampMicrosecondArray>().with_timezone("+00:00");
        let m = rows.iter().map(|row| row.5).collect::<Decimal128Array>().with_precision_and_scale(9, 2).unwrap();
        let columns: [(&str, ArrayRef); 7] = [
            ("n", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            ("x", Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>())),
            ("t", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringViewArray>())),
            ("d", Arc::new(rows.iter().map(|row| row.3).collect::<Date32Array>())),
            ("s", Arc::new(s)),
            ("m", Arc::new(m)),
            ("b", Arc::new(rows.iter().map(|row| row.6).collect::<BooleanArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    /// What manifests say of such files, and all columns of each.
    fn written(files: &[File], has_footer: bool) -> (FileIndex, Vec<RecordBatch>) {
        let partition =
            [("k", DataType::Int32), ("w", DataType::Utf8)].map(|(name, kind)| Arc::new(Field::new(name, kind, true)));
        let (mut entries, mut statistics, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        for (k, w, rows) in files {
            let batch = batch(rows);
            let mut writer = ArrowWriter::try_new(std::io::sink(), batch.schema(), None).unwrap();
            let mut ranges = FileRanges::new(&batch.schema(), |_| has_footer);
            ranges.add(&batch).unwrap();
            writer.write(&batch).unwrap();
            statistics.push(encode_ranges(&ranges.finish(&batch.schema(), &writer.close().unwrap()).unwrap()));
            let path = partition::path(["k", "w"], &[k.map(|k| k.to_string()), w.clone()]);
            let n_record = Some(rows.len() as u64);
            entries.push(FileEntry {
                uri: "u".into(),
                etag: "e".into(),
                size: 1,
                n_record,
                partition: FilePartition::one(&path),
            });
            let mut columns = batch.columns().to_vec();
            columns.push(Arc::new(Int32Array::from(vec![*k; rows.len()])));
            columns.push(Arc::new(StringArray::from(vec![w.as_deref(); rows.len()])));
            let fields = batch.schema().fields().iter().chain(&partition).cloned().collect::<Vec<_>>();
            batches.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap());
        }
        let schema = batches[0].schema();
        (FileIndex::new(entries.into(), statistics, schema, partition.to_vec()), batches)
    }

    /// Positions of the files that a filter leaves.
    fn left(index: &FileIndex, filter: &str) -> Vec<u32> {
        let state = SessionContext::new().state();
        let filter = state.create_logical_expr(filter, &Arc::clone(&index.schema).to_dfschema().unwrap()).unwrap();
        index.prune(&state, &[filter]).unwrap().values().to_vec()
    }

    fn of_n(k: Option<i32>, values: &[Option<i64>]) -> File {
        (k, Some("w".into()), values.iter().map(|n| (*n, None, None, None, None, None, None)).collect())
    }

    #[test]
    fn files_that_cannot_match_are_passed_over_and_null_is_no_value() {
        let files = [
            of_n(Some(2), &[Some(1), Some(99)]),
            of_n(Some(3), &[Some(50), Some(99), None]),
            of_n(Some(3), &[Some(1), Some(40)]),
            of_n(None, &[None, None]),
        ];
        for has_footer in [false, true] {
            let (index, _) = written(&files, has_footer);
            let cases: [(&str, &[u32]); 14] = [
                ("k = 3", &[1, 2]),
                ("k = 3 AND n < 30", &[2]),
                ("k IS NULL", &[3]),
                ("k IS NOT NULL", &[0, 1, 2]),
                ("k <> 3", &[0]),
                ("k IN (2, 4)", &[0]),
                ("k NOT IN (2, 4)", &[1, 2]),
                ("k IS DISTINCT FROM 3", &[0, 3]),
                ("k = 2 OR n = 45", &[0]),
                ("CAST(k AS VARCHAR) = '3'", &[1, 2]),
                ("n IS NULL", &[1, 3]),
                ("n IS NOT NULL", &[0, 1, 2]),
                ("n BETWEEN 41 AND 49", &[0]),
                ("n > 99", &[]),
            ];
            for (filter, expected) in cases {
                assert_eq!(left(&index, filter), expected, "{filter}");
            }
        }
    }

    /// The engine compares literals of both zeros in several ways: no file of one is passed over that its own rows
    /// match.
    #[test]
    fn each_zero_is_found_by_every_comparison_that_its_rows_match() {
        let floats = [-0.0, 0.0, -1.5, 1.5];
        let pairs = floats.iter().flat_map(|a| floats.iter().map(move |b| [*a, *b]));
        let row = |x: f64| (None, Some(x), None, None, None, None, None);
        let files: Vec<File> = pairs.map(|pair| (Some(1), None, pair.map(row).to_vec())).collect();
        let (index, batches) = written(&files, false);
        let state = SessionContext::new().state();
        let schema = Arc::clone(&index.schema).to_dfschema().unwrap();
        let zeros = ["0.0", "-0.0", "0", "CAST('-0' AS DOUBLE)", "-(0.0)"];
        let compared = zeros.iter().flat_map(|zero| {
            let simple = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"];
            let simple = simple.map(|operator| format!("x {operator} {zero}"));
            simple.into_iter().chain([
                format!("x IN ({zero}, 7)"),
                format!("x NOT IN ({zero}, 7)"),
                format!("NOT x > {zero}"),
            ])
        });
        for filter in compared {
            let expr = state.create_logical_expr(&filter, &schema).unwrap();
            let physical = state.create_physical_expr(expr, &schema).unwrap();
            let kept = left(&index, &filter);
            for (file, batch) in (0..).zip(&batches) {
                let holds = physical.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap();
                let matches = holds.as_boolean().true_count();
                assert!(matches == 0 || kept.contains(&file), "{filter} passes over {:?}", files[file as usize].2);
            }
        }
    }

    #[test]
    fn filter_of_partition_columns_is_decided_here_and_what_may_change_is_not() {
        let (index, _) = written(&[of_n(Some(1), &[Some(1)])], false);
        let state = SessionContext::new().state();
        let schema = Arc::clone(&index.schema).to_dfschema().unwrap();
        let support = |filter| index.support(&state.create_logical_expr(filter, &schema).unwrap());
        assert_eq!(support("k + 1 = 2 OR w = 'x'"), TableProviderFilterPushDown::Exact);
        assert_eq!(support("k = n"), TableProviderFilterPushDown::Inexact);
        assert_eq!(support("k < 10 * random()"), TableProviderFilterPushDown::Unsupported);
    }

    fn any_row() -> impl Strategy<Value = Row> {
        let text = prop_oneof!["[ab]{0,2}", "a{63,66}b?", "\u{10ffff}{16,17}"];
        (
            prop::option::of(-3i64..4),
            prop::option::of(select(vec![-1.5, -0.0, 0.0, 2.0, 3.0, f64::NAN, f64::INFINITY])),
            prop::option::of(text),
            prop::option::of(-2i32..3),
            prop::option::of((-3i64..4).prop_map(|day| day * 43_200_000_000)),
            prop::option::of(-150i128..150),
            prop::option::of(any::<bool>()),
        )
    }

    fn any_file() -> impl Strategy<Value = File> {
        let k = prop::option::of(0i32..4);
        let w = prop::option::of(select(vec!["", "a", "b/=%"]).prop_map(str::to_owned));
        (k, w, prop::collection::vec(any_row(), 1..4))
    }

    fn any_filter() -> impl Strategy<Value = String> {
        let literals: [(&str, &[&str]); 9] = [
            ("n", &["-3", "0", "2", "2.5", "NULL", "'1'"]),
            ("x", &["-1.5", "0.0", "2", "'NaN'::DOUBLE", "-0.0"]),
            ("t", &["''", "'a'", "'ab'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'"]),
            ("d", &["DATE '1970-01-01'", "'1969-12-31'", "TIMESTAMP '1970-01-02T00:00:00'"]),
            ("s", &["TIMESTAMP '1970-01-01T12:00:00Z'", "DATE '1970-01-01'"]),
            ("m", &["0", "1.25", "-1.5", "1e0"]),
            ("b", &["true", "false"]),
            ("k", &["0", "3", "2.0", "n", "'2'", "NULL"]),
            ("w", &["''", "'a'", "'b/=%'", "t"]),
        ];
        let literals: Vec<(String, Vec<String>)> = literals
            .iter()
            .map(|(column, values)| ((*column).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
            .collect();
        let atom =
            (select(literals), select(vec!["=", "<>", "<", "<=", ">", ">="]), any::<[prop::sample::Index; 2]>(), 0..9)
                .prop_map(|((column, values), compare, [one, other], form)| {
                    let (one, other) = (one.get(&values), other.get(&values));
                    match form {
                        0 => format!("{column} IS NULL"),
                        1 => format!("{column} IS NOT NULL"),
                        2 => format!("{column} IN ({one}, {other})"),
                        3 => format!("{column} NOT IN ({one}, {other})"),
                        4 => format!("{column} BETWEEN {one} AND {other}"),
                        5 => format!("CAST({column} AS VARCHAR) {compare} CAST({one} AS VARCHAR)"),
                        6 => format!("{column} IS DISTINCT FROM {one}"),
                        _ => format!("{column} {compare} {one}"),
                    }
                });
        let others =
            select(vec!["t LIKE 'a%'", "t NOT LIKE 'a%'", "CAST(n AS INT) + 1 > 2", "CAST(s AS DATE) = d", "b"]);
        let atom = prop_oneof![4 => atom, 1 => others.prop_map(str::to_owned)];
        atom.prop_recursive(3, 8, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
                inner.prop_map(|a| format!("NOT ({a})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// No row of a file that is passed over matches; a filter of partition columns leaves only files whose rows all
        /// do.
        #[test]
        fn pruned_result_is_the_unpruned_one(
            files in prop::collection::vec(any_file(), 1..6), filter in any_filter(), has_footer in any::<bool>()
        ) {
            let (index, batches) = written(&files, has_footer);
            let state = SessionContext::new().state();
            let schema = Arc::clone(&index.schema).to_dfschema().unwrap();
            // Some comparisons that the grammar makes have no common type.
            let Ok(expr) = state.create_logical_expr(&filter, &schema) else { return Ok(()) };
            let Ok(physical) = state.create_physical_expr(expr.clone(), &schema) else { return Ok(()) };
            let support = index.support(&expr);
            let kept = index.prune(&state, std::slice::from_ref(&expr)).unwrap();
            for (file, batch) in batches.iter().enumerate() {
                let holds = physical.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap();
                let holds = cast(&holds, &DataType::Boolean).unwrap();
                let matches = holds.as_boolean().true_count();
                let is_kept = kept.values().contains(&u32::try_from(file).unwrap());
                prop_assert!(is_kept || matches == 0, "{filter} passes over file {file}: {batch:?}");
                if support == TableProviderFilterPushDown::Exact {
                    prop_assert!(!is_kept || matches == batch.num_rows(), "{filter} leaves file {file}: {batch:?}");
                }
            }
        }

        /// Exact bounds of some files are those of their rows.
        #[test]
        fn exact_statistics_are_those_of_the_rows(
            files in prop::collection::vec(any_file(), 1..6), has_footer in any::<bool>(), step in 1usize..3
        ) {
            let (index, batches) = written(&files, has_footer);
            let kept = UInt32Array::from_iter_values((0..u32::try_from(files.len()).unwrap()).step_by(step));
            let statistics = index.statistics(&kept, None).unwrap();
            let rows = datafusion::arrow::compute::concat_batches(&index.schema, batches.iter().step_by(step)).unwrap();
            prop_assert_eq!(statistics.num_rows, Precision::Exact(rows.num_rows()));
            for (column, known) in rows.columns().iter().zip(&statistics.column_statistics) {
                prop_assert_eq!(&known.null_count, &Precision::Exact(column.null_count()));
                let mut min = MinAccumulator::try_new(column.data_type()).unwrap();
                let mut max = MaxAccumulator::try_new(column.data_type()).unwrap();
                min.update_batch(std::slice::from_ref(column)).unwrap();
                max.update_batch(std::slice::from_ref(column)).unwrap();
                for (known, value) in [(&known.min_value, min.evaluate()), (&known.max_value, max.evaluate())] {
                    if let Precision::Exact(known) = known {
                        prop_assert_eq!(known, &value.unwrap());
                    }
                }
            }
        }
    }
}
