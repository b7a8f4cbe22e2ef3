//! The statements of a config file, one for one, with the place of everything that an error may have to point at.
//!
//! The whole file is tokenised once, so that places count from its start; variables are replaced in string literals;
//! the tokens of each statement go to DataFusion's own parser. Nothing is judged here but syntax: names, keys and
//! values are as written, only folded to lower case where SQL folds. No I/O.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{CreateExternalTable, DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, ObjectName, Set, SqlOption, UnaryOperator, Value};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::quotes;
use super::statement::{
    ExternalTable, LakeStatement, Literal, Name, PlacedQuery, PlacedText, Property, Statement, StatementKind,
    ViewStatement,
};
use super::tokens::{self, ExternalPlaces, UnquotedNumber};
use super::variables::{Replaced, Variables};
use crate::error::{ConfigError, Error, Position, Result};

/// Reads all statements of `text`; `file` is the name that places carry. The names of variables in it are added to
/// `used`.
///
/// # Errors
/// [`Error::Config`] for what is not SQL, not a statement of a config, or a variable without a value.
pub(crate) fn parse(
    text: &str,
    file: &Arc<str>,
    variables: &Variables,
    used: &mut BTreeSet<String>,
) -> Result<Vec<Statement>> {
    let reader = Reader { file: Arc::clone(file) };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut all = Vec::new();
    if let Err(error) = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location_into_buf(&mut all) {
        let (message, location) = quotes::unclosed(&error.message, &all, error.location);
        return Err(reader.syntax(lower_first(&message), location));
    }
    let as_written = all.clone();
    let mut replaced = Vec::new();
    for (index, token) in all.iter_mut().enumerate() {
        if let Token::SingleQuotedString(text) = &mut token.token {
            let found = variables
                .replace(text, token.span.start, used)
                .map_err(|(problem, location)| problem.at(&reader.place(location)))?;
            text.clone_from(&found.text);
            if !found.held.is_empty() {
                replaced.push((index, found));
            }
        }
    }
    let mut start = 0;
    let mut statements = Vec::new();
    for tokens in all.split_inclusive(|token| token.token == Token::SemiColon) {
        let range = start..start + tokens.len();
        start = range.end;
        let statement = tokens::significant(tokens);
        if statement.iter().all(|token| token.token == Token::SemiColon) {
            continue;
        }
        let held: Vec<_> = replaced.iter().filter(|(index, _)| range.contains(index)).collect();
        let read = if held.is_empty() {
            reader.statement(statement)
        } else {
            let mut shown = tokens.to_vec();
            for (index, found) in &held {
                shown[index - range.start].token = Token::SingleQuotedString(found.shown.clone());
            }
            // The grammar does not look into literals: a mistake shows here, where no value can be repeated.
            reader.statement(tokens::significant(&shown)).and_then(|shown| {
                let places = held.iter().map(|(index, found)| (all[*index].span.start, found));
                reader.statement(statement).map(|read| withheld(read, shown, places))
            })
        };
        statements.push(read.map_err(|error| reader.suspecting(error, &as_written))?);
    }
    Ok(statements)
}

/// The statement with what may be shown of its query, and the variables that are held back there.
fn withheld<'a>(
    mut read: Statement,
    shown: Statement,
    literals: impl Iterator<Item = (Location, &'a Replaced)>,
) -> Statement {
    let (query, in_with) = match (&mut read.kind, shown.kind) {
        (StatementKind::CreateLakeTable(table), StatementKind::CreateLakeTable(shown)) => {
            table.query.shown = shown.query.shown;
            (&mut table.query, Some(&mut table.with_held))
        }
        (StatementKind::CreateView(view), StatementKind::CreateView(shown)) => {
            view.query.shown = shown.query.shown;
            (&mut view.query, None)
        }
        _ => return read,
    };
    let start = Location { line: query.at.line, column: query.at.column };
    let (in_query, before): (Vec<_>, Vec<_>) = literals.partition(|(location, _)| *location >= start);
    for (_, literal) in in_query {
        query.held.extend_from_slice(&literal.held);
        query.secrets.extend_from_slice(&literal.secrets);
    }
    if let Some(with_held) = in_with {
        *with_held = !before.is_empty();
    }
    read
}

