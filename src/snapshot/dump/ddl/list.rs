//! Reads the parenthesized list of a CREATE TABLE or a composite type: names, types and what stands behind them.
//!
//! Keys, checks and other constraints are skipped by their parentheses, and so are all expressions: it knows none.
//! A word decides by dialect whether an element is a constraint, since `key`, `index` and `exclude` are ordinary
//! unquoted column names in a pg_dump and reserved in MySQL.
//!
//! ```text
//!   ( "a,b" numeric(5, 2)[] DEFAULT ARRAY[1,2] NOT NULL , CONSTRAINT c CHECK ((x > 0)) )
//!     name  type            rest                          skipped
//! ```
//!
//! It fails on a list that does not end (a `;` inside it says so too), on a column without a type, and where no
//! name stands, and on more columns than any server has.

use super::lex::{Depth, Lexer, Token};
use super::names::name_of;
use super::types::ReadType;
use super::{DdlFault, Generated, mysql, postgres};
use crate::snapshot::dump::SqlFamily;

/// A column before domains are looked up.
#[derive(Debug, Clone)]
pub(super) struct RawColumn {
    /// Unquoted name.
    pub(super) name: String,
    /// Its type; None in the list of an OF table, which only adds to the columns of a type.
    pub(super) read: Option<ReadType>,
    /// NOT NULL or PRIMARY KEY beside it.
    pub(super) not_null: bool,
    /// Generated, and how.
    pub(super) generated: Option<Generated>,
    /// MySQL: what the character set beside it is.
    pub(super) charset: Charset,
}

/// Whether a character set makes text into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// None named: the table's counts.
    Unset,
    /// `binary`.
    Binary,
    /// Any other.
    Other,
}

