//! Types of columns, and what depends on nothing else: the type that a column has in files, how values become it, names
//! of types and columns in SQL, and which tables are wide. Pure.

pub(crate) mod convert;
pub(crate) mod iceberg;
pub(crate) mod ident;
pub(crate) mod lake;
pub(crate) mod sqltype;
pub(crate) mod width;

pub(crate) use self::convert::{narrowed, store};
pub(crate) use self::ident::ident;
pub(crate) use self::sqltype::{is_utc, sql_type, type_name};
