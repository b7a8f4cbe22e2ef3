//! Values of one type read as another, exactly or not at all: numbers, times, and what they are made into.

pub(crate) mod numeral;
pub(crate) mod octets;
pub(crate) mod quick;
pub(crate) mod times;
