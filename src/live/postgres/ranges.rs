//! Ranges of a table: what one COPY reads and one file has.
//!
//! ```text
//!   heap of 40,000 blocks, 16,384 a range      [0, 13334)  [13334, 26668)  [26668, open)
//!   partitioned table                           the ranges of each leaf
//!   view, foreign table, table with children    one range, through the table itself
//! ```
//!
//! Blocks are read with `ctid >= .. AND ctid < ..` (a TID range scan, from PostgreSQL 14 on; before that each range
//! would read the whole table, so there is one). The last range of a heap has no end: blocks that were added since the
//! size was asked for have no rows of the snapshot, mostly, and need no proof this way. Leaves are read by themselves
//! only where that cannot show other rows than reading the parent does: all readable, none with row security.
//! Planning is pure.

use super::catalog::{Relation, RelationKind};

/// From here on a range of blocks is read without the rest of the table.
const TID_RANGE_SCAN: u32 = 140_000;

/// Blocks of a heap, from one on and up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) from: u64,
    /// Open in the last range.
    pub(crate) to: Option<u64>,
}

/// What one COPY reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableRange {
    /// As SQL: `ONLY "public"."orders"`.
    pub(crate) from: String,
    /// The relation whose rows these are, for messages.
    pub(crate) part: String,
    pub(crate) blocks: Option<Blocks>,
    /// For the order of work only.
    pub(crate) bytes: u64,
}

impl TableRange {
    /// The condition on rows; empty for all.
    pub(crate) fn condition(&self) -> String {
        let Some(Blocks { from, to }) = self.blocks else { return String::new() };
        match (from, to) {
            (0, None) => String::new(),
            (0, Some(to)) => format!(" WHERE ctid < '({to},0)'::pg_catalog.tid"),
            (from, None) => format!(" WHERE ctid >= '({from},0)'::pg_catalog.tid"),
            (from, Some(to)) => {
                format!(" WHERE ctid >= '({from},0)'::pg_catalog.tid AND ctid < '({to},0)'::pg_catalog.tid")
            }
        }
    }
}

/// The ranges of a table, and what people should know of them.
pub(crate) fn plan(table: &Relation, leaves: &[Relation], version: u32, target: u64) -> (Vec<TableRange>, Vec<String>) {
    let mut notes = Vec::new();
    let whole = |bytes| vec![TableRange { from: table.sql(), part: table.full_name(), blocks: None, bytes }];
    let bytes = leaves.iter().map(|leaf| leaf.bytes).sum();
    match table.kind {
        RelationKind::View => {
            // LOCK TABLE takes the tables behind it, and leaves these out.
            notes.push(
                "a view: rows that it has from materialized views and foreign tables are of when they were read"
                    .to_owned(),
            );
            return (whole(bytes), notes);
        }
        RelationKind::Materialized => return (whole(bytes), notes),
        RelationKind::Foreign => {
            notes.push(
                "a foreign table: its rows are those of another server, which the snapshot does not cover".to_owned(),
            );
            return (whole(0), notes);
        }
        RelationKind::Table if table.parent => {
            notes.push("other tables inherit from it: their rows are read with it, by one connection".to_owned());
            return (whole(bytes), notes);
        }
        RelationKind::Table => {}
        RelationKind::Partitioned if leaves.is_empty() => return (whole(0), notes),
        RelationKind::Partitioned => {
            if let Some(leaf) = leaves.iter().find(|leaf| !leaf.readable || leaf.row_security) {
                notes.push(format!(
                    "read through the partitioned table by one connection, because this user may not read the partition {} \
                     by itself",
                    leaf.full_name()
                ));
                return (whole(bytes), notes);
            }
            for leaf in leaves.iter().filter(|leaf| leaf.kind == RelationKind::Foreign) {
                notes.push(format!(
                    "the partition {} is a foreign table, which the snapshot does not cover",
                    leaf.full_name()
                ));
            }
        }
    }
    if version < TID_RANGE_SCAN && bytes > target {
        notes.push(format!(
            "PostgreSQL before 14 cannot read a range of blocks: {} by one connection",
            if leaves.len() > 1 { "each partition is read" } else { "the table is read" }
        ));
    }
    let ranges = leaves.iter().flat_map(|leaf| split(leaf, version, target)).collect();
    (ranges, notes)
}

