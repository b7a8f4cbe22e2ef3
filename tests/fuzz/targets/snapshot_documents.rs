//! Any bytes are documents of MongoDB or items of DynamoDB, or an error: text is extended JSON or DynamoDB's JSON, all
//! else BSON; its columns as found, or declared.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaplake_fuzz::DecodedFile;

const DECLARED: &str = "(_id VARCHAR, n BIGINT, at TIMESTAMP(3) WITH TIME ZONE, total DECIMAL(38, 10), x DOUBLE, b BYTEA, \
                        flag BOOLEAN, tags VARCHAR[], doc STRUCT<a BIGINT, t VARCHAR>, any VARCHAR)";

static TABLES: LazyLock<[DecodedFile; 6]> = LazyLock::new(|| {
    let mongo = "JSON LOCATION OPTIONS ('dialect' 'mongodb')";
    let dynamo = "JSON LOCATION OPTIONS ('dialect' 'dynamodb')";
    [
        DecodedFile::new("f.bson", "", "BSON LOCATION"),
        DecodedFile::new("f.bson", DECLARED, "BSON LOCATION"),
        DecodedFile::new("f.json", "", mongo),
        DecodedFile::new("f.json", DECLARED, mongo),
        DecodedFile::new("f.json", "", dynamo),
        DecodedFile::new("f.json", DECLARED, dynamo),
    ]
});

fuzz_target!(|bytes: &[u8]| {
    let is_text = bytes.first().is_some_and(|first| b"{[ \n".contains(first));
    TABLES[if is_text { 2 + bytes.len() % 4 } else { bytes.len() % 2 }].read(bytes);
});