struct Reader {
    file: Arc<str>,
}

impl Reader {
    fn place(&self, location: Location) -> Position {
        Position { file: Arc::clone(&self.file), line: location.line.max(1), column: location.column.max(1) }
    }

    fn placed(&self, text: impl Into<String>, span: Span) -> PlacedText {
        PlacedText { text: text.into(), at: self.place(span.start) }
    }

    fn syntax(&self, message: impl Into<String>, location: Location) -> Error {
        ConfigError::Syntax { message: message.into() }.at(&self.place(location))
    }

    /// Names the literal that may be the cause of a mistake which follows it.
    fn suspecting(&self, error: Error, tokens: &[TokenWithSpan]) -> Error {
        let Error::Config { at, problem } = error else { return error };
        let place = Location { line: at.line, column: at.column };
        match (*problem, quotes::suspect(tokens, Some(place))) {
            (problem @ (ConfigError::Syntax { .. } | ConfigError::UnsupportedStatement { .. }), Some(suspect)) => {
                let (began, line) = (self.place(suspect.at), suspect.end);
                let message =
                    format!("{problem}; the quote opened at {began} ends only in line {line}: is one missing?");
                ConfigError::Syntax { message }.at(&at)
            }
            (problem, _) => problem.at(&at),
        }
    }

    /// Reads one statement: its tokens without white space, the last of which may be `;`.
    fn statement(&self, mut tokens: Vec<TokenWithSpan>) -> Result<Statement> {
        // An end with a place lets the parser say where it missed something.
        let end = match tokens.pop_if(|token| token.token == Token::SemiColon) {
            Some(semicolon) => semicolon.span,
            None => tokens.last().map_or_else(Span::empty, |last| Span::new(last.span.end, last.span.end)),
        };
        let start = tokens.first().map_or(end, |first| first.span).start;
        let at = self.place(start);
        let Some(head) = tokens::head(&tokens) else {
            let found = tokens.first().map(ToString::to_string).unwrap_or_default();
            return Err(self.syntax(format!("expected a statement, found {found}"), start));
        };
        if !tokens::is_known_head(&head) {
            return Err(ConfigError::UnsupportedStatement { statement: head.join(" ") }.at(&at));
        }
        if let Some((message, location)) = tokens::missing_table(&tokens) {
            return Err(self.syntax(message, location));
        }
        let places = tokens::external_places(&tokens);
        let unquoted = tokens::unquoted_numbers(&tokens);
        let query_at = tokens::query_start(&tokens).map_or_else(|| at.clone(), |location| self.place(location));
        tokens.push(TokenWithSpan::new(Token::EOF, end));

        let mut statements = DFParserBuilder::new(tokens)
            .with_dialect(&GenericDialect {})
            .build()
            .and_then(|mut parser| parser.parse_statements())
            .map_err(|error| self.parser_error(&error, start, &unquoted))?;
        let kind = match statements.pop_front() {
            Some(Parsed::CreateExternalTable(table)) => self.external(table, &places)?,
            Some(Parsed::Statement(statement)) => match *statement {
                ast::Statement::Set(Set::SingleAssignment { scope: None, hivevar: false, variable, values }) => {
                    self.set(&variable, &values)?
                }
                ast::Statement::CreateTable(table) => self.lake(table, query_at)?,
                ast::Statement::CreateView(view) => self.view(view, query_at)?,
                _ => return Err(ConfigError::UnsupportedStatement { statement: head.join(" ") }.at(&at)),
            },
            _ => return Err(ConfigError::UnsupportedStatement { statement: head.join(" ") }.at(&at)),
        };
        Ok(Statement { at, kind })
    }

