//! The schema's message to columns. Everything that `arrow-ipc` would panic on is checked before it is asked.
//!
//! Refused by name: big-endian values, types that it does not know, dictionaries of one id with two types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::{DateUnit, Endianness, Field as FbField, IntervalUnit, Precision, TimeUnit, Type, UnionMode};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};

/// Depth of a type at which the walk over it stops.
const MAX_DEPTH: usize = 64;

/// A column, or a part of one.
#[derive(Debug, Clone)]
pub(super) struct IpcColumn {
    pub(super) of: DataType,
    /// The id of its dictionary, if its values are in one.
    pub(super) dictionary: Option<i64>,
    /// Its parts; of a dictionary's column, those of the values.
    pub(super) parts: Vec<Self>,
}

/// The columns of a stream and its dictionaries.
#[derive(Debug)]
pub(super) struct IpcColumns {
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<IpcColumn>,
    /// Of each id, the values' column.
    pub(super) dictionaries: HashMap<i64, IpcColumn>,
}

impl IpcColumns {
    pub(super) fn of(schema: arrow_ipc::Schema<'_>) -> Result<Self, String> {
        if schema.endianness() != Endianness::Little {
            return Err("big-endian values are not supported".to_string());
        }
        let fields = schema.fields().ok_or("a schema without fields")?;
        for field in fields {
            check(field, 0).map_err(|reason| format!("column '{}': {reason}", field.name().unwrap_or_default()))?;
        }
        let arrow: Schema = fb_to_schema(schema);
        let mut dictionaries = HashMap::new();
        let pairs = fields.iter().zip(arrow.fields());
        let columns = pairs.map(|(fb, field)| column(fb, field.data_type(), &mut dictionaries));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { schema: Arc::new(arrow), columns, dictionaries })
    }
}

fn column(fb: FbField<'_>, of: &DataType, ids: &mut HashMap<i64, IpcColumn>) -> Result<IpcColumn, String> {
    if let (DataType::Dictionary(_, values), Some(dictionary)) = (of, fb.dictionary()) {
        let parts = parts(fb, values, ids)?;
        let id = dictionary.id();
        let values = IpcColumn { of: values.as_ref().clone(), dictionary: None, parts };
        if let Some(other) = ids.get(&id)
            && other.of != values.of
        {
            return Err(format!("dictionary {id} has the types {} and {}", other.of, values.of));
        }
        ids.insert(id, values);
        return Ok(IpcColumn { of: of.clone(), dictionary: Some(id), parts: Vec::new() });
    }
    Ok(IpcColumn { of: of.clone(), dictionary: None, parts: parts(fb, of, ids)? })
}

fn parts(fb: FbField<'_>, of: &DataType, ids: &mut HashMap<i64, IpcColumn>) -> Result<Vec<IpcColumn>, String> {
    let fields: Vec<FieldRef> = match of {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![Arc::clone(item)],
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| Arc::clone(field)).collect(),
        DataType::RunEndEncoded(ends, values) => vec![Arc::clone(ends), Arc::clone(values)],
        _ => return Ok(Vec::new()),
    };
    let children = fb.children().into_iter().flatten();
    children.zip(&fields).map(|(fb, field)| column(fb, field.data_type(), ids)).collect()
}

