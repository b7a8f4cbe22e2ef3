//! Differences between two versions of a config, for messages. Pure.

/// Most characters of a difference that are shown on either side.
const SHOWN: usize = 80;

/// The words in which two texts differ; `None` if they are too many to be shown, or none.
pub(crate) fn difference(before: &str, after: &str) -> Option<(String, String)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.split(' ').collect(), after.split(' ').collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let shown = |words: &[&str]| match words[same..words.len() - tail].join(" ") {
        words if words.is_empty() => "nothing".to_owned(),
        words => words,
    };
    let change = (shown(&old), shown(&new));
    (before != after && change.0.chars().count() <= SHOWN && change.1.chars().count() <= SHOWN).then_some(change)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn difference_is_the_words_that_are_not_the_same() {
        let shown = |before: &str, after: &str| difference(before, after).map(|(a, b)| format!("{a} -> {b}"));
        for (before, after, change) in [
            ("SELECT a AS lat, b FROM t", "SELECT b AS lat, b FROM t", "a -> b"),
            ("SELECT a, b FROM t", "SELECT b FROM t", "a, -> nothing"),
            ("a a", "a a a", "nothing -> a"),
            ("96000000", "all", "96000000 -> all"),
        ] {
            assert_eq!(shown(before, after).as_deref(), Some(change), "{before}");
        }
        assert_eq!(shown(&"a ".repeat(60), &"b ".repeat(60)), None);
    }
}
