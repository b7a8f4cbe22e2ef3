//! Quotes and comments that are never closed, or closed by the next opening quote: reported where they begin. Pure.
//!
//! A tokenizer notices a missing quote at the end of the file, or takes the next literal's first quote for its end and
//! stumbles over what follows. People look for the place where the literal began.
//!
//! ```text
//! SET snaplake.database = 'shop;            <- the mistake
//! SET snaplake.staging = 'staging';         <- '...' ends here, and `staging` is what cannot be understood
//! ```
//!
//! A literal that spans lines and contains the end of a statement, or a line that begins like a statement, is
//! suspicious. It may still be right, so a message mentions it only when a mistake follows it.

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Words with which lines of SQL begin.
const STARTS: [&str; 14] = [
    "SET", "CREATE", "SELECT", "FROM", "WHERE", "WITH", "STORED", "LOCATION", "OPTIONS", "JOIN", "LEFT", "GROUP",
    "ORDER", "AS",
];

/// A literal that may not end where its author meant it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) at: Location,
    /// Line on which it ends.
    pub(super) end: u64,
}

/// The message of a tokenizer that failed, and where the unfinished token begins: after the tokens before it.
pub(super) fn unclosed(message: &str, tokens: &[TokenWithSpan], at: Location) -> (String, Location) {
    let began = tokens.last().map_or(Location { line: 1, column: 1 }, |last| last.span.end);
    let lower = message.to_lowercase();
    let what = if lower.contains("multi-line comment") {
        "a comment /*"
    } else if lower.contains("dollar-quoted") {
        "a quote $$"
    } else if lower.contains("close delimiter") {
        "a quote \""
    } else if lower.contains("unterminated") {
        "a quote '"
    } else {
        return (message.to_owned(), at);
    };
    // A quote too few anywhere before makes the last one open.
    let began = match suspect(tokens, None) {
        Some(suspect) if what.starts_with("a quote") => suspect.at,
        _ => began,
    };
    (format!("{what} that is opened here is never closed"), began)
}

/// The first suspicious literal, or the last one that begins before a mistake.
pub(super) fn suspect(tokens: &[TokenWithSpan], before: Option<Location>) -> Option<Suspect> {
    let is_before = |token: &TokenWithSpan| before.is_none_or(|place| token.span.start < place);
    let mut found = tokens.iter().filter(|token| is_before(token)).filter_map(|token| {
        let text = match &token.token {
            Token::SingleQuotedString(text) => text,
            Token::Word(word) if word.quote_style.is_some() => &word.value,
            _ => return None,
        };
        is_suspicious(text).then_some(Suspect { at: token.span.start, end: token.span.end.line })
    });
    if before.is_some() { found.next_back() } else { found.next() }
}

fn is_suspicious(text: &str) -> bool {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let starts = |line: &str| {
        let word = line.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        STARTS.iter().any(|start| start.eq_ignore_ascii_case(word)) || line.trim_end().ends_with(';')
    };
    text.contains('\n') && (first.trim_end().ends_with([';', ',']) || lines.any(starts))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    /// Message, and `line:column`.
    fn reported(text: &str) -> String {
        let mut tokens = Vec::new();
        let error = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location_into_buf(&mut tokens).unwrap_err();
        let (message, at) = unclosed(&error.message, &tokens, error.location);
        format!("{}:{} {message}", at.line, at.column)
    }

    #[test]
    fn what_is_never_closed_is_reported_where_it_began() {
        let texts = [
            "SELECT 1;\n  SELECT 'x\n;",
            "SELECT \"x\n",
            "SELECT 1 /* x /* y */\n\n",
            "SELECT $$ x",
            "SELECT $a$ x $$",
            "SET a = 'x;\nSET b = 'y';\n",
            "SET a = 'x,\n b = 'y', c = 'z'",
        ];
        insta::assert_snapshot!(texts.map(reported).join("\n"), @r#"
        2:10 a quote ' that is opened here is never closed
        1:8 a quote " that is opened here is never closed
        1:10 a comment /* that is opened here is never closed
        1:8 a quote $$ that is opened here is never closed
        1:8 a quote $$ that is opened here is never closed
        1:9 a quote ' that is opened here is never closed
        1:9 a quote ' that is opened here is never closed
        "#);
    }

    #[test]
    fn texts_of_several_lines_are_no_suspects() {
        assert!(!is_suspicious("a\nb") && !is_suspicious("x;") && !is_suspicious("one, two\nsettings"));
        assert!(is_suspicious("x;\nSET y = ") && is_suspicious("x\n  from t") && is_suspicious("x,\n y"));
    }
}
