//! `year(d)`, `month(d)`, `day(d)`, ...: the spellings that Athena and DuckDB users type, as DataFusion's `date_part`.

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::ScalarValue;
use datafusion::common::types::{NativeType, logical_date, logical_string};
use datafusion::error::Result;
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    TypeSignatureClass, Volatility,
};

/// Function name and the part that it takes.
const PARTS: [(&str, &str); 10] = [
    ("year", "year"),
    ("quarter", "quarter"),
    ("month", "month"),
    ("week", "week"),
    ("day", "day"),
    ("day_of_week", "dow"),
    ("day_of_year", "doy"),
    ("hour", "hour"),
    ("minute", "minute"),
    ("second", "second"),
];

/// All aliases, ready to be registered.
pub(super) fn aliases() -> impl Iterator<Item = ScalarUDF> {
    PARTS.into_iter().map(|(name, part)| ScalarUDF::from(DatePart::new(name, part)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    name: &'static str,
    part: &'static str,
    signature: Signature,
}

impl DatePart {
    fn new(name: &'static str, part: &'static str) -> Self {
        let text_is_timestamp = Coercion::new_implicit(
            TypeSignatureClass::Timestamp,
            vec![TypeSignatureClass::Native(logical_string())],
            NativeType::Timestamp(TimeUnit::Microsecond, None),
        );
        let kinds = [
            text_is_timestamp,
            Coercion::new_exact(TypeSignatureClass::Native(logical_date())),
            Coercion::new_exact(TypeSignatureClass::Time),
            Coercion::new_exact(TypeSignatureClass::Interval),
        ];
        let signatures = kinds.into_iter().map(|kind| TypeSignature::Coercible(vec![kind])).collect();
        Self { name, part, signature: Signature::one_of(signatures, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, mut call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        call.args.insert(0, ColumnarValue::Scalar(ScalarValue::from(self.part)));
        date_part().invoke_with_args(call)
    }
}