    fn set(&self, variable: &ObjectName, values: &[Expr]) -> Result<StatementKind> {
        let key = variable.to_string().to_lowercase();
        let key = self.placed(key, name_span(variable));
        match values {
            [value] => Ok(StatementKind::SetVariable(Property { value: self.one(value, &key.at)?, key })),
            _ => Err(ConfigError::Syntax { message: format!("{} takes one value", key.text) }.at(&key.at)),
        }
    }

    fn external(&self, table: CreateExternalTable, places: &ExternalPlaces) -> Result<StatementKind> {
        let name = self.name(&table.name)?;
        let at = |location: Option<&Location>| location.map_or_else(|| name.at.clone(), |at| self.place(*at));
        let locations = table.locations.into_iter().enumerate();
        let locations =
            locations.map(|(index, text)| PlacedText { text, at: at(places.locations.get(index)) }).collect();
        let options = table.options.into_iter().enumerate().map(|(index, (key, value))| {
            let place = places.options.get(index);
            Property {
                key: PlacedText { text: key, at: at(place.map(|(key, _)| key)) },
                value: PlacedText { text: plain(&value), at: at(place.map(|(_, value)| value)) },
            }
        });
        let options = options.collect();
        let mut other_clauses: Vec<_> =
            places.other_clauses.iter().map(|(clause, location)| (*clause, self.place(*location))).collect();
        if table.unbounded {
            other_clauses.push(("UNBOUNDED", name.at.clone()));
        }
        if table.temporary {
            other_clauses.push(("TEMPORARY", name.at.clone()));
        }
        let format = PlacedText { text: table.file_type, at: at(places.format.as_ref()) };
        let (columns, partitions) = (table.columns, table.table_partition_cols);
        let partitions_at = places.partitions.map(|location| self.place(location));
        Ok(StatementKind::CreateExternalTable(Box::new(ExternalTable {
            name,
            columns,
            partitions,
            partitions_at,
            format,
            locations,
            options,
            other_clauses,
        })))
    }

    fn lake(&self, mut table: ast::CreateTable, query_at: Position) -> Result<StatementKind> {
        let name = self.name(&table.name)?;
        let only = |message: &str| ConfigError::Syntax { message: message.to_owned() }.at(&name.at);
        let Some(query) = table.query.take() else {
            return Err(only(
                "expected AS SELECT ... after CREATE TABLE; \
                 tables of a snapshot are declared with CREATE EXTERNAL TABLE",
            ));
        };
        let options = match std::mem::replace(&mut table.table_options, ast::CreateTableOptions::None) {
            ast::CreateTableOptions::None => Vec::new(),
            ast::CreateTableOptions::With(options) => options,
            _ => return Err(only("expected the properties of the table in WITH (...)")),
        };
        // Whatever else the grammar knows about tables would be ignored silently, so it is refused.
        table.or_replace = false;
        table.if_not_exists = false;
        let bare = ast::helpers::stmt_create_table::CreateTableBuilder::new(table.name.clone()).build();
        if bare != table {
            return Err(only("expected only WITH (...) between the table's name and AS SELECT"));
        }
        let properties = options.into_iter().map(|option| self.property(option, &name.at)).collect::<Result<_>>()?;
        let query = PlacedQuery::new(query, query_at);
        Ok(StatementKind::CreateLakeTable(Box::new(LakeStatement { name, properties, query, with_held: false })))
    }

