//! What is known of the values of each column of a written file: how many are NULL, the smallest and the largest.
//!
//! In a manifest's data file this is one text per file, in the column `column_statistics`. Planning never reads it: a
//! list of a million files stays as small as it is. Values are texts as in a partition path, so every reader
//! understands them:
//!
//! ```text
//! {"id": [0, "1", "4711", true], "note": [3, "aaa", "zzz", true], "tags": [0, null, null, false]}
//!         |   |     |       '-- whether both are values of the column, not only bounds of them
//!         |   '-----'-- smallest, largest; null where no value or no order is known
//!         '-- NULLs
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codec::undecodable;
use crate::error::Result;

/// Longest text of a smallest or largest value in bytes; what is longer is cut to a bound.
const LONGEST_TEXT: usize = 64;

/// The values of one column of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, Option<String>, Option<String>, bool)", into = "(u64, Option<String>, Option<String>, bool)")]
pub struct ColumnRange {
    /// NULLs.
    pub nulls: u64,
    /// No value is smaller.
    pub min: Option<String>,
    /// No value is larger.
    pub max: Option<String>,
    /// Whether both are values of the column. If not they are only bounds, or not even that for floats: there may be
    /// NaN.
    pub is_exact: bool,
}

/// The columns of one file by name.
pub type ColumnRanges = BTreeMap<String, ColumnRange>;

impl From<(u64, Option<String>, Option<String>, bool)> for ColumnRange {
    fn from((nulls, min, max, is_exact): (u64, Option<String>, Option<String>, bool)) -> Self {
        Self { nulls, min, max, is_exact }
    }
}

impl From<ColumnRange> for (u64, Option<String>, Option<String>, bool) {
    fn from(range: ColumnRange) -> Self {
        (range.nulls, range.min, range.max, range.is_exact)
    }
}

impl ColumnRange {
    /// The range with long texts cut: the smallest to a prefix, the largest to the next text after its prefix.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        if let Some(min) = self.min.as_mut().filter(|min| min.len() > LONGEST_TEXT) {
            min.truncate(min.floor_char_boundary(LONGEST_TEXT));
            self.is_exact = false;
        }
        if self.max.as_ref().is_some_and(|max| max.len() > LONGEST_TEXT) {
            self.is_exact = false;
            self.max = self.max.and_then(|max| next_prefix(&max[..max.floor_char_boundary(LONGEST_TEXT)]));
        }
        self
    }
}

/// The smallest text that is larger than all that begin with `prefix`, and no longer; `None` if there is none.
fn next_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let width = last.len_utf8();
        // Between the two halves of the code points lie the surrogates, which no text holds.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next.filter(|next| next.len_utf8() == width) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// The text that is in the manifest.
#[must_use]
pub fn encode_ranges(ranges: &ColumnRanges) -> String {
    // Texts and numbers under names of text: this always has a JSON form.
    serde_json::to_string(ranges).unwrap_or_default()
}

/// What a manifest at `uri` says of one of its files; nothing where it says nothing.
///
/// # Errors
/// [`crate::Error::DecodeManifest`] for another text.
pub fn decode_ranges(text: &str, uri: &str) -> Result<ColumnRanges> {
    if text.is_empty() {
        return Ok(ColumnRanges::new());
    }
    serde_json::from_str(text).map_err(|source| undecodable(uri, source))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(min: &str, max: &str) -> ColumnRange {
        ColumnRange { nulls: 1, min: Some(min.into()), max: Some(max.into()), is_exact: true }
    }

    #[test]
    fn written_form_is_short_and_round_trips() {
        let unknown = ColumnRange { nulls: 0, min: None, max: None, is_exact: false };
        let ranges = ColumnRanges::from([("id".to_owned(), of("1", "4711")), ("tags".to_owned(), unknown)]);
        let text = encode_ranges(&ranges);
        assert_eq!(text, r#"{"id":[1,"1","4711",true],"tags":[0,null,null,false]}"#);
        assert_eq!(decode_ranges(&text, "u").unwrap(), ranges);
        assert_eq!(decode_ranges("", "u").unwrap(), ColumnRanges::new());
        assert!(decode_ranges("[1]", "s3://b/m").unwrap_err().to_string().contains("s3://b/m"));
    }

    #[test]
    fn last_character_that_has_a_next_one_is_raised() {
        assert_eq!(next_prefix("az").as_deref(), Some("a{"));
        assert_eq!(next_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(next_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(next_prefix("\u{10ffff}\u{10ffff}"), None);
    }

    proptest! {
        /// Long texts are cut to no more than the limit and still bound the value; short ones stay exact.
        #[test]
        fn any_text_stays_between_its_bounds(text in "(\\PC|\u{10ffff}|\u{7f}){0,90}") {
            let range = of(&text, &text).bounded();
            let (min, max) = (range.min.unwrap(), range.max);
            prop_assert!(min.len() <= LONGEST_TEXT && min <= text);
            prop_assert!(max.iter().all(|max| max.len() <= LONGEST_TEXT && *max >= text));
            prop_assert_eq!(range.is_exact, text.len() <= LONGEST_TEXT);
        }
    }
}