/// Whether `arrow-ipc` can turn the field into an Arrow type.
fn check(fb: FbField<'_>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("it nests deeper than {MAX_DEPTH} levels"));
    }
    if let Some(dictionary) = fb.dictionary() {
        let index = dictionary.indexType().ok_or("a dictionary without an index type")?;
        is_int(index.bitWidth())?;
    }
    let children: Vec<FbField<'_>> = fb.children().into_iter().flatten().collect();
    let time_unit = |unit: TimeUnit| (0..=3).contains(&unit.0);
    let lacks = || "a type without its attributes".to_string();
    let (holds, children_wanted) = match fb.type_type() {
        Type::Null | Type::Bool | Type::Binary | Type::LargeBinary | Type::BinaryView => (true, Some(0)),
        Type::Utf8 | Type::LargeUtf8 | Type::Utf8View => (true, Some(0)),
        Type::Int => {
            is_int(fb.type_as_int().ok_or_else(lacks)?.bitWidth())?;
            (true, Some(0))
        }
        Type::FixedSizeBinary => (fb.type_as_fixed_size_binary().ok_or_else(lacks)?.byteWidth() >= 0, Some(0)),
        Type::FloatingPoint => {
            let precision = fb.type_as_floating_point().ok_or_else(lacks)?.precision();
            (matches!(precision, Precision::HALF | Precision::SINGLE | Precision::DOUBLE), Some(0))
        }
        Type::Date => {
            let unit = fb.type_as_date().ok_or_else(lacks)?.unit();
            (matches!(unit, DateUnit::DAY | DateUnit::MILLISECOND), Some(0))
        }
        Type::Time => {
            let time = fb.type_as_time().ok_or_else(lacks)?;
            (matches!((time.bitWidth(), time.unit().0), (32, 0 | 1) | (64, 2 | 3)), Some(0))
        }
        Type::Timestamp => (time_unit(fb.type_as_timestamp().ok_or_else(lacks)?.unit()), Some(0)),
        Type::Duration => (time_unit(fb.type_as_duration().ok_or_else(lacks)?.unit()), Some(0)),
        Type::Interval => {
            let unit = fb.type_as_interval().ok_or_else(lacks)?.unit();
            let is_known =
                matches!(unit, IntervalUnit::YEAR_MONTH | IntervalUnit::DAY_TIME | IntervalUnit::MONTH_DAY_NANO);
            (is_known, Some(0))
        }
        Type::Decimal => {
            let decimal = fb.type_as_decimal().ok_or_else(lacks)?;
            let most = match decimal.bitWidth() {
                32 => 9,
                64 => 18,
                128 => 38,
                256 => 76,
                other => return Err(format!("a decimal of {other} bits")),
            };
            let scale_fits = i8::try_from(decimal.scale()).is_ok() && decimal.scale() <= decimal.precision();
            ((1..=most).contains(&decimal.precision()) && scale_fits, Some(0))
        }
        Type::List | Type::LargeList | Type::ListView | Type::LargeListView => (true, Some(1)),
        Type::FixedSizeList => (fb.type_as_fixed_size_list().ok_or_else(lacks)?.listSize() >= 0, Some(1)),
        Type::Map => {
            fb.type_as_map().ok_or_else(lacks)?;
            let has_pairs = children.first().is_some_and(|entries| {
                let pair: Vec<FbField<'_>> = entries.children().into_iter().flatten().collect();
                entries.type_type() == Type::Struct_
                    && entries.dictionary().is_none()
                    && pair.len() == 2
                    && pair.first().is_some_and(|key| !key.nullable())
            });
            (has_pairs, Some(1))
        }
        Type::Struct_ => (true, None),
        Type::RunEndEncoded => {
            let ends_fit = children.first().is_some_and(|ends| {
                let width = ends.type_as_int().filter(arrow_ipc::Int::is_signed).map(|int| int.bitWidth());
                ends.dictionary().is_none() && !ends.nullable() && matches!(width, Some(16 | 32 | 64))
            });
            (ends_fit, Some(2))
        }
        Type::Union => {
            let union = fb.type_as_union().ok_or_else(lacks)?;
            let ids: Vec<i32> = match union.typeIds() {
                Some(ids) => ids.iter().collect(),
                None => (0..).take(children.len()).collect(),
            };
            let mut seen = std::collections::HashSet::new();
            let ids_fit = ids.len() == children.len() && ids.iter().all(|id| (0..128).contains(id) && seen.insert(*id));
            (ids_fit && matches!(union.mode(), UnionMode::Dense | UnionMode::Sparse), None)
        }
        other => return Err(format!("the type {other:?} is not supported")),
    };
    if !holds {
        return Err(format!("a {:?} with attributes that it cannot have", fb.type_type()));
    }
    if children_wanted.is_some_and(|wanted| wanted != children.len()) {
        return Err(format!("a {:?} of {} parts", fb.type_type(), children.len()));
    }
    children.into_iter().try_for_each(|child| check(child, depth + 1))
}

fn is_int(bits: i32) -> Result<(), String> {
    if matches!(bits, 8 | 16 | 32 | 64) { Ok(()) } else { Err(format!("an integer of {bits} bits")) }
}
