//! What a column is in Iceberg: its type, and its form in bounds and partition values. Pure.
//!
//! Source: the Iceberg table specification, "Schemas and Data Types", "Appendix A: Avro" and "Appendix D: Single-value
//! serialization".

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::ScalarValue;
use serde_json::{Map, Value, json};

use super::avro::AvroRow;
use crate::error::IcebergFault;
use crate::lake::field_ids::id_of;
use crate::types::lake::list_item;

/// The types that the columns of a table have had, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownTypes {
    types: Map<String, Value>,
}

impl KnownTypes {
    pub(super) fn of(schemas: &[Value]) -> Self {
        let mut known = Self::default();
        schemas.iter().for_each(|schema| collect(schema, &mut known.types));
        known
    }

    /// The fields of a schema with these columns, which have ids.
    ///
    /// # Errors
    /// [`IcebergFault::TypeChanged`] for a column that had another type.
    pub(super) fn fields(&mut self, columns: &[FieldRef]) -> Result<Vec<Value>, IcebergFault> {
        columns.iter().map(|column| self.field(column, column.name())).collect()
    }

    fn field(&mut self, column: &Field, path: &str) -> Result<Value, IcebergFault> {
        let of = self.type_of(column, path)?;
        Ok(json!({ "id": id_of(column), "name": column.name(), "required": false, "type": of }))
    }

    fn type_of(&mut self, column: &Field, path: &str) -> Result<Value, IcebergFault> {
        let of = match column.data_type() {
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|field| self.field(field, &format!("{path}.{}", field.name())));
                json!({ "type": "struct", "fields": fields.collect::<Result<Vec<_>, _>>()? })
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(pair) = entries.data_type() else { return Ok(Value::Null) };
                let (key, value) = (&pair[0], &pair[1]);
                json!({
                    "type": "map", "key-id": id_of(key), "key": self.type_of(key, &format!("{path}.key"))?,
                    "value-id": id_of(value), "value-required": false,
                    "value": self.type_of(value, &format!("{path}.value"))?,
                })
            }
            of => match list_item(of) {
                Some(item) => json!({
                    "type": "list", "element-id": id_of(item), "element-required": false,
                    "element": self.type_of(item, &format!("{path}.element"))?,
                }),
                None => Value::from(name(of)),
            },
        };
        self.as_before(of, id_of(column), path)
    }

    /// The type that the column has from now on: a wider one stays.
    fn as_before(&mut self, of: Value, id: i64, path: &str) -> Result<Value, IcebergFault> {
        let kind = if of.is_string() { of.clone() } else { of["type"].clone() };
        let Some(before) = self.types.get(&id.to_string()) else {
            self.types.insert(id.to_string(), kind);
            return Ok(of);
        };
        if *before == kind {
            return Ok(of);
        }
        if is_wider(before, &kind) {
            return Ok(before.clone());
        }
        if is_wider(&kind, before) {
            self.types.insert(id.to_string(), kind);
            return Ok(of);
        }
        let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        Err(IcebergFault::TypeChanged { column: path.to_owned(), from: text(before), to: text(&kind) })
    }
}

/// The types of all fields of a schema, by id; of later schemas the last.
fn collect(of: &Value, types: &mut Map<String, Value>) {
    let mut add = |id: &Value, of: &Value| {
        let kind = if of.is_string() { of.clone() } else { of["type"].clone() };
        types.insert(id.to_string(), kind);
        if of.is_object() {
            collect(of, types);
        }
    };
    for field in of["fields"].as_array().into_iter().flatten() {
        add(&field["id"], &field["type"]);
    }
    for (id, of) in [(&of["element-id"], &of["element"]), (&of["key-id"], &of["key"]), (&of["value-id"], &of["value"])]
    {
        if id.is_i64() {
            add(id, of);
        }
    }
}

/// Whether all values of `narrow` are values of `wide`, as Iceberg's type promotion has it.
fn is_wider(wide: &Value, narrow: &Value) -> bool {
    let (wide, narrow) = (wide.as_str().unwrap_or_default(), narrow.as_str().unwrap_or_default());
    let decimal = |of: &str| {
        let (precision, scale) = of.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(", ")?;
        Some((precision.parse::<u8>().ok()?, scale.parse::<u8>().ok()?))
    };
    match (wide, narrow) {
        ("long", "int") | ("double", "float") => true,
        _ => matches!((decimal(wide), decimal(narrow)), (Some(w), Some(n)) if w.0 >= n.0 && w.1 == n.1),
    }
}

/// The name of a type that is no list, struct or map; the config has refused all that have none.
fn name(of: &DataType) -> String {
    match of {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::FixedSizeBinary(length) => format!("fixed[{length}]"),
        DataType::Binary | DataType::LargeBinary => "binary".to_owned(),
        _ => "string".to_owned(),
    }
}

/// Bytes of the decimal type's unscaled value in Avro.
fn decimal_bytes(precision: u8) -> usize {
    (1..=16).find(|bytes| 10_u128.pow(precision.into()) <= 1 << (8 * bytes - 1)).unwrap_or(16)
}

