//! Checks old timestamps for what the reader would cut.
//!
//! An INT96 is a day and the nanoseconds in it. The reader makes 64 bits of it, of microseconds or nanoseconds: digits
//! below a microsecond are cut, and what is beyond 64 bits becomes another time, both silently. So each value is
//! looked at as it is. Costs as much as decoding the column once more, for these columns only.

use chrono::{DateTime, Utc};
use datafusion::parquet::column::reader::ColumnReaderImpl;
use datafusion::parquet::data_type::{Int96, Int96Type};
use datafusion::parquet::errors::Result;

use super::pages::Pages;

/// Records that are looked at together.
const RECORDS: usize = 4096;

const EPOCH: i128 = 2_440_588;
const DAY: i128 = 86_400_000_000_000;

/// A value that the reader would change.
#[derive(Debug, PartialEq)]
pub(crate) struct Changed {
    /// Row of the row group, from 0.
    pub(crate) row: u64,
    pub(crate) value: String,
    pub(crate) reason: &'static str,
}

/// The first value that 64 bits of nanoseconds, or of microseconds, do not hold.
///
/// # Errors
/// Those of the Parquet reader.
pub(crate) fn changed_int96(pages: &Pages<'_>, nanoseconds: bool) -> Result<Option<Changed>> {
    let column = pages.column.column_descr_ptr();
    let max_definition = column.max_def_level();
    let is_list = column.max_rep_level() > 0;
    let mut reader = ColumnReaderImpl::<Int96Type>::new(column, Box::new(pages.reader()?));
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let mut row = 0;
    loop {
        values.clear();
        definitions.clear();
        repetitions.clear();
        let (records, found, levels) =
            reader.read_records(RECORDS, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
        if records == 0 && levels == 0 && found == 0 {
            return Ok(None);
        }
        if let Some((index, reason)) = values.iter().enumerate().find_map(|(n, v)| Some((n, problem(v, nanoseconds)?)))
        {
            // The level of the value: that many values are defined before it.
            let defined = definitions.iter().enumerate().filter(|(_, level)| **level == max_definition);
            let level = if max_definition == 0 { index } else { defined.map(|(at, _)| at).nth(index).unwrap_or(0) };
            let before = match is_list {
                true => repetitions.iter().take(level + 1).filter(|level| **level == 0).count().saturating_sub(1),
                false => level,
            };
            return Ok(Some(Changed { row: row + before as u64, value: text(&values[index]), reason }));
        }
        row += records as u64;
    }
}

fn nanoseconds_of(value: &Int96) -> i128 {
    let [low, high, day] = value.data() else { return 0 };
    let of_day = i128::from((i64::from(*high) << 32) + i64::from(*low));
    (i128::from(day.cast_signed()) - EPOCH) * DAY + of_day
}

fn problem(value: &Int96, nanoseconds: bool) -> Option<&'static str> {
    let exact = nanoseconds_of(value);
    if nanoseconds {
        return i64::try_from(exact).is_err().then_some("TIMESTAMP(9) reaches from 1677 to 2262");
    }
    if exact % 1000 != 0 {
        return Some("it has nanoseconds; declare the column TIMESTAMP(9)");
    }
    i64::try_from(exact / 1000).is_err().then_some("it is beyond what TIMESTAMP(6) holds")
}

fn text(value: &Int96) -> String {
    let exact = nanoseconds_of(value);
    let (seconds, rest) = (exact.div_euclid(1_000_000_000), exact.rem_euclid(1_000_000_000));
    let moment = i64::try_from(seconds).ok().zip(u32::try_from(rest).ok());
    let moment = moment.and_then(|(seconds, rest)| DateTime::<Utc>::from_timestamp(seconds, rest));
    match moment {
        Some(moment) => moment.format("%Y-%m-%d %H:%M:%S%.9f").to_string(),
        None => format!("{seconds}.{rest:09} seconds after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::parquet::column::writer::ColumnWriter;
    use datafusion::parquet::file::metadata::ParquetMetaDataReader;
    use datafusion::parquet::file::writer::SerializedFileWriter;
    use datafusion::parquet::schema::parser::parse_message_type;

    use super::*;

    fn int96(day: i64, nanoseconds: i64) -> Int96 {
        let mut value = Int96::new();
        let day = u32::try_from(day + EPOCH as i64).unwrap();
        value.set_data((nanoseconds & 0xffff_ffff) as u32, (nanoseconds >> 32) as u32, day);
        value
    }

    fn looked_at(message: &str, values: &[Int96], levels: Option<(&[i16], &[i16])>, nanos: bool) -> Option<Changed> {
        let schema = Arc::new(parse_message_type(message).unwrap());
        let mut bytes = Vec::new();
        let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
        let mut group = file.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ColumnWriter::Int96ColumnWriter(writer) = column.untyped() else { panic!("{message}") };
        let (definitions, repetitions) = levels.unzip();
        writer.write_batch(values, definitions, repetitions).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        file.close().unwrap();
        let bytes = Bytes::from(bytes);
        let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        let group = footer.row_group(0);
        let (start, length) = group.column(0).byte_range();
        let bytes = bytes.slice(start as usize..(start + length) as usize);
        let rows = group.num_rows() as u64;
        changed_int96(
            &Pages { column: group.column(0), rows, bytes: &bytes, stated: bytes.len(), is_compressed: false },
            nanos,
        )
        .unwrap()
    }

    const FLAT: &str = "message m { required int96 t; }";

    #[test]
    fn nanoseconds_are_found_where_microseconds_are_read() {
        let values: Vec<_> = (0..10_000).map(|n| int96(n, 123_456_000 + i64::from(n == 9_000))).collect();
        assert_eq!(looked_at(FLAT, &values, None, true), None);
        let changed = looked_at(FLAT, &values, None, false).unwrap();
        assert_eq!((changed.row, changed.value.as_str()), (9_000, "1994-08-23 00:00:00.123456001"));
        assert!(changed.reason.contains("TIMESTAMP(9)"));
    }

    #[test]
    fn years_beyond_the_unit_are_found() {
        // 9999-12-31.
        let never = [int96(2_932_896, 0)];
        assert_eq!(looked_at(FLAT, &never, None, false), None);
        assert_eq!(looked_at(FLAT, &never, None, true).unwrap().value, "9999-12-31 00:00:00.000000000");
        assert!(looked_at(FLAT, &[int96(1_800_000_000, 0)], None, false).is_some());
        // The first and last nanosecond of 64 bits.
        let last = i128::from(i64::MAX);
        let edge = |exact: i128| int96(exact.div_euclid(DAY) as i64, exact.rem_euclid(DAY) as i64);
        assert_eq!(looked_at(FLAT, &[edge(last), edge(-last - 1)], None, true), None);
        assert_eq!(looked_at(FLAT, &[edge(0), edge(last + 1)], None, true).unwrap().row, 1);
        assert_eq!(looked_at(FLAT, &[edge(-last - 2)], None, true).unwrap().row, 0);
    }

    #[test]
    fn row_is_that_of_the_list_or_after_the_nulls() {
        let bad = int96(0, 1);
        let optional = "message m { optional int96 t; }";
        let changed = looked_at(optional, &[int96(0, 0), bad], Some((&[0, 1, 0, 1], &[0; 4])), false);
        assert_eq!(changed.unwrap().row, 3);
        let list = "message m { repeated int96 t; }";
        let changed = looked_at(list, &[int96(0, 0), int96(1, 0), bad], Some((&[1, 1, 0, 1], &[0, 1, 0, 0])), false);
        assert_eq!(changed.unwrap().row, 2);
    }
}
