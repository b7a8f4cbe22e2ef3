//! Tokens of a statement, one at a time, for both dialects.
//!
//! It does not decode strings or numbers and knows no operators: every mark is one token. It holds no token list;
//! looking ahead is a cheap copy of the reader, so memory does not grow with the statement.
//!
//! ```text
//!   /*!50001 CREATE */ TABLE `a``b` (x int DEFAULT 'it''s, (odd)')   -- rest
//!            Word      Word  Name   ( Word Word Word Text          )
//! ```
//!
//! It fails on a quote or comment that does not end. `/*! .. */` and `/*M! .. */` are code unless their version is
//! 999999, which no server reaches. `U&"name"` is not decoded: it comes apart into marks, and a column of such a name
//! has no type, which is a fault (pg_dump never writes it).

use super::DdlFault;
use crate::snapshot::dump::SqlFamily;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Unquoted: a keyword or a name.
    Word,
    /// A quoted name, quotes still on.
    Name,
    /// A string, quotes still on. In MySQL `"x"` is one, though it is a name under ANSI_QUOTES.
    Text,
    /// Digits, perhaps with a point and an exponent.
    Number,
    /// One ASCII mark.
    Mark(u8),
}

/// A piece of the statement, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its text.
    pub(super) text: &'a str,
    /// Where it begins in the statement.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Whether it is this unquoted word, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is one of these unquoted words, in any case.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether it is this mark.
    pub(super) fn is_mark(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// Counts parentheses and brackets, to know where an element ends.
#[derive(Debug, Default)]
pub(super) struct Depth {
    /// Round ones that are open.
    pub(super) round: usize,
    square: usize,
}

impl Depth {
    /// Counts a token in; says whether it stands outside of all parentheses (their edges do not).
    pub(super) fn outside(&mut self, token: &Token<'_>) -> bool {
        let was = self.is_zero();
        match token.kind {
            Kind::Mark(b'(') => self.round += 1,
            Kind::Mark(b'[') => self.square += 1,
            Kind::Mark(b')') => self.round = self.round.saturating_sub(1),
            Kind::Mark(b']') => self.square = self.square.saturating_sub(1),
            _ => return was,
        }
        false
    }

    /// Whether all that was opened is closed.
    pub(super) fn is_zero(&self) -> bool {
        self.round == 0 && self.square == 0
    }
}

/// Reads tokens; a copy of it is a look ahead.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    pub(super) family: SqlFamily,
    /// How many `/*!` are open, so that their `*/` are no marks.
    versioned: usize,
}

impl<'a> Lexer<'a> {
    /// Begins at the first byte of a statement.
    pub(super) fn new(text: &'a str, family: SqlFamily) -> Self {
        Self { text, at: 0, family, versioned: 0 }
    }

