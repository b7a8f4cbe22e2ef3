//! One entry of the table of contents: a table, the data of a table, a type, a view.
//!
//! An entry keeps its texts as bytes, since a dump of a LATIN1 or SQL_ASCII database need not be UTF-8 and no text
//! may change. [`ArchiveText::str`] gives UTF-8 or a fault, at the moment somebody needs the text. What the texts mean
//! (`CREATE TABLE`, `COPY`) is read elsewhere.
//!
//! ```text
//! 214  TABLE       public orders   defn "CREATE TABLE public.orders (..."
//! 3396 TABLE DATA  public orders   copy "COPY public.orders (id, ...) FROM stdin;\n", depends on 214, offset 121130
//! ```

use std::borrow::Cow;
use std::fmt;

use super::cursor::{CursorStop, TocCursor};
use super::fault::ArchiveFault;
use super::format::ArchiveFormat;

/// A text of the archive, in the encoding of the dump.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ArchiveText(Box<[u8]>);

impl ArchiveText {
    /// The text as UTF-8.
    ///
    /// # Errors
    /// The text is in another encoding; the fault tells how to make a dump that can be read.
    pub(crate) fn str(&self) -> Result<&str, ArchiveFault> {
        std::str::from_utf8(&self.0).map_err(|_| ArchiveFault::Encoding { text: self.lossy().into_owned() })
    }

    #[cfg(test)]
    /// The bytes as they stand.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For messages only: other encodings come out wrong.
    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl fmt::Debug for ArchiveText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}

/// When pg_restore would run an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntrySection {
    None,
    PreData,
    Data,
    PostData,
}

/// Where the data of an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataAt {
    /// The entry has no data: a table's definition, an index.
    Nowhere,
    /// Custom, made through a pipe: the block is somewhere after the table of contents.
    NotSet,
    /// Custom: the block begins at this byte of the file.
    Offset(u64),
    /// Directory and tar: a file or member beside toc.dat. On disk a compression suffix may follow the name.
    File(String),
}

/// What an entry is, as far as this program cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Table,
    ForeignTable,
    WalkView,
    MaterializedView,
    TableAttach,
    Type,
    Domain,
    TableData,
    /// The large objects of the database (`BLOBS`).
    LargeObjects,
    Other,
}

/// One entry of the table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TocEntry {
    pub(crate) dump_id: i32,
    pub(crate) had_dumper: bool,
    pub(crate) table_oid: u32,
    /// Of `TABLE DATA` too, this is the oid of the table in `pg_class`.
    pub(crate) oid: u32,
    /// The bare name; of `TABLE ATTACH` the partition.
    pub(crate) tag: Option<ArchiveText>,
    pub(crate) desc: String,
    pub(crate) section: EntrySection,
    pub(crate) defn: Option<ArchiveText>,
    pub(crate) drop_stmt: Option<ArchiveText>,
    /// None when the dump was made with `--inserts`: the data is SQL then.
    pub(crate) copy_stmt: Option<ArchiveText>,
    pub(crate) namespace: Option<ArchiveText>,
    pub(crate) tablespace: Option<ArchiveText>,
    pub(crate) table_am: Option<ArchiveText>,
    /// From 1.16 on: `r`, `p`, `v` and so on.
    pub(crate) relkind: Option<char>,
    pub(crate) owner: Option<ArchiveText>,
    pub(crate) with_oids: bool,
    pub(crate) dependencies: Vec<i32>,
    pub(crate) data: DataAt,
}

impl TocEntry {
    /// Sorts the entry by its `desc`.
    pub(crate) fn kind(&self) -> EntryKind {
        match self.desc.as_str() {
            "TABLE" => EntryKind::Table,
            "FOREIGN TABLE" => EntryKind::ForeignTable,
            "VIEW" => EntryKind::WalkView,
            "MATERIALIZED VIEW" => EntryKind::MaterializedView,
            "TABLE ATTACH" => EntryKind::TableAttach,
            "TYPE" => EntryKind::Type,
            "DOMAIN" => EntryKind::Domain,
            "TABLE DATA" => EntryKind::TableData,
            "BLOBS" => EntryKind::LargeObjects,
            _ => EntryKind::Other,
        }
    }

    /// `entry 3396 (TABLE DATA public.orders)`, for messages.
    pub(crate) fn name(&self) -> String {
        let part = |t: &Option<ArchiveText>| t.as_ref().map(|t| t.lossy().into_owned()).unwrap_or_default();
        let schema = part(&self.namespace);
        let dot = if schema.is_empty() { "" } else { "." };
        format!("entry {} ({} {schema}{dot}{})", self.dump_id, self.desc, part(&self.tag))
    }

