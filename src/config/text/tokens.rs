//! What the parser forgets: places of tokens inside one statement, found by walking its tokens.
//!
//! DataFusion's parser gives CREATE EXTERNAL TABLE without any place, and takes some statements that are surely
//! mistakes. The walks here expect a statement that the parser accepts too; on any other they find less, never wrong
//! places, and never fail.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};

use crate::config::values::ByteSize;

/// The tokens without white space and comments.
pub(super) fn significant(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).cloned().collect()
}

fn word(token: &TokenWithSpan) -> Option<&Word> {
    match &token.token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

/// The keyword that a token is, if it is not quoted.
fn keyword(token: &TokenWithSpan) -> Keyword {
    word(token).filter(|word| word.quote_style.is_none()).map_or(Keyword::NoKeyword, |word| word.keyword)
}

/// The first words, which tell statements apart: `CREATE EXTERNAL TABLE`; `None` if there is no word at all.
pub(super) fn head(tokens: &[TokenWithSpan]) -> Option<Vec<String>> {
    let first = word(tokens.first()?)?;
    let mut head = vec![first.value.to_uppercase()];
    for token in tokens.iter().skip(1).take(5) {
        let last = keyword(token);
        match word(token) {
            Some(word) if first.keyword != Keyword::NoKeyword && last != Keyword::NoKeyword => {
                head.push(word.value.to_uppercase());
            }
            _ => break,
        }
        if [Keyword::TABLE, Keyword::VIEW, Keyword::FUNCTION, Keyword::INDEX, Keyword::SCHEMA].contains(&last) {
            break;
        }
    }
    Some(if first.keyword == Keyword::SET { vec!["SET".to_owned()] } else { head })
}

/// Whether a config may hold a statement that begins so.
pub(super) fn is_known_head(head: &[String]) -> bool {
    let rest: Vec<&str> =
        head.iter().map(String::as_str).filter(|word| !["OR", "REPLACE", "UNBOUNDED"].contains(word)).collect();
    matches!(rest.as_slice(), ["SET"] | ["CREATE", "EXTERNAL", "TABLE"] | ["CREATE", "TABLE" | "VIEW"])
}

/// A clause where a table should be: the parser would take `FROM WHERE` for a table called `where`.
pub(super) fn missing_table(tokens: &[TokenWithSpan]) -> Option<(String, Location)> {
    const CLAUSES: [Keyword; 12] = [
        Keyword::WHERE,
        Keyword::GROUP,
        Keyword::ORDER,
        Keyword::HAVING,
        Keyword::LIMIT,
        Keyword::ON,
        Keyword::USING,
        Keyword::JOIN,
        Keyword::UNION,
        Keyword::EXCEPT,
        Keyword::INTERSECT,
        Keyword::QUALIFY,
    ];
    tokens.windows(2).find_map(|pair| {
        let after = keyword(&pair[0]);
        let found = keyword(&pair[1]);
        ([Keyword::FROM, Keyword::JOIN].contains(&after) && CLAUSES.contains(&found))
            .then(|| (format!("expected a table after {after:?}, found {found:?}"), pair[1].span.start))
    })
}

/// `128MB` without quotes, which the tokenizer takes for a number and a word.
#[derive(Debug)]
pub(super) struct UnquotedNumber {
    pub(super) text: String,
    pub(super) at: Location,
    /// Where the parser stumbles.
    pub(super) unit_at: Location,
}

/// All numbers that a unit follows.
pub(super) fn unquoted_numbers(tokens: &[TokenWithSpan]) -> Vec<UnquotedNumber> {
    let number = |pair: &[TokenWithSpan]| match (&pair[0].token, &pair[1].token) {
        (Token::Number(number, _), Token::Word(unit)) => {
            let text = format!("{number}{}", unit.value);
            let (at, unit_at) = (pair[0].span.start, pair[1].span.start);
            ByteSize::parse(&text).map(|_| UnquotedNumber { text, at, unit_at })
        }
        _ => None,
    };
    tokens.windows(2).filter_map(number).collect()
}

/// Where the query of CREATE TABLE ... AS or CREATE VIEW ... AS starts.
pub(super) fn query_start(tokens: &[TokenWithSpan]) -> Option<Location> {
    let (index, _) = top_level(tokens).find(|(_, token)| keyword(token) == Keyword::AS)?;
    tokens.get(index + 1).map(|token| token.span.start)
}

/// The tokens outside of parentheses, with their indices.
fn top_level(tokens: &[TokenWithSpan]) -> impl Iterator<Item = (usize, &TokenWithSpan)> {
    let mut depth = 0_usize;
    tokens.iter().enumerate().filter(move |(_, token)| {
        let outside = depth == 0;
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        outside
    })
}

/// Places in CREATE EXTERNAL TABLE.
#[derive(Debug, Default)]
pub(super) struct ExternalPlaces {
    /// The word after STORED AS.
    pub(super) format: Option<Location>,
    /// Each LOCATION literal.
    pub(super) locations: Vec<Location>,
    /// Key and value of each option.
    pub(super) options: Vec<(Location, Location)>,
    /// PARTITIONED BY.
    pub(super) partitions: Option<Location>,
    /// WITH ORDER.
    pub(super) other_clauses: Vec<(&'static str, Location)>,
}

/// Finds the places in the tokens of CREATE EXTERNAL TABLE; other statements have none.
pub(super) fn external_places(tokens: &[TokenWithSpan]) -> ExternalPlaces {
    let mut places = ExternalPlaces::default();
    let Some(table) = tokens.iter().position(|token| keyword(token) == Keyword::TABLE) else {
        return places;
    };
    // A table may be called `location`: clauses begin after the name.
    let mut name = table + 1;
    while tokens.get(name).is_some_and(|token| [Keyword::IF, Keyword::NOT, Keyword::EXISTS].contains(&keyword(token))) {
        name += 1;
    }
    while tokens.get(name + 1).is_some_and(|token| token.token == Token::Period) {
        name += 2;
    }
    let clauses = tokens.get(name + 1..).unwrap_or_default();
    for (index, token) in top_level(clauses) {
        let after = clauses.get(index + 1..).unwrap_or_default();
        match keyword(token) {
            Keyword::STORED => places.format = after.get(1).map(|token| token.span.start),
            Keyword::LOCATION => places.locations = locations(after),
            Keyword::OPTIONS => places.options = options(after),
            Keyword::PARTITIONED => places.partitions = Some(token.span.start),
            Keyword::WITH => places.other_clauses.push(("WITH ORDER", token.span.start)),
            _ => {}
        }
    }
    places
}

fn locations(after: &[TokenWithSpan]) -> Vec<Location> {
    match after {
        [open, list @ ..] if open.token == Token::LParen => list
            .iter()
            .take_while(|token| token.token != Token::RParen)
            .filter(|token| token.token != Token::Comma)
            .map(|token| token.span.start)
            .collect(),
        [one, ..] => vec![one.span.start],
        [] => Vec::new(),
    }
}

/// `(key value, key.key value, 'key' value)`
fn options(after: &[TokenWithSpan]) -> Vec<(Location, Location)> {
    let list: Vec<&TokenWithSpan> = after.iter().skip(1).take_while(|token| token.token != Token::RParen).collect();
    list.split(|token| token.token == Token::Comma)
        .filter_map(|option| match option {
            [key, .., value] => Some((key.span.start, value.span.start)),
            _ => None,
        })
        .collect()
}
