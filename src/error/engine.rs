//! Our own errors on their way through the engine, which wraps them.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;

use super::Error;

/// Our own error inside the engine's wrappings, or the engine's.
pub(crate) fn unwrap_engine(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(inner) => Error::Engine(DataFusionError::External(inner)),
        },
        // What a file's reader found.
        DataFusionError::ParquetError(inner) => match *inner {
            ParquetError::External(inner) if inner.is::<Error>() => unwrap_engine(DataFusionError::External(inner)),
            ParquetError::External(inner) => match inner.downcast::<object_store::Error>() {
                Ok(inner) => unwrap_engine(DataFusionError::ObjectStore(inner)),
                Err(inner) => Error::Engine(ParquetError::External(inner).into()),
            },
            inner => Error::Engine(inner.into()),
        },
        // What a store of ours found.
        DataFusionError::ObjectStore(inner) => match *inner {
            object_store::Error::Generic { source, .. } if source.is::<Error>() => {
                unwrap_engine(DataFusionError::External(source))
            }
            inner => Error::Engine(inner.into()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => unwrap_engine(*inner),
        // Its own text is that of a Rust value.
        DataFusionError::SQL(inner, _) => Error::Engine(DataFusionError::Plan(inner.to_string())),
        DataFusionError::ArrowError(inner, context) => match *inner {
            ArrowError::ExternalError(inner) => unwrap_engine(DataFusionError::External(inner)),
            inner => Error::Engine(DataFusionError::ArrowError(Box::new(inner), context)),
        },
        error => Error::Engine(error),
    }
}