/// The Avro type of a partition value.
pub(super) fn avro_type(of: &Field) -> Value {
    match of.data_type() {
        DataType::Boolean => json!("boolean"),
        DataType::Int32 => json!("int"),
        DataType::Int64 => json!("long"),
        DataType::Date32 => json!({ "type": "int", "logicalType": "date" }),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            json!({ "type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": zone.is_some() })
        }
        DataType::Decimal128(precision, scale) => json!({
            "type": "fixed", "name": format!("decimal_{precision}_{scale}"), "size": decimal_bytes(*precision),
            "logicalType": "decimal", "precision": precision, "scale": scale,
        }),
        _ => json!("string"),
    }
}

/// A partition value as Avro has it.
pub(super) fn write_partition(row: &mut AvroRow, value: &ScalarValue) {
    let value = Some(value).filter(|value| !value.is_null());
    row.optional(value, |row, value| match value {
        ScalarValue::Boolean(Some(value)) => row.boolean(*value),
        ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value)) => row.long((*value).into()),
        ScalarValue::Int64(Some(value)) | ScalarValue::TimestampMicrosecond(Some(value), _) => row.long(*value),
        ScalarValue::Decimal128(Some(value), precision, _) => {
            row.fixed(&value.to_be_bytes()[16 - decimal_bytes(*precision)..]);
        }
        other => row.bytes(other.try_as_str().flatten().unwrap_or_default().as_bytes()),
    });
}

/// A value as bounds have it; `None` for types without an order that all readers share.
pub(super) fn bound(value: &ScalarValue) -> Option<Vec<u8>> {
    Some(match value {
        ScalarValue::Boolean(Some(value)) => vec![(*value).into()],
        ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value)) => value.to_le_bytes().into(),
        ScalarValue::Int64(Some(value))
        | ScalarValue::TimestampMicrosecond(Some(value), _)
        | ScalarValue::Time64Microsecond(Some(value)) => value.to_le_bytes().into(),
        ScalarValue::Float32(Some(value)) if !value.is_nan() => value.to_le_bytes().into(),
        ScalarValue::Float64(Some(value)) if !value.is_nan() => value.to_le_bytes().into(),
        ScalarValue::Decimal128(Some(value), _, _) => {
            let bytes = value.to_be_bytes();
            let sign = if *value < 0 { 0xff } else { 0 };
            let is_needed = |at: usize| bytes[at] != sign || (bytes[at + 1] ^ sign) & 0x80 != 0;
            let start = (0..15).find(|at| is_needed(*at)).unwrap_or(15);
            bytes[start..].to_vec()
        }
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => text.clone().into_bytes(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lake::field_ids::with_ids;

    fn column(name: &str, of: DataType) -> FieldRef {
        Arc::new(Field::new(name, of, true))
    }

    fn fields(known: &mut KnownTypes, columns: &[FieldRef]) -> Result<Vec<Value>, IcebergFault> {
        known.fields(&with_ids(columns).unwrap())
    }

    #[test]
    fn id_of_a_column_is_that_of_its_name_at_every_depth_whatever_is_beside_it() {
        let list = DataType::List(column("item", DataType::Int64));
        let pair = DataType::Struct(vec![column("x", DataType::Utf8), column("y", list.clone())].into());
        let mut known = KnownTypes::default();
        let (a, b) = (column("a", list), column("b", pair));
        let first = fields(&mut known, &[Arc::clone(&a), Arc::clone(&b)]).unwrap();
        let second = fields(&mut known, &[column("c", DataType::Date32), Arc::clone(&b)]).unwrap();
        assert_eq!(first[1], second[1]);
        let ids =
            [&first[0]["id"], &first[1]["id"], &first[0]["type"]["element-id"], &first[1]["type"]["fields"][0]["id"]];
        assert!(ids.iter().all(|id| id.as_i64().is_some_and(|id| id > 0)), "{ids:?}");
        let again = KnownTypes::of(&[json!({ "fields": first.clone() })]);
        assert_eq!(fields(&mut again.clone(), &[b, a]).unwrap()[1], first[0]);
        let dotted = with_ids(&[column("b.x", DataType::Utf8)]).unwrap();
        assert_ne!(json!(id_of(&dotted[0])), first[1]["type"]["fields"][0]["id"]);
    }

    #[test]
    fn wider_type_stays_and_another_one_is_refused_with_both_names() {
        let mut known = KnownTypes::default();
        let mut of = |of: DataType| fields(&mut known, &[column("a", of)]).map(|fields| fields[0]["type"].clone());
        assert_eq!(of(DataType::Int32).unwrap(), "int");
        assert_eq!(of(DataType::Int64).unwrap(), "long");
        assert_eq!(of(DataType::Int32).unwrap(), "long");
        let fault = of(DataType::Utf8).unwrap_err().to_string();
        assert!(fault.contains("long") && fault.contains("string"), "{fault}");
    }

    #[test]
    fn bounds_of_decimals_are_as_short_as_their_value() {
        for (value, bytes) in
            [(0, &[0][..]), (127, &[127]), (128, &[0, 128]), (-1, &[255]), (-128, &[128]), (-129, &[255, 127])]
        {
            assert_eq!(bound(&ScalarValue::Decimal128(Some(value), 10, 2)).unwrap(), bytes, "{value}");
        }
        assert_eq!((decimal_bytes(2), decimal_bytes(3), decimal_bytes(9), decimal_bytes(38)), (1, 2, 4, 16));
    }
}
