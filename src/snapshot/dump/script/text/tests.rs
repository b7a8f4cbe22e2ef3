//! Tests of the text outside of data: what ends a statement and what does not.

use super::*;
use crate::snapshot::dump::SqlFamily;

/// Statements of a text, with the step that ended each.
fn statements(family: Option<SqlFamily>, text: &str) -> Vec<String> {
    let mut lexer = TextScan::new(family);
    let mut found = Vec::new();
    for (pos, &b) in text.as_bytes().iter().enumerate() {
        if lexer.step(b, pos as u64).unwrap() == TextStep::Statement {
            found.push(String::from_utf8(lexer.statement().0.to_vec()).unwrap());
            lexer.clear();
        }
    }
    lexer.end().unwrap();
    found
}

#[test]
fn semicolons_of_postgres_that_end_nothing() {
    for one in [
        r#"SELECT 'a;\', E'\';', U&'\0041;', "a;""b""#,
        "SELECT $$a;'$$, $x_1$;$$;$x$;$x_1$, a$1$, $1",
        "SELECT 1 /* ; /* ; */ ; */ - 1 -- ;\n + 2",
        "CREATE RULE r AS ON DELETE TO t DO (a; b)",
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END",
        "SELECT a # b, `x",
    ] {
        assert_eq!(statements(Some(SqlFamily::Postgres), &format!("{one};\nBEGIN; END;")), [one, "BEGIN", "END"]);
    }
}

#[test]
fn semicolons_of_mysql_that_end_nothing() {
    for one in [
        r#"SELECT 'a\';', "b\";""c;", `d;\`"#,
        "SELECT 1 /* ; /* */ - 1 --1 -- ;\n # ;\n + 2",
        "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a;`",
        "CREATE TABLE t (a int) /*!50100 PARTITION BY x (a ';' */",
    ] {
        assert_eq!(statements(Some(SqlFamily::MySql), &format!("{one} ;\nBEGIN;END;")), [one, "BEGIN", "END"]);
    }
}

#[test]
fn executable_comments_at_the_beginning_are_unwrapped() {
    let text = "/*M!999999\\- enable ' */ \n/*!40101 SET NAMES utf8 */;/*!50001 CREATE */\n/*!50013 X */ v /* c */;;";
    assert_eq!(statements(None, text), ["SET NAMES utf8", "CREATE  \n  X   v /* c */", ""]);
}

#[test]
fn delimiter_lines_change_what_ends_a_statement() {
    let text = "delimiter //\na; b/c /* // */ '//' // DELIMITER ;\nc;\nDELIMITER $$\r\nEND$$ x$$\nDELIMITER ;\nd;";
    assert_eq!(statements(None, text), ["a; b/c /* // */ '//'", "c", "END", "x", "d"]);
}

#[test]
fn longer_than_the_limit_is_a_fault() {
    let mut lexer = TextScan::new(None);
    let fault = (0..=LIMIT as u64).find_map(|pos| lexer.step(b'x', pos).err());
    assert_eq!(fault, Some(DumpFault::TooLong { line: 1 }));
}
