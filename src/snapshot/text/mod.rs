//! What CSV and NDJSON have in common: the bytes of a file (bytes), batches out of them (decode), the plan node that scans them
//! (scan), and what is known of a file before it is read (head, heads, infer).

pub(crate) mod bytes;
pub(crate) mod decode;
pub(crate) mod head;
pub(crate) mod heads;
pub(crate) mod infer;
pub(crate) mod place;
pub(crate) mod scan;
pub(crate) use self::infer::infer;
