//! Where a password comes from.
//!
//! The order is that of libpq: the service file, `PGPASSWORD`, then the password file (`PGPASSFILE` or `~/.pgpass`). A
//! password file that others may read is refused; libpq passes over it with a warning, which ends in a puzzling
//! "no password supplied". Format: "The Password File" of the PostgreSQL manual.

use std::path::{Path, PathBuf};

use crate::live::fault::LiveFault;
use crate::live::secret::{Secret, check_mode};
use crate::live::surroundings::Surroundings;

/// Whom a password is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PasswordFor<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// The password of the environment or of the password file, if there is one.
///
/// # Errors
/// [`LiveFault::File`] for a password file that cannot be read, or that others can read.
pub(crate) fn password(
    surroundings: &Surroundings,
    wanted: &PasswordFor<'_>,
    named: Option<&Path>,
) -> Result<Option<Secret>, LiveFault> {
    if let Some(password) = surroundings.var("PGPASSWORD") {
        return Ok(Some(Secret::new(password)));
    }
    let set = named.map(Path::to_owned).or_else(|| surroundings.var("PGPASSFILE").map(PathBuf::from));
    let path = match (set, surroundings.home()) {
        (Some(path), _) => path,
        (None, Some(home)) => home.join(".pgpass"),
        (None, None) => return Ok(None),
    };
    let fault = |reason: String| LiveFault::File { path: path.clone(), reason };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error.to_string())),
    };
    check_mode(&path)?;
    Ok(find(&text, wanted).map(Secret::new))
}

/// The first line that fits, as libpq: `host:port:database:user:password`, `*` fits all, `\` escapes `:` and `\`.
fn find(text: &str, wanted: &PasswordFor<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    // libpq looks a Unix socket in any folder up as localhost.
    let host = if wanted.host.starts_with('/') { "localhost" } else { wanted.host };
    let wanted = [host, &port, wanted.database, wanted.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (fields, password) = split(line)?;
        fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted).then_some(password)
    })
}

fn split(line: &str) -> Option<([String; 4], String)> {
    let mut fields: [String; 5] = Default::default();
    let mut at = 0;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => fields.get_mut(at)?.extend(letters.next()),
            ':' if at < 4 => at += 1,
            // A colon of the password needs no escape.
            other => fields.get_mut(at)?.push(other),
        }
    }
    let [host, port, database, user, password] = fields;
    (at == 4).then_some(([host, port, database, user], password))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: PasswordFor<'_> = PasswordFor { host: "db", port: 5432, database: "shop", user: "me" };

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# db:5432:shop:me:comment\nother:*:*:*:no\ndb:5432:*:me:a\\:b\\\\c:d\n*:*:*:*:late";
        assert_eq!(find(text, &WANTED).as_deref(), Some("a:b\\c:d"));
        assert_eq!(find("db:5433:shop:me:x\ntoo:short", &WANTED), None);
        let socket = PasswordFor { host: "/var/run/postgresql", ..WANTED };
        assert_eq!(find("localhost:*:*:*:s", &socket).as_deref(), Some("s"));
    }

    #[test]
    fn a_password_file_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:geheim").unwrap();
        let surroundings = Surroundings::of(&[("PGPASSFILE", path.to_str().unwrap())], None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            mode(0o644);
            let error = password(&surroundings, &WANTED, None).unwrap_err().to_string();
            assert!(error.contains("others may read it (mode 644)"), "{error}");
            mode(0o600);
        }
        let found = password(&surroundings, &WANTED, None).unwrap().unwrap();
        assert_eq!(found.reveal(), "geheim");
        assert!(!format!("{found:?}").contains("geheim"));
    }

    #[test]
    fn the_environment_is_before_the_file_and_no_file_is_no_password() {
        let surroundings = Surroundings::of(&[("PGPASSWORD", "x"), ("PGPASSFILE", "/nowhere")], None);
        assert_eq!(password(&surroundings, &WANTED, None).unwrap().unwrap().reveal(), "x");
        let surroundings = Surroundings::of(&[("PGPASSFILE", "/nowhere")], None);
        assert_eq!(password(&surroundings, &WANTED, None).unwrap(), None);
    }
}
