//! Walks through a large file by range reads: small things are read, large ones are jumped over.
//!
//! A scanner (of data blocks, of tar headers) asks [`ArchiveWalk`] for a few bytes at its place or skips some. The
//! walk says which range to read next. It keeps no bytes. The window doubles up to 8 MiB while the scanner goes on
//! inside it (chunks of 4 KiB), and halves down to 64 KiB when the scanner jumps far (tar members of gigabytes), so
//! that either way few reads are made. It does no reading itself. A file that is shorter than promised is a
//! [`ArchiveFault`].
//!
//! ```text
//! file    [hdr|chunk][hdr|chunk][hdr|chunk ................... ][hdr|chunk]
//! reads   <------- window ------->                               <- window ->
//! ```

use std::ops::Range;

use super::fault::ArchiveFault;

const MIN_WINDOW: u64 = 64 << 10;
const MAX_WINDOW: u64 = 8 << 20;

/// A place in a file of known size, and how much to read there.
#[derive(Debug)]
pub(crate) struct ArchiveWalk {
    at: u64,
    size: u64,
    window: u64,
    need: u64,
}

/// The bytes of one read, and their place.
pub(crate) struct WalkView<'a> {
    bytes: &'a [u8],
    from: u64,
}

impl ArchiveWalk {
    /// Begins at byte `at` of a file of `size` bytes.
    pub(crate) fn new(at: u64, size: u64) -> Self {
        Self { at, size, window: MIN_WINDOW, need: 0 }
    }

    /// The place of the walk.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Whether the walk stands behind the last byte.
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.size
    }

    /// The range to read next.
    pub(crate) fn ask(&self) -> Range<u64> {
        self.at..self.size.min(self.at.saturating_add(self.window.max(self.need)))
    }

    /// Wraps the bytes of the range that `ask` gave.
    pub(crate) fn view<'a>(&mut self, bytes: &'a [u8]) -> WalkView<'a> {
        self.need = 0;
        WalkView { bytes, from: self.at }
    }

    /// The next `n` bytes, or nothing when they are not in this view: then the walk asks for them.
    pub(crate) fn take<'a>(
        &mut self,
        view: &WalkView<'a>,
        n: usize,
        what: &str,
    ) -> Result<Option<&'a [u8]>, ArchiveFault> {
        let end = self.at.checked_add(n as u64).filter(|end| *end <= self.size);
        let Some(end) = end else {
            return Err(ArchiveFault::cut(format!("{what} begins at byte {}", self.at), self.size));
        };
        let start = usize::try_from(self.at - view.from).unwrap_or(usize::MAX);
        match view.bytes.get(start..start.saturating_add(n)) {
            Some(got) => {
                self.at = end;
                Ok(Some(got))
            }
            None => {
                self.need = n as u64;
                Ok(None)
            }
        }
    }

    /// Jumps over `n` bytes.
    pub(crate) fn skip(&mut self, n: u64, what: &str) -> Result<(), ArchiveFault> {
        match self.at.checked_add(n).filter(|end| *end <= self.size) {
            Some(end) => self.at = end,
            None => {
                return Err(ArchiveFault::cut(format!("{what} of {n} bytes begins at byte {}", self.at), self.size));
            }
        }
        Ok(())
    }

    /// Ends the work on a view: sets the next window, and finds a read that gave too little.
    pub(crate) fn done(&mut self, view: &WalkView<'_>) -> Result<(), ArchiveFault> {
        let end = view.from + view.bytes.len() as u64;
        let asked = self.size.min(view.from.saturating_add(self.window));
        if self.at == view.from && end < asked && !self.at_end() {
            return Err(ArchiveFault::cut(format!("a read at byte {} gave too few bytes", view.from), end));
        }
        if self.at.saturating_sub(end) > MIN_WINDOW {
            self.window = (self.window / 2).max(MIN_WINDOW);
        } else {
            self.window = (self.window * 2).min(MAX_WINDOW);
        }
        Ok(())
    }
}
