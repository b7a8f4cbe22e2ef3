//! Files that show who wrote a folder, by their names.

/// The file at the root of a table's staging folder, and of a lake table's folder, that names the plan which writes
/// there.
pub const OWNER: &str = "_snaplake.json";

/// The mark of a lake table that is complete.
pub const SUCCESS: &str = "_SUCCESS";

/// The folder that this key shows to be complete.
#[must_use]
pub fn completed(key: &str) -> Option<&str> {
    folder_of(key, SUCCESS)
}

/// The folder that this key shows to be written by snaplake: that of an owner file.
#[must_use]
pub fn owned_by(key: &str) -> Option<&str> {
    folder_of(key, OWNER)
}

fn folder_of<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    let folder = key.strip_suffix(name)?;
    if folder.is_empty() { Some("") } else { folder.strip_suffix('/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_known_by_the_names_of_their_files() {
        assert_eq!(owned_by("a/b/_snaplake.json"), Some("a/b"));
        assert_eq!(owned_by("_snaplake.json"), Some(""));
        assert_eq!(owned_by("a/x_snaplake.json"), None);
        assert_eq!([completed("a/_SUCCESS"), completed("a/x_SUCCESS")], [Some("a"), None]);
    }
}
