//! Any bytes are a manifest summary or an error that names it; what was read is read again after it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use snaplake::manifest::codec::decode_foreign_summary;
use snaplake::manifest::{Manifest, Roots};
use snaplake::staging::plan::PlanDetails;

const URI: &str = "s3://bucket/manifest-summary.json";

fn has_floats(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_floats),
        Value::Object(members) => members.values().any(has_floats),
        _ => false,
    }
}

fuzz_target!(|bytes: &[u8]| {
    match Manifest::<Value>::decode_summary(bytes, URI) {
        Err(error) => assert!(error.to_string().contains(URI), "{error}"),
        Ok((head, details)) => {
            // What a plan says, as the program reads it.
            drop(Manifest::<PlanDetails>::decode_summary(bytes, URI));
            let manifest = Manifest::new(Vec::new(), details);
            let roots = head.roots.unwrap_or_else(|| Roots { staging: "".into(), lake: "".into() });
            let written = manifest.encode_summary(&head.manifest, &[], &head.fingerprint, &roots);
            let written = written.expect("what was read has a form");
            let (again, details) = Manifest::<Value>::decode_summary(&written, URI).expect("it was just written");
            assert_eq!((&again.manifest, &again.fingerprint), (&head.manifest, &head.fingerprint));
            assert_eq!(again.roots, Some(roots));
            // Numbers beyond what a float holds are rounded, and may be once more.
            if !has_floats(&details) {
                assert_eq!(details, manifest.details);
            }
        }
    }
    if let Err(error) = decode_foreign_summary(bytes, URI) {
        assert!(error.to_string().contains(URI), "{error}");
    }
});
