//! Gives each byte of the dump to the scanner that has it now, and makes events of what they find.
//!
//! Memory: one statement outside of data, at most 16 MB; of data nothing is kept. After a fault each call gives the
//! same fault again.
//!
//! ```text
//! Text --"COPY .. FROM stdin;"--> CopyLine --line end--> Copy --"\."--> Text
//! Text --"INSERT .. VALUES"-----> Insert --";"--> Text
//! ```

use std::collections::HashSet;

use memchr::memchr_iter;

use super::copy::{CopyScan, CopyStep};
use super::insert::{InsertScan, OddTuple};
use super::kinds::{self, CommentNote, StatementVerdict};
use super::quote::is_word;
use super::text::{ScannedKind, TextScan, TextStep};
use super::words::{DataHead, HeadFault, copy_head, insert_head};
use super::{DataForm, DumpEvent, DumpFault, DumpName};
use crate::snapshot::dump::SqlFamily;

/// Scans a dump that comes in chunks of any size; events do not depend on where the chunks are cut.
#[derive(Debug)]
pub(crate) struct DumpScanner {
    split: u64,
    offset: u64,
    text: TextScan,
    state: ScanState,
    /// INSERTs of one table that have ended; the next one may join them.
    run: Option<InsertRun>,
    /// Database of `USE`, or first schema of `search_path`.
    schema: Option<String>,
    cluster: bool,
    /// Tables that have rows.
    filled: HashSet<DumpName>,
    fault: Option<DumpFault>,
}

#[derive(Debug)]
enum ScanState {
    TextScan,
    /// After the `;` of a COPY, before its line end.
    CopyLine(CopyBlock),
    Copy(CopyBlock, CopyScan),
    /// In an INSERT that began at this line.
    Insert(InsertScan, u64),
}

/// COPY block that is open.
#[derive(Debug)]
struct CopyBlock {
    head: DataHead,
    line: u64,
    cut: bool,
}

#[derive(Debug)]
struct InsertRun {
    head: DataHead,
    /// From INSERT to VALUES as the text has it: the same bytes again need no second look.
    raw: Vec<u8>,
    start: u64,
    end: u64,
    rows: u64,
}

impl DumpScanner {
    #[cfg(test)]
    /// Makes a scanner that finds out by itself which family the dump is of. Data is cut at the first end of a row
    /// (COPY) or statement (INSERT) at which a piece has `split_bytes`.
    pub(crate) fn new(split_bytes: u64) -> Self {
        Self::build(split_bytes, None)
    }

    /// Makes a scanner for a text that is known to be of this family.
    pub(crate) fn with_family(split_bytes: u64, family: SqlFamily) -> Self {
        Self::build(split_bytes, Some(family))
    }

    fn build(split: u64, family: Option<SqlFamily>) -> Self {
        Self {
            split: split.max(1),
            offset: 0,
            text: TextScan::new(family),
            state: ScanState::TextScan,
            run: None,
            schema: None,
            cluster: false,
            filled: HashSet::new(),
            fault: None,
        }
    }

    #[cfg(test)]
    /// Family that the text has shown up to now, which a reader of INSERT values needs too.
    pub(crate) fn family(&self) -> Option<SqlFamily> {
        self.text.rules.family
    }

