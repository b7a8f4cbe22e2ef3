//! OPTIONS ('exclude' '*.bak, old/'): which files of a LOCATION are left out. Pure.
//!
//! A glob means the path below LOCATION or the bare name of a file; one that ends with `/` means all files of such a
//! folder. `*` stays within a name, `**` does not. Case counts.

use glob::{MatchOptions, Pattern};

/// Globs as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclude(Vec<Pattern>);

impl Exclude {
    /// Adds comma-separated globs; `None` if one is not a glob.
    pub(super) fn add(&mut self, text: &str) -> Option<()> {
        let globs: Vec<&str> = text.split(',').map(str::trim).filter(|glob| !glob.is_empty()).collect();
        if globs.is_empty() {
            return None;
        }
        for glob in globs {
            self.0.push(Pattern::new(glob).ok()?);
        }
        Some(())
    }

    /// Whether a file is left out; `path` counts from LOCATION on.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let matches = |pattern: &Pattern| {
            // With their slashes: that folder and all above it.
            let mut folders = path.match_indices('/').map(|(at, slash)| &path[..at + slash.len()]);
            let bare = |path: &str| path.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
            let is_of =
                |path: &str| pattern.matches_with(path, options) || pattern.matches_with(&path[bare(path)..], options);
            if pattern.as_str().ends_with('/') { folders.any(is_of) } else { is_of(path) }
        };
        self.0.iter().any(matches)
    }

    /// The globs as text, for what is compared.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclude(text: &str) -> Exclude {
        let mut exclude = Exclude::default();
        exclude.add(text).unwrap();
        exclude
    }

    #[test]
    fn a_glob_means_the_path_or_the_name_and_one_with_a_slash_a_folder() {
        for (globs, path, expected) in [
            ("*.bak", "a/b/x.bak", true),
            ("*.bak", "x.bak.csv", false),
            ("a/*.csv", "a/x.csv", true),
            ("a/*.csv", "a/b/x.csv", false),
            ("a/**", "a/b/x.csv", true),
            ("old/", "old/x.csv", true),
            ("old/", "a/old/b/x.csv", true),
            ("old/", "older/x.csv", false),
            ("a/old/", "a/old/x.csv", true),
            ("a/old/", "b/a/old/x.csv", false),
            ("old", "old/x.csv", false),
            ("day=2024-01-0[12]/", "day=2024-01-02/x.csv", true),
            ("*.tmp, *.BAK", "x.BAK", true),
            ("*.tmp, *.BAK", "x.bak", false),
        ] {
            assert_eq!(exclude(globs).has(path), expected, "{globs} {path}");
        }
        assert!(!Exclude::default().has("x"));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        let mut exclude = Exclude::default();
        assert!(exclude.add("a[").is_none() && exclude.add(" , ").is_none());
    }
}
