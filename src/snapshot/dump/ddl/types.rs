//! What both dialects share about types: the text as declared, the arguments, decimals.
//!
//! It knows no type by name. Numbers that are too large to be arguments are no numbers, so that their types become
//! text.
//!
//! ```text
//!   numeric ( 12, 2 )  ->  declared "numeric(12,2)", count 2, numbers 12 and 2
//!   enum('a', 'b')     ->  declared "enum('a','b')", count 2, no numbers
//! ```
//!
//! It fails on arguments that do not end.

use super::lex::{Depth, Kind, Lexer, Token};
use super::{DdlFault, SqlName};
use datafusion::arrow::datatypes::DataType;

/// What a type is, as far as its own statement tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SqlType {
    /// Known.
    Arrow(DataType),
    /// A PostgreSQL type of this name: a domain, or something that is text.
    Named(SqlName),
}

/// A type as read from a statement.
#[derive(Debug, Clone)]
pub(super) struct ReadType {
    /// As written, with normal blanks.
    pub(super) declared: String,
    /// What it is.
    pub(super) sql: SqlType,
    /// A MySQL kind whose values are text in a character set.
    pub(super) is_text: bool,
}

/// Joins the tokens of a type: one blank between words, none around parentheses, brackets, commas and points.
#[derive(Debug, Default)]
pub(super) struct Declared {
    text: String,
    word_before: bool,
}

impl Declared {
    /// Adds a token as written.
    pub(super) fn push(&mut self, token: &Token<'_>) {
        let word = !matches!(token.kind, Kind::Mark(_));
        if word && self.word_before {
            self.text.push(' ');
        }
        self.text.push_str(token.text);
        self.word_before = word || token.is_mark(b')') || token.is_mark(b']');
    }

    /// The joined text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// The arguments of a type: `(12,2)`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Args {
    /// How many there are.
    pub(super) count: usize,
    /// The first two, if they are numbers.
    pub(super) numbers: [Option<i64>; 2],
}

/// Reads `( .. )` if it comes next, into the declared text.
pub(super) fn read_args(lexer: &mut Lexer<'_>, declared: &mut Declared) -> Result<Args, DdlFault> {
    let mut args = Args::default();
    let Some(open) = lexer.peek()?.filter(|token| token.is_mark(b'(')) else { return Ok(args) };
    let mut depth = Depth::default();
    let mut minus = false;
    loop {
        let token = match lexer.next_token()? {
            Some(token) if !token.is_mark(b';') => token,
            _ => return Err(lexer.open("a type", open.at)),
        };
        declared.push(&token);
        let inner = depth.round == 1;
        depth.outside(&token);
        match token.kind {
            Kind::Mark(b')') if depth.is_zero() => return Ok(args),
            Kind::Mark(b',') if inner => minus = false,
            Kind::Mark(b'-') => minus = true,
            _ if inner => {
                args.count += 1;
                if let Some(place) = args.numbers.get_mut(args.count - 1) {
                    *place = token.text.parse().ok().map(|number: i64| if minus { -number } else { number });
                }
            }
            _ => {}
        }
    }
}

/// The decimal of a precision and scale, or None when there is none that all readers of a lake know: they read 38
/// digits.
pub(super) fn decimal(precision: i64, scale: i64) -> Option<DataType> {
    if !(1..=38).contains(&precision) || !(0..=precision).contains(&scale) {
        return None;
    }
    let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
    Some(DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::dump::SqlFamily;

    fn read(text: &str) -> (String, Args) {
        let mut declared = Declared::default();
        let args = read_args(&mut Lexer::new(text, SqlFamily::MySql), &mut declared).unwrap();
        (declared.into_text(), args)
    }

    #[test]
    fn arguments_are_counted_and_read_as_numbers() {
        let args = |count, numbers| Args { count, numbers };
        assert_eq!(read("( 12 , -2 ) x"), ("(12,-2)".into(), args(2, [Some(12), Some(-2)])));
        assert_eq!(read("('a,(', 'b')"), ("('a,(','b')".into(), args(2, [None, None])));
        assert_eq!(read("(99999999999999999999)").1, args(1, [None, None]));
        assert_eq!(read("((1), 2)").1.count, 2);
        assert_eq!(read("()").1, args(0, [None, None]));
        assert_eq!(read("x (1)"), (String::new(), args(0, [None, None])));
    }

    #[test]
    fn decimal_is_none_where_arrow_would_lose_digits() {
        assert_eq!(decimal(38, 38), Some(DataType::Decimal128(38, 38)));
        assert_eq!(decimal(39, 0), None);
        for (precision, scale) in [(0, 0), (77, 0), (5, 6), (5, -1), (i64::MAX, i64::MAX), (i64::MIN, 0)] {
            assert_eq!(decimal(precision, scale), None);
        }
    }
}
