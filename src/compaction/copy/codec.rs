//! Compresses pages. The Parquet writer does that by itself, but only for pages that it has encoded.

use std::fmt;
use std::io::Write;

use datafusion::parquet::basic::{Compression, CompressionCodec};
use datafusion::parquet::errors::{ParquetError, Result};
use flate2::write::GzEncoder;

/// One codec and its buffers.
pub(crate) struct Codec {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(&self.compression).finish()
    }
}

impl Codec {
    /// # Errors
    /// [`ParquetError`] for codecs that lake files do not have.
    pub(crate) fn new(compression: Compression) -> Result<Self> {
        let zstd = match compression {
            Compression::ZSTD(level) => Some(zstd::bulk::Compressor::new(level.compression_level())?),
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::LZ4_RAW => None,
            other => return Err(ParquetError::NYI(format!("pages compressed with {other}"))),
        };
        Ok(Self { compression, zstd })
    }

    /// As the footer names it.
    pub(crate) fn name(&self) -> CompressionCodec {
        self.compression.into()
    }

    /// The page as it is stored.
    ///
    /// # Errors
    /// The codec's.
    pub(crate) fn compress(&mut self, page: Vec<u8>) -> Result<Vec<u8>> {
        if let Some(zstd) = &mut self.zstd {
            return Ok(zstd.compress(&page)?);
        }
        Ok(match self.compression {
            Compression::SNAPPY => {
                snap::raw::Encoder::new().compress_vec(&page).map_err(|error| ParquetError::External(error.into()))?
            }
            Compression::LZ4_RAW => lz4_flex::block::compress(&page),
            Compression::GZIP(level) => {
                let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::new(level.compression_level()));
                gzip.write_all(&page)?;
                gzip.finish()?
            }
            _ => page,
        })
    }
}
