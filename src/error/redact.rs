//! Takes secrets out of messages: errors and log lines, which quote servers, parsers and URLs.
//!
//! ```text
//! https://user:pass@host/x             -> https://***@host/x           userinfo of a URL
//! s3://b/x?X-Amz-Signature=ab&y=1      -> s3://b/x?***                 its query
//! s3://b/x%3FX-Amz-Signature%3Dab      -> s3://b/x?***                 also where it is percent-encoded, once or more often
//! SET aws.secret_access_key = 'abc'    -> ... = '***'                  a literal after a name that says what it is
//! Expected: ;, found: 'wJalrXUtnFEMI+7' -> ... found: '***'            a long literal that a parser stumbled over
//! Authorization: Basic dXNlcjpw        -> Authorization: '***'         a header that a server sent back
//! x-amz-security-token: FwoGZ...       -> x-amz-security-token: ***    what the environment holds as secret
//! Cannot cast 'k1hunter2hunter2'       -> Cannot cast 'k1***'          what a config's queries take from the environment
//! ```
//!
//! Pure but for [`Redactor::of_environment`]. It is the last line of defence: configs are refused when they hold
//! credentials, and clients keep theirs to themselves. It does not know secrets that are in files, and leaves data
//! alone.

use std::borrow::Cow;
use std::sync::{LazyLock, PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::{Captures, Regex};

/// Replacement of a secret.
const MASK: &str = "***";

/// A shorter value is found by chance in texts that have nothing to do with it.
const MIN_SECRET_BYTES: usize = 8;

/// Those of AWS have 16 characters or more.
const MIN_KEY_ID_BYTES: usize = 16;

/// All messages go through it, and so do the error texts that are stored next to manifests.
pub(crate) static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::of_environment);

/// Replaces secrets in texts.
#[derive(Debug)]
pub(crate) struct Redactor {
    known: RwLock<KnownSecrets>,
}

/// Secrets that are known.
#[derive(Debug, Default, Clone)]
struct KnownSecrets {
    /// Masked wherever they are; the longest first: one may be part of another.
    secrets: Vec<String>,
    /// Too short for that: masked where one is all that is in quotes.
    short: Vec<String>,
}

impl KnownSecrets {
    /// Adds secrets of enough bytes, also as written in URLs: encoded as RFC 3986 has it, or only where it must be.
    fn add(&mut self, secrets: impl Iterator<Item = String>) {
        for secret in secrets {
            let usual = secret.replace('%', "%25").replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
            let form = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            // And as the scheme of a URL that has none, or in a folded word.
            let (lower, upper) = (secret.to_lowercase(), secret.to_uppercase());
            self.secrets.extend([secret, usual, form, lower, upper]);
        }
        self.secrets.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.secrets.dedup();
    }
}