    /// The next token, without taking it.
    pub(super) fn peek(&self) -> Result<Option<Token<'a>>, DdlFault> {
        self.clone().next_token()
    }

    /// Takes the next token if it is this word.
    pub(super) fn take_word(&mut self, word: &str) -> Result<bool, DdlFault> {
        self.take_words(&[word])
    }

    /// Takes these words if they come next, all of them or none.
    pub(super) fn take_words(&mut self, words: &[&str]) -> Result<bool, DdlFault> {
        let mut ahead = self.clone();
        for word in words {
            match ahead.next_token()? {
                Some(token) if token.is(word) => {}
                _ => return Ok(false),
            }
        }
        *self = ahead;
        Ok(true)
    }

    /// Takes the next token if it is this mark.
    pub(super) fn take_mark(&mut self, mark: u8) -> Result<bool, DdlFault> {
        let mut ahead = self.clone();
        let found = ahead.next_token()?.is_some_and(|token| token.is_mark(mark));
        if found {
            *self = ahead;
        }
        Ok(found)
    }

    /// The text around a place, on one line and short, for a fault.
    pub(super) fn near(&self, at: usize) -> String {
        let at = at.min(self.text.len());
        let from = self.text.floor_char_boundary(at.saturating_sub(30));
        let to = self.text.ceil_char_boundary(at.saturating_add(50).min(self.text.len()));
        self.text[from..to].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A fault for something that opened at a place and does not end.
    pub(super) fn open(&self, what: &'static str, at: usize) -> DdlFault {
        DdlFault::Open { what, near: self.near(at) }
    }

    /// Takes the next token; None at the end.
    pub(super) fn next_token(&mut self) -> Result<Option<Token<'a>>, DdlFault> {
        self.skip_blanks()?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let Some(&first) = bytes.get(start) else { return Ok(None) };
        let mysql = self.family == SqlFamily::MySql;
        let (kind, end) = match first {
            b'\'' => (Kind::Text, self.quoted(start, b'\'', mysql)?),
            b'"' if mysql => (Kind::Text, self.quoted(start, b'"', true)?),
            b'"' => (Kind::Name, self.quoted(start, b'"', false)?),
            b'`' if mysql => (Kind::Name, self.quoted(start, b'`', false)?),
            b'e' | b'E' if !mysql && bytes.get(start + 1) == Some(&b'\'') => {
                (Kind::Text, self.quoted(start + 1, b'\'', true)?)
            }
            b'$' if !mysql => match self.dollar(start)? {
                Some(end) => (Kind::Text, end),
                None => (Kind::Mark(b'$'), start + 1),
            },
            b'0'..=b'9' => self.number(start),
            _ if is_word(first) => (Kind::Word, self.run(start, is_word)),
            _ => (Kind::Mark(first), start + 1),
        };
        self.at = end;
        Ok(Some(Token { kind, text: &self.text[start..end], at: start }))
    }

    /// The end of a run of bytes that fit. Runs end at ASCII bytes, so on a character's edge.
    fn run(&self, from: usize, fits: fn(u8) -> bool) -> usize {
        let tail = &self.text.as_bytes()[from..];
        from + tail.iter().position(|&byte| !fits(byte)).unwrap_or(tail.len())
    }

    /// The end of a number, or of a MySQL word that begins with digits (`2fa`).
    fn number(&self, start: usize) -> (Kind, usize) {
        let mut end = self.run(start, is_word);
        let digits = self.text[start..end].bytes().all(|byte| byte.is_ascii_digit());
        if digits && self.text.as_bytes().get(end) == Some(&b'.') {
            end = self.run(end + 1, is_word);
        }
        let exponent = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E');
        let plain = self.text[start..end].bytes().all(exponent);
        (if plain || self.family == SqlFamily::Postgres { Kind::Number } else { Kind::Word }, end)
    }

    /// The byte behind the closing quote; a doubled quote is part of the text, as is one behind a backslash if
    /// `escapes` is set.
    fn quoted(&self, open: usize, quote: u8, escapes: bool) -> Result<usize, DdlFault> {
        let bytes = self.text.as_bytes();
        let mut at = open + 1;
        while let Some(&byte) = bytes.get(at) {
            if byte == quote {
                if bytes.get(at + 1) != Some(&quote) {
                    return Ok(at + 1);
                }
                at += 1;
            } else if byte == b'\\' && escapes {
                at += 1;
            }
            at += 1;
        }
        Err(self.open("a quote", open))
    }

    /// The end of `$tag$ .. $tag$`, or None when the mark is just a mark (`$1`).
    fn dollar(&self, start: usize) -> Result<Option<usize>, DdlFault> {
        let tag_end = self.run(start + 1, |byte| is_word(byte) && byte != b'$');
        let bytes = self.text.as_bytes();
        if bytes.get(tag_end) != Some(&b'$') || bytes[start + 1].is_ascii_digit() {
            return Ok(None);
        }
        let tag = &self.text[start..=tag_end];
        match self.text[tag_end + 1..].find(tag) {
            Some(found) => Ok(Some(tag_end + 1 + found + tag.len())),
            None => Err(self.open("a dollar quote", start)),
        }
    }

    /// Goes behind blanks, comments and the edges of versioned comments.
    fn skip_blanks(&mut self) -> Result<(), DdlFault> {
        let bytes = self.text.as_bytes();
        let mysql = self.family == SqlFamily::MySql;
        loop {
            let rest = &bytes[self.at..];
            match rest {
                [blank, ..] if blank.is_ascii_whitespace() || *blank == 0x0b => self.at += 1,
                [b'#', ..] if mysql => self.skip_line(),
                // MySQL wants a blank behind the dashes: `5--3` is a sum.
                [b'-', b'-', next, ..] if !mysql || next.is_ascii_whitespace() => self.skip_line(),
                [b'-', b'-'] => self.skip_line(),
                [b'/', b'*', ..] => {
                    let version = if mysql { version(rest) } else { None };
                    match version {
                        Some(behind) => {
                            self.at += behind;
                            self.versioned += 1;
                        }
                        None => self.skip_comment()?,
                    }
                }
                [b'*', b'/', ..] if self.versioned > 0 => {
                    self.at += 2;
                    self.versioned -= 1;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Goes to the end of the line.
    fn skip_line(&mut self) {
        self.at = self.run(self.at, |byte| byte != b'\n');
    }

    /// Goes behind a plain comment; PostgreSQL nests them.
    fn skip_comment(&mut self) -> Result<(), DdlFault> {
        let (bytes, open) = (self.text.as_bytes(), self.at);
        let mut depth = 1_usize;
        let mut at = open + 2;
        while depth > 0 {
            match bytes.get(at..).unwrap_or_default() {
                [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
                [b'/', b'*', ..] if self.family == SqlFamily::Postgres => (depth, at) = (depth + 1, at + 2),
                [] => return Err(self.open("a comment", open)),
                _ => at += 1,
            }
        }
        self.at = at;
        Ok(())
    }
}

/// How many bytes `/*!50001` or `/*M!100301` takes when its inside is code.
fn version(rest: &[u8]) -> Option<usize> {
    let begin = match rest {
        [b'/', b'*', b'!', ..] => 3,
        [b'/', b'*', b'M', b'!', ..] => 4,
        _ => return None,
    };
    // Five or six digits; more belong to the code, as `/*!50001 0` without its blank would.
    let digits = rest[begin..].iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    if &rest[begin..begin + digits] == b"999999" { None } else { Some(begin + digits) }
}

/// Bytes of unquoted names; all of UTF-8 beyond ASCII counts, as it does for both servers.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str, family: SqlFamily) -> Result<Vec<(Kind, String)>, DdlFault> {
        let mut lexer = Lexer::new(text, family);
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next_token()? {
            tokens.push((token.kind, token.text.to_owned()));
        }
        Ok(tokens)
    }

    fn joined(text: &str, family: SqlFamily) -> String {
        let tokens = all(text, family).unwrap();
        tokens.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn mysql_quotes_and_comments_come_out_as_the_server_reads_them() {
        let text = "a /*!50001 b /* in */ c */ d /* x ' */ `e``f` 'g''h\\'i' \"j\"\"k\" # l\n 5--3 -- m\n 1.5e3 2fa";
        assert_eq!(joined(text, SqlFamily::MySql), "a|b|c|d|`e``f`|'g''h\\'i'|\"j\"\"k\"|5|-|-|3|1.5e3|2fa");
        assert_eq!(joined("/*M!999999\\- sand */ x /*M!100301 Y*/z", SqlFamily::MySql), "x|Y|z");
        assert_eq!(joined("/*T![auto_rand] A */ x /*!b*/", SqlFamily::MySql), "x|b");
    }

    #[test]
    fn postgres_quotes_and_comments_come_out_as_the_server_reads_them() {
        let text = "A /* x /* y */ z */ \"e\"\"f\" 'a\\' E'b\\'c' $$ ' $$ $t$ $$ $t$ $1 --3\n x$y ümlaut";
        let want = "A|\"e\"\"f\"|'a\\'|E'b\\'c'|$$ ' $$|$t$ $$ $t$|$|1|x$y|ümlaut";
        assert_eq!(joined(text, SqlFamily::Postgres), want);
    }

    #[test]
    fn open_quote_or_comment_is_a_fault_with_its_text() {
        for (text, what) in [("x 'abc", "a quote"), ("x /* abc", "a comment"), ("x $a$ abc$a", "a dollar quote")] {
            let fault = all(text, SqlFamily::Postgres).unwrap_err();
            assert_eq!(fault, DdlFault::Open { what, near: text.to_owned() });
        }
        assert!(all("x 'abc\\'", SqlFamily::MySql).is_err());
        assert!(all("x `abc", SqlFamily::MySql).is_err());
        assert!(all("$", SqlFamily::Postgres).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_gives_tokens_in_order_or_a_fault(text in "[a-e1-3'\"`$/*!M\\\\#\\-. \n(ü]{0,60}", mysql: bool) {
            let family = if mysql { SqlFamily::MySql } else { SqlFamily::Postgres };
            let mut lexer = Lexer::new(&text, family);
            let mut end = 0;
            while let Ok(Some(token)) = lexer.next_token() {
                prop_assert!(token.at >= end && !token.text.is_empty());
                prop_assert_eq!(&text[token.at..token.at + token.text.len()], token.text);
                end = token.at + token.text.len();
            }
        }
    }
}
