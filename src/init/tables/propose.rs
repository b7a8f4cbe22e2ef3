//! How a table might lie in the lake: partitions and order, from sampled values, names and sizes. Pure.
//!
//! Partitions cost files, so a table has none until each would hold [`MIN_PARTITION`] bytes on average. Then dates come
//! first, by month, or by year where months are too small; then a column of few values whose name says that people ask
//! for it. A partition that holds nearly all rows is no help. Rows are sorted by time and key, where there are such.

use super::proposal::{PartitionColumn, Proposal, Scheme};
use datafusion::arrow::datatypes::DataType;
use indicatif::{HumanBytes, HumanCount};

use super::found_table::{Item, TableSize};
use super::profile::Dates;

/// Bytes that a partition should have on average.
pub(crate) const MIN_PARTITION: u64 = 8 << 20;

/// Bytes from which on partitions by day are worth a thought.
const DAY_PARTITION: u64 = 128_000_000;

/// Bytes from which on a scheme is shown as an alternative.
const SHOWN_PARTITION: u64 = 256 << 10;

/// Values that a partition column may have.
const MAX_VALUES: u64 = 64;

/// Percent of the rows in the largest partition beyond which partitions are no help.
const MAX_SHARE: u64 = 90;

/// Alternatives that are shown.
const ALTERNATIVES: usize = 2;

/// A scheme that might do, before it is judged.
struct Candidate {
    columns: Vec<PartitionColumn>,
    /// What the partitions are, such as `month of created_at`.
    what: String,
    partitions: u64,
    /// Percent of the rows in the largest one.
    share: u64,
    /// How well the name fits; below 0 it is for people to decide.
    score: i32,
}

/// Proposes partitions and order for a table of these columns.
pub(crate) fn propose(table: &str, items: &[Item], size: TableSize) -> Proposal {
    let mut dates = dates(items);
    dates.sort_by_key(|(score, _, _)| std::cmp::Reverse(*score));
    let mut candidates: Vec<Candidate> = own_parts(items).into_iter().collect();
    for (score, item, dates) in &dates {
        candidates.extend(by_date(*score, item, dates, size, items));
    }
    candidates.extend(by_value(items));
    // A table of partition columns alone has nothing to hold.
    candidates.retain(|candidate| {
        candidate.columns.iter().filter(|column| matches!(column, PartitionColumn::Column(_))).count() < items.len()
    });
    let bytes = |candidate: &Candidate| size.lake_bytes / candidate.partitions.max(1);
    let is_fit = |candidate: &Candidate| candidate.partitions > 1 && candidate.share <= MAX_SHARE;
    let is_large = |candidate: &Candidate| bytes(candidate) >= MIN_PARTITION;
    let is_by_day = |candidate: &Candidate| candidate.columns.len() == 3;
    let chosen = candidates.iter().position(|c| is_fit(c) && is_large(c) && c.score >= 0 && !is_by_day(c));
    let describe = |candidate: &Candidate| {
        format!(
            "{}: {} partitions of about {}, the largest with {} % of the rows",
            candidate.what,
            HumanCount(candidate.partitions),
            HumanBytes(bytes(candidate)),
            candidate.share
        )
    };
    let why_partitions = match chosen {
        Some(index) => format!("Partitioned by {}.", describe(&candidates[index])),
        None if size.lake_bytes < 2 * MIN_PARTITION => format!(
            "Not partitioned: about {} in the lake, and a partition should hold {} or more.",
            HumanBytes(size.lake_bytes),
            HumanBytes(MIN_PARTITION)
        ),
        None => "Not partitioned: no column was found that gives partitions of a good size.".to_owned(),
    };
    let alternatives = candidates.iter().enumerate().filter(|(index, candidate)| {
        let is_worth = bytes(candidate) >= if is_by_day(candidate) { DAY_PARTITION } else { SHOWN_PARTITION };
        Some(*index) != chosen && is_fit(candidate) && is_worth
    });
    let alternatives = alternatives.map(|(_, c)| Scheme { columns: c.columns.clone(), why: describe(c) });
    let alternatives = alternatives.take(ALTERNATIVES).collect();
    let time = dates.first().filter(|(score, _, _)| *score >= 0).map(|(_, item, _)| *item);
    let (mut sorted_by, why_sorted) = order(table, items, time);
    let partitions = chosen.map(|index| candidates.swap_remove(index).columns).unwrap_or_default();
    sorted_by.retain(|name| partitions.iter().all(|column| column.name() != name));
    Proposal { partitions, why_partitions, sorted_by, why_sorted, alternatives }
}

fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut was_lower = false;
    for c in name.chars() {
        let is_start = !c.is_alphanumeric() || (was_lower && c.is_uppercase());
        if is_start || words.is_empty() {
            words.push(String::new());
        }
        if let Some(last) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            last.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Columns of days that a table may be cut by, with how well their names fit.
fn dates(items: &[Item]) -> Vec<(i32, &Item, &Dates)> {
    const GOOD: [&str; 14] = [
        "created",
        "inserted",
        "ordered",
        "order",
        "event",
        "occurred",
        "issued",
        "placed",
        "booked",
        "timestamp",
        "ts",
        "time",
        "date",
        "day",
    ];
    const BEST: [&str; 6] = ["created", "inserted", "ordered", "event", "occurred", "order"];
    const POOR: [&str; 24] = [
        "updated",
        "modified",
        "deleted",
        "changed",
        "expires",
        "expiry",
        "expired",
        "birth",
        "birthday",
        "dob",
        "due",
        "end",
        "ended",
        "until",
        "last",
        "closed",
        "cancelled",
        "canceled",
        "valid",
        "received",
        "processed",
        "loaded",
        "synced",
        "birthdate",
    ];
    let score = |item: &Item, dates: &Dates| {
        let words = words(&item.name);
        let any = |list: &[&str]| words.iter().any(|word| list.contains(&&**word));
        10 * i32::from(any(&GOOD)) + 20 * i32::from(any(&BEST)) - 60 * i32::from(any(&POOR))
            + 5 * i32::from(!dates.is_text)
            - 40 * i32::from(item.profile.nulls * 100 > item.profile.rows)
    };
    items
        .iter()
        .filter_map(|item| {
            let dates = item.profile.dates.as_ref()?;
            let is_full = item.profile.nulls * 5 <= item.profile.rows;
            is_full.then(|| (score(item, dates), item, dates))
        })
        .collect()
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or(0)
}

/// By month, by year and by day of a column.
fn by_date(score: i32, item: &Item, dates: &Dates, size: TableSize, items: &[Item]) -> [Candidate; 3] {
    // Where only a part was read, what lies between was only not seen.
    let span = |seen: u64, between: u64| if size.is_whole { seen } else { between };
    let years_between = u64::from(dates.last.years_since(dates.first).unwrap_or(0)) + 1;
    let days_between = u64::try_from((dates.last - dates.first).num_days()).unwrap_or(0) + 1;
    let months = span(dates.months, dates.months_between);
    let years = span(dates.years, years_between.max(dates.years));
    let days = span(dates.days, days_between);
    let rows = item.profile.rows - item.profile.nulls;
    let month_share = percent(dates.top_month, rows).max(100 / months.max(1));
    let year_share = if years > 1 { month_share.max(100 / years) } else { 100 };
    let parts = |parts: &[&'static str]| parts.iter().map(|part| part_of(part, item, dates, items)).collect();
    let what = |unit: &str| format!("{unit} of {} ({} to {})", item.name, dates.first, dates.last);
    let candidate =
        |columns, unit: &str, partitions, share| Candidate { columns, what: what(unit), partitions, share, score };
    [
        candidate(parts(&["year", "month"]), "month", months, if months > 1 { month_share } else { 100 }),
        candidate(parts(&["year"]), "year", years, year_share),
        candidate(parts(&["year", "month", "day"]), "day", days, if days > 1 { 100 / days } else { 100 }),
    ]
}

/// The name of a part is its own, or with the column's in front where the table has one of that name.
fn part_of(part: &'static str, item: &Item, dates: &Dates, items: &[Item]) -> PartitionColumn {
    let is_taken = |name: &str| items.iter().any(|other| other.name.eq_ignore_ascii_case(name));
    let names = std::iter::once(part.to_owned()).chain((1..).map(|n| match n {
        1 => format!("{}_{part}", item.name.to_lowercase()),
        n => format!("{}_{part}_{n}", item.name.to_lowercase()),
    }));
    let name = names.into_iter().find(|name| !is_taken(name)).unwrap_or_default();
    PartitionColumn::Part { part, column: item.name.clone(), is_text: dates.is_text, name }
}

/// Columns `year` and `month` of numbers, as they are.
fn own_parts(items: &[Item]) -> Option<Candidate> {
    let find = |name: &str| {
        items
            .iter()
            .find(|item| item.name.eq_ignore_ascii_case(name) && item.data_type.is_integer() && item.profile.nulls == 0)
    };
    let (year, month) = (find("year")?, find("month")?);
    let partitions = year.profile.distinct * month.profile.distinct;
    (month.profile.distinct <= 12 && year.profile.distinct <= 200 && partitions > 0).then(|| Candidate {
        columns: vec![PartitionColumn::Column(year.name.clone()), PartitionColumn::Column(month.name.clone())],
        what: format!("{} and {}", year.name, month.name),
        partitions,
        share: percent(year.profile.top, year.profile.rows).min(percent(month.profile.top, month.profile.rows)),
        score: 50,
    })
}

/// Columns of few values.
fn by_value(items: &[Item]) -> Vec<Candidate> {
    const GOOD: [&str; 18] = [
        "country", "region", "state", "tenant", "market", "category", "type", "kind", "status", "source", "channel",
        "currency", "store", "shop", "site", "segment", "year", "zone",
    ];
    let is_kind = |item: &Item| {
        item.data_type.is_integer()
            || matches!(item.data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
    };
    let few = items.iter().filter(|item| {
        let profile = &item.profile;
        let is_few = !profile.is_capped && (2..=MAX_VALUES).contains(&profile.distinct) && profile.rows >= 1_000;
        is_kind(item) && is_few && profile.nulls * 10 <= profile.rows
    });
    let mut found: Vec<Candidate> = few
        .map(|item| {
            let is_good = words(&item.name).iter().any(|word| GOOD.contains(&&**word));
            let null = u64::from(item.profile.nulls > 0);
            Candidate {
                columns: vec![PartitionColumn::Column(item.name.clone())],
                what: item.name.clone(),
                partitions: item.profile.distinct + null,
                share: percent(item.profile.top, item.profile.rows),
                score: if is_good { 0 } else { -1 },
            }
        })
        .collect();
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.score));
    found
}

/// By time, then by key.
fn order(table: &str, items: &[Item], time: Option<&Item>) -> (Vec<String>, String) {
    let key = key(table, items);
    let mut why = Vec::new();
    if let Some(item) = time {
        why.push(format!("{}, which is a time", item.name));
    }
    if let Some(item) = key {
        let rows = HumanCount(item.profile.rows);
        why.push(format!("{}, which is unique in {rows} rows, so it looks like the key", item.name));
    }
    let sorted_by: Vec<String> = time.into_iter().chain(key).map(|item| item.name.clone()).collect();
    let why = match why.as_slice() {
        [] => "Not sorted: no column looks like a time or a key.".to_owned(),
        parts => format!("Sorted by {}.", parts.join("; then by ")),
    };
    (sorted_by, why)
}

/// The column whose values are all different, and whose name or place says that it is the key.
fn key<'a>(table: &str, items: &'a [Item]) -> Option<&'a Item> {
    let table = words(table);
    let singular = |word: &str| {
        word.strip_suffix("ies").map(|stem| format!("{stem}y")).unwrap_or_else(|| word.trim_end_matches('s').to_owned())
    };
    let rank = |index: usize, item: &Item| {
        let words = words(&item.name);
        let is_last = |list: &[&str]| words.last().is_some_and(|last| list.contains(&&**last));
        let of_table = words.len() > 1 && table.iter().any(|word| words[..words.len() - 1].contains(&singular(word)));
        match () {
            () if words == ["id"] => 0,
            () if is_last(&["id", "key", "no", "number", "code"]) && of_table => 1,
            () if is_last(&["id", "uuid", "guid", "key"]) => 2,
            () if index == 0 => 3,
            () if is_last(&["code", "no", "number", "name"]) => 4,
            () => 9,
        }
    };
    let is_key = |item: &Item| {
        let kinds = matches!(
            item.data_type,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Decimal128(_, _)
        );
        item.profile.is_unique
            && item.profile.rows > 1
            && item.profile.nulls == 0
            && (kinds || item.data_type.is_integer())
            && item.profile.dates.is_none()
    };
    let ranked =
        items.iter().enumerate().filter(|(_, item)| is_key(item)).map(|(index, item)| (rank(index, item), index, item));
    ranked.filter(|(rank, _, _)| *rank < 9).min_by_key(|(rank, index, _)| (*rank, *index)).map(|(_, _, item)| item)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::super::profile::Profile;
    use super::*;

    const ROWS: u64 = 100_000;

    fn item(name: &str, data_type: DataType, distinct: u64) -> Item {
        let is_unique = distinct == ROWS;
        let top = ROWS / distinct.max(1);
        let profile = Profile { rows: ROWS, distinct, is_unique, top, ..Profile::default() };
        Item { name: name.to_owned(), data_type, profile, ..Item::default() }
    }

    fn date(name: &str, months: u64) -> Item {
        let first = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();
        let last = first.checked_add_months(chrono::Months::new(months as u32 - 1)).unwrap();
        let years = months.div_ceil(12);
        let dates = Dates {
            is_text: false,
            first,
            last,
            years,
            months,
            days: months * 30,
            months_between: months,
            top_month: ROWS / months,
        };
        let mut item = item(name, DataType::Date32, months * 30);
        item.profile.dates = Some(dates);
        item
    }

    fn size(lake_bytes: u64) -> TableSize {
        TableSize { lake_bytes, is_whole: true }
    }

    fn names(proposal: &Proposal) -> Vec<&str> {
        proposal.partitions.iter().map(PartitionColumn::name).collect()
    }

    #[test]
    fn small_tables_have_no_partitions_and_larger_ones_years_then_months() {
        let items = [item("id", DataType::Int64, ROWS), date("created_at", 36)];
        for (bytes, expected) in [(1_000_000, vec![]), (30_000_000, vec!["year"]), (400_000_000, vec!["year", "month"])]
        {
            assert_eq!(names(&propose("orders", &items, size(bytes))), expected, "{bytes}");
        }
        let proposal = propose("orders", &items, size(1_000_000));
        assert!(proposal.why_partitions.contains("976.56 KiB"), "{}", proposal.why_partitions);
        assert_eq!(proposal.sorted_by, ["created_at", "id"]);
    }

    #[test]
    fn the_time_of_creation_is_preferred_to_that_of_a_change_or_a_birth() {
        let items =
            [date("updated_at", 36), date("birth_date", 600), date("created_at", 36), item("x", DataType::Int64, 9)];
        let proposal = propose("t", &items, size(1 << 30));
        assert!(matches!(&proposal.partitions[0], PartitionColumn::Part { column, .. } if column == "created_at"));
        let proposal = propose("t", &items[..2], size(1 << 30));
        assert!(proposal.partitions.is_empty() && !proposal.alternatives.is_empty(), "{proposal:?}");
    }

    #[test]
    fn a_month_that_holds_nearly_all_rows_makes_no_partitions() {
        let mut skewed = date("created_at", 36);
        skewed.profile.dates.as_mut().unwrap().top_month = ROWS / 100 * 95;
        assert!(propose("t", &[skewed, item("x", DataType::Int64, 5)], size(1 << 30)).partitions.is_empty());
    }

    #[test]
    fn few_values_serve_when_there_is_no_date_and_the_name_says_so() {
        let items =
            [item("id", DataType::Int64, ROWS), item("country", DataType::Utf8, 12), item("score", DataType::Int64, 9)];
        assert_eq!(names(&propose("t", &items, size(1 << 30))), ["country"]);
        let proposal = propose("t", &[items[0].clone(), items[2].clone()], size(1 << 30));
        assert_eq!((names(&proposal), proposal.alternatives.len()), (vec![], 1));
    }

    #[test]
    fn a_part_gets_another_name_where_the_table_has_a_column_of_that_name() {
        let items = [item("Month", DataType::Utf8, 12), date("Time", 36)];
        assert_eq!(names(&propose("t", &items, size(1 << 30))), ["year", "time_month"]);
        let own = [item("year", DataType::Int64, 3), item("month", DataType::Int64, 12), date("time", 36)];
        assert_eq!(names(&propose("t", &own, size(1 << 30))), ["year", "month"]);
    }

    #[test]
    fn the_key_has_no_value_twice_and_a_fitting_name() {
        let sorted = |items: &[Item]| propose("orders", items, size(1)).sorted_by;
        let unique = |name: &str| item(name, DataType::Int64, ROWS);
        assert_eq!(sorted(&[unique("row"), unique("customer_id"), unique("order_id")]), ["order_id"]);
        assert_eq!(sorted(&[item("id", DataType::Int64, 7), unique("code")]), ["code"]);
        assert_eq!(sorted(&[item("a", DataType::Int64, 7), unique("amount")]), [""; 0]);
    }

    proptest! {
        /// Whatever the table is like: no chosen partition is small on average or single, partition columns have
        /// distinct names that no other column has, and not all columns are partition columns.
        #[test]
        fn proposals_hold_their_promises(
            kinds in prop::collection::vec((0..4_u8, 1..2_000_u64, "(id|year|month|day|country|created_at|x)"), 1..8),
            bytes in 0..1_u64 << 40,
            is_whole: bool,
        ) {
            let mut items: Vec<Item> = Vec::new();
            for (kind, number, name) in kinds {
                if items.iter().any(|other| other.name == name) { continue }
                items.push(match kind {
                    0 => date(&name, number.min(600)),
                    1 => item(&name, DataType::Utf8, number),
                    _ => item(&name, DataType::Int64, number),
                });
            }
            let proposal = propose("t", &items, TableSize { lake_bytes: bytes, is_whole });
            let partitions = &proposal.partitions;
            if !partitions.is_empty() {
                prop_assert!(bytes >= 2 * MIN_PARTITION);
            }
            for scheme in std::iter::once(partitions).chain(proposal.alternatives.iter().map(|scheme| &scheme.columns)) {
                let mut own = 0;
                for (index, column) in scheme.iter().enumerate() {
                    prop_assert!(scheme[..index].iter().all(|other| other.name() != column.name()));
                    let exists = items.iter().any(|item| item.name == column.name());
                    let is_own = matches!(column, PartitionColumn::Column(_));
                    prop_assert_eq!(exists, is_own);
                    own += usize::from(is_own);
                }
                prop_assert!(own < items.len());
            }
        }
    }
}
