//! The tables of a database and their columns, by `information_schema`.
//!
//! Columns are all that a SELECT can name: generated and invisible ones, too. Types are those that a dump of the same
//! table has; what the lake has no type for is printed by the server.
//!
//! ```text
//!   bigint unsigned     `id`                                     UInt64
//!   decimal(12,2)       `total`                                  Decimal128(12, 2)
//!   time(6)             CAST(`at` AS CHAR CHARACTER SET utf8mb4) Utf8
//! ```

use datafusion::arrow::datatypes::DataType;
use mysql_async::{Error, Row};

use super::session::{MySqlSession, text};
use crate::live::earlier::is_called;
use crate::live::fault::LiveFault;
use crate::snapshot::dump::ddl::mysql_column_type;

/// Engines whose rows are those of the snapshot. All others show what is there when they are read.
const WITH_SNAPSHOT: [&str; 3] = ["InnoDB", "ROCKSDB", "TokuDB"];

/// A table or view as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MySqlTable {
    pub(super) schema: String,
    pub(super) name: String,
    /// `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED`.
    pub(super) kind: String,
    /// None for a view.
    pub(super) engine: Option<String>,
    /// Changes with the definition of the table.
    pub(super) created: Option<String>,
}

impl MySqlTable {
    /// `shop.orders`, for messages.
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// For SQL.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    pub(super) fn is_view(&self) -> bool {
        self.kind == "VIEW"
    }

    /// Why its rows cannot be of one moment with those of others.
    pub(super) fn without_snapshot(&self) -> Option<String> {
        let engine = self.engine.as_deref().filter(|_| !self.is_view()).unwrap_or("InnoDB");
        if WITH_SNAPSHOT.iter().any(|known| known.eq_ignore_ascii_case(engine)) {
            return None;
        }
        Some(format!(
            "its engine {engine} has no snapshots, so its rows would be of another moment: ALTER TABLE it to InnoDB, or \
             dump it with mysqldump --lock-tables and read it with STORED AS MYSQL_DUMP"
        ))
    }
}

/// How a column comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// As its type.
    Plain,
    /// As the bytes of a number: `bit(n)`.
    Bits,
    /// As text that the server prints.
    Printed,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MySqlColumn {
    pub(super) name: String,
    /// As SQL writes it, such as `int(10) unsigned`.
    pub(super) sql_type: String,
    pub(super) arrow: DataType,
    pub(super) sent: Sent,
    /// Whether it is text because no type of the lake holds it, or because it was asked so.
    pub(super) printed: bool,
}

impl MySqlColumn {
    /// `charset` is none where the type has no character set. `as_text` is the user's wish.
    pub(super) fn new(name: String, sql_type: String, charset: Option<&str>, as_text: bool) -> Result<Self, String> {
        let (arrow, is_text) = mysql_column_type(&sql_type).map_err(|fault| fault.to_string())?;
        let word = sql_type.split(['(', ' ']).next().unwrap_or_default().to_ascii_lowercase();
        let arrow = if is_text && charset.is_none_or(|charset| charset == "binary") { DataType::Binary } else { arrow };
        let is_bit = word == "bit";
        let (arrow, sent) = match arrow {
            DataType::Utf8 if is_text || matches!(word.as_str(), "decimal" | "json") => (DataType::Utf8, Sent::Plain),
            DataType::Utf8 => (DataType::Utf8, Sent::Printed),
            // Bytes are text if they are UTF-8; a cast would replace those that are not.
            DataType::Binary if as_text => (DataType::Utf8, Sent::Plain),
            // The server prints six digits of it; as it comes it has all of them.
            DataType::Float32 if as_text => (DataType::Utf8, Sent::Plain),
            _ if as_text => (DataType::Utf8, Sent::Printed),
            other if is_bit => (other, Sent::Bits),
            other => (other, Sent::Plain),
        };
        let printed = as_text || (arrow == DataType::Utf8 && !is_text);
        Ok(Self { name, sql_type, arrow, sent, printed })
    }

    /// The column in the list of a SELECT.
    pub(super) fn expression(&self) -> String {
        let name = quoted(&self.name);
        match self.sent {
            Sent::Printed if self.sql_type.starts_with("bit") => {
                format!("CAST({name} + 0 AS CHAR CHARACTER SET utf8mb4)")
            }
            Sent::Printed => format!("CAST({name} AS CHAR CHARACTER SET utf8mb4)"),
            Sent::Plain | Sent::Bits => name,
        }
    }
}

/// `` a`b `` -> `` `a``b` ``
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in SQL of a session whose mode has backslashes as escapes.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// All tables and views of the database that this user can see.
///
/// # Errors
/// Those of the server.
pub(super) async fn tables(session: &mut MySqlSession, database: &str) -> Result<Vec<MySqlTable>, Error> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, CAST(CREATE_TIME AS CHAR) FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = {} ORDER BY TABLE_NAME",
        literal(database)
    );
    let table = |row: &Row| {
        let name = |at| text(row, at).unwrap_or_default();
        MySqlTable { schema: name(0), name: name(1), kind: name(2), engine: text(row, 3), created: text(row, 4) }
    };
    // The comparison of names in information_schema may not look at their case.
    let is_ours = |table: &MySqlTable| {
        table.schema == database && matches!(table.kind.as_str(), "BASE TABLE" | "VIEW" | "SYSTEM VERSIONED")
    };
    Ok(session.rows(&sql).await?.iter().map(table).filter(is_ours).collect())
}

