//! Names of tables and types: how they are read and printed, and a map that finds them as servers
//! do, with a schema or by the only one there is.
//!
//! It does not know a search path of several schemas. A bare name that stands in several schemas is not found unless
//! one of them is the home of the asking statement.
//!
//! ```text
//!   holds audit.eur, public.eur, public.pct
//!   ask pct             -> public.pct
//!   ask eur from audit  -> audit.eur
//!   ask eur from other  -> nothing
//! ```
//!
//! It fails where a name must be and none is.

use super::DdlFault;
use super::lex::{Kind, Lexer, Token};
use crate::snapshot::dump::SqlFamily;
use std::collections::HashMap;
use std::fmt;

/// Schema and name, both unquoted; prints as `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SqlName {
    /// Schema or database, if one was written or set.
    pub(crate) schema: Option<String>,
    /// The name itself.
    pub(crate) name: String,
}

impl fmt::Display for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Things by name; the last one put under a name stays.
#[derive(Debug)]
pub(super) struct NameMap<T> {
    exact: HashMap<SqlName, T>,
    /// The only full name with this bare name, or None when there are several.
    bare: HashMap<String, Option<SqlName>>,
}

impl<T> NameMap<T> {
    /// An empty map.
    pub(super) fn new() -> Self {
        Self { exact: HashMap::new(), bare: HashMap::new() }
    }

    /// Puts a thing under its full name.
    pub(super) fn put(&mut self, name: SqlName, thing: T) {
        let bare = self.bare.entry(name.name.clone()).or_insert_with(|| Some(name.clone()));
        if bare.as_ref() != Some(&name) {
            *bare = None;
        }
        self.exact.insert(name, thing);
    }

    /// The thing of exactly this name.
    pub(super) fn exact(&self, name: &SqlName) -> Option<&T> {
        self.exact.get(name)
    }

    /// The thing that a statement of the schema `home` means by this name.
    pub(super) fn find(&self, name: &SqlName, home: Option<&str>) -> Option<&T> {
        if let Some(found) = self.exact.get(name) {
            return Some(found);
        }
        if name.schema.is_some() {
            // The thing may have been written without its schema, as archives before pg_dump 10.3 do.
            return self.exact.get(&SqlName { schema: None, name: name.name.clone() });
        }
        let at_home = SqlName { schema: Some(home.unwrap_or_default().to_owned()), name: name.name.clone() };
        self.exact.get(&at_home).or_else(|| self.exact.get(self.bare.get(&name.name)?.as_ref()?))
    }
}

/// The name that a token is, without quotes; unquoted names of PostgreSQL fold to lower case.
pub(super) fn name_of(token: &Token<'_>, lexer: &Lexer<'_>) -> Result<String, DdlFault> {
    let mysql = lexer.family == SqlFamily::MySql;
    match token.kind {
        Kind::Word if mysql => Ok(token.text.to_owned()),
        Kind::Word => Ok(token.text.to_ascii_lowercase()),
        Kind::Name => Ok(unquote(token.text)),
        // mysqldump --compatible=ansi and ANSI_QUOTES.
        Kind::Text if mysql && token.text.starts_with('"') => Ok(unquote(token.text)),
        _ => Err(DdlFault::NoName { near: lexer.near(token.at) }),
    }
}

/// Takes off quotes and halves doubled ones. A token always has both quotes.
pub(super) fn unquote(text: &str) -> String {
    let quote = &text[..1];
    text[1..text.len() - 1].replace(&quote.repeat(2), quote)
}

/// Reads `name` or `schema.name`; of `database.schema.name` the last two count.
pub(super) fn read_name(lexer: &mut Lexer<'_>) -> Result<SqlName, DdlFault> {
    let mut found = SqlName { schema: None, name: next_name(lexer)? };
    while lexer.take_mark(b'.')? {
        let name = next_name(lexer)?;
        found = SqlName { schema: Some(found.name), name };
    }
    Ok(found)
}

/// The name that must come next.
fn next_name(lexer: &mut Lexer<'_>) -> Result<String, DdlFault> {
    match lexer.next_token()? {
        Some(token) => name_of(&token, lexer),
        None => Err(lexer.open("a name", usize::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SqlName {
        match text.split_once('.') {
            Some((schema, name)) => SqlName { schema: Some(schema.into()), name: name.into() },
            None => SqlName { schema: None, name: text.into() },
        }
    }

    #[test]
    fn bare_name_finds_home_then_the_only_one() {
        let mut map = NameMap::new();
        for text in ["audit.eur", "public.eur", "public.pct", "loose", "public.pct"] {
            map.put(name(text), text);
        }
        assert_eq!(map.find(&name("pct"), None), Some(&"public.pct"));
        assert_eq!(map.find(&name("eur"), Some("audit")), Some(&"audit.eur"));
        assert_eq!(map.find(&name("eur"), Some("other")), None);
        assert_eq!(map.find(&name("eur"), None), None);
        assert_eq!(map.find(&name("any.loose"), None), Some(&"loose"));
        assert_eq!(map.find(&name("other.pct"), None), None);
        assert_eq!(name("public.pct").to_string(), "public.pct");
    }

    #[test]
    fn names_lose_their_quotes_and_fold_by_dialect() {
        let name = |family, text| read_name(&mut Lexer::new(text, family)).map(|name| name.to_string());
        assert_eq!(name(SqlFamily::Postgres, "db.Public.\"A\"\"b\""), Ok("public.A\"b".into()));
        assert_eq!(name(SqlFamily::MySql, "`a``b` . Cd"), Ok("a`b.Cd".into()));
        assert_eq!(name(SqlFamily::MySql, "\"ansi\""), Ok("ansi".into()));
        assert!(name(SqlFamily::MySql, "'text'").is_err());
        assert!(name(SqlFamily::Postgres, "a.").is_err());
        assert!(name(SqlFamily::Postgres, "(").is_err());
    }
}
