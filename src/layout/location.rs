//! A place in a store, from what a user wrote or a manifest says.

use std::fmt;
use std::path::Path;

use object_store::path::Path as Key;
use percent_encoding::percent_decode_str;

use super::split::file_uri;
use crate::error::{Error, Result};

/// A place in a store: `s3://bucket` or `file://` plus a raw key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    store: String,
    key: String,
}

/// URL schemes that [`Location::parse`] takes.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "abfs", "abfss", "file"];

/// Whether a URL carries its permission in its query, as those of the AWS, Google and Azure consoles do, also where
/// somebody encoded it, as often as tools do that.
fn is_signed(url: &str) -> bool {
    let names = ["sig=", "Signature=", "X-Amz-", "X-Goog-"];
    let is_one = |url: &str| {
        url.split_once('?')
            .is_some_and(|(_, query)| query.split('&').any(|part| names.iter().any(|name| part.starts_with(name))))
    };
    let mut url = url.to_owned();
    (0..4).any(|_| {
        let found = is_one(&url);
        url = percent_decode_str(&url).decode_utf8_lossy().into_owned();
        found
    })
}

impl Location {
    /// Reads a URL or a path; a relative path starts at `base`, the folder of the file that holds the text.
    ///
    /// # Errors
    /// [`Error::Location`] for an unknown scheme, a URL without a bucket, or text that no key can hold.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let refuse = |reason| Error::Location { location: text.to_owned(), reason };
        if text.trim().is_empty() {
            return Err(refuse("it is empty"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::local(text, base);
        };
        if !SCHEMES.contains(&scheme) {
            return Err(refuse("its scheme is not one of s3://, gs://, az://, file://"));
        }
        if scheme == "file" {
            return Self::local(rest, Path::new("/"));
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let user = bucket.rsplit_once('@').map(|(user, _)| user);
        let is_container = scheme.starts_with("abfs") && !bucket.contains(':');
        if bucket.contains(':') || user.is_some() && !is_container || is_signed(rest) {
            return Err(refuse("write credentials into the environment, not into a URL"));
        }
        if bucket.is_empty() {
            return Err(refuse("it names no bucket"));
        }
        let scheme = if scheme == "s3a" { "s3" } else { scheme };
        Ok(Self { store: format!("{scheme}://{bucket}"), key: squeeze(key) })
    }

    fn local(text: &str, base: &Path) -> Result<Self> {
        let joined = base.join(text);
        let absolute = std::path::absolute(&joined)
            .map_err(|source| Error::Io { action: format!("resolving path {text}"), source })?;
        let mut parts: Vec<String> = Vec::new();
        for part in absolute.components() {
            match part {
                std::path::Component::Normal(part) => {
                    let part = part
                        .to_str()
                        .ok_or(Error::Location { location: text.to_owned(), reason: "it is not UTF-8" })?;
                    parts.push(part.to_owned());
                }
                std::path::Component::ParentDir => {
                    parts.pop();
                }
                _ => {}
            }
        }
        let mut key = parts.join("/");
        if (text.ends_with('/') || text.ends_with("/.") || text == ".") && !key.is_empty() {
            key.push('/');
        }
        Ok(Self { store: "file://".to_owned(), key })
    }

    /// The location of the file with a manifest's `uri`, without its split.
    ///
    /// # Errors
    /// As [`Location::parse`]; a path without scheme is not a uri.
    pub fn from_uri(uri: &str) -> Result<Self> {
        let uri = file_uri(uri);
        if !uri.contains("://") {
            return Err(Error::Location { location: uri.to_owned(), reason: "it has no scheme" });
        }
        if let Some(rest) = uri.strip_prefix("file:///") {
            return Ok(Self { store: "file://".to_owned(), key: rest.to_owned() });
        }
        Self::parse(uri, Path::new("/"))
    }

    /// The same store with another raw key, as a listing gives it.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { store: self.store.clone(), key: key.to_owned() }
    }

    /// Whether this is a file or folder of the machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.store == "file://"
    }

    /// Scheme and bucket, such as `s3://bucket`; `file://` for local files.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The raw key below the store, without a leading slash.
    #[must_use]
    pub fn raw_key(&self) -> &str {
        &self.key
    }