/// The columns of a table in their order. Those that `as_text` names come as text.
///
/// # Errors
/// Those of the server; the inner one is about a type.
pub(super) async fn columns(
    session: &mut MySqlSession,
    table: &MySqlTable,
    as_text: &[String],
) -> Result<Result<Vec<MySqlColumn>, String>, Error> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
        literal(&table.schema),
        literal(&table.name)
    );
    let rows = session.rows(&sql).await?;
    let is_ours =
        |row: &&Row| text(row, 0).as_deref() == Some(&table.schema) && text(row, 1).as_deref() == Some(&table.name);
    let column = |row: &Row| {
        let (name, sql_type) = (text(row, 2).unwrap_or_default(), text(row, 3).unwrap_or_default());
        let is_asked = as_text.contains(&name);
        MySqlColumn::new(name, sql_type, text(row, 4).as_deref(), is_asked)
    };
    Ok(rows.iter().filter(is_ours).map(column).collect())
}

/// The table that a name means: `orders` or `shop.orders`.
///
/// # Errors
/// [`LiveFault::NoTable`].
pub(super) fn resolve<'a>(tables: &'a [MySqlTable], name: &str) -> Result<&'a MySqlTable, LiveFault> {
    let called = |table: &&MySqlTable| is_called(&table.schema, &table.name, &table.schema, name);
    // `a.b` may be a table of this name, or the table b of the database a.
    let exact = tables.iter().find(|table| table.name == name);
    exact.or_else(|| tables.iter().find(called)).ok_or_else(|| LiveFault::NoTable {
        name: name.to_owned(),
        tables: tables.iter().map(MySqlTable::full_name).collect(),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    fn column(sql_type: &str, charset: Option<&str>, as_text: bool) -> (DataType, Sent, bool) {
        let column = MySqlColumn::new("c".to_owned(), sql_type.to_owned(), charset, as_text).unwrap();
        (column.arrow, column.sent, column.printed)
    }

    #[test]
    fn each_type_comes_in_the_form_that_keeps_its_values() {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (sql_type, charset, expected) in [
            ("bigint(20) unsigned", None, (DataType::UInt64, Sent::Plain, false)),
            ("tinyint(1)", None, (DataType::Int8, Sent::Plain, false)),
            ("decimal(38,10)", None, (DataType::Decimal128(38, 10), Sent::Plain, false)),
            ("decimal(65,30)", None, (DataType::Utf8, Sent::Plain, true)),
            ("bit(64)", None, (DataType::UInt64, Sent::Bits, false)),
            ("timestamp(6)", None, (micros(Some("UTC")), Sent::Plain, false)),
            ("datetime", None, (micros(None), Sent::Plain, false)),
            ("time(6)", None, (DataType::Utf8, Sent::Printed, true)),
            ("year(4)", None, (DataType::Int16, Sent::Plain, false)),
            ("varchar(10)", Some("latin1"), (DataType::Utf8, Sent::Plain, false)),
            ("enum('a','b (c')", Some("utf8mb4"), (DataType::Utf8, Sent::Plain, false)),
            ("set('a')", Some("binary"), (DataType::Binary, Sent::Plain, false)),
            ("blob", None, (DataType::Binary, Sent::Plain, false)),
            ("point", None, (DataType::Binary, Sent::Plain, false)),
            ("json", None, (DataType::Utf8, Sent::Plain, true)),
            ("uuid", None, (DataType::Utf8, Sent::Printed, true)),
        ] {
            assert_eq!(column(sql_type, charset, false), expected, "{sql_type}");
        }
        assert_eq!(column("date", None, true), (DataType::Utf8, Sent::Printed, true));
        assert_eq!(column("blob", None, true), (DataType::Utf8, Sent::Plain, true));
        assert_eq!(column("float(7,3)", None, true), (DataType::Utf8, Sent::Plain, true));
        assert_eq!(column("double", None, true), (DataType::Utf8, Sent::Printed, true));
    }

    #[test]
    fn names_and_texts_stay_inside_their_quotes() {
        let column = |sql_type: &str, as_text| MySqlColumn::new("a`b".into(), sql_type.into(), None, as_text).unwrap();
        assert_eq!(column("int", false).expression(), "`a``b`");
        assert_eq!(column("time", false).expression(), "CAST(`a``b` AS CHAR CHARACTER SET utf8mb4)");
        assert_eq!(column("bit(3)", true).expression(), "CAST(`a``b` + 0 AS CHAR CHARACTER SET utf8mb4)");
        assert_eq!(literal("a'\\"), "'a''\\\\'");
    }

    fn table(name: &str, kind: &str, engine: Option<&str>) -> MySqlTable {
        let engine = engine.map(str::to_owned);
        MySqlTable { schema: "shop".into(), name: name.into(), kind: kind.into(), engine, created: None }
    }

    #[test]
    fn engines_without_snapshots_are_refused() {
        assert_eq!(table("t", "BASE TABLE", Some("InnoDB")).without_snapshot(), None);
        assert_eq!(table("t", "VIEW", None).without_snapshot(), None);
        for engine in ["MyISAM", "Aria", "CSV", "MEMORY"] {
            let reason = table("t", "BASE TABLE", Some(engine)).without_snapshot().unwrap();
            assert!(reason.starts_with(&format!("its engine {engine} has no snapshots")), "{reason}");
        }
    }

    #[test]
    fn a_name_is_that_of_the_table_or_with_its_database() {
        let all = [table("a", "VIEW", None), table("shop.a", "VIEW", None)];
        assert_eq!(resolve(&all, "a").unwrap().name, "a");
        assert_eq!(resolve(&all, "shop.a").unwrap().name, "shop.a");
        assert_eq!(resolve(&all[..1], "shop.a").unwrap().name, "a");
        let error = resolve(&all[..1], "b").unwrap_err().to_string();
        assert_eq!(error, "there is no table \"b\"; there are shop.a");
    }
}