    /// Reads the next bytes of the dump and adds what they complete to `events`.
    pub(crate) fn push(&mut self, chunk: &[u8], events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let read = self.chunk(chunk, events);
        self.offset += chunk.len() as u64;
        read.inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    /// Says that the dump ends here: a dump that ends inside of something is a fault.
    pub(crate) fn end(&mut self, events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.last(events).inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    fn chunk(&mut self, chunk: &[u8], events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        let mut at = 0;
        while at < chunk.len() {
            at = match &mut self.state {
                ScanState::TextScan => self.in_text(chunk, at, events)?,
                ScanState::CopyLine(_) => self.in_copy_line(chunk, at)?,
                ScanState::Copy(block, scan) => {
                    let step = scan.scan(chunk, at, self.offset, self.split);
                    let (end, next, last) = match step {
                        CopyStep::More => {
                            self.text.line += newlines(&chunk[at..]);
                            return Ok(());
                        }
                        CopyStep::Cut(next) => (self.offset + next as u64, next, false),
                        CopyStep::End { data_end, next } => (data_end, next, true),
                    };
                    self.text.line += newlines(&chunk[at..next]);
                    piece(block, scan, end, last, events);
                    if last {
                        self.state = ScanState::TextScan;
                    }
                    next
                }
                ScanState::Insert(..) => self.in_insert(chunk, at, events)?,
            };
        }
        Ok(())
    }

    fn in_text(&mut self, chunk: &[u8], from: usize, events: &mut Vec<DumpEvent>) -> Result<usize, DumpFault> {
        let mut at = from;
        while let Some(&b) = chunk.get(at) {
            if self.run.is_some()
                && self.text.idle()
                && let Some(next) = self.same_head(chunk, at)
            {
                return Ok(next);
            }
            let pos = self.offset + at as u64;
            if pos < 3 && b == [0xef, 0xbb, 0xbf][pos as usize] && (pos == 0 || self.text.idle()) {
                // Byte order mark: editors of Windows put it before the text.
                at += 1;
                continue;
            }
            let step = self.text.step(b, pos)?;
            if step == TextStep::Values {
                self.insert_begins(events)?;
                return Ok(at);
            }
            at += 1;
            if step != TextStep::More {
                self.act(step, events)?;
                if !matches!(self.state, ScanState::TextScan) {
                    return Ok(at);
                }
            }
        }
        Ok(at)
    }

    /// Takes the short way into the next INSERT if it has the same head, byte for byte, as the one before. Gives
    /// the index after VALUES. It looks at this chunk only; what it does not see is read the long way.
    fn same_head(&mut self, chunk: &[u8], at: usize) -> Option<usize> {
        let run = self.run.as_ref()?;
        let rest = &chunk[at..];
        let blank = rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'))?;
        let after = rest[blank..].strip_prefix(run.raw.as_slice())?;
        if is_word(*after.first()?) || !self.text.plain_delimiter() {
            return None;
        }
        self.text.line += newlines(&rest[..blank]);
        self.state = ScanState::Insert(InsertScan::new(self.text.rules), self.text.line);
        self.text.line += newlines(&run.raw);
        Some(chunk.len() - after.len())
    }

    fn insert_begins(&mut self, events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        let (raw, _, start, line) = self.text.statement();
        if self.text.wrapped() || !self.text.plain_delimiter() {
            let why = "it stands in a comment or in a DELIMITER block";
            return Err(DumpFault::OddInsert { line, why });
        }
        let mut head = insert_head(raw, self.text.rules.family).map_err(|fault| match fault {
            HeadFault::Shape => DumpFault::NoValues { line },
            HeadFault::NotUtf8 => DumpFault::NotUtf8 { line },
        })?;
        head.table = self.in_schema(head.table);
        let raw = raw.to_vec();
        self.state = ScanState::Insert(InsertScan::new(self.text.rules), line);
        self.text.clear();
        match &mut self.run {
            Some(run) if run.head == head => run.raw = raw,
            _ => {
                self.filled.insert(head.table.clone());
                self.flush(events);
                self.run = Some(InsertRun { head, raw, start, end: start, rows: 0 });
            }
        }
        Ok(())
    }

    fn in_insert(&mut self, chunk: &[u8], at: usize, events: &mut Vec<DumpEvent>) -> Result<usize, DumpFault> {
        let ScanState::Insert(scan, _) = &mut self.state else { return Ok(at) };
        let end = match scan.scan(chunk, at) {
            Ok(end) => end,
            Err((i, odd)) => {
                let line = self.text.line + newlines(&chunk[at..i]);
                return Err(match odd {
                    OddTuple::Why(why) => DumpFault::OddInsert { line, why },
                    OddTuple::SqlFamily => DumpFault::UnknownFamily { line },
                });
            }
        };
        let next = end.unwrap_or(chunk.len());
        self.text.line += newlines(&chunk[at..next]);
        if end.is_some() {
            let rows = scan.rows();
            self.state = ScanState::TextScan;
            if let Some(run) = &mut self.run {
                run.rows += rows;
                run.end = self.offset + next as u64;
                if run.end - run.start >= self.split {
                    self.flush(events);
                }
            }
        }
        Ok(next)
    }

    fn in_copy_line(&mut self, chunk: &[u8], at: usize) -> Result<usize, DumpFault> {
        let ScanState::CopyLine(block) = &mut self.state else { return Ok(at) };
        match chunk[at] {
            b'\n' => {
                let head = std::mem::replace(&mut block.head, DataHead { table: no_name(), columns: None });
                let block = CopyBlock { head, line: block.line, cut: false };
                self.text.line += 1;
                self.state = ScanState::Copy(block, CopyScan::new(self.offset + at as u64 + 1));
            }
            b' ' | b'\t' | b'\r' => {}
            _ => return Err(DumpFault::OddCopy { line: self.text.line, why: "text follows on its line" }),
        }
        Ok(at + 1)
    }

    /// Acts on what has ended in the text outside of data.
    fn act(&mut self, step: TextStep, events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        // Only INSERTs with nothing but white space between them are one range.
        self.flush(events);
        match step {
            TextStep::Comment => self.comment(events),
            TextStep::Meta => self.meta(events)?,
            TextStep::Statement => self.statement(events)?,
            TextStep::More | TextStep::Values => {}
        }
        Ok(())
    }

    fn comment(&mut self, events: &mut Vec<DumpEvent>) {
        match kinds::note(&self.text.note) {
            CommentNote::Top(family) => self.text.rules.family = Some(self.text.rules.family.unwrap_or(family)),
            CommentNote::ClusterTop => {
                self.cluster = true;
                self.text.rules.family = Some(self.text.rules.family.unwrap_or(SqlFamily::Postgres));
            }
            // The dumps inside of a pg_dumpall end too, but more databases may follow.
            CommentNote::End if self.cluster => {}
            CommentNote::End => events.push(DumpEvent::Complete),
            CommentNote::ClusterEnd => {
                self.cluster = false;
                events.push(DumpEvent::Complete);
            }
            CommentNote::Database(name) => self.schema = Some(name),
            CommentNote::Other => {}
        }
    }

    fn meta(&mut self, events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        let command = self.text.note.trim_ascii();
        // The line end is taken already, but for a command that is the end of the text.
        let line = self.text.line - u64::from(self.text.after_line_end());
        match kinds::judge_meta(command) {
            StatementVerdict::Keep => {
                let text = String::from_utf8(command.to_vec()).map_err(|_| DumpFault::NotUtf8 { line })?;
                // Another database.
                self.filled.clear();
                events.push(DumpEvent::Statement { text, line });
            }
            StatementVerdict::Skip | StatementVerdict::Remove(..) => {}
            StatementVerdict::Refuse(what) => return Err(DumpFault::RowsElsewhere { line, what: what.to_owned() }),
        }
        Ok(())
    }

    fn statement(&mut self, events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        let (text, kind, _, line) = self.text.statement();
        let family = self.text.rules.family;
        match kind {
            ScannedKind::Insert => return Err(DumpFault::NoValues { line }),
            ScannedKind::Copy => {
                let mut head = copy_head(text, Some(SqlFamily::Postgres)).map_err(|fault| match fault {
                    HeadFault::Shape => {
                        DumpFault::OddCopy { line, why: "only COPY table (columns) FROM stdin has its rows here" }
                    }
                    HeadFault::NotUtf8 => DumpFault::NotUtf8 { line },
                })?;
                head.table = self.in_schema(head.table);
                self.filled.insert(head.table.clone());
                self.text.rules.family = Some(self.text.rules.family.unwrap_or(SqlFamily::Postgres));
                self.state = ScanState::CopyLine(CopyBlock { head, line, cut: false });
            }
            ScannedKind::Other if family == Some(SqlFamily::MySql) && self.bare_body(text) => {
                return Err(DumpFault::BareRoutine { line });
            }
            ScannedKind::Other => match kinds::judge(text, family) {
                StatementVerdict::Keep => {
                    let text = std::str::from_utf8(text).map_err(|_| DumpFault::NotUtf8 { line })?.to_owned();
                    if let Some(charset) = kinds::unsafe_charset(text.as_bytes()) {
                        return Err(DumpFault::Charset { line, charset });
                    }
                    self.setting(&text);
                    events.push(DumpEvent::Statement { text, line });
                }
                StatementVerdict::Skip => {}
                StatementVerdict::Refuse(what) => return Err(DumpFault::RowsElsewhere { line, what: what.to_owned() }),
                StatementVerdict::Remove(what, tables) => {
                    let mut tables = tables.into_iter().map(|table| self.in_schema(table));
                    if let Some(table) = tables.find(|table| self.filled.contains(table)) {
                        return Err(DumpFault::RowsRemoved { line, what, table: table.name });
                    }
                }
            },
        }
        self.text.clear();
        Ok(())
    }

    fn in_schema(&self, mut table: DumpName) -> DumpName {
        table.schema = table.schema.or_else(|| self.schema.clone());
        table
    }

    fn bare_body(&self, text: &[u8]) -> bool {
        self.text.plain_delimiter() && !self.text.wrapped() && kinds::begins_body(text)
    }

    /// Follows the settings that change how the text after them is read.
    fn setting(&mut self, text: &str) {
        let text = text.as_bytes();
        if let Some(database) = kinds::used_database(text) {
            self.schema = Some(database);
        } else if let Some(value) = kinds::setting(text, "standard_conforming_strings") {
            self.text.rules.std_strings = !matches!(value.as_str(), "off" | "false" | "0");
        } else if let Some(value) = kinds::setting(text, "search_path") {
            self.schema = Some(value).filter(|schema| !schema.is_empty() && schema != "$user");
        }
        let of_pg = ["standard_conforming_strings", "client_encoding", "statement_timeout", "search_path"];
        if self.text.rules.family.is_none() && of_pg.iter().any(|name| kinds::setting(text, name).is_some()) {
            self.text.rules.family = Some(SqlFamily::Postgres);
        }
    }

    fn flush(&mut self, events: &mut Vec<DumpEvent>) {
        if let Some(run) = self.run.take() {
            let (table, columns) = (run.head.table, run.head.columns);
            let bytes = run.start..run.end;
            events.push(DumpEvent::Data { table, columns, form: DataForm::Insert, bytes, rows: run.rows });
        }
    }

    fn last(&mut self, events: &mut Vec<DumpEvent>) -> Result<(), DumpFault> {
        match &mut self.state {
            ScanState::TextScan => {
                let step = self.text.end()?;
                self.act(step, events)
            }
            ScanState::CopyLine(block) => Err(DumpFault::NotEnded { what: "COPY block", line: block.line }),
            ScanState::Copy(block, scan) => {
                let Some(end) = scan.end_of_text(self.offset) else {
                    return Err(DumpFault::NotEnded { what: "COPY block", line: block.line });
                };
                piece(block, scan, end, true, events);
                self.state = ScanState::TextScan;
                Ok(())
            }
            ScanState::Insert(scan, line) => {
                let what = if scan.in_quote() { "statement with an open quote" } else { "statement" };
                Err(DumpFault::NotEnded { what, line: *line })
            }
        }
    }
}

/// Makes an event of the rows since the last cut; an empty last piece counts only where it is the only one.
fn piece(block: &mut CopyBlock, scan: &mut CopyScan, end: u64, last: bool, events: &mut Vec<DumpEvent>) {
    let (start, rows) = scan.take(end);
    if rows > 0 || !block.cut {
        let (table, columns) = (block.head.table.clone(), block.head.columns.clone());
        events.push(DumpEvent::Data { table, columns, form: DataForm::Copy, bytes: start..end, rows });
    }
    block.cut |= !last;
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

fn no_name() -> DumpName {
    DumpName { schema: None, name: String::new() }
}
