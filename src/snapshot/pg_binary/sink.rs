//! What the values of one column go into: Arrow builders, one loop for each kind of value.
//!
//! A sink takes a block of values and stops at the first that does not fit. It is not used after that.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::builder::{
    BinaryBuilder, BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder, LargeBinaryBuilder, LargeStringBuilder,
    NullBufferBuilder, StringBuilder, StringViewBuilder,
};
use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, ListArray, PrimitiveArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, FieldRef};

use super::cells::PgCells;
use super::fault::{Misfit, misfit};
use super::text::{PgArray, PgForm, write_text};
use super::wire::PgWire;

/// Values of a block that one column took, or the first that does not fit, counted from 0.
pub(crate) type Taken = Result<(), (usize, Misfit)>;

/// Arrow's offsets end at 2 GiB. Only arrays of numbers of very many digits come near it within one block.
const MAX_TEXTS: usize = 1 << 30;

pub(crate) trait Sink: fmt::Debug + Send {
    /// Appends one value.
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit>;

    /// Appends the values of a block.
    fn take(&mut self, cells: PgCells<'_>) -> Taken;

    /// Bytes of texts that the column has by now.
    fn text_bytes(&self) -> usize {
        0
    }

    /// The column, and a new one begins.
    fn finish(&mut self) -> ArrayRef;
}

macro_rules! take_each {
    () => {
        fn take(&mut self, cells: PgCells<'_>) -> Taken {
            for (row, cell) in cells.iter().enumerate() {
                if let Err(misfit) = self.append(cell) {
                    return Err((row, misfit));
                }
            }
            Ok(())
        }
    };
}

/// Numbers of one width; `read` makes one of bytes.
pub(crate) struct PrimitiveSink<T: ArrowPrimitiveType, F> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    data_type: DataType,
    read: F,
}

impl<T: ArrowPrimitiveType, F> fmt::Debug for PrimitiveSink<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrimitiveSink").field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl<T, F> PrimitiveSink<T, F>
where
    T: ArrowPrimitiveType,
    F: FnMut(&[u8]) -> Result<T::Native, Misfit> + Send + 'static,
{
    pub(crate) fn boxed(data_type: &DataType, read: F) -> Box<dyn Sink> {
        let nulls = NullBufferBuilder::new(0);
        Box::new(Self { values: Vec::new(), nulls, data_type: data_type.clone(), read })
    }
}

impl<T, F> Sink for PrimitiveSink<T, F>
where
    T: ArrowPrimitiveType,
    F: FnMut(&[u8]) -> Result<T::Native, Misfit> + Send,
{
    #[inline]
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit> {
        if let Some(bytes) = cell {
            self.values.push((self.read)(bytes)?);
            self.nulls.append_non_null();
        } else {
            self.values.push(T::Native::default());
            self.nulls.append_null();
        }
        Ok(())
    }

    take_each!();

    fn finish(&mut self) -> ArrayRef {
        let next = Vec::with_capacity(self.values.len());
        let values = ScalarBuffer::from(std::mem::replace(&mut self.values, next));
        let array = PrimitiveArray::<T>::new(values, self.nulls.finish());
        Arc::new(array.with_data_type(self.data_type.clone()))
    }
}

/// Booleans.
#[derive(Debug, Default)]
pub(crate) struct BoolSink(BooleanBuilder);

impl Sink for BoolSink {
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit> {
        self.0.append_option(cell.map(crate::snapshot::pg_binary::text::boolean).transpose()?);
        Ok(())
    }

    take_each!();

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// A builder of values of any length.
pub(crate) trait PgBytes<V: ?Sized>: Default + fmt::Debug + Send + 'static {
    fn put(&mut self, value: &V);
    fn put_null(&mut self);
    fn done(&mut self) -> ArrayRef;
}

macro_rules! bytes {
    ($($builder:ty: $value:ty),*) => {$(
        impl PgBytes<$value> for $builder {
            #[inline]
            fn put(&mut self, value: &$value) {
                self.append_value(value);
            }

            fn put_null(&mut self) {
                self.append_null();
            }

            fn done(&mut self) -> ArrayRef {
                Arc::new(self.finish())
            }
        }
    )*};
}

bytes!(StringBuilder: str, LargeStringBuilder: str, StringViewBuilder: str);
bytes!(BinaryBuilder: [u8], LargeBinaryBuilder: [u8], BinaryViewBuilder: [u8]);

/// Text or bytes that are sent as they are; `read` checks them.
pub(crate) struct BytesSink<B, V: ?Sized, F> {
    builder: B,
    bytes: usize,
    read: F,
    value: PhantomData<fn(&V)>,
}

impl<B: fmt::Debug, V: ?Sized, F> fmt::Debug for BytesSink<B, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesSink").field("builder", &self.builder).finish_non_exhaustive()
    }
}

