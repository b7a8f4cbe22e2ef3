//! The program that wrote a dump, by the comments that it begins with.

use crate::config::SqlFamily;

/// The family of a dump whose first comments name a program; None if they name none. Only what is before the first
/// statement counts: a value may hold such a line.
pub(crate) fn program_of(text: &[u8]) -> Option<SqlFamily> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_comment = |line: &&[u8]| line.is_empty() || line.starts_with(b"--") || line.starts_with(b"/*");
    lines.take_while(is_comment).find_map(|line| match line {
        line if line.starts_with(b"-- PostgreSQL database") => Some(SqlFamily::Postgres),
        line if line.starts_with(b"-- MySQL dump") || line.starts_with(b"-- MariaDB dump") => Some(SqlFamily::MySql),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_before_the_first_statement_name_the_program() {
        let mariadb = b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n";
        assert_eq!(program_of(mariadb), Some(SqlFamily::MySql));
        assert_eq!(program_of(b"\xef\xbb\xbf--\n-- PostgreSQL database dump\n"), Some(SqlFamily::Postgres));
        assert_eq!(program_of(b"INSERT INTO t VALUES ('\n-- MySQL dump\n');"), None);
        assert_eq!(program_of(b"id,note\n1,-- MySQL dump\n"), None);
    }
}