    fn property(&self, option: SqlOption, at: &Position) -> Result<Property<Literal>> {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(ConfigError::Syntax { message: format!("expected key = value, found {option}") }.at(at));
        };
        let key = self.placed(folded(&key), key.span);
        let value = match &value {
            Expr::Array(array) => Literal::Many(self.many(&array.elem, &key.at)?),
            Expr::Map(map) => {
                let entry = |entry: &ast::MapEntry| {
                    Ok((self.one(&entry.key, &key.at)?, self.one_or_many(&entry.value, &key.at)?))
                };
                Literal::Map(map.entries.iter().map(entry).collect::<Result<_>>()?)
            }
            // A map whose MAP was left out.
            Expr::Dictionary(fields) => {
                let entry = |field: &ast::DictionaryField| {
                    let name = self.placed(field.key.value.clone(), field.key.span);
                    Ok((name, self.one_or_many(&field.value, &key.at)?))
                };
                Literal::Map(fields.iter().map(entry).collect::<Result<_>>()?)
            }
            one => Literal::One(self.one(one, &key.at)?),
        };
        Ok(Property { key, value })
    }

    fn view(&self, mut view: ast::CreateView, query_at: Position) -> Result<StatementKind> {
        let name = self.name(&view.name)?;
        let query = view.query.clone();
        view.or_replace = false;
        view.if_not_exists = false;
        view.name_before_not_exists = false;
        // Printing is the one complete list of what else the grammar takes.
        if view.to_string() != format!("CREATE VIEW {} AS {query}", view.name) {
            let message = "expected only AS SELECT after the view's name".to_owned();
            return Err(ConfigError::Syntax { message }.at(&name.at));
        }
        Ok(StatementKind::CreateView(Box::new(ViewStatement { name, query: PlacedQuery::new(query, query_at) })))
    }

    fn name(&self, name: &ObjectName) -> Result<Name> {
        let at = self.place(name_span(name).start);
        let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
        match parts {
            Some(parts) => Ok(Name { parts, at }),
            None => Err(ConfigError::Syntax { message: format!("expected a name, found {name}") }.at(&at)),
        }
    }

    fn many(&self, values: &[Expr], near: &Position) -> Result<Vec<PlacedText>> {
        values.iter().map(|one| self.one(one, near)).collect()
    }

    fn one_or_many(&self, value: &Expr, near: &Position) -> Result<Vec<PlacedText>> {
        match value {
            Expr::Array(array) => self.many(&array.elem, near),
            one => Ok(vec![self.one(one, near)?]),
        }
    }

    /// A value that needs no evaluation.
    fn one(&self, value: &Expr, near: &Position) -> Result<PlacedText> {
        match value {
            Expr::Value(value) => Ok(self.placed(plain(&value.value), value.span)),
            Expr::Identifier(word) => Ok(self.placed(word.value.clone(), word.span)),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                let positive = self.one(expr, near)?;
                Ok(PlacedText { text: format!("-{}", positive.text), at: positive.at })
            }
            other => Err(ConfigError::Syntax { message: format!("expected a quoted value, found {other}") }.at(near)),
        }
    }

    fn parser_error(&self, error: &DataFusionError, start: Location, unquoted: &[UnquotedNumber]) -> Error {
        let (message, location) = match error.find_root() {
            DataFusionError::SQL(error, _) => match error.as_ref() {
                ParserError::ParserError(text) | ParserError::TokenizerError(text) => cut_place(text),
                ParserError::RecursionLimitExceeded => ("the statement is nested too deeply", None),
            },
            other => return self.syntax(other.message(), start),
        };
        if let Some(number) = unquoted.iter().find(|number| Some(number.unit_at) == location) {
            return self.syntax(format!("write '{}' in quotes", number.text), number.at);
        }
        let message =
            message.replace(", found: EOF", ", found the end of the statement").replace(", found: ", ", found ");
        let plain = message.strip_prefix("Expected: ").map(|rest| format!("expected {rest}"));
        let message = plain.unwrap_or_else(|| lower_first(&message));
        self.syntax(message, location.unwrap_or(start))
    }
}

/// The parser writes places into its text, ` at Line: 3, Column: 7`; this parts the two.
fn cut_place(text: &str) -> (&str, Option<Location>) {
    let place = text.rfind(" at Line: ").and_then(|cut| {
        let (line, column) = text[cut + " at Line: ".len()..].split_once(", Column: ")?;
        let location = Location { line: line.parse().ok()?, column: column.trim().parse().ok()? };
        Some((&text[..cut], Some(location)))
    });
    place.unwrap_or((text, None))
}