fn split(leaf: &Relation, version: u32, target: u64) -> Vec<TableRange> {
    let only = leaf.kind == RelationKind::Table;
    let from = if only { format!("ONLY {}", leaf.sql()) } else { leaf.sql() };
    let range =
        |blocks: Option<Blocks>, bytes| TableRange { from: from.clone(), part: leaf.full_name(), blocks, bytes };
    let parts = leaf.bytes.div_ceil(target.max(1)).min(leaf.blocks);
    if !only || !leaf.heap || version < TID_RANGE_SCAN || parts < 2 {
        return vec![range(None, leaf.bytes)];
    }
    let each = leaf.blocks.div_ceil(parts);
    let starts = (0..).map(|number| number * each).take_while(|from| *from < leaf.blocks);
    starts
        .map(|from| {
            let to = Some(from + each).filter(|to| *to < leaf.blocks);
            range(Some(Blocks { from, to }), leaf.bytes / parts)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::catalog::tests::table;
    use super::*;

    proptest! {
        #[test]
        fn ranges_cover_every_block_once_and_the_last_is_open(blocks in 0_u64..5_000_000, toast in 0_u64..1 << 40, target in 1_u64..1 << 30) {
            let mut heap = table("public", "t", blocks);
            heap.bytes += toast;
            let (ranges, _) = plan(&heap, std::slice::from_ref(&heap), 150_000, target.max(heap.bytes / 5_000));
            let mut next = 0;
            for (number, range) in ranges.iter().enumerate() {
                let Some(found) = range.blocks else {
                    prop_assert_eq!(ranges.len(), 1);
                    continue;
                };
                prop_assert_eq!(found.from, next);
                let is_last = number + 1 == ranges.len();
                prop_assert_eq!(found.to.is_none(), is_last);
                if let Some(to) = found.to {
                    prop_assert!(to > found.from);
                    next = to;
                }
            }
        }
    }

    #[test]
    fn conditions_leave_no_gap() {
        let heap = table("public", "t", 300);
        let (ranges, notes) = plan(&heap, std::slice::from_ref(&heap), 150_000, 100 * 8192);
        let conditions: Vec<String> = ranges.iter().map(TableRange::condition).collect();
        assert_eq!(
            conditions,
            [
                " WHERE ctid < '(100,0)'::pg_catalog.tid",
                " WHERE ctid >= '(100,0)'::pg_catalog.tid AND ctid < '(200,0)'::pg_catalog.tid",
                " WHERE ctid >= '(200,0)'::pg_catalog.tid",
            ]
        );
        assert_eq!(ranges[0].from, "ONLY \"public\".\"t\"");
        assert!(notes.is_empty());
        assert_eq!(plan(&heap, std::slice::from_ref(&heap), 130_000, 8192).0.len(), 1);
    }

    #[test]
    fn partitions_that_the_user_may_not_read_are_read_through_the_parent() {
        let parent = Relation { kind: RelationKind::Partitioned, parent: true, ..table("public", "p", 0) };
        let (open, closed) = (table("public", "p1", 10), Relation { readable: false, ..table("public", "p2", 10) });
        let (ranges, _) = plan(&parent, &[open.clone(), open.clone()], 150_000, 1 << 20);
        assert_eq!(ranges.len(), 2);
        let (ranges, notes) = plan(&parent, &[open, closed], 150_000, 1 << 20);
        assert_eq!((ranges.len(), ranges[0].from.as_str()), (1, "\"public\".\"p\""));
        assert!(notes[0].contains("public.p2"));
    }

    #[test]
    fn view_says_which_of_its_rows_may_be_newer() {
        let of = |kind| plan(&Relation { kind, ..table("public", "v", 0) }, &[], 150_000, 1 << 20);
        let (ranges, notes) = of(RelationKind::View);
        assert_eq!((ranges.len(), notes.len()), (1, 1));
        assert!(notes[0].contains("materialized views and foreign tables"));
        assert!(of(RelationKind::Materialized).1.is_empty());
    }

    #[test]
    fn a_partitioned_table_without_partitions_is_one_range_without_rows() {
        let parent = Relation { kind: RelationKind::Partitioned, ..table("public", "p", 0) };
        assert_eq!(plan(&parent, &[], 150_000, 1 << 20).0[0].from, "\"public\".\"p\"");
    }
}
