//! Any bytes are the data file of a manifest or an error that names it.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use snaplake::manifest::Manifest;
use snaplake::manifest::codec::{decode_files, decode_with_statistics, encode_with_statistics};
use snaplake::manifest::statistics::decode_ranges;

const URI: &str = "s3://bucket/manifest-data.parquet";

fuzz_target!(init: snaplake_fuzz::let_panics_be_caught(), |bytes: &[u8]| {
    match decode_files(Bytes::copy_from_slice(bytes), URI) {
        Err(error) => assert!(error.to_string().contains(URI), "{error}"),
        Ok(files) => {
            let manifest = Manifest::new(files, ());
            drop((manifest.size(), manifest.n_record(), manifest.fingerprint()));
            let (_, statistics) = decode_with_statistics(Bytes::copy_from_slice(bytes), URI).expect("it was read before");
            let wrong = statistics.iter().filter_map(|text| decode_ranges(text, URI).err());
            wrong.for_each(|error| assert!(error.to_string().contains(URI), "{error}"));
            encode_with_statistics(&manifest.files, &statistics, URI).expect("what was read has a form");
        }
    }
});
