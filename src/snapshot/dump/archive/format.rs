//! The forms of archives and of their compression.

/// The three kinds of archive.
///
/// The format byte cannot tell a directory from a tar archive (both write 3), so the caller says where it found the
/// table of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchiveFormat {
    Custom,
    Directory,
    Tar,
}

/// How the data is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArchiveCompression {
    None,
    Gzip,
    Lz4,
    Zstd,
}

impl ArchiveCompression {
    /// `none`, `gzip`, `lz4` or `zstd`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The compression with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Lz4, Self::Zstd].into_iter().find(|one| one.name() == name)
    }

    /// What follows the name of a data file in a directory archive.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Lz4 => ".lz4",
            Self::Zstd => ".zst",
        }
    }
}
