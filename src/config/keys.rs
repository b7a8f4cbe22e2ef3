//! What settings, properties and options have in common: known keys, values that they do not take, names and places.

use std::path::Path;

use super::options::OptionDoc;
use crate::config::text::statement::{Name, PlacedText};
use crate::error::redact::REDACTOR;
use crate::error::{ConfigError, Error, Position, Result, nearest};
use crate::layout::Location;

/// What a size must look like.
pub(super) const SIZE: &str = "a size such as '128MB', '128MiB' or a number of bytes";

/// What the size of a file group must look like.
pub(super) const GROUP: &str = "a size such as '128MB' or '1GiB', or 'all'";

/// What a codec must look like.
pub(super) const CODEC: &str = "'zstd', 'snappy', 'gzip', 'lz4' or 'uncompressed'";

/// What becomes of empty texts must look like.
pub(super) const EMPTY: &str = "'error', 'null' or 'keep'";

/// Reads a LOCATION literal, a setting or a property that holds a path or URL.
pub(super) fn location(written: &PlacedText, base: &Path) -> Result<Location> {
    Location::parse(&written.text, base).map_err(|error| match error {
        Error::Location { location, reason } => {
            ConfigError::BadLocation { location: REDACTOR.redact(&location).into_owned(), reason }.at(&written.at)
        }
        other => other,
    })
}

/// The mistake of a value that its key does not take.
pub(super) fn bad_value(key: &str, value: &PlacedText, expected: &'static str) -> Error {
    ConfigError::BadValue { key: key.to_owned(), value: REDACTOR.redact(&value.text).into_owned(), expected }
        .at(&value.at)
}

/// Finds `name` in a table of keys, both without `prefix`.
pub(super) fn known_key(
    kind: &'static str,
    table: &'static [OptionDoc],
    prefix: &str,
    key: &PlacedText,
) -> Result<&'static OptionDoc> {
    let bare = |name: &'static str| name.strip_prefix(prefix).unwrap_or(name);
    let name = key.text.to_lowercase();
    let written = name.strip_prefix(prefix).unwrap_or(&name);
    table.iter().find(|option| bare(option.name) == written).ok_or_else(|| {
        let shown = if key.text.starts_with(prefix) { prefix } else { "" };
        let nearest = nearest(written, table.iter().map(|option| bare(option.name)));
        let nearest = nearest.map(|found| format!("{shown}{found}"));
        ConfigError::UnknownKey { kind, name: key.text.clone(), nearest }.at(&key.at)
    })
}

/// The bare name of a table that must be in `schema`.
pub(super) fn bare_name(statement: &'static str, schema: &'static str, name: &Name) -> Result<String> {
    match name.parts.as_slice() {
        [written, table] if written == schema => path_name(table, &name.at),
        parts => {
            let table = parts.last().cloned().unwrap_or_default();
            Err(ConfigError::WrongSchema { statement, schema, table }.at(&name.at))
        }
    }
}

/// A name that becomes a folder must be one.
pub(super) fn path_name(name: &str, at: &Position) -> Result<String> {
    if name.is_empty() || name == "." || name == ".." {
        let message = format!("expected a name, found '{name}'");
        return Err(ConfigError::Syntax { message }.at(at));
    }
    Ok(name.to_owned())
}