impl<B, V, F> BytesSink<B, V, F>
where
    B: PgBytes<V>,
    V: ?Sized + 'static,
    F: Fn(&[u8]) -> Result<&V, Misfit> + Send + 'static,
{
    pub(crate) fn boxed(read: F) -> Box<dyn Sink> {
        Box::new(Self { builder: B::default(), bytes: 0, read, value: PhantomData })
    }
}

impl<B, V, F> Sink for BytesSink<B, V, F>
where
    B: PgBytes<V>,
    V: ?Sized,
    F: Fn(&[u8]) -> Result<&V, Misfit> + Send,
{
    #[inline]
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit> {
        match cell {
            Some(bytes) => {
                self.bytes += bytes.len();
                self.builder.put((self.read)(bytes)?);
            }
            None => self.builder.put_null(),
        }
        Ok(())
    }

    take_each!();

    fn text_bytes(&self) -> usize {
        self.bytes
    }

    fn finish(&mut self) -> ArrayRef {
        self.bytes = 0;
        self.builder.done()
    }
}

/// Text that is written from binary values.
#[derive(Debug)]
pub(crate) struct WrittenSink<B> {
    builder: B,
    bytes: usize,
    wire: PgWire,
    limit: usize,
    scratch: String,
}

impl<B: PgBytes<str>> WrittenSink<B> {
    pub(crate) fn boxed(wire: &PgWire, limit: usize) -> Box<dyn Sink> {
        Box::new(Self { builder: B::default(), bytes: 0, wire: wire.clone(), limit, scratch: String::new() })
    }
}

impl<B: PgBytes<str>> Sink for WrittenSink<B> {
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit> {
        match cell {
            Some(bytes) => {
                self.scratch.clear();
                write_text(&self.wire, bytes, PgForm::Cast, self.limit, &mut self.scratch)?;
                self.bytes += self.scratch.len();
                if self.bytes > MAX_TEXTS {
                    return misfit("the texts of its batch have more than 1 GiB");
                }
                self.builder.put(&self.scratch);
            }
            None => self.builder.put_null(),
        }
        Ok(())
    }

    take_each!();

    fn text_bytes(&self) -> usize {
        self.bytes
    }

    fn finish(&mut self) -> ArrayRef {
        self.bytes = 0;
        self.builder.done()
    }
}

/// Bytes of one length.
#[derive(Debug)]
pub(crate) struct FixedBytesSink(FixedSizeBinaryBuilder);

impl FixedBytesSink {
    pub(crate) fn boxed(width: i32) -> Box<dyn Sink> {
        Box::new(Self(FixedSizeBinaryBuilder::new(width)))
    }
}

impl Sink for FixedBytesSink {
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit> {
        match cell {
            Some(bytes) => match self.0.append_value(bytes) {
                Ok(()) => Ok(()),
                Err(_) => misfit("it has another length than the type"),
            },
            None => {
                self.0.append_null();
                Ok(())
            }
        }
    }

    take_each!();

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Lists of what another sink takes.
#[derive(Debug)]
pub(crate) struct ListSink {
    field: FieldRef,
    of: PgWire,
    elements: Box<dyn Sink>,
    /// Elements so far, after each list.
    ends: Vec<i32>,
    count: i32,
    nulls: NullBufferBuilder,
}

impl ListSink {
    pub(crate) fn boxed(field: &FieldRef, of: &PgWire, elements: Box<dyn Sink>) -> Box<dyn Sink> {
        let nulls = NullBufferBuilder::new(0);
        Box::new(Self { field: Arc::clone(field), of: of.clone(), elements, ends: vec![0], count: 0, nulls })
    }
}

impl Sink for ListSink {
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Misfit> {
        if let Some(bytes) = cell {
            let mut elements = PgArray::parse(bytes, &self.of)?.list()?;
            while let Some(element) = elements.next()? {
                if element.is_none() && !self.field.is_nullable() {
                    return misfit("it has a NULL, and elements of the type are never NULL");
                }
                self.elements.append(element)?;
                let Some(count) = self.count.checked_add(1) else { return misfit("the batch has too many elements") };
                self.count = count;
            }
        }
        self.nulls.append(cell.is_some());
        self.ends.push(self.count);
        Ok(())
    }

    take_each!();

    fn text_bytes(&self) -> usize {
        self.elements.text_bytes() + self.count.unsigned_abs() as usize * 8
    }

    fn finish(&mut self) -> ArrayRef {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        self.count = 0;
        let elements = self.elements.finish();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let nulls: Option<NullBuffer> = self.nulls.finish();
        // `elements` is of the field's type, since the sink was made for it.
        debug_assert_eq!(elements.data_type(), self.field.data_type());
        Arc::new(ListArray::new(Arc::clone(&self.field), offsets, elements, nulls))
    }
}
