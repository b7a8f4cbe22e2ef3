//! What pg_dump wrote: `STORED AS PG_DUMP`.
//!
//! ```text
//! shop.sql, shop.sql.gz   plain: read once to plan, to find out where the rows of each table are
//! shop.dump               custom: the table of contents, and where it has no offsets, the heads of all blocks
//! shop/                   directory: toc.dat and a file per table
//! shop.tar                the same as members
//! ```
//!
//! A plain dump is complete once it has its last line; the data of each table of an archive ends with a mark of its
//! own. Archives made with `--inserts` and large objects are not read.

use std::collections::BTreeMap;

use object_store::{ObjectMeta, ObjectStoreExt};

use super::dumped::Dumped;
use super::sql_script::{SqlFile, scan};
use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::SqlFamily;
use crate::error::ExportFault;
use crate::layout::{FilePartition, Location, store_error};
use crate::manifest::{FileEntry, bare_etag};
use crate::snapshot::dump::archive::blocks::BlockForm;
use crate::snapshot::dump::archive::entry::{DataAt, EntryKind, TocEntry};
use crate::snapshot::dump::archive::fault::ArchiveFault;
use crate::snapshot::dump::archive::format::{ArchiveCompression, ArchiveFormat};
use crate::snapshot::dump::archive::offsets::{BlockPlan, DataBlocks, plan};
use crate::snapshot::dump::archive::tar::TarScan;
use crate::snapshot::dump::archive::toc::{Fed, Toc, TocReader};
use crate::snapshot::dump::script::{DataForm, DumpEvent, DumpScanner};
use crate::snapshot::split::Split;

/// Bytes of an archive that are read at once.
const PIECE: u64 = 1 << 20;

const TOC: &str = "toc.dat";

/// The tables of the dump.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let Some(meta) = place.head().await? else { return of_folder(place).await };
    let name = place.location.raw_key().rsplit('/').next().unwrap_or_default();
    let head = range(place, &place.location, 0..meta.size.min(512)).await?;
    if head.starts_with(b"PGDMP") {
        let toc = toc(place, &place.location, &meta, 0, ArchiveFormat::Custom, name).await?;
        let blocks = blocks(place, &toc, &meta, name).await?;
        return archived(&toc, name, |entry| {
            let block = blocks.get(&entry.dump_id)?;
            let split = Split::Block(block.offset..block.offset + block.length, BlockForm::of(&toc, entry.dump_id));
            Some(entry_of(&split.uri(&place.location.uri()), &meta, block.length))
        });
    }
    if head.get(257..262) == Some(b"ustar") {
        return of_tar(place, &meta, name).await;
    }
    let file = SqlFile { location: place.location.clone(), meta: &meta, name, family: SqlFamily::Postgres };
    let (dumped, end) = scan(place, &file, Dumped::new(name, SqlFamily::Postgres)).await?;
    if !end.is_complete {
        let reason = "it does not end with '-- PostgreSQL database dump complete'".to_owned();
        return Err(ExportFault::Cut { file: name.to_owned(), reason }.into());
    }
    Ok(dumped.finish()?)
}

fn entry_of(uri: &str, meta: &ObjectMeta, size: u64) -> FileEntry {
    let etag = bare_etag(meta.e_tag.as_deref().unwrap_or_default()).into();
    FileEntry { uri: uri.into(), etag, size, n_record: None, partition: FilePartition::None }
}

async fn range(place: &ExportPlace, location: &Location, range: std::ops::Range<u64>) -> Result<bytes::Bytes, Trouble> {
    let failed = |source| store_error("read", location, source);
    if range.is_empty() {
        return Ok(bytes::Bytes::new());
    }
    Ok(place.store.get_range(&location.key()?, range).await.map_err(failed)?)
}

fn refused(file: &str, fault: &ArchiveFault) -> ExportFault {
    let (file, reason) = (file.to_owned(), fault.to_string());
    match fault {
        ArchiveFault::Cut { .. } => ExportFault::Cut { file, reason },
        _ => ExportFault::Metadata { file, reason },
    }
}

/// The table of contents that begins at a byte of a file.
async fn toc(
    place: &ExportPlace,
    location: &Location,
    meta: &ObjectMeta,
    start: u64,
    format: ArchiveFormat,
    name: &str,
) -> Result<Box<Toc>, Trouble> {
    let mut reader = TocReader::new(format);
    let mut at = start;
    while at < meta.size {
        let piece = range(place, location, at..meta.size.min(at + PIECE)).await?;
        at += piece.len() as u64;
        match reader.feed(&piece).map_err(|fault| refused(name, &fault))? {
            Fed::Done(toc) => return Ok(toc),
            Fed::More => {}
        }
    }
    Err(refused(name, &reader.cut()).into())
}

/// Where the data of each table of a custom archive is.
async fn blocks(place: &ExportPlace, toc: &Toc, meta: &ObjectMeta, name: &str) -> Result<DataBlocks, Trouble> {
    match plan(toc, meta.size).map_err(|fault| refused(name, &fault))? {
        BlockPlan::Known(blocks) => Ok(blocks),
        BlockPlan::Scan(mut walk) => {
            while let Some(next) = walk.next_read() {
                let bytes = range(place, &place.location, next).await?;
                walk.feed(&bytes).map_err(|fault| refused(name, &fault))?;
            }
            Ok(walk.blocks().map_err(|fault| refused(name, &fault))?)
        }
    }
}

