//! Reads snapshot files: the plan node that keeps filters away from them (node), the scan of CSV and NDJSON (text),
//! batches out of their bytes (decode), and what is known of a file before it is read (heads, infer).

pub(crate) mod decode;
pub(crate) mod heads;
pub(crate) mod infer;
pub(crate) mod node;
pub(crate) mod text;
pub(crate) mod typed;
