//! Values of extended JSON, right and wrong, and what becomes of them.

use super::*;

fn read(text: &str) -> Result<(Unwrapped, String), String> {
    let (mut out, mut room) = (Vec::new(), Vec::new());
    let unwrapped = unwrap(text.as_bytes(), &mut out, &mut room).map_err(|wrong| wrong.reason)?;
    Ok((unwrapped, String::from_utf8(out).unwrap()))
}

fn value(text: &str) -> String {
    let (unwrapped, out) = read(text).unwrap();
    assert_eq!(unwrapped, Unwrapped::Value(text.len()), "{text}");
    for cut in 0..text.len() {
        assert_eq!(read(&text[..cut]).unwrap(), (Unwrapped::Incomplete, String::new()), "{text} to {cut}");
    }
    out
}

#[test]
fn every_kind_of_value_is_read_in_both_versions() {
    for (text, expected) in [
        (r#"{"$oid":"5d505646cf6d4fe581014ab2"}"#, r#""5d505646cf6d4fe581014ab2""#),
        (r#"{ "$oid" : "5D505646CF6D4FE581014AB2" }"#, r#""5d505646cf6d4fe581014ab2""#),
        (r#"{"$date":"2019-08-11T17:54:14.692Z"}"#, r#""2019-08-11T17:54:14.692Z""#),
        (r#"{"$date":"2019-08-11T17:54:14Z"}"#, r#""2019-08-11T17:54:14.000Z""#),
        (r#"{"$date":"2019-08-11T18:54:14.5+0100"}"#, r#""2019-08-11T17:54:14.500Z""#),
        (r#"{"$date":"2019-08-11T14:24:14.120-03:30"}"#, r#""2019-08-11T17:54:14.120Z""#),
        (r#"{"$date":{"$numberLong":"-1"}}"#, r#""1969-12-31T23:59:59.999Z""#),
        (r#"{"$date":1565546054692}"#, r#""2019-08-11T17:54:14.692Z""#),
        (r#"{"$numberInt":"-2147483648"}"#, "-2147483648"),
        (r#"{"$numberInt":"0"}"#, "0"),
        (r#"{"$numberLong":"-0"}"#, "0"),
        (r#"{"$numberLong":"9223372036854775807"}"#, "9223372036854775807"),
        (r#"{"$numberLong":"123"}"#, "123"),
        (r#"{"$numberDouble":"42"}"#, "42.0"),
        (r#"{"$numberDouble":"-0.0"}"#, "-0.0"),
        (r#"{"$numberDouble":"1.5E+300"}"#, "1.5E+300"),
        (r#"{"$numberDouble":"-Infinity"}"#, r#""-Infinity""#),
        (r#"{"$numberDecimal":"1.50"}"#, "1.50"),
        (r#"{"$numberDecimal":"1E+3"}"#, "1E+3"),
        (r#"{"$numberDecimal":"NaN"}"#, r#""NaN""#),
        (r#"{"$binary":{"base64":"o0w=","subType":"00"}}"#, r#""a34c""#),
        (r#"{"$binary":{"subType":"80","base64":""}}"#, r#""""#),
        (
            r#"{"$binary":{"base64":"c//SZESzTGmQ6OfR38A11A==","subType":"03"}}"#,
            r#""73ffd264-44b3-4c69-90e8-e7d1dfc035d4""#,
        ),
        (r#"{"$binary":"o0w=","$type":"00"}"#, r#""a34c""#),
        (r#"{"$type":"ffffff80","$binary":"o0w="}"#, r#""a34c""#),
        (r#"{"$uuid":"73FFD264-44b3-4c69-90e8-e7d1dfc035d4"}"#, r#""73ffd264-44b3-4c69-90e8-e7d1dfc035d4""#),
        (r#"{"$timestamp":{"t":4294967295,"i":2}}"#, r#"{"t":4294967295,"i":2}"#),
        (r#"{"$timestamp":{"i":2,"t":1}}"#, r#"{"t":1,"i":2}"#),
        (r#"{"$regularExpression":{"pattern":"a\"/","options":"ix"}}"#, r#""/a\"//ix""#),
        (r#"{"$regex":"a","$options":""}"#, r#""/a/""#),
        (r#"{"$options":"i","$regex":"a"}"#, r#""/a/i""#),
        (r#"{"$code":"f(\"}\")"}"#, r#""f(\"}\")""#),
        (r#"{"$symbol":"s"}"#, r#""s""#),
        (r#"{"$minKey":1}"#, r#"{"$minKey":1}"#),
        (r#"{"$maxKey" : 1}"#, r#"{"$maxKey":1}"#),
        (r#"{"$undefined":true}"#, "null"),
        (
            r#"{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"5d505646cf6d4fe581014ab2"}}}"#,
            r#"{"$ref":"d.c","$id":"5d505646cf6d4fe581014ab2"}"#,
        ),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn objects_with_other_names_are_not_touched() {
    for text in [
        r#"{"$numberLong":"5","x":1}"#,
        r#"{"$date":{"$numberLong":"5"},"$oid":1}"#,
        r#"{"$ref":"c","$id":1}"#,
        r#"{"$code":"f()","$scope":{}}"#,
        r#"{"$regex":"a"}"#,
        r#"{"$regex":1,"$options":"i"}"#,
        r#"{"$type":"string"}"#,
        r#"{"$oid":"5d505646cf6d4fe581014ab2","a":1,"b":2}"#,
        r#"{"$oid""x"}"#,
        r#"{"$oid":}"#,
        r#"{"$gt":5}"#,
        r#"{"$minKey":1,"$maxKey":1}"#,
    ] {
        assert_eq!(read(text).unwrap(), (Unwrapped::Other, String::new()), "{text}");
    }
}

#[test]
fn the_names_of_a_value_without_its_contents_are_an_error() {
    for text in [
        r#"{"$oid":"5d505646cf6d4fe581014ab"}"#,
        r#"{"$oid":5}"#,
        r#"{"$date":"garbage"}"#,
        r#"{"$date":"2019-02-29T00:00:00Z"}"#,
        r#"{"$date":"2019-08-11T17:54:14.6921Z"}"#,
        r#"{"$date":"2019-08-11T17:54:14"}"#,
        r#"{"$date":{"$numberLong":5}}"#,
        r#"{"$date":1.5}"#,
        r#"{"$numberLong":5}"#,
        r#"{"$numberLong":"9223372036854775808"}"#,
        r#"{"$numberLong":"+1"}"#,
        r#"{"$numberInt":"2147483648"}"#,
        r#"{"$numberInt":""}"#,
        r#"{"$numberDouble":"1."}"#,
        r#"{"$numberDouble":"0x1"}"#,
        r#"{"$numberDecimal":"inf"}"#,
        r#"{"$binary":{"base64":"o0w","subType":"00"}}"#,
        r#"{"$binary":{"base64":"o0w="}}"#,
        r#"{"$binary":"o0w=","$type":"xx"}"#,
        r#"{"$uuid":"73ffd26444b34c6990e8e7d1dfc035d4"}"#,
        r#"{"$timestamp":{"t":-1,"i":2}}"#,
        r#"{"$timestamp":{"t":1}}"#,
        r#"{"$regularExpression":{"pattern":1,"options":""}}"#,
        r#"{"$minKey":2}"#,
        r#"{"$undefined":false}"#,
        r#"{"$symbol":1}"#,
        r#"{"$dbPointer":{"$ref":"a","$id":{"$oid":"x"}}}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    let reason = read(r#"{"$numberLong": 5}"#).unwrap_err();
    assert_eq!(reason, "$numberLong must have a whole number of 64 bits in quotes, not 5");
}