/// Lower case for a message that begins with a plain word; `SELECT` and the like stay.
pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn name_span(name: &ObjectName) -> Span {
    name.0.first().and_then(|part| part.as_ident()).map_or_else(Span::empty, |ident| ident.span)
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A literal as text, without quotes.
fn plain(value: &Value) -> String {
    value.clone().into_string().unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Result<Vec<Statement>> {
        parse(text, &"a.sql".into(), &Variables::default(), &mut BTreeSet::new())
    }

    fn places(text: &str) -> String {
        statements(text).unwrap_err().to_string()
    }

    #[test]
    fn places_count_from_the_start_of_the_file_in_characters() {
        let text = "-- é\n;;SET snaplake.database = 'd'; /* x */\n  CREATE VIEW audit.\"V\" AS SELECT 1;\n";
        let found = statements(text).unwrap();
        assert_eq!(found[0].at.to_string(), "a.sql:2:3");
        assert_eq!(found[1].at.to_string(), "a.sql:3:3");
        let StatementKind::SetVariable(set) = &found[0].kind else { panic!("{found:?}") };
        assert_eq!((set.key.at.to_string(), set.value.at.to_string()), ("a.sql:2:7".into(), "a.sql:2:27".into()));
        let StatementKind::CreateView(view) = &found[1].kind else { panic!("{found:?}") };
        assert_eq!(view.name.parts, ["audit", "V"]);
    }

    #[test]
    fn external_table_keeps_the_place_of_each_literal_even_when_called_location() {
        let text = "CREATE EXTERNAL TABLE IF NOT EXISTS snapshot.location (options INT, b TEXT NOT NULL)\n\
                    STORED AS csv OPTIONS (format.has_header 'true', 'delimiter' ';')\n\
                    LOCATION ('a', 'b')";
        let found = statements(text).unwrap();
        let StatementKind::CreateExternalTable(table) = &found[0].kind else { panic!("{found:?}") };
        assert_eq!(table.name.parts, ["snapshot", "location"]);
        assert_eq!((table.format.text.as_str(), table.format.at.to_string()), ("CSV", "a.sql:2:11".into()));
        let options: Vec<String> = table
            .options
            .iter()
            .map(|o| format!("{} {} {} {}", o.key.text, o.key.at, o.value.text, o.value.at))
            .collect();
        assert_eq!(options, ["format.has_header a.sql:2:24 true a.sql:2:42", "delimiter a.sql:2:50 ; a.sql:2:62"]);
        let locations: Vec<String> = table.locations.iter().map(|l| format!("{} {}", l.text, l.at)).collect();
        assert_eq!(locations, ["a a.sql:3:11", "b a.sql:3:16"]);
    }

    #[test]
    fn lake_table_keeps_properties_and_the_start_of_its_query() {
        let text = "CREATE TABLE Lake.T\n\
                    WITH (format = 'PARQUET', sorted_by = ARRAY['a', 'b DESC'], n = 12)\n\
                    AS\n SELECT 1 AS a";
        let found = statements(text).unwrap();
        let StatementKind::CreateLakeTable(table) = &found[0].kind else { panic!("{found:?}") };
        assert_eq!(table.name.parts, ["lake", "t"]);
        assert_eq!(table.query.at.to_string(), "a.sql:4:2");
        let Literal::Many(sorted) = &table.properties[1].value else { panic!("{table:?}") };
        assert_eq!((sorted[1].text.as_str(), sorted[1].at.to_string()), ("b DESC", "a.sql:2:50".into()));
        assert!(matches!(&table.properties[2].value, Literal::One(one) if one.text == "12"));
    }

    #[test]
    fn variables_are_replaced_in_literals_only() {
        let named = [("x".to_owned(), "y'z".to_owned())].into();
        let variables = Variables { named, environment: |_| None };
        let found =
            parse("SET snaplake.database = '${x}'; -- ${none}\n", &"a.sql".into(), &variables, &mut BTreeSet::new())
                .unwrap();
        let StatementKind::SetVariable(set) = &found[0].kind else { panic!("{found:?}") };
        assert_eq!(set.value.text, "y'z");
    }

    #[test]
    fn what_the_parser_refuses_is_reported_at_its_place() {
        let wrong = [
            "SET snaplake.database 'd';",
            "SET snaplake.target_file_size = 128MB",
            "CREATE TABLE lake.t WITH (target_file_size = 128 MB) AS SELECT 1",
            "CREATE TABLE lake.t WITH (target_file_size = 128MiB) AS SELECT 1",
            "SET a = 'x",
            "SET a = 'x;\nSET b = 'y';",
            "SET a = 'x;\n-- it's\nSET b = 1;",
            "DROP TABLE lake.t;",
            "CRATE TABLE lake.t",
            "CREATE UNIQUE INDEX i ON t (a)",
            "(SELECT 1)",
            "CREATE TABLE lake.t (a INT)",
            "CREATE TABLE lake.t (a) AS SELECT 1",
            "CREATE TABLE lake.t WITH (a) AS SELECT 1",
            "CREATE TABLE lake.t WITH (a = b + 1) AS SELECT 1",
            "CREATE TABLE lake.t WITH (a = 'b') SELECT 1",
            "CREATE TABLE lake.t LOCATION 'x' AS SELECT 1",
            "CREATE TABLE lake.t\nAS SELECT a FROM\n  WHERE a = 1",
            "CREATE TABLE lake.t AS\nSELECT (a FROM snapshot.t;\nSET a = 1",
            "CREATE VIEW v (a) AS SELECT 1",
            "CREATE EXTERNAL TABLE snapshot.t LOCATION 'x'",
            "CREATE EXTERNAL TABLE snapshot.t STORED AS CSV",
            "CREATE EXTERNAL TABLE snapshot.t STORED AS CSV LOCATION 'a' AS SELECT 1",
            "CREATE EXTERNAL TABLE snapshot.t STORED AS CSV LOCATION 'x${y}'",
        ];
        let reported = wrong.map(places).join("\n");
        insta::assert_snapshot!(reported, @"
        a.sql:1:23: expected equals sign or TO, found 'd'
        a.sql:1:33: write '128MB' in quotes
        a.sql:1:46: write '128MB' in quotes
        a.sql:1:46: write '128MiB' in quotes
        a.sql:1:9: a quote ' that is opened here is never closed
        a.sql:1:9: a quote ' that is opened here is never closed
        a.sql:2:7: expected end of statement, found s; the quote opened at a.sql:1:9 ends only in line 2: is one missing?
        a.sql:1:1: DROP TABLE is not a statement of a snaplake config
        a.sql:1:1: CRATE is not a statement of a snaplake config
        a.sql:1:1: CREATE UNIQUE INDEX is not a statement of a snaplake config
        a.sql:1:1: expected a statement, found (
        a.sql:1:14: expected AS SELECT ... after CREATE TABLE; tables of a snapshot are declared with CREATE EXTERNAL TABLE
        a.sql:1:23: expected a data type name, found )
        a.sql:1:28: expected =, found )
        a.sql:1:27: expected a quoted value, found b + 1
        a.sql:1:36: expected end of statement, found SELECT
        a.sql:1:14: expected only WITH (...) between the table's name and AS SELECT
        a.sql:3:3: expected a table after FROM, found WHERE
        a.sql:2:11: expected ), found FROM
        a.sql:1:13: expected only AS SELECT after the view's name
        a.sql:1:1: missing STORED AS clause in CREATE EXTERNAL TABLE statement
        a.sql:1:1: missing LOCATION clause in CREATE EXTERNAL TABLE statement
        a.sql:1:61: expected end of statement or ;, found AS
        a.sql:1:59: variable 'y' has no value
        ");
    }
}
