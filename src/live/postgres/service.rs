//! Connection service files: `[name]`, then `key=value` lines.
//!
//! Looked for as libpq does: `PGSERVICEFILE` or `~/.pg_service.conf`, then `pg_service.conf` in `PGSYSCONFDIR`. Only
//! what an address may say too is read (and a password); anything else is an error, as it would change what is read.
//! A file with a password must be its owner's alone. `ldap:` lines are not followed.

use std::path::{Path, PathBuf};

use crate::live::fault::{AddressFault, LiveFault};
use crate::live::secret::{Secret, check_mode};
use crate::live::surroundings::Surroundings;

/// What a service says: parameters in their order, and a password.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) password: Option<Secret>,
}

/// Reads a service by its name.
///
/// # Errors
/// [`AddressFault::Service`] when no file has it, [`LiveFault::File`] when a file cannot be used.
pub(crate) fn read_service(name: &str, surroundings: &Surroundings) -> Result<Service, LiveFault> {
    let own = surroundings
        .var("PGSERVICEFILE")
        .map(PathBuf::from)
        .or_else(|| surroundings.home().map(|home| home.join(".pg_service.conf")));
    let system = surroundings.var("PGSYSCONFDIR").map(|folder| Path::new(&folder).join("pg_service.conf"));
    let files: Vec<PathBuf> = own.into_iter().chain(system).collect();
    for path in &files {
        let fault = |reason: String| LiveFault::File { path: path.clone(), reason };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fault(error.to_string())),
        };
        if let Some(service) = find(&text, name).map_err(fault)? {
            if service.password.is_some() {
                check_mode(path)?;
            }
            return Ok(service);
        }
    }
    let files = files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ");
    let files = if files.is_empty() { "any file".to_owned() } else { files };
    Err(AddressFault::Service { name: name.to_owned(), files }.into())
}

fn find(text: &str, name: &str) -> Result<Option<Service>, String> {
    let mut found: Option<Service> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            if section == name {
                found = Some(Service::default());
            }
            continue;
        }
        let Some(service) = &mut found else { continue };
        // The line may be a password, so it is not shown.
        let Some((key, value)) = line.split_once('=') else { return Err(format!("line {number} is not key=value")) };
        match key.trim() {
            "password" => service.password = Some(Secret::new(value.trim().to_owned())),
            "service" => return Err(format!("line {number}: a service cannot name another")),
            key => service.parameters.push((key.to_owned(), value.trim().to_owned())),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_its_section_only() {
        let text = "# c\n[a]\nhost=x\n\n[shop]\nhost = db\nport=5433\npassword=p=q\n[b]\nhost=y\n";
        let service = find(text, "shop").unwrap().unwrap();
        let expected = [("host", "db"), ("port", "5433")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(service.parameters, expected);
        assert_eq!(service.password.unwrap().reveal(), "p=q");
        assert_eq!(find(text, "none").unwrap(), None);
    }

    #[test]
    fn a_line_without_a_value_is_named_and_not_shown() {
        assert_eq!(find("[s]\nhost=a\ngeheim\n", "s").unwrap_err(), "line 3 is not key=value");
    }
}