/// A directory archive.
async fn of_folder(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let folder = place.folder();
    let listed: BTreeMap<String, ObjectMeta> = place.list(&folder).await?.into_iter().collect();
    let Some(meta) = listed.get(TOC) else {
        return Err(ExportFault::NotFound { expected: "toc.dat, and is no file" }.into());
    };
    let toc = toc(place, &folder.join(TOC), meta, 0, ArchiveFormat::Directory, TOC).await?;
    if matches!(toc.compression, ArchiveCompression::Lz4) {
        let help = "dump again with --compress=gzip or --compress=zstd";
        return Err(ExportFault::Unread { what: "a directory archive compressed with LZ4".to_owned(), help }.into());
    }
    let mut missing = None;
    let tables = archived(&toc, TOC, |entry| {
        let DataAt::File(file) = &entry.data else { return None };
        let names = [format!("{file}{}", toc.compression.suffix()), file.clone()];
        let Some((name, meta)) = names.iter().find_map(|name| listed.get_key_value(name)) else {
            missing.get_or_insert_with(|| file.clone());
            return None;
        };
        let uri = Split::Copy(0..meta.size).uri(&folder.join(name).uri());
        Some(entry_of(&uri, meta, meta.size))
    });
    match missing {
        Some(what) => Err(ExportFault::Missing { manifest: TOC.to_owned(), what }.into()),
        None => tables,
    }
}

/// A tar archive.
async fn of_tar(place: &ExportPlace, meta: &ObjectMeta, name: &str) -> Result<Vec<ExportedTable>, Trouble> {
    let mut walk = TarScan::new(meta.size);
    while let Some(next) = walk.next_read() {
        let bytes = range(place, &place.location, next).await?;
        walk.feed(&bytes).map_err(|fault| refused(name, &fault))?;
    }
    let members = walk.members().map_err(|fault| refused(name, &fault))?;
    let find = |name: &str| members.iter().find(|member| member.name == name);
    let Some(first) = find(TOC) else {
        return Err(ExportFault::NotFound { expected: "toc.dat in it" }.into());
    };
    let toc = toc(place, &place.location, meta, first.offset, ArchiveFormat::Tar, name).await?;
    let mut missing = None;
    let tables = archived(&toc, name, |entry| {
        let DataAt::File(file) = &entry.data else { return None };
        let Some(member) = find(file) else {
            missing.get_or_insert_with(|| file.clone());
            return None;
        };
        let uri = Split::Copy(member.offset..member.offset + member.length).uri(&place.location.uri());
        Some(entry_of(&uri, meta, member.length))
    });
    match missing {
        Some(what) => Err(ExportFault::Missing { manifest: name.to_owned(), what }.into()),
        None => tables,
    }
}

/// The tables of an archive; `data` says where the data of an entry is.
fn archived(
    toc: &Toc,
    name: &str,
    mut data: impl FnMut(&TocEntry) -> Option<FileEntry>,
) -> Result<Vec<ExportedTable>, Trouble> {
    let unread = |what: String, help| ExportFault::Unread { what, help };
    if toc.encoding().is_some_and(|encoding| encoding != "UTF8" && encoding != "SQL_ASCII") {
        let what = format!("a dump in the encoding {}", toc.encoding().unwrap_or_default());
        return Err(unread(what, "dump again with --encoding=UTF8").into());
    }
    let mut dumped = Dumped::new(name, SqlFamily::Postgres);
    for entry in &toc.entries {
        let wanted = [
            EntryKind::Table,
            EntryKind::ForeignTable,
            EntryKind::TableAttach,
            EntryKind::Type,
            EntryKind::Domain,
            EntryKind::MaterializedView,
        ];
        if let Some(text) = entry.defn.as_ref().filter(|_| wanted.contains(&entry.kind())) {
            // An entry may have several statements: a table and its comments.
            let text = format!("{}\n", text.str().map_err(|fault| refused(name, &fault))?);
            let mut events = Vec::new();
            let mut scanner = DumpScanner::with_family(u64::MAX, SqlFamily::Postgres);
            let scanned = scanner.push(text.as_bytes(), &mut events).and_then(|()| scanner.end(&mut events));
            scanned.map_err(|fault| ExportFault::Metadata { file: name.to_owned(), reason: fault.to_string() })?;
            for event in events {
                if let DumpEvent::Statement { text, .. } = event {
                    dumped.add_statement(&text)?;
                }
            }
        }
    }
    for entry in toc.table_data() {
        let Some(copy) = &entry.copy_stmt else {
            let help = "dump again without --inserts, or as plain SQL";
            return Err(unread(
                format!("the data of {}, which is INSERT statements in an archive,", entry.name()),
                help,
            )
            .into());
        };
        let copy = format!("{}\n\\.\n", copy.str().map_err(|fault| refused(name, &fault))?.trim_end());
        let mut events = Vec::new();
        let mut scanner = DumpScanner::with_family(u64::MAX, SqlFamily::Postgres);
        let scanned = scanner.push(copy.as_bytes(), &mut events).and_then(|()| scanner.end(&mut events));
        scanned.map_err(|fault| ExportFault::Metadata { file: name.to_owned(), reason: fault.to_string() })?;
        let Some(DumpEvent::Data { table, columns, .. }) = events.pop() else {
            let reason = format!("{} has no COPY statement", entry.name());
            return Err(ExportFault::Metadata { file: name.to_owned(), reason }.into());
        };
        let found = data(entry);
        if found.is_none() {
            let reason = format!("{} has no data", entry.name());
            return Err(ExportFault::Cut { file: name.to_owned(), reason }.into());
        }
        dumped.add_data(table, columns, DataForm::Copy, found)?;
    }
    Ok(dumped.finish()?)
}
