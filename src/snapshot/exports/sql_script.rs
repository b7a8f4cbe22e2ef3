//! One file of SQL text, read once: its statements, and where the rows of each table are in it.
//!
//! Data of a plain file is cut into entries of some size, which tasks read side by side, each its own bytes. A packed
//! file has no place to begin at but its first byte: each table is one entry, and reading it unpacks what is before it.

use std::io::BufRead;

use datafusion::physical_plan::metrics::Count;
use object_store::ObjectMeta;

use super::dumped::Dumped;
use super::{ExportPlace, Trouble};
use crate::config::{Compression, SqlFamily};
use crate::error::ExportFault;
use crate::layout::{FilePartition, Location};
use crate::manifest::{FileEntry, bare_etag};
use crate::snapshot::dump::head::program_of;
use crate::snapshot::dump::script::{DumpEvent, DumpFault, DumpScanner};
use crate::snapshot::split::Split;
use crate::snapshot::text::bytes::{Chunks, Origin, Request, compression_of};

/// Bytes of an entry of a plain file.
const ENTRY: u64 = 32 << 20;

/// What one file of SQL is.
pub(super) struct SqlFile<'a> {
    pub(super) location: Location,
    pub(super) meta: &'a ObjectMeta,
    /// Its name in messages.
    pub(super) name: &'a str,
    pub(super) family: SqlFamily,
}

/// What was found in a file besides statements and data.
#[derive(Debug, Default)]
pub(super) struct ScriptEnd {
    /// The dump program says that the dump is whole.
    pub(super) is_complete: bool,
    /// The first line names the dump program, which also writes a mark at the end.
    pub(super) has_head: bool,
}

/// Reads a file and adds what it has to `dumped`.
pub(super) async fn scan(
    place: &ExportPlace,
    file: &SqlFile<'_>,
    mut dumped: Dumped,
) -> Result<(Dumped, ScriptEnd), Trouble> {
    let key = file.location.key()?;
    let uri = file.location.uri();
    let etag = bare_etag(file.meta.e_tag.as_deref().unwrap_or_default()).to_owned();
    let is_plain = compression_of(&key) == Compression::None;
    let request = Request {
        location: &key,
        e_tag: None,
        size: Some(file.meta.size),
        compression: None,
        split: None,
        charset: None,
        is_raw: true,
    };
    let origin = Origin { table: "".into(), uri: uri.as_str().into() };
    let chunks = Chunks::open(place.store.as_ref(), request, origin, Count::new()).await;
    let chunks = chunks.map_err(|error| cut(file.name, &error))?;
    let (family, name) = (file.family, file.name.to_owned());
    let scanned = chunks
        .read_with(move |reader| {
            let mut end = ScriptEnd::default();
            let mut scanner = DumpScanner::with_family(if is_plain { ENTRY } else { u64::MAX }, family);
            let mut events = Vec::new();
            let mut is_first = true;
            loop {
                let bytes = match reader.fill_buf() {
                    Ok(bytes) => bytes,
                    Err(error) => return Err(ExportFault::Cut { file: name, reason: error.to_string() }),
                };
                if bytes.is_empty() {
                    break;
                }
                if std::mem::take(&mut is_first) {
                    end.has_head = program_of(bytes).is_some();
                    refuse_other_family(&name, bytes, family)?;
                    let line = memchr::memchr(b'\n', bytes).map(|at| &bytes[..at]);
                    if family == SqlFamily::Postgres && line.is_some_and(|line| line.ends_with(b"\r")) {
                        let reason =
                            "its lines end with CR LF, which would become part of values; make them end with LF";
                        return Err(ExportFault::Metadata { file: name, reason: reason.to_owned() });
                    }
                    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                        let help = "convert it to UTF-8, such as with iconv, or dump again";
                        return Err(ExportFault::Unread { what: format!("{name}, which is UTF-16,"), help });
                    }
                }
                let fault = scanner.push(bytes, &mut events).err();
                let used = bytes.len();
                reader.consume(used);
                take(&mut events, &mut dumped, &mut end, (&uri, &etag, is_plain))?;
                if let Some(fault) = fault {
                    return Err(refused(&name, &fault));
                }
            }
            let fault = scanner.end(&mut events).err();
            take(&mut events, &mut dumped, &mut end, (&uri, &etag, is_plain))?;
            fault.map_or(Ok((dumped, end)), |fault| Err(refused(&name, &fault)))
        })
        .await;
    Ok(scanned.map_err(|error| cut(file.name, &error))??)
}

fn cut(file: &str, error: &crate::error::Error) -> ExportFault {
    ExportFault::Cut { file: file.to_owned(), reason: crate::error::describe::describe(error) }
}

fn refused(file: &str, fault: &DumpFault) -> ExportFault {
    let (file, reason) = (file.to_owned(), fault.to_string());
    match fault {
        DumpFault::NotEnded { .. } => ExportFault::Cut { file, reason },
        _ => ExportFault::Metadata { file, reason },
    }
}

/// A dump of the other family would be read with the wrong quotes.
fn refuse_other_family(name: &str, bytes: &[u8], family: SqlFamily) -> Result<(), ExportFault> {
    let (program, help) = match program_of(bytes).filter(|other| *other != family) {
        Some(SqlFamily::Postgres) => ("pg_dump", "write STORED AS PG_DUMP"),
        Some(SqlFamily::MySql) => ("mysqldump", "write STORED AS MYSQL_DUMP"),
        None => return Ok(()),
    };
    Err(ExportFault::Unread { what: format!("{name}, which is a dump of {program},"), help })
}

/// A file of several dumps: their tables would be one.
fn second_dump(uri: &str, line: Option<u64>) -> ExportFault {
    let file = uri.rsplit('/').next().unwrap_or_default().to_owned();
    let line = line.map_or_else(String::new, |line| format!(" at line {line}"));
    ExportFault::Metadata { file, reason: format!("another dump follows the first{line}; split the file") }
}

fn take(
    events: &mut Vec<DumpEvent>,
    dumped: &mut Dumped,
    end: &mut ScriptEnd,
    (uri, etag, is_plain): (&str, &str, bool),
) -> Result<(), ExportFault> {
    for event in events.drain(..) {
        match event {
            DumpEvent::Statement { text, line } => {
                let is_table = text.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("CREATE "));
                if end.is_complete && is_table {
                    return Err(second_dump(uri, Some(line)));
                }
                dumped.add_statement(&text)?;
            }
            DumpEvent::Complete => end.is_complete = true,
            DumpEvent::Data { .. } if end.is_complete => return Err(second_dump(uri, None)),
            DumpEvent::Data { table, columns, form, bytes, rows } => {
                let size = bytes.end - bytes.start;
                let split = if is_plain { Split::Bytes(bytes) } else { Split::Unpacked(bytes) };
                let entry = FileEntry {
                    uri: split.uri(uri).into(),
                    etag: etag.into(),
                    size,
                    n_record: Some(rows),
                    partition: FilePartition::None,
                };
                dumped.add_data(table, columns, form, (rows > 0).then_some(entry))?;
            }
        }
    }
    Ok(())
}
