//! The schema of NDJSON text, found by walking every value without building any.
//!
//! Integers are BIGINT, or BIGINT UNSIGNED where one needs it. With a point or an exponent among them they are DOUBLE,
//! if a DOUBLE holds each of them exactly. Numbers that no such type holds (integers beyond 64 bits, identifiers beside
//! fractions, digits beyond those of a DOUBLE) are the text that is written. Lists and objects are of one type each.
//! All else that differs, such as a number here and a text there, is a conflict that names both lines. An attribute of
//! null alone is Null.
//!
//! A name that occurs twice in one object is an error, and so is a value that nests more than [`MAX_DEPTH`] deep, since
//! its type would.

use std::io::BufRead;

use datafusion::arrow::datatypes::Schema;
use datafusion::error::DataFusionError;

use super::body::{A_LIST, NO_OBJECT};
use super::dialect::PlainJson;
use super::split::{RecordReader, RecordSplitter};
use super::text::{Cursor, Fault};
use crate::error::Result;
use crate::snapshot::schema::clash::{Clash, TypePlace};
use crate::snapshot::schema::inferred::Inferred;
use crate::snapshot::schema::widen::{Members, Node, Scope};
use crate::snapshot::text::bytes::{ChunkReader, Origin};
use crate::snapshot::values::numeral::Numeral;

/// Objects and lists within one another: as many as serde_json takes.
const MAX_DEPTH: usize = 128;

/// Every integer up to this size is a DOUBLE.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// Reads NDJSON to the end, or up to that many records.
pub(crate) fn infer_json(
    reader: &mut ChunkReader,
    mut plain: Option<PlainJson>,
    limit: Option<usize>,
    origin: &Origin,
) -> Result<Inferred> {
    let mut splitter = RecordSplitter::default();
    let mut walk = JsonWalk {
        columns: Members::default(),
        place: TypePlace::text(&origin.uri),
        name: String::new(),
        text: String::new(),
        rows: 0,
        limit: limit.map_or(u64::MAX, |limit| limit as u64),
        clash: None,
    };
    let mut is_at_end = false;
    while !is_at_end && !walk.is_full() {
        let chunk = reader.fill_buf().map_err(|error| origin.unreadable(DataFusionError::IoError(error)))?;
        is_at_end = chunk.is_empty();
        let used = take(chunk, plain.as_mut(), &mut splitter, &mut walk);
        let used = used.map_err(|error| match walk.clash.take() {
            Some(clash) => clash.into_error(&origin.table, &walk.place),
            None => origin.unreadable(error),
        })?;
        reader.consume(used);
    }
    let schema = Schema::new(walk.columns.fields(Scope::File));
    Ok(Inferred { schema, rows: walk.rows, exact_rows: !walk.is_full() })
}

/// Takes in a chunk and says how many bytes of it; an empty one is the end.
fn take(
    chunk: &[u8],
    plain: Option<&mut PlainJson>,
    splitter: &mut RecordSplitter,
    walk: &mut JsonWalk,
) -> datafusion::error::Result<usize> {
    let is_at_end = chunk.is_empty();
    let Some(plain) = plain else {
        return if is_at_end { splitter.finish(walk).map(|()| 0) } else { splitter.push(chunk, walk) };
    };
    if is_at_end {
        plain.end()?
    } else {
        plain.push(chunk)?
    }
    while !plain.rest().is_empty() && !walk.is_full() {
        let read = splitter.push(plain.rest(), walk)?;
        plain.advance(read);
    }
    if is_at_end && !walk.is_full() {
        splitter.finish(walk)?;
    }
    Ok(chunk.len())
}

/// The records of one file.
struct JsonWalk {
    columns: Members,
    /// The line of the record.
    place: TypePlace,
    /// Room for a name, and for a text.
    name: String,
    text: String,
    rows: u64,
    limit: u64,
    /// Left here on the way out, since a fault is one of the text.
    clash: Option<Box<Clash>>,
}

/// Why a value ends the walk.
enum JsonStop {
    Fault(Fault),
    Clash(Box<Clash>),
    TooDeep,
}

impl From<Fault> for JsonStop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Box<Clash>> for JsonStop {
    fn from(clash: Box<Clash>) -> Self {
        Self::Clash(clash)
    }
}

impl JsonStop {
    /// Adds the name of the field that a value belongs to.
    #[cold]
    fn within(self, name: &str) -> Self {
        match self {
            Self::Clash(clash) => Self::Clash(clash.within(name)),
            other => other,
        }
    }
}

