//! Identifiers as they are written in SQL. Pure.

use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use datafusion::sql::sqlparser::parser::Parser;

/// An identifier as it is written in SQL: in double quotes where it would be folded or misread without.
pub(crate) fn ident(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if is_plain && !is_misread(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that the parser would let pass here, but not everywhere.
const RESERVED: [&str; 48] = [
    "all", "and", "array", "as", "asc", "between", "by", "case", "cast", "check", "cross", "default", "desc",
    "distinct", "else", "end", "exists", "false", "from", "full", "group", "having", "in", "inner", "interval", "is",
    "join", "left", "like", "limit", "not", "null", "on", "or", "order", "outer", "right", "select", "table", "then",
    "true", "union", "user", "using", "values", "when", "where", "with",
];

/// Whether the parser takes a bare word for something else than a column; it decides for itself.
fn is_misread(word: &str) -> bool {
    if ALL_KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str()).is_err() {
        return false;
    }
    if RESERVED.contains(&word) {
        return true;
    }
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(ident) if ident.value == word);
    let sql = format!("SELECT {word}, f({word}) AS {word} FROM a.{word}; CREATE TABLE t ({word} INT)");
    let Ok(statements) = Parser::parse_sql(&GenericDialect {}, &sql) else { return true };
    let [Statement::Query(query), Statement::CreateTable(table)] = statements.as_slice() else { return true };
    let SetExpr::Select(select) = query.body.as_ref() else { return true };
    let [SelectItem::UnnamedExpr(first), SelectItem::ExprWithAlias { .. }] = select.projection.as_slice() else {
        return true;
    };
    !is_column(first) || table.columns.first().is_none_or(|column| column.name.value != word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_quoted_only_where_they_must_be() {
        for (name, expected) in [
            ("year", "year"),
            ("name", "name"),
            ("type", "type"),
            ("order", "\"order\""),
            ("case", "\"case\""),
            ("Id", "\"Id\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("1st", "\"1st\""),
            ("é", "\"é\""),
            ("", "\"\""),
        ] {
            assert_eq!(ident(name), expected, "{name}");
        }
    }

    proptest! {
        /// Whatever a column is called, SQL reads the written identifier as exactly this name.
        #[test]
        fn a_written_identifier_reads_back_as_the_name(name in "[^\0]{1,12}") {
            let sql = format!("SELECT {} FROM t", ident(&name));
            let statements = Parser::parse_sql(&GenericDialect {}, &sql).unwrap();
            let Statement::Query(query) = &statements[0] else { panic!() };
            let SetExpr::Select(select) = query.body.as_ref() else { panic!() };
            let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = &select.projection[0] else { panic!("{sql}") };
            let folded = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
            prop_assert_eq!(folded, name);
        }
    }
}