    /// Reads one entry; `minor` is the archive version 1.`minor`.
    pub(crate) fn read(
        c: &mut TocCursor<'_>,
        minor: u8,
        off_size: u8,
        place: ArchiveFormat,
    ) -> Result<Self, CursorStop> {
        let at = c.place();
        let damaged = |what: String| CursorStop::ArchiveFault(ArchiveFault::damaged(what, at));
        let dump_id = match i32::try_from(c.int()?) {
            Ok(id) if id > 0 => id,
            other => return Err(damaged(format!("an entry id out of range ({other:?})"))),
        };
        let had_dumper = match c.int()? {
            0 => false,
            1 => true,
            n => return Err(damaged(format!("entry {dump_id} with a dumper flag of {n}"))),
        };
        let table_oid = number(c)?;
        let oid = number(c)?;
        let tag = text(c)?;
        let desc = match c.text()?.map(std::str::from_utf8) {
            Some(Ok(desc)) => desc.to_owned(),
            _ => return Err(damaged(format!("entry {dump_id} without a readable description"))),
        };
        let section = match c.int()? {
            1 => EntrySection::None,
            2 => EntrySection::PreData,
            3 => EntrySection::Data,
            4 => EntrySection::PostData,
            n => return Err(damaged(format!("entry {dump_id} in an unknown section {n}"))),
        };
        let (defn, drop_stmt, copy_stmt) = (text(c)?, text(c)?, text(c)?);
        let (namespace, tablespace) = (text(c)?, text(c)?);
        let table_am = if minor >= 14 { text(c)? } else { None };
        let relkind = match if minor >= 16 { c.int()? } else { 0 } {
            0 => None,
            n => match u8::try_from(n) {
                Ok(kind) if kind.is_ascii_alphabetic() => Some(char::from(kind)),
                _ => return Err(damaged(format!("entry {dump_id} with an unknown relation kind {n}"))),
            },
        };
        let owner = text(c)?;
        let with_oids = c.text()?.is_some_and(|t| t == b"true");
        let mut dependencies = Vec::new();
        while let Some(raw) = c.text()? {
            dependencies.push(parse(raw, c.place())?);
        }
        let data = data_at(c, off_size, place, dump_id)?;
        Ok(Self {
            dump_id,
            had_dumper,
            table_oid,
            oid,
            tag,
            desc,
            section,
            defn,
            drop_stmt,
            copy_stmt,
            namespace,
            tablespace,
            table_am,
            relkind,
            owner,
            with_oids,
            dependencies,
            data,
        })
    }
}

fn text(c: &mut TocCursor<'_>) -> Result<Option<ArchiveText>, CursorStop> {
    Ok(c.text()?.map(|raw| ArchiveText(raw.into())))
}

/// An id that the archive writes as a text of digits.
fn number(c: &mut TocCursor<'_>) -> Result<u32, CursorStop> {
    let raw = c.text()?.unwrap_or_default();
    parse(raw, c.place())
}

fn parse<T: std::str::FromStr>(raw: &[u8], end: u64) -> Result<T, CursorStop> {
    let parsed = std::str::from_utf8(raw).ok().and_then(|s| s.parse().ok());
    parsed.ok_or_else(|| ArchiveFault::damaged("an id that is no number", end.saturating_sub(raw.len() as u64)).into())
}

/// The last field of an entry: an offset in custom archives, a file name in the others.
fn data_at(c: &mut TocCursor<'_>, off_size: u8, place: ArchiveFormat, id: i32) -> Result<DataAt, CursorStop> {
    let at = c.place();
    if place == ArchiveFormat::Custom {
        let state = c.byte()?;
        let offset = c.take(usize::from(off_size))?.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        return match state {
            1 => Ok(DataAt::NotSet),
            2 => Ok(DataAt::Offset(offset)),
            3 => Ok(DataAt::Nowhere),
            n => Err(ArchiveFault::damaged(format!("entry {id} with an unknown data offset state {n}"), at).into()),
        };
    }
    match c.text()?.map(std::str::from_utf8) {
        None | Some(Ok("")) => Ok(DataAt::Nowhere),
        // The name goes to a file system: it must not lead out of the archive.
        Some(Ok(name)) if !name.contains(['/', '\\', '\0']) && name != ".." => Ok(DataAt::File(name.to_owned())),
        _ => Err(ArchiveFault::damaged(format!("entry {id} with a data file name that is no plain name"), at).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_text_keeps_its_bytes_and_is_a_fault_only_as_utf_8() {
        let text = ArchiveText((*b"gr\xf6\xdfe").into());
        assert_eq!(text.bytes(), b"gr\xf6\xdfe");
        let fault = text.str().unwrap_err().to_string();
        assert_eq!(fault, "the text \"gr\u{fffd}\u{fffd}e\" is not UTF-8; make the dump with --encoding=UTF8");
    }
}
