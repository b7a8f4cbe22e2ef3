//! Audits that are properties in WITH, such as `not_null = ARRAY['id']`: what they demand, and the query that finds
//! what offends.
//!
//! Whether their columns exist is seen once the SELECT is planned (`audits`). Counts of rows come from manifests, so
//! the queries about them read no data.

use super::keys::bad_value;
use super::properties::Properties;
use super::values;
use crate::config::text::statement::PlacedText;
use crate::error::{ConfigError, Position, Result};

/// One audit that is a property in WITH.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it demands.
    pub check: Check,
    /// Of which columns; none for counts of rows.
    pub columns: Vec<(String, Position)>,
    /// Its position.
    pub at: Position,
}

/// What a [`Rule`] demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// No NULL in the column.
    NotNull,
    /// No two rows with the same values in all columns; a NULL is like nothing else.
    UniqueKey,
    /// No other values than these, as text; NULL is accepted.
    AcceptedValues(Vec<String>),
    /// At least so many rows.
    RowCountMin(u64),
    /// At most this share of the rows read is left out by the SELECT.
    MaxFilteredFraction(f64),
}

/// Rows of a table, as its stage tasks counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StagedCounts {
    /// Rows of the snapshot files.
    pub(crate) read: u64,
    /// Rows that the SELECT gave.
    pub(crate) written: u64,
}

impl Check {
    /// The property that defines it.
    #[must_use]
    pub fn property(&self) -> &'static str {
        match self {
            Self::NotNull => "not_null",
            Self::UniqueKey => "unique_key",
            Self::AcceptedValues(_) => "accepted_values",
            Self::RowCountMin(_) => "row_count_min",
            Self::MaxFilteredFraction(_) => "max_filtered_fraction",
        }
    }
}