impl RecordReader for JsonWalk {
    const NEEDS_LINES: bool = true;

    fn at_line(&mut self, line: u64) {
        self.place.set_line(line);
    }

    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        match cursor.token()? {
            b'{' => {}
            b'[' => return Err(cursor.wrong(A_LIST)),
            _ => return Err(cursor.wrong(NO_OBJECT)),
        }
        cursor.advance();
        let mut room = Room { name: &mut self.name, text: &mut self.text, place: &self.place };
        match members(&mut self.columns, cursor, &mut room, 1) {
            Ok(()) => self.rows += 1,
            Err(JsonStop::Fault(fault)) => return Err(fault),
            Err(JsonStop::Clash(clash)) => {
                self.clash = Some(clash);
                return Err(cursor.wrong("two types of one column"));
            }
            Err(JsonStop::TooDeep) => {
                return Err(cursor.wrong(format!(
                    "the value nests more than {MAX_DEPTH} deep; declare its column as VARCHAR, which takes it as text"
                )));
            }
        }
        Ok(())
    }

    /// What was seen of an incomplete record is seen again.
    fn forget(&mut self) {}

    fn is_full(&self) -> bool {
        self.rows >= self.limit
    }

    fn row(&self) -> u64 {
        self.rows + 1
    }
}

/// What all values of a record share.
struct Room<'a> {
    name: &'a mut String,
    text: &'a mut String,
    place: &'a TypePlace,
}

/// Reads an object after its first brace.
fn members(members: &mut Members, cursor: &mut Cursor<'_>, room: &mut Room<'_>, depth: usize) -> Result<(), JsonStop> {
    members.next_object();
    let (mut next, mut is_first) = (0, true);
    while cursor.member(is_first)? {
        is_first = false;
        let start = cursor.at() - 1;
        let name = cursor.string(room.name)?;
        let position = members.find(name, next, room.place);
        if !members.see(position) {
            return Err(cursor.wrong_at(start, format!("'{name}' occurs twice in one object")).into());
        }
        next = position + 1;
        cursor.colon()?;
        let (name, node) = members.get_mut(position);
        value(node, cursor, room, depth).map_err(|stop| match stop {
            JsonStop::TooDeep if depth == 1 => JsonStop::Fault(cursor.wrong(format!(
                "column '{name}' nests more than {MAX_DEPTH} deep; declare it as VARCHAR, which takes the value as text"
            ))),
            stop => stop.within(name),
        })?;
    }
    Ok(())
}

/// Widens the node to hold the value that is next.
fn value(node: &mut Node, cursor: &mut Cursor<'_>, room: &mut Room<'_>, depth: usize) -> Result<(), JsonStop> {
    match cursor.token()? {
        b'"' => {
            cursor.advance();
            cursor.string(room.text)?;
            node.text(room.place)?;
        }
        b'-' | b'0'..=b'9' => number(node, &cursor.number()?, room.place)?,
        b't' => {
            cursor.word("true")?;
            node.boolean(room.place)?;
        }
        b'f' => {
            cursor.word("false")?;
            node.boolean(room.place)?;
        }
        b'n' => cursor.word("null")?,
        b'{' | b'[' if depth == MAX_DEPTH => return Err(JsonStop::TooDeep),
        b'{' => {
            cursor.advance();
            members(node.members(room.place)?, cursor, room, depth + 1)?;
        }
        b'[' => {
            cursor.advance();
            let element = node.list(room.place)?;
            let mut is_first = true;
            while cursor.element(is_first)? {
                is_first = false;
                value(element, cursor, room, depth + 1).map_err(|stop| stop.within("[]"))?;
            }
        }
        _ => return Err(cursor.no_value().into()),
    }
    Ok(())
}

fn number(node: &mut Node, number: &Numeral<'_>, place: &TypePlace) -> Result<(), Box<Clash>> {
    if !number.is_whole() {
        return if number.double().is_some() { node.float(64, place) } else { node.numbers(place) };
    }
    let Some(integer) = number.integer() else { return node.numbers(place) };
    let is_long = integer.unsigned_abs() > EXACT_IN_DOUBLE.into();
    match (i64::try_from(integer), u64::try_from(integer)) {
        (Ok(0..), _) => node.unsigned(63, is_long, place),
        (Ok(_), _) => node.signed(64, is_long, place),
        (Err(_), Ok(_)) => node.unsigned(64, is_long, place),
        (Err(_), Err(_)) => node.numbers(place),
    }
}