    /// Store URL plus raw key: the `uri` of a manifest row.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{}/{}", self.store, self.key)
    }

    /// The key as the store's clients take it; a `%` in it is not encoded again.
    ///
    /// # Errors
    /// [`Error::Location`] for keys with empty, `.` or `..` segments.
    pub fn key(&self) -> Result<Key> {
        Key::parse(&self.key)
            .map_err(|_| Error::Location { location: self.uri(), reason: "its key has empty, '.' or '..' parts" })
    }

    /// Whether the text ends with `/`, which marks a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// This folder, then `parts` (raw, already encoded where that is needed).
    #[must_use]
    pub fn join(&self, parts: &str) -> Self {
        let folder = self.key.trim_end_matches('/');
        let key = match (folder.is_empty(), parts.is_empty()) {
            (true, _) => parts.to_owned(),
            (_, true) => folder.to_owned(),
            _ => format!("{folder}/{parts}"),
        };
        Self { store: self.store.clone(), key }
    }

    /// The same folder, and a dot before the name: what readers of data folders pass over.
    #[must_use]
    pub fn hidden(&self) -> Self {
        let (folder, name) = self.key.rsplit_once('/').map_or(("", &*self.key), |(folder, name)| (folder, name));
        self.with_key(folder).join(&format!(".{name}"))
    }

    /// Whether `other` lies below this folder.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        let rest = other.key.strip_prefix(self.key.trim_end_matches('/'));
        self.store == other.store && rest.is_some_and(|rest| self.key.is_empty() || rest.starts_with('/'))
    }

    /// The uri with a slash at its end: those of files in the folder begin with it.
    pub(crate) fn uri_of_folder(&self) -> String {
        format!("{}/", self.uri().trim_end_matches('/'))
    }

    /// Whether one of the two is the other or holds it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.uri_of_folder(), other.uri_of_folder());
        a.starts_with(&b) || b.starts_with(&a)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_local() { write!(f, "/{}", self.key) } else { f.write_str(&self.uri()) }
    }
}

fn squeeze(key: &str) -> String {
    let folder = key.ends_with('/');
    let mut key = key.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if folder && !key.is_empty() {
        key.push('/');
    }
    key
}

/// A store's error with what was tried on what.
pub(crate) fn store_error(action: &'static str, location: &Location, source: object_store::Error) -> Error {
    Error::Store { action, uri: location.to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_path_starts_at_the_folder_of_the_file_and_dots_are_resolved() {
        let here = Location::parse("../target/./demo/", Path::new("/repo/configs")).unwrap();
        assert_eq!(here.uri(), "file:///repo/target/demo/");
        assert_eq!(here.to_string(), "/repo/target/demo/");
    }

    #[test]
    fn url_keeps_raw_key_and_uri_round_trips() {
        let here = Location::parse("s3a://bucket//a/b%2Fc/", Path::new("/")).unwrap();
        assert_eq!(here.uri(), "s3://bucket/a/b%2Fc/");
        assert_eq!(Location::from_uri(&here.uri()).unwrap(), here);
        let local = Location::parse("/x/k=a%2Fb/f.parquet", Path::new("/")).unwrap();
        assert_eq!(Location::from_uri(&local.uri()).unwrap(), local);
        assert_eq!(local.key().unwrap().as_ref(), "x/k=a%2Fb/f.parquet");
    }

    #[test]
    fn unknown_scheme_empty_bucket_and_credentials_are_refused() {
        for bad in ["ftp://x/y", "s3:///y", "", "s3://key:secret@bucket/y"] {
            assert!(Location::parse(bad, Path::new("/")).is_err(), "{bad}");
        }
    }

    #[test]
    fn hidden_file_and_what_a_folder_holds() {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        assert_eq!(at("s3://b/k=1/f.parquet").hidden(), at("s3://b/k=1/.f.parquet"));
        assert_eq!(at("s3://b/f").hidden(), at("s3://b/.f"));
        assert!(at("/a/b/").holds(&at("/a/b/c")) && at("s3://b").holds(&at("s3://b/c")));
        for other in ["/a/bc", "/a/b", "s3://a/b/c"] {
            assert!(!at("/a/b").holds(&at(other)), "{other}");
        }
    }

    #[test]
    fn overlap_is_seen_at_folder_borders_only() {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        assert!(at("/a/b").overlaps(&at("/a/b/c/")));
        assert!(!at("/a/b").overlaps(&at("/a/bc")));
    }
}