impl Rule {
    /// What people call it, such as `flights.not_null(carrier)`.
    #[must_use]
    pub fn name(&self, table: &str) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|(column, _)| column.as_str()).collect();
        let columns = if columns.is_empty() { String::new() } else { format!("({})", columns.join(", ")) };
        format!("{table}.{}{columns}", self.check.property())
    }

    /// The query that finds what offends in `staging.table`.
    pub(crate) fn query(&self, table: &str, StagedCounts { read, written }: StagedCounts) -> String {
        let table = format!("staging.{}", quoted(table));
        let columns: Vec<String> = self.columns.iter().map(|(column, _)| quoted(column)).collect();
        let list = columns.join(", ");
        match &self.check {
            Check::NotNull => format!("SELECT * FROM {table} WHERE {list} IS NULL"),
            Check::AcceptedValues(values) => {
                let values: Vec<String> =
                    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
                format!("SELECT * FROM {table} WHERE CAST({list} AS VARCHAR) NOT IN ({})", values.join(", "))
            }
            Check::UniqueKey => {
                let set =
                    columns.iter().map(|column| format!("{column} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
                format!("SELECT {list}, count(*) FROM {table} WHERE {set} GROUP BY {list} HAVING count(*) > 1")
            }
            Check::RowCountMin(minimum) => {
                format!("SELECT {written} AS rows, {minimum} AS row_count_min WHERE {written} < {minimum}")
            }
            Check::MaxFilteredFraction(most) => {
                // A join or unnest gives more rows than it reads: then none is known to be left out.
                let filtered = read.saturating_sub(written);
                format!(
                    "SELECT {read} AS rows_read, {filtered} AS rows_filtered, {most} AS max_filtered_fraction \
                     WHERE {filtered} > {most} * {read}"
                )
            }
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The audits in a WITH list.
pub(super) fn rules(properties: &Properties<'_>) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for column in columns(properties, "not_null")? {
        rules.push(Rule { check: Check::NotNull, at: column.1.clone(), columns: vec![column] });
    }
    let key = columns(properties, "unique_key")?;
    if let Some((_, at)) = key.first() {
        rules.push(Rule { check: Check::UniqueKey, at: at.clone(), columns: key });
    }
    let mut seen: Vec<(String, Position)> = Vec::new();
    for (name, accepted) in properties.map("accepted_values")? {
        let column = column(&name.text).map_err(|expected| bad_value("accepted_values", name, expected))?;
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == column) {
            return Err(ConfigError::Duplicate { kind: "column", name: column, first: first.clone() }.at(&name.at));
        }
        if accepted.is_empty() {
            return Err(bad_value("accepted_values", name, "a column with at least one value"));
        }
        seen.push((column.clone(), name.at.clone()));
        let check = Check::AcceptedValues(accepted.iter().map(|value| value.text.clone()).collect());
        rules.push(Rule { check, columns: vec![(column, name.at.clone())], at: name.at.clone() });
    }
    let mut add = |check, at: &Position| rules.push(Rule { check, columns: Vec::new(), at: at.clone() });
    if let Some(value) = properties.own("row_count_min")? {
        add(row_count_min(value)?, &value.at);
    }
    if let Some(value) = properties.own("max_filtered_fraction")? {
        add(fraction(value)?, &value.at);
    }
    Ok(rules)
}

fn column(text: &str) -> Result<String, &'static str> {
    values::column(text).ok_or("the name of a column that the SELECT yields")
}

fn columns(properties: &Properties<'_>, name: &str) -> Result<Vec<(String, Position)>> {
    properties.columns(name, column, String::as_str)
}

fn row_count_min(value: &PlacedText) -> Result<Check> {
    let rows = value.text.parse().map_err(|_| bad_value("row_count_min", value, "a number of rows, such as 1"))?;
    Ok(Check::RowCountMin(rows))
}

fn fraction(value: &PlacedText) -> Result<Check> {
    let fraction = value.text.parse::<f64>().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
    let wrong = || bad_value("max_filtered_fraction", value, "a number from 0 to 1, such as 0.1");
    fraction.map(Check::MaxFilteredFraction).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::super::resolve::from_text;
    use super::*;

    const HEAD: &str = "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2013-01-01T00:00:00Z'; \
                        SET snaplake.staging = 's'; SET snaplake.datalake = 'l';\n";

    fn table(properties: &str) -> Result<Vec<Rule>> {
        let text = format!("{HEAD}CREATE TABLE lake.t WITH ({properties}) AS SELECT 1 AS a FROM snapshot.t");
        Ok(from_text(&text)?.lakes.remove(0).rules)
    }

    #[test]
    fn each_property_becomes_named_audits_with_the_query_that_finds_what_offends() {
        let rules = table(
            "not_null = ARRAY['Id', '\"Tail \"\"Num\"'], unique_key = ARRAY['id', 'day'], \
             accepted_values = MAP {'state': ['o''k', 'new'], n: 1}, row_count_min = 10, max_filtered_fraction = 0.25",
        );
        let text =
            |rule: &Rule| format!("{}\n  {}", rule.name("t"), rule.query("t", StagedCounts { read: 8, written: 7 }));
        let reported: Vec<String> = rules.unwrap().iter().map(text).collect();
        insta::assert_snapshot!(reported.join("\n"), @r#"
        t.not_null(id)
          SELECT * FROM staging."t" WHERE "id" IS NULL
        t.not_null(Tail "Num)
          SELECT * FROM staging."t" WHERE "Tail ""Num" IS NULL
        t.unique_key(id, day)
          SELECT "id", "day", count(*) FROM staging."t" WHERE "id" IS NOT NULL AND "day" IS NOT NULL GROUP BY "id", "day" HAVING count(*) > 1
        t.accepted_values(state)
          SELECT * FROM staging."t" WHERE CAST("state" AS VARCHAR) NOT IN ('o''k', 'new')
        t.accepted_values(n)
          SELECT * FROM staging."t" WHERE CAST("n" AS VARCHAR) NOT IN ('1')
        t.row_count_min
          SELECT 7 AS rows, 10 AS row_count_min WHERE 7 < 10
        t.max_filtered_fraction
          SELECT 8 AS rows_read, 1 AS rows_filtered, 0.25 AS max_filtered_fraction WHERE 1 > 0.25 * 8
        "#);
    }

    #[test]
    fn braces_alone_are_a_map_too() {
        let with = |map: &str| table(&format!("accepted_values = {map}")).unwrap()[0].check.clone();
        assert_eq!(with("{'a': ['x', 'y']}"), Check::AcceptedValues(vec!["x".into(), "y".into()]));
        assert_eq!(with("MAP {'a': ARRAY['x']}"), Check::AcceptedValues(vec!["x".into()]));
    }

    #[test]
    fn more_rows_written_than_read_are_none_left_out() {
        let rule = table("max_filtered_fraction = 0").unwrap().remove(0);
        assert!(rule.query("t", StagedCounts { read: 5, written: 9 }).ends_with("WHERE 0 > 0 * 5"));
    }

    #[test]
    fn wrong_values_are_reported_at_their_place() {
        let wrong = [
            "not_null = ARRAY['lower(a)']",
            "not_null = ARRAY['a', 'A']",
            "not_null = MAP {'a': ['b']}",
            "accepted_values = ARRAY['a']",
            "accepted_values = MAP {'a': ['b'], 'A': ['c']}",
            "accepted_values = MAP {'a': []}",
            "accepted_values = MAP {'a': [1 + 1]}",
            "row_count_min = '1k'",
            "row_count_min = -1",
            "row_count_min = ARRAY[1]",
            "max_filtered_fraction = 1.5",
            "max_filtered_fraction = 'NaN'",
            "unique_keys = ARRAY['a']",
        ];
        let reported: Vec<String> = wrong.iter().map(|text| table(text).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(reported.join("\n"), @"
        a.sql:2:44: invalid value 'lower(a)' for not_null: expected the name of a column that the SELECT yields
        a.sql:2:49: column 'a' is defined twice; the first is at a.sql:2:44
        a.sql:2:27: not_null takes an array of columns, not a map
        a.sql:2:27: accepted_values takes a map, such as MAP {'column': ['a', 'b']}
        a.sql:2:62: column 'a' is defined twice; the first is at a.sql:2:50
        a.sql:2:50: invalid value 'a' for accepted_values: expected a column with at least one value
        a.sql:2:27: expected a quoted value, found 1 + 1
        a.sql:2:43: invalid value '1k' for row_count_min: expected a number of rows, such as 1
        a.sql:2:44: invalid value '-1' for row_count_min: expected a number of rows, such as 1
        a.sql:2:27: row_count_min takes one value, not an array
        a.sql:2:51: invalid value '1.5' for max_filtered_fraction: expected a number from 0 to 1, such as 0.1
        a.sql:2:51: invalid value 'NaN' for max_filtered_fraction: expected a number from 0 to 1, such as 0.1
        a.sql:2:27: unknown property 'unique_keys'; did you mean 'unique_key'?
        ");
    }
}