impl Charset {
    /// Looks for CHARACTER SET, CHARSET or COLLATE among words as they pass; the first that is found counts.
    pub(super) fn note(&mut self, before: [Option<Token<'_>>; 2], now: &Token<'_>) {
        let [older, last] = before;
        let last_is = |words: &[&str]| last.is_some_and(|token| token.is_any(words));
        let set = last_is(&["set"]) && older.is_some_and(|token| token.is_any(&["character", "char"]));
        if *self == Self::Unset && !now.is_mark(b'=') && (set || last_is(&["charset", "collate"])) {
            let bare = now.text.trim_matches(['\'', '"', '`']);
            *self = if bare.eq_ignore_ascii_case("binary") { Self::Binary } else { Self::Other };
        }
    }
}

/// More columns than any server allows (MySQL 4096, PostgreSQL 1600).
const MAX_COLUMNS: usize = 16_384;

/// The columns of a list, and whether it also takes columns of a table that it does not name (LIKE).
#[derive(Debug, Default)]
pub(super) struct List {
    /// Columns in order.
    pub(super) columns: Vec<RawColumn>,
    /// `LIKE other` stands in it, which no dump prints.
    pub(super) has_like: bool,
}

/// Reads the list behind its `(` to its `)`. `typed` is false for lists of OF and PARTITION OF, which name columns
/// without types; `table` is for faults.
pub(super) fn read_list(lexer: &mut Lexer<'_>, typed: bool, table: &str) -> Result<List, DdlFault> {
    let mut list = List::default();
    loop {
        let Some(first) = lexer.next_token()? else { return Err(lexer.open("a column list", usize::MAX)) };
        if first.is_mark(b')') && list.columns.is_empty() {
            return Ok(list);
        }
        let mut column =
            RawColumn { name: String::new(), read: None, not_null: false, generated: None, charset: Charset::Unset };
        let constraint = is_constraint(&first, lexer)?;
        if constraint {
            list.has_like |= first.is("like");
        } else {
            column.name = name_of(&first, lexer)?;
            if typed {
                let family = lexer.family;
                let read = match family {
                    SqlFamily::Postgres => postgres::read_type(lexer)?,
                    SqlFamily::MySql => mysql::read_type(lexer)?,
                };
                if read.is_none() && lexer.peek()?.is_none() {
                    return Err(lexer.open("a column list", first.at));
                }
                if read.is_none() {
                    let (column, near) = (column.name, lexer.near(first.at));
                    return Err(DdlFault::NoType { column, table: table.to_owned(), near });
                }
                column.read = read;
            }
        }
        let last = read_rest(lexer, &first, &mut column)?;
        if !constraint {
            if list.columns.len() == MAX_COLUMNS {
                return Err(DdlFault::TooMany { table: table.to_owned(), most: MAX_COLUMNS });
            }
            list.columns.push(column);
        }
        if last {
            return Ok(list);
        }
    }
}

/// Reads behind a type to the `,` or `)` that ends the element; says whether it was the last one.
fn read_rest(lexer: &mut Lexer<'_>, first: &Token<'_>, column: &mut RawColumn) -> Result<bool, DdlFault> {
    let mut depth = Depth::default();
    let mut before = [None, None];
    loop {
        let token = match lexer.next_token()? {
            Some(token) if !token.is_mark(b';') => token,
            _ => return Err(lexer.open("a column list", first.at)),
        };
        if depth.is_zero() && (token.is_mark(b',') || token.is_mark(b')')) {
            return Ok(token.is_mark(b')'));
        }
        let starts = depth.is_zero();
        if depth.outside(&token) {
            note_word(column, before, &token);
        } else if starts && token.is_mark(b'(') && before[1].is_some_and(|last: Token<'_>| last.is("as")) {
            // AS ( is a generated column; AS IDENTITY and AS ROW START have no parenthesis here.
            column.generated = column.generated.or(Some(Generated::Virtual));
        }
        before = [before[1], Some(token)];
    }
}

/// Takes from the words behind a type what a column needs.
fn note_word(column: &mut RawColumn, before: [Option<Token<'_>>; 2], token: &Token<'_>) {
    let after = |word: &str| before[1].is_some_and(|last| last.is(word));
    if token.is("null") && after("not") || token.is("key") && after("primary") {
        column.not_null = true;
    } else if column.generated.is_some() && token.is_any(&["stored", "persistent"]) {
        column.generated = Some(Generated::Stored);
    } else if token.is("byte") && before[1].is_none() {
        column.charset = Charset::Binary;
    }
    column.charset.note(before, token);
}

/// Whether an element that begins with this token is a key or constraint. Only words that cannot be the unquoted
/// name of a column in that dialect say so alone; the others need the word that follows them.
fn is_constraint(first: &Token<'_>, lexer: &Lexer<'_>) -> Result<bool, DdlFault> {
    if first.is_any(&["primary", "unique", "constraint", "check", "foreign", "like"]) {
        return Ok(true);
    }
    let Some(next) = lexer.peek()? else { return Ok(false) };
    Ok(match lexer.family {
        // PostgreSQL 18 has NOT NULL as a table constraint.
        SqlFamily::Postgres => first.is("not") || first.is("exclude") && (next.is("using") || next.is_mark(b'(')),
        SqlFamily::MySql => {
            first.is_any(&["key", "index", "fulltext", "spatial"])
                || first.is("period") && next.is("for")
                || first.is("vector") && next.is_any(&["key", "index"])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::TableKind;
    use super::super::read_tests::{one, shown};
    use super::*;
    use datafusion::arrow::datatypes::DataType;
    use proptest::prelude::*;

    #[test]
    fn postgres_list_with_odd_names_defaults_and_checks_gives_its_columns() {
        let table = one(
            SqlFamily::Postgres,
            r#"CREATE TABLE public."Mixed, (Case)" (
    "a""b" integer, -- a comment, with ) and '
    "x,)(" text DEFAULT 'it''s, (odd)'::text NOT NULL,
    key text NOT NULL, index integer, exclude integer, period integer,
    "check" integer,
    arrd text[] DEFAULT ARRAY['a,b'::text, 'c)'::text],
    st public."Order, Status" DEFAULT 'a,)'::public."Order, Status",
    co text DEFAULT 'x'::text NOT NULL COLLATE pg_catalog."C",
    esc text DEFAULT E'a\\b\',(' ,
    gross numeric(14,2) GENERATED ALWAYS AS ((total * 1.19)) STORED,
    virt integer GENERATED ALWAYS AS ((a + 1)),
    ident bigint GENERATED ALWAYS AS IDENTITY (START 1) NOT NULL,
    tz timestamp(3)  with   time zone DEFAULT now() CONSTRAINT c NOT NULL,
    UPPER integer PRIMARY KEY,
    CONSTRAINT "ck,(" CHECK (((index > 0) AND (co <> ')'::text))),
    CHECK (key IS NOT NULL), UNIQUE ("a""b"), PRIMARY KEY (key),
    EXCLUDE USING gist (r WITH &&), FOREIGN KEY (key) REFERENCES public.o(id), NOT NULL index
)
WITH (fillfactor='70');"#,
        );
        assert_eq!((table.schema.as_deref(), table.name.as_str()), (Some("public"), "Mixed, (Case)"));
        assert_eq!(table.kind, TableKind::Table);
        assert!(table.columns_known);
        let want = [
            "a\"b integer",
            "x,)( text!",
            "key text!",
            "index integer",
            "exclude integer",
            "period integer",
            "check integer",
            "arrd text[]",
            "st public.\"Order, Status\"",
            "co text!",
            "esc text",
            "gross numeric(14,2)=",
            "virt integer~",
            "ident bigint!",
            "tz timestamp(3) with time zone!",
            "upper integer!",
        ];
        assert_eq!(shown(&table), want);
    }

    #[test]
    fn mysql_list_with_versioned_comments_and_keys_gives_its_columns() {
        let table = one(
            SqlFamily::MySql,
            r#"CREATE TABLE `shop`.`a``b` (
  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  `primary` int NOT NULL COMMENT 'it''s, (odd)\\ \' "q"',
  `x,)(` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'a,(b)',
  `e` enum('','x','a,b','it''s)') DEFAULT NULL,
  `j` json DEFAULT (json_array(1,2)),
  `n` decimal(14,2) GENERATED ALWAYS AS ((`a` * 1.19)) STORED NOT NULL COMMENT 'AS (virtual)',
  `v` int GENERATED ALWAYS AS (`a` + 1) VIRTUAL, `w` int AS (a+1), `p` int AS (a+2) PERSISTENT,
  `rs` timestamp(6) GENERATED ALWAYS AS ROW START,
  `geo` point NOT NULL /*!80003 SRID 4326 */,
  `dt` datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `c` text /*!50606 STORAGE DISK */ /*!50606 COLUMN_FORMAT DYNAMIC */,
  `z` blob /*M!100301 COMPRESSED*/ DEFAULT NULL,
  period int, `key` int, "ansi ""q" int,
  PRIMARY KEY (`my_row_id`), UNIQUE KEY `u` (`x,)(`(5)),
  KEY `functional` ((lower(`c`)),`e` DESC) /*!80000 INVISIBLE */,
  FULLTEXT KEY `ft` (`c`) /*!50100 WITH PARSER `ngram` */, SPATIAL KEY `sp` (`geo`), INDEX (`e`),
  CONSTRAINT `fk` FOREIGN KEY (`e`) REFERENCES `o` (`id`) ON DELETE SET NULL,
  CONSTRAINT `ch,(` CHECK ((`primary` > 0)) /*!80016 NOT ENFORCED */,
  PERIOD FOR SYSTEM_TIME (`rs`, `re`)
) /*!50100 TABLESPACE `t` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='tab, (c)'
/*!50100 PARTITION BY RANGE (year(`dt`))
(PARTITION p0 VALUES LESS THAN (2020) ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */;"#,
        );
        assert_eq!((table.schema.as_deref(), table.name.as_str()), (Some("shop"), "a`b"));
        assert_eq!(table.kind, TableKind::Table);
        assert!(table.columns_known);
        let want = [
            "my_row_id bigint unsigned!",
            "primary int!",
            "x,)( varchar(20)!",
            "e enum('','x','a,b','it''s)')",
            "j json",
            "n decimal(14,2)!=",
            "v int~",
            "w int~",
            "p int=",
            "rs timestamp(6)",
            "geo point!",
            "dt datetime(3)",
            "c text",
            "z blob",
            "period int",
            "key int",
            "ansi \"q int",
        ];
        assert_eq!(shown(&table), want);
    }

    #[test]
    fn mysql_text_of_the_character_set_binary_is_binary() {
        let column = |text: &str, options: &str| {
            let table = one(SqlFamily::MySql, &format!("CREATE TABLE t (a {text}) {options}"));
            (table.columns[0].data_type.clone(), table.columns[0].is_binary_text)
        };
        let (bytes, text) = ((DataType::Binary, true), (DataType::Utf8, false));
        assert_eq!(column("char(5) CHARACTER SET binary DEFAULT NULL", ""), bytes);
        assert_eq!(column("text NOT NULL CHARSET BINARY", ""), bytes);
        assert_eq!(column("enum('a') CHARACTER SET binary COLLATE binary", ""), bytes);
        assert_eq!(column("char(5) BYTE", ""), bytes);
        assert_eq!(column("text", "ENGINE=InnoDB DEFAULT CHARSET=binary"), bytes);
        assert_eq!(column("text", "DEFAULT CHARACTER SET = binary"), bytes);
        assert_eq!(column("text COLLATE utf8mb4_bin", "DEFAULT CHARSET=binary"), text);
        assert_eq!(column("json", "DEFAULT CHARSET=binary"), text);
        assert_eq!(column("varchar(5) BINARY", ""), text);
        assert_eq!(column("varchar(5) COMMENT 'CHARACTER SET binary'", "COMMENT='charset' ENGINE=binary"), text);
        assert_eq!(column("blob", "DEFAULT CHARSET=binary"), (DataType::Binary, false));
    }

    const TYPES: [&[&str]; 2] = [
        &[
            "integer",
            "numeric(5,2)[]",
            "timestamp(3) with time zone",
            "character varying(20)",
            "public.\"T,(\"",
            "interval day to second(3)",
            "double precision",
            "\"char\"",
            "bit varying",
            "date",
            "a.b(c,1)",
        ],
        &[
            "int(10) unsigned zerofill",
            "enum('a,(','it''s','\\')')",
            "double precision",
            "decimal(65,30)",
            "json",
            "char(3)",
            "bit(1)",
            "national varchar(3)",
            "datetime(6)",
            "set('x')",
            "uuid",
        ],
    ];
    const RESTS: [&[&str]; 2] = [
        &[
            "",
            "DEFAULT 'it''s, (' ",
            "CHECK ((a > ')'))",
            "COLLATE \"C,\"",
            "DEFAULT ARRAY[1, 2]",
            "REFERENCES x(y, z)",
        ],
        &[
            "",
            "DEFAULT 'it\\'s, ('",
            "COMMENT 'AS (x) NOT NULL,'",
            "CHECK (`a` in (1,2))",
            "/*!80023 INVISIBLE */",
            "NULL",
        ],
    ];
    const SKIPPED: [&[&str]; 2] = [
        &[
            "CONSTRAINT \"c,\" CHECK ((a, b) <> (1, 2))",
            "UNIQUE (a, b)",
            "PRIMARY KEY (a)",
            "EXCLUDE USING gist (a WITH =)",
        ],
        &[
            "PRIMARY KEY (`a`,`b`)",
            "KEY `k,(` ((lower(`a`)),b(3))",
            "FULLTEXT KEY x (y)",
            "CONSTRAINT c CHECK ((1,2)<(3,4))",
        ],
    ];

    proptest! {
        #[test]
        fn written_columns_are_read_back(
            mysql: bool,
            elements in prop::collection::vec(
                ("[a-c\"`,() 'ü]{1,8}", 0..11_usize, 0..6_usize, 0..4_usize, 0..12_usize), 1..12),
        ) {
            let family = if mysql { SqlFamily::MySql } else { SqlFamily::Postgres };
            let (side, quote) = if mysql { (1, "`") } else { (0, "\"") };
            let (mut texts, mut want) = (Vec::new(), Vec::new());
            for (name, ty, rest, extra, skip) in elements {
                let (words, mark) = [("", ""), ("NOT NULL", "!"), ("GENERATED ALWAYS AS ((a, b)) STORED", "="),
                    ("GENERATED ALWAYS AS (f(a, ')'))", "~")][extra];
                let quoted = format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)));
                texts.push(format!("{quoted}\n  {} {} {words}", TYPES[side][ty], RESTS[side][rest]));
                want.push(format!("{name} {}{mark}", TYPES[side][ty]));
                if let Some(skipped) = SKIPPED[side].get(skip) {
                    texts.push((*skipped).to_owned());
                }
            }
            let table = one(family, &format!("CREATE TABLE {quote}t{quote} ({})", texts.join(" ,\n")));
            prop_assert_eq!(shown(&table), want);
        }
    }
}
