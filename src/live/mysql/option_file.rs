//! Option files of MySQL clients: `~/.my.cnf`, or the file that `?defaults-file=` names.
//!
//! ```text
//! [client]
//! user = reader
//! password = "a # b"      # quoted, since # begins a comment
//! ```
//!
//! Read are the groups that every client reads: `[client]`, and those of MariaDB, `[client-server]` and
//! `[client-mariadb]`. The last line with a name wins. Of the names only those that an address may need are taken; the
//! rest is for other programs. A file with a password must be its owner's alone. `!include` is not followed, and is an
//! error: a password may be behind it. Format: "Using Option Files" of the MySQL Reference Manual.

use std::path::Path;

use crate::live::fault::LiveFault;
use crate::live::secret::{Secret, check_mode};

const GROUPS: [&str; 3] = ["client", "client-server", "client-mariadb"];

/// What a file says of the connection: names with `-`, as MySQL prints them, and a password.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OptionFile {
    options: Vec<(String, String)>,
    pub(crate) password: Option<Secret>,
}

impl OptionFile {
    /// # Errors
    /// [`LiveFault::File`] for one that cannot be used; one that is not there says nothing, unless it `must_be` there.
    pub(crate) fn read(path: &Path, must_be: bool) -> Result<Self, LiveFault> {
        let fault = |reason: String| LiveFault::File { path: path.to_owned(), reason };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be => return Ok(Self::default()),
            Err(error) => return Err(fault(error.to_string())),
        };
        let file = Self::parse(&text).map_err(fault)?;
        if file.password.is_some() {
            check_mode(path)?;
        }
        Ok(file)
    }

    /// The last value of an option, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// No error shows a line: it may be a password.
    fn parse(text: &str) -> Result<Self, String> {
        let mut file = Self::default();
        let mut is_ours = false;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('!') {
                return Err(format!("line {number}: files are not included; write the options into this file"));
            }
            if let Some(group) = line.strip_prefix('[') {
                let Some((group, _)) = group.split_once(']') else {
                    return Err(format!("line {number}: a group does not end with ]"));
                };
                is_ours = GROUPS.contains(&group.trim());
                continue;
            }
            if !is_ours {
                continue;
            }
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name, Some(unquoted(value))),
                None => (line, None),
            };
            let name = without_comment(name).trim().replace('_', "-").to_ascii_lowercase();
            let name = name.strip_prefix("loose-").unwrap_or(&name);
            match (name, value) {
                // Without a value it asks for a question on the terminal.
                ("password", None) => {}
                ("password", Some(value)) => file.password = Some(Secret::new(value)),
                (name, value) => file.options.push((name.to_owned(), value.unwrap_or_default())),
            }
        }
        Ok(file)
    }
}

/// A value without its quotes, comment and escapes.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    let value = match text.chars().next().filter(|quote| matches!(quote, '\'' | '"')) {
        Some(quote) => {
            let inner = &text[1..];
            match end_of_quoted(inner, quote) {
                Some(end) => &inner[..end],
                None => without_comment(text).trim_end(),
            }
        }
        None => without_comment(text).trim_end(),
    };
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('b') => out.push('\u{8}'),
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('s') => out.push(' '),
            Some(escaped @ ('\\' | '"' | '\'')) => out.push(escaped),
            // Both characters stay, as in the clients.
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// Where a quote ends that has begun before `text`.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let ends = letter == quote && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends.then_some(at)
    })
}

fn without_comment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_all_clients_are_read_and_the_last_value_wins() {
        let text = "user=nobody\n[mysqld]\nuser=mysql\n\n[client]\nuser = reader # who\nport=3307\n; note\n[mysql]\n\
                    host=other\n[client-mariadb]\nPORT=3308\nssl_ca = /etc/ca.pem\nloose-ssl-mode=REQUIRED\nquick\n";
        let file = OptionFile::parse(text).unwrap();
        assert_eq!((file.get("user"), file.get("port"), file.get("host")), (Some("reader"), Some("3308"), None));
        assert_eq!((file.get("ssl-ca"), file.get("ssl-mode")), (Some("/etc/ca.pem"), Some("REQUIRED")));
        assert_eq!(file.password, None);
    }

    #[test]
    fn values_lose_quotes_comments_and_escapes() {
        for (written, value) in [
            ("plain", "plain"),
            ("  two words  ", "two words"),
            ("a#b", "a"),
            ("\"a # b\" # c", "a # b"),
            ("'it''s'", "it"),
            ("\"say \\\"x\\\"\"", "say \"x\""),
            ("'a=b'", "a=b"),
            ("a=b", "a=b"),
            ("\\s\\t\\\\\\q", " \t\\\\q"),
            ("\"open", "\"open"),
            ("", ""),
        ] {
            let file = OptionFile::parse(&format!("[client]\npassword = {written}\n")).unwrap();
            assert_eq!(file.password.unwrap().reveal(), value, "{written}");
        }
        assert_eq!(OptionFile::parse("[client]\npassword\n").unwrap().password, None);
    }

    #[test]
    fn lines_that_cannot_be_read_are_named_and_not_shown() {
        assert!(OptionFile::parse("[client]\npassword=x\n!include /a\n").unwrap_err().starts_with("line 3: files are"));
        assert_eq!(OptionFile::parse("\n[client\n").unwrap_err(), "line 2: a group does not end with ]");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_a_password_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".my.cnf");
        assert_eq!(OptionFile::read(&path, false).unwrap(), OptionFile::default());
        assert!(OptionFile::read(&path, true).is_err());
        std::fs::write(&path, "[client]\npassword=geheim\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let error = OptionFile::read(&path, true).unwrap_err().to_string();
        assert!(error.contains("others may read it (mode 640)") && !error.contains("geheim"), "{error}");
        mode(0o600);
        let file = OptionFile::read(&path, true).unwrap();
        assert_eq!(file.password.as_ref().unwrap().reveal(), "geheim");
        assert!(!format!("{file:?}").contains("geheim"));
    }
}
