//! TestRows that are made up, written by a simple encoder of each dialect, and read back in any chunks and batches.

use crate::snapshot::dump::SqlFamily;
use proptest::prelude::*;

use crate::snapshot::dump::inserts::fault::InsertFault;
use crate::snapshot::dump::inserts::rows_tests::{Owned, TestRows, rows_of};
use crate::snapshot::dump::inserts::splitter::InsertSplitter;

const COLUMNS: usize = 3;

/// A value, with a number that chooses between the ways to write it.
#[derive(Debug, Clone)]
enum TestValue {
    Null,
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    Bits(u64),
}

fn value() -> impl Strategy<Value = (TestValue, u8)> {
    // Many characters that mean something.
    let text = prop_oneof![Just("(),;'\"\\`-#/*\0\n\r\t\u{1a}%_nrtbZ0xuEé😀 ".to_owned())].prop_flat_map(|signs| {
        let signs: Vec<char> = signs.chars().collect();
        prop::collection::vec(prop::sample::select(signs), 0..12).prop_map(|signs| signs.into_iter().collect())
    });
    let bytes = prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\''), Just(b'\\'), Just(0), Just(0xc3)], 0..8);
    let one = prop_oneof![
        Just(TestValue::Null),
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?(e[+-]?[0-9]{1,3})?|true|FALSE".prop_map(TestValue::Number),
        text.clone().prop_map(TestValue::Text),
        text.prop_map(TestValue::Text),
        bytes.prop_map(TestValue::Bytes),
        any::<u64>().prop_map(TestValue::Bits),
    ];
    (one, any::<u8>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text_or_raw(bytes: &[u8]) -> Owned {
    match std::str::from_utf8(bytes) {
        Ok(text) => Owned::Quoted(text.to_owned()),
        Err(_) => Owned::Raw(format!("\\x{}", hex(bytes))),
    }
}

/// As mysqldump (`'`), mydumper (`"`) or the standard (doubled quotes) write it.
fn mysql_quoted(bytes: &[u8], way: u8, out: &mut Vec<u8>) {
    let quote = if way & 1 == 0 { b'\'' } else { b'"' };
    out.push(quote);
    for byte in bytes {
        let letter = match byte {
            0 => b'0',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x1a => b'Z',
            other => *other,
        };
        match *byte {
            b'\\' => out.extend(b"\\\\"),
            byte if byte == quote && way & 2 == 0 => out.extend([quote, quote]),
            b'\'' | b'"' if *byte == quote || way & 8 == 0 => out.extend([b'\\', *byte]),
            byte if letter != byte && way & 4 == 0 => out.extend([b'\\', letter]),
            byte => out.push(byte),
        }
    }
    out.push(quote);
}

fn mysql(value: &TestValue, way: u8, out: &mut Vec<u8>) -> Owned {
    match value {
        TestValue::Null => {
            out.extend(b"NULL");
            Owned::Null
        }
        TestValue::Number(number) => {
            out.extend(number.as_bytes());
            Owned::Bare(number.clone())
        }
        TestValue::Text(text) => {
            out.extend([&b""[..], b"_utf8mb4 "][usize::from(way & 16 != 0)]);
            mysql_quoted(text.as_bytes(), way, out);
            Owned::Quoted(text.clone())
        }
        TestValue::Bytes(bytes) => {
            match way >> 5 {
                0 | 1 if !bytes.is_empty() => out.extend(format!("0x{}", hex(bytes).to_uppercase()).as_bytes()),
                2 => out.extend(format!("X'{}'", hex(bytes)).as_bytes()),
                3 => out.extend(format!("_binary 0x{}", hex(bytes)).as_bytes()),
                4 | 5 => {
                    out.extend(b"_binary ");
                    mysql_quoted(bytes, way, out);
                }
                _ => {
                    mysql_quoted(bytes, way, out);
                    return text_or_raw(bytes);
                }
            }
            Owned::Bytes(format!("\\x{}", hex(bytes)))
        }
        TestValue::Bits(bits) => {
            out.extend(match way & 1 {
                0 => format!("b'{bits:b}'").into_bytes(),
                _ => format!("0b{bits:064b}").into_bytes(),
            });
            Owned::Bare(bits.to_string())
        }
    }
}

fn postgres(value: &TestValue, way: u8, out: &mut Vec<u8>) -> Owned {
    match value {
        TestValue::Null | TestValue::Number(_) => mysql(value, way, out),
        TestValue::Text(text) if way & 1 == 0 => {
            out.extend(format!("'{}'", text.replace('\'', "''")).as_bytes());
            out.extend([&b""[..], b"::text", b" :: pg_catalog.text"][usize::from(way % 3)]);
            Owned::Quoted(text.clone())
        }
        TestValue::Text(text) => {
            // E'..' has no NUL.
            let text = text.replace('\0', "");
            out.extend(b"E'");
            for sign in text.chars() {
                let code = u32::from(sign);
                let written = match (sign, way >> 5) {
                    ('\\', _) => r"\\".to_owned(),
                    ('\'', 0..=3) => r"\'".to_owned(),
                    ('\'', _) => "''".to_owned(),
                    ('\n', 0..=3) => r"\n".to_owned(),
                    (_, 0) => format!("\\U{code:08x}"),
                    (_, 1) => sign.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
                    (_, 2) => sign.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect(),
                    (_, 3) => sign.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
                    _ => sign.to_string(),
                };
                out.extend(written.as_bytes());
            }
            out.push(b'\'');
            Owned::Quoted(text)
        }
        TestValue::Bytes(bytes) if way & 1 == 0 => {
            out.extend(format!("'\\x{}'", hex(bytes)).as_bytes());
            Owned::Quoted(format!("\\x{}", hex(bytes)))
        }
        TestValue::Bytes(bytes) => {
            out.push(b'\'');
            for byte in bytes {
                out.push(*byte);
                out.extend((*byte == b'\'').then_some(b'\''));
            }
            out.push(b'\'');
            text_or_raw(bytes)
        }
        TestValue::Bits(bits) => {
            out.extend(format!("B'{bits:b}'").as_bytes());
            Owned::Quoted(format!("{bits:b}"))
        }
    }
}

/// The statements of rows, and what is to be read.
fn written(rows: &[Vec<(TestValue, u8)>], breaks: &[u8], dialect: SqlFamily) -> (Vec<u8>, TestRows) {
    let (mut out, mut expected) = (b"-- it's\nSET x = 'a;b';\n".to_vec(), Vec::new());
    let mut is_open = false;
    for (number, row) in rows.iter().enumerate() {
        let way = breaks[number % breaks.len()];
        let blank: &[u8] = [&b""[..], b" ", b"\r\n", b"\t"][usize::from(way >> 6)];
        if is_open && way & 3 == 0 {
            out.extend(match (dialect, way & 4) {
                (SqlFamily::Postgres, 0) => &b"\nON CONFLICT DO NOTHING;\n/* ' */\n"[..],
                (SqlFamily::MySql, 0) => b";\n/*!40000 ALTER TABLE `t` ENABLE KEYS */;\n",
                _ => b";\n",
            });
            is_open = false;
        }
        out.extend(if is_open { &b","[..] } else { b"INSERT INTO t VALUES" });
        out.extend(blank);
        out.push(b'(');
        let fields = row.iter().enumerate().map(|(column, (value, way))| {
            out.extend(if column > 0 { &b","[..] } else { b"" });
            out.extend(blank);
            let field = match dialect {
                SqlFamily::MySql => mysql(value, *way, &mut out),
                SqlFamily::Postgres => postgres(value, *way, &mut out),
            };
            out.extend(blank);
            field
        });
        expected.push(fields.collect());
        out.push(b')');
        is_open = true;
    }
    out.extend(if is_open { &b";\n"[..] } else { b"" });
    (out, expected)
}

fn rows() -> impl Strategy<Value = Vec<Vec<(TestValue, u8)>>> {
    prop::collection::vec(prop::collection::vec(value(), COLUMNS), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_in_any_chunks(
        rows in rows(),
        breaks in prop::collection::vec(any::<u8>(), 1..5),
        sizes in prop::collection::vec(1_usize..40, 1..6),
        batch in 1_usize..8,
    ) {
        for dialect in [SqlFamily::MySql, SqlFamily::Postgres] {
            let (input, expected) = written(&rows, &breaks, dialect);
            for columns in [0, COLUMNS] {
                let mut splitter = InsertSplitter::new(dialect, columns, 1 << 20);
                let (found, ended) = rows_of(&mut splitter, &input, &sizes, batch);
                prop_assert_eq!(ended, Ok(()), "{}", String::from_utf8_lossy(&input));
                prop_assert_eq!(&found, &expected, "{}", String::from_utf8_lossy(&input));
            }
        }
    }

    #[test]
    fn damaged_input_gives_the_same_rows_and_fault_in_any_chunks(
        rows in rows(),
        breaks in prop::collection::vec(any::<u8>(), 1..5),
        sizes in prop::collection::vec(1_usize..40, 1..6),
        batch in 1_usize..8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..4),
    ) {
        for dialect in [SqlFamily::MySql, SqlFamily::Postgres] {
            let (mut input, _) = written(&rows, &breaks, dialect);
            for (at, byte, way) in &damage {
                if input.is_empty() {
                    break;
                }
                let at = at.index(input.len());
                match way {
                    0 => input[at] = b"'\"\\(),;-/*\0 xE"[usize::from(*byte) % 14],
                    1 => { input.remove(at); }
                    _ => input.truncate(at + 1),
                }
            }
            let whole = rows_of(&mut InsertSplitter::new(dialect, COLUMNS, 1 << 20), &input, &[1 << 20], 1000);
            let parts = rows_of(&mut InsertSplitter::new(dialect, COLUMNS, 1 << 20), &input, &sizes, batch);
            prop_assert_eq!(whole.0, parts.0, "{}", String::from_utf8_lossy(&input));
            // What is shown of the input depends on how much of it is there.
            let place = |ended: Result<(), InsertFault>| match ended {
                Err(InsertFault::Row { row, offset, .. }) => Some((row, offset)),
                Err(InsertFault::Statement { offset, .. }) => Some((0, offset)),
                Ok(()) => None,
            };
            prop_assert_eq!(place(whole.1), place(parts.1), "{}", String::from_utf8_lossy(&input));
        }
    }

    #[test]
    fn any_bytes_give_no_panic(input in prop::collection::vec(any::<u8>(), 0..200), is_mysql: bool) {
        let dialect = if is_mysql { SqlFamily::MySql } else { SqlFamily::Postgres };
        for begin in ["", "INSERT INTO t VALUES (", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (E'\\", "/*!"] {
            let input = [begin.as_bytes(), &input].concat();
            let whole = rows_of(&mut InsertSplitter::new(dialect, 0, 100), &input, &[1000], 10);
            let parts = rows_of(&mut InsertSplitter::new(dialect, 0, 100), &input, &[1], 10);
            prop_assert_eq!(whole.0, parts.0);
        }
    }
}