impl Redactor {
    /// Knows the values of all environment variables that are secret by their names, such as `AWS_SECRET_ACCESS_KEY`.
    pub(crate) fn of_environment() -> Self {
        let variables = std::env::vars_os();
        Self::new(variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))))
    }

    fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in variables {
            // A proxy or endpoint: `http://user:pass@host`.
            if let Some((start, _)) = value.rsplit_once('@')
                && ["PROXY", "ENDPOINT", "URL"].iter().any(|part| name.to_ascii_uppercase().contains(part))
            {
                let user = start.split_once("://").map_or(start, |(_, user)| user);
                secrets.extend(user.split(':').map(str::to_owned));
            }
            // The id of a key is half a secret, and with some servers an everyday word: `minioadmin`, also a bucket.
            if is_secret(&name) && (value.len() >= MIN_KEY_ID_BYTES || !name.to_ascii_uppercase().ends_with("_ID")) {
                secrets.push(value);
            }
        }
        secrets.retain(|value| value.len() >= MIN_SECRET_BYTES);
        let mut known = KnownSecrets::default();
        known.add(secrets.into_iter());
        Self { known: RwLock::new(known) }
    }

    /// Learns values that a config takes from the environment for its queries, whatever their names are.
    pub(crate) fn learn(&self, values: &[String]) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (long, short): (Vec<&String>, Vec<&String>) =
            values.iter().filter(|value| !value.is_empty()).partition(|value| value.len() >= MIN_SECRET_BYTES);
        known.add(long.into_iter().cloned());
        known.short.extend(short.into_iter().cloned());
        known.short.sort_unstable();
        known.short.dedup();
    }

    /// The text with `***` in place of secrets.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Each is compiled once, from a text that the tests compile too.
        static URL: LazyLock<Regex> = LazyLock::new(|| pattern(r#"([A-Za-z][A-Za-z0-9+.-]*://)([^\s'"]+)"#));
        static NAMED: LazyLock<Regex> = LazyLock::new(|| {
            let name =
                r"(?:secret|password|passwd|(?:\b|_)pwd\b|token|key_id|access_key|account_key|private_key|sas_key)";
            let literal = r#"(?:'(?:[^']|'')*('|$)|"(?:[^"\\]|\\.)*("|$))"#;
            pattern(&format!(r#"(?i)({name}[\w.-]*['"]?(?:\s*[=:,(]|\s)\s*(?:\w+\s*\(\s*)?){literal}"#))
        });
        static FOUND: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(found:?\s+(?:\w+\()?)'[^'\s]{16,}(?:'|$)"));
        static QUERY: LazyLock<Regex> = LazyLock::new(|| {
            let (begin, equals) = ("(?:[?&]|%(?:25)*(?:3F|26))", "(?:=|%(?:25)*3D)");
            let name = r"(?:[\w.-]*(?:secret|passw|token|key|sig|credential)[\w.-]*|(?:[\w.-]*[_.-])?pwd)";
            pattern(&format!(r#"(?i)({begin}{name}{equals})[^&\s'"]+"#))
        });
        // Of a shell or a connection string. `PWD` alone is the folder that the shell is in.
        static PLAIN: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?i)((?:\b\w+_pwd|;\s*pwd)\s*=\s*)[^\s'"&;]+"#));
        static HEADER: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?i)(authorization['"]?:\s*)[^\r\n'"]+"#));

        let mut text = Cow::Borrowed(text);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for secret in &known.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), MASK));
            }
        }
        for (secret, quote) in known.short.iter().flat_map(|secret| ['\'', '"', '`'].map(|quote| (secret, quote))) {
            let quoted = format!("{quote}{secret}{quote}");
            if text.contains(&quoted) {
                text = Cow::Owned(text.replace(&quoted, &format!("{quote}{MASK}{quote}")));
            }
        }
        drop(known);
        for (pattern, replace) in [
            (&URL, redact_url as fn(&Captures<'_>) -> String),
            (&NAMED, masked),
            (&QUERY, |found: &Captures<'_>| format!("{}{MASK}", &found[1])),
            (&PLAIN, |found: &Captures<'_>| format!("{}{MASK}", &found[1])),
            (&FOUND, masked),
            (&HEADER, masked),
        ] {
            if let Cow::Owned(replaced) = pattern.replace_all(&text, replace) {
                text = Cow::Owned(replaced);
            }
        }
        text
    }
}

fn pattern(text: &str) -> Regex {
    #[allow(clippy::expect_used)]
    // Never: they are constants of this file, and its tests compile all of them.
    Regex::new(text).expect("a valid pattern")
}

/// The name as it was, then a literal that says nothing, in its own quotes: others could go together with what follows.
fn masked(found: &Captures<'_>) -> String {
    let quote = if found[0][found[1].len()..].starts_with('"') { '"' } else { '\'' };
    format!("{}{quote}{MASK}{quote}", &found[1])
}

/// Whether a variable of this name holds a secret; one that ends in `_FILE` holds a path.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let parts =
        ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "ACCESS_KEY", "ACCOUNT_KEY", "API_KEY", "SAS_KEY", "CREDENTIAL"];
    let is_named = parts.iter().any(|part| name.contains(part)) || name.ends_with("_PWD");
    is_named && !["_FILE", "_URI", "_PATH"].iter().any(|end| name.ends_with(end))
}

/// Where the query of a URL begins. A question mark alone is a pattern for one character, and one that is
/// percent-encoded is a part of many a folder's name: a name and a value have to follow.
fn query_start(url: &str) -> Option<usize> {
    static EQUALS: LazyLock<Regex> = LazyLock::new(|| pattern("(?i)=|%(?:25)*3D"));
    static ENCODED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)%(?:25)*3F(?:[\w.-]|%(?:25)*2D)+(?:=|%(?:25)*3D)"));
    let plain = url.find('?').filter(|start| {
        let query = &url[start + 1..];
        EQUALS.is_match(query) || query == MASK
    });
    let encoded = ENCODED.find(url).map(|found| found.start());
    plain.into_iter().chain(encoded).min()
}

/// A URL without userinfo and query.
fn redact_url(found: &Captures<'_>) -> String {
    let (scheme, rest) = (&found[1], &found[2]);
    let (rest, query) = match query_start(rest) {
        Some(start) => (&rest[..start], format!("?{MASK}")),
        None => (rest, String::new()),
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) || text.ends_with(']');
    // The container of `abfss://container@account` is no user.
    let is_container = scheme.starts_with("abfs") && !authority.contains(':');
    let place = match (authority.rsplit_once('@'), authority.split_once(':')) {
        (Some(_), _) if is_container => rest.to_owned(),
        (Some((user, _)), _) => format!("{MASK}{}", &rest[user.len()..]),
        // A password with a slash in it.
        (None, Some((_, port)))
            if !authority.starts_with('[') && !is_port(port.trim_end_matches([')', ',', '.', ':'])) =>
        {
            rest.rsplit_once('@').map_or_else(|| MASK.to_owned(), |(_, place)| format!("{MASK}@{place}"))
        }
        _ => rest.to_owned(),
    };
    format!("{scheme}{place}{query}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact(text: &str) -> String {
        Redactor::new(std::iter::empty()).redact(text).into_owned()
    }

    #[test]
    fn userinfo_and_query_of_urls_are_masked() {
        for (text, expected) in [
            ("at 'https://user:pass@host:9000/x'", "at 'https://***@host:9000/x'"),
            ("https://token@host/x", "https://***@host/x"),
            ("s3://AKIA:ab/cd+ef@bucket/x,", "s3://***@bucket/x,"),
            ("s3://AKIA:ab/cd+ef", "s3://***"),
            ("'minio:9000?secret=ab&x=1'", "'minio:9000?secret=***&x=1'"),
            ("?secret=http://'", "?secret=***'"),
            ("s3://b/x?X-Amz-Signature=ab&y=1 is gone", "s3://b/x?*** is gone"),
            ("s3://b/x?X-Amz-Signature%3Dab is gone", "s3://b/x?*** is gone"),
            ("s3://b/x%3FX-Amz-Signature=ab&y=1 is gone", "s3://b/x?*** is gone"),
            ("s3://b/x%3fX-Amz-Date%3D1%26X-Amz-Signature%3Dab is gone", "s3://b/x?*** is gone"),
            ("'s3://b/x%253Fsv%253D1%2526sig%253Dab'", "'s3://b/x?***'"),
            ("s3://b/x%25253FX%25252DAmz-Signature%25253Dab", "s3://b/x?***"),
            ("s3://b/k=a%3Fb/x?X-Amz-Signature=ab", "s3://b/k=a%3Fb/x?***"),
            ("at key x%3Fa%3D1%26X-Amz-Signature%3Dab%26y%3D1", "at key x%3Fa%3D1%26X-Amz-Signature%3D***"),
            ("at key x%253Fsig%253Dab", "at key x%253Fsig%253D***"),
            ("abfss://container:pass@account.dfs.core.windows.net/x", "abfss://***@account.dfs.core.windows.net/x"),
            ("'db:3306?pwd=ab&x=1&mysql_pwd=cd'", "'db:3306?pwd=***&x=1&mysql_pwd=***'"),
            ("'db:3306?passwd=ab'", "'db:3306?passwd=***'"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn urls_without_secrets_stay() {
        for text in [
            "s3://bucket/a@b/2024-01-01T00:00:00.csv",
            "s3://bucket/part-?.csv",
            "s3://bucket/k=what%3F/day=3/x.parquet",
            "s3://bucket/k=100%25/day=3/x.parquet",
            "http://127.0.0.1:9000/x: no connection",
            "http://[::1]:9000/x",
            "(http://127.0.0.1:9000)",
            "file:///home/me/x.parquet",
            "abfss://container@account.dfs.core.windows.net/x",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn literals_after_the_name_of_a_secret_are_masked() {
        for (text, expected) in [
            ("SET aws.secret_access_key = 'a''b' x", "SET aws.secret_access_key = '***' x"),
            ("SET aws.secret_access_key 'a'", "SET aws.secret_access_key '***'"),
            ("OPTIONS ('aws.secret_access_key', 'a')", "OPTIONS ('aws.secret_access_key', '***')"),
            ("secret = lower('a')", "secret = lower('***')"),
            (r#"secret="a"'b"#, r#"secret="***"'b"#),
            ("proxy-authorization: Basic bWU6 bWU6\nhost: h", "proxy-authorization: '***'\nhost: h"),
            ("SET aws.session_token = 'a", "SET aws.session_token = '***'"),
            ("Expected: ;, found: 'wJalrXUtnFEMI/K7MDENG' at Line: 1", "Expected: ;, found: '***' at Line: 1"),
            ("expected a value, found concat('wJalrXUtnFEMI/K7MDENG')", "expected a value, found concat('***')"),
            ("MYSQL_PWD=geheim mysql; Server=db;Pwd=geheim;x=1", "MYSQL_PWD=*** mysql; Server=db;Pwd=***;x=1"),
            ("MYSQL_PWD='ge heim' pwd: 'x'", "MYSQL_PWD='***' pwd: '***'"),
            ("PWD=/home/me OLDPWD=/", "PWD=/home/me OLDPWD=/"),
            ("expected a name, found 'lineitem'", "expected a name, found 'lineitem'"),
        ] {
            assert_eq!(redact(text), expected);
        }
        assert_eq!(redact("column 'token_count' is of type 'Int64'"), "column 'token_count' is of type 'Int64'");
    }

    #[test]
    fn values_of_secret_variables_are_masked_as_they_are_and_encoded() {
        let variables = [
            ("AWS_SECRET_ACCESS_KEY", "ab/cd+ef/gh"),
            ("AWS_SESSION_TOKEN", "short"),
            ("USER", "somebody"),
            ("http_proxy", "http://me:pass+word@h"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let redactor = Redactor::new(variables.into_iter());
        let text = "ab/cd+ef/gh ab%2Fcd%2Bef%2Fgh short somebody minioadmin";
        assert_eq!(redactor.redact(text), "*** *** short somebody minioadmin");
        assert_eq!(redactor.redact("pool of (me:pass+word)"), "pool of (me:***)");
        for (name, secret) in [
            ("DB_PASSWORD", true),
            ("MYSQL_PWD", true),
            ("PWD", false),
            ("OLDPWD", false),
            ("OPENLINEAGE_API_KEY", true),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", false),
            ("PATH", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }

    #[test]
    fn learned_values_are_masked_short_ones_in_quotes_only() {
        let redactor = Redactor::new(std::iter::empty());
        let text = "cannot cast 'k1Pepper/99' or 'eu' in eu-west: k1pepper/99, PEPPER%2F99, Utf8(\"eu\")";
        assert_eq!(redactor.redact(text), text);
        redactor.learn(&["Pepper/99".to_owned(), "eu".to_owned(), String::new()]);
        let expected = "cannot cast 'k1***' or '***' in eu-west: k1***, PEPPER%2F99, Utf8(\"***\")";
        assert_eq!(redactor.redact(text), expected);
        assert_eq!(redactor.redact("Pepper%2F99"), "***");
    }

    proptest! {
        /// No text makes it panic, and what is redacted has nothing more to redact.
        #[test]
        fn redacted_twice_is_redacted_once(text in r#"(https?://|s3://|%3F|%253F|%26|%3D|[a-z:@/?='" ]|secret|é){0,40}"#) {
            let once = redact(&text);
            prop_assert_eq!(redact(&once), once);
        }
    }
}
