//! NDJSON: where records begin and end (split), their tokens (text), columns out of them (tree, leaf), and the schema
//! of a file that declares none (infer).

pub(crate) mod body;
pub(crate) mod dialect;
mod dynamo;
pub(crate) mod infer;
pub(crate) mod leaf;
pub(crate) mod split;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;
pub(crate) mod tree;
