//! Parts of locations as text: their store, what lies below a folder, the way from one to another.

use super::Location;

/// Scheme and bucket of a manifest `uri`, as written there; `file://` for local files.
#[must_use]
pub fn store_of(uri: &str) -> &str {
    let start = uri.find("://").map_or(0, |at| at + 3);
    uri[start..].find('/').map_or(uri, |end| &uri[..start + end])
}

/// A relative path or a part of a glob below another one, of which either may be empty.
#[must_use]
pub fn below(folder: &str, rest: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.is_empty() => rest.to_owned(),
        folder => format!("{folder}/{rest}"),
    }
}

/// How to write `to` from `folder` on: a relative path where both are local and share a folder that is not the root,
/// with at most `up` steps up; otherwise its absolute form. Without a slash at the end.
#[must_use]
pub fn written_from(folder: &Location, to: &Location, up: usize) -> String {
    let absolute = || to.to_string().trim_end_matches('/').to_owned();
    if !folder.is_local() || to.store() != folder.store() {
        return absolute();
    }
    let parts = |key: &'_ str| key.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (parts(folder.raw_key()), parts(to.raw_key()));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let steps = from.len() - shared;
    if shared == 0 || steps > up {
        return absolute();
    }
    let mut path = vec![".."; steps];
    path.extend(to[shared..].iter().map(String::as_str));
    if path.is_empty() { ".".to_owned() } else { path.join("/") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn store_of_a_uri_is_that_of_its_location() {
        for uri in ["s3://bucket/a/b", "s3://bucket", "file:///a/b", "abfss://c@account.dfs.core.windows.net/k=a%2Fb"] {
            assert_eq!(store_of(uri), Location::from_uri(uri).unwrap().store(), "{uri}");
        }
    }

    #[test]
    fn a_path_is_written_relative_to_a_folder_near_it() {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let written = |to| written_from(&at("/w/configs"), &at(to), 2);
        assert_eq!(written("/w/data/x/"), "../data/x");
        assert_eq!(written("/w/configs/"), ".");
        assert_eq!(written("/other/x"), "/other/x");
        assert_eq!(written("s3://b/x/"), "s3://b/x");
        assert_eq!(written_from(&at("/w/a/b/c"), &at("/w/x"), 2), "/w/x");
        assert_eq!((below("a/", "b"), below("", "b"), below("a", "")), ("a/b".into(), "b".into(), "a/".into()));
    }
}
