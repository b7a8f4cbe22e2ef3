//! The properties of one lake table: WITH first, then `SET snaplake.*`, then the built-in default.

use super::keys::{CODEC, EMPTY, GROUP, SIZE, bad_value, known_key};
use super::options::{FILE_GROUP_SIZE, PREFIX, PROPERTIES, TARGET_FILE_SIZE};
use super::values::{ByteSize, EmptyPartition, GroupSize, WriteCompression};
use super::written::WrittenSettings;
use crate::config::text::statement::{Literal, PlacedText, Property};
use crate::error::{ConfigError, Position, Result};

/// Target, smallest and largest size of a published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileSizes {
    pub(super) target: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

/// The WITH list of one table, over the settings.
#[derive(Debug)]
pub(super) struct Properties<'a> {
    written: &'a [Property<Literal>],
    settings: &'a WrittenSettings,
}

impl<'a> Properties<'a> {
    /// Takes a WITH list whose keys are known and unique.
    pub(super) fn new(written: &'a [Property<Literal>], settings: &'a WrittenSettings) -> Result<Self> {
        for (index, Property { key, .. }) in written.iter().enumerate() {
            if ["bucketed_by", "bucket_count"].contains(&key.text.as_str()) {
                return Err(ConfigError::Bucketing { name: key.text.clone() }.at(&key.at));
            }
            known_key("property", PROPERTIES, "", key)?;
            if let Some(first) = written.iter().take(index).find(|other| other.key.text == key.text) {
                let (name, first) = (key.text.clone(), first.key.at.clone());
                return Err(ConfigError::Duplicate { kind: "property", name, first }.at(&key.at));
            }
        }
        Ok(Self { written, settings })
    }

    fn literal(&self, name: &str) -> Option<&'a Property<Literal>> {
        self.written.iter().find(|property| property.key.text == name)
    }

    /// A property that WITH gives as one value.
    pub(super) fn own(&self, name: &str) -> Result<Option<&'a PlacedText>> {
        match self.literal(name) {
            Some(Property { value: Literal::One(value), .. }) => Ok(Some(value)),
            Some(Property { key, value }) => {
                let found = if matches!(value, Literal::Map(_)) { "a map" } else { "an array" };
                let message = format!("{name} takes one value, not {found}");
                Err(ConfigError::Syntax { message }.at(&key.at))
            }
            None => Ok(None),
        }
    }

    /// A property from WITH or the settings, and the key under which it was found.
    fn own_or_setting(&self, name: &str) -> Result<Option<(String, &'a PlacedText)>> {
        if let Some(value) = self.own(name)? {
            return Ok(Some((name.to_owned(), value)));
        }
        let setting = format!("{PREFIX}{name}");
        Ok(self.settings.get(&setting).map(|value| (setting, value)))
    }

    /// A list of columns; one value counts as a list of one.
    pub(super) fn columns<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
        column: impl Fn(&T) -> &str,
    ) -> Result<Vec<(T, Position)>> {
        let written = match self.literal(name) {
            Some(Property { value: Literal::Many(values), .. }) => values.as_slice(),
            Some(Property { value: Literal::One(value), .. }) => std::slice::from_ref(value),
            Some(Property { key, value: Literal::Map(_) }) => {
                let message = format!("{name} takes an array of columns, not a map");
                return Err(ConfigError::Syntax { message }.at(&key.at));
            }
            None => &[],
        };
        let mut found: Vec<(T, Position)> = Vec::new();
        for value in written {
            let item = read(&value.text).map_err(|expected| bad_value(name, value, expected))?;
            if let Some((_, first)) = found.iter().find(|(other, _)| column(other) == column(&item)) {
                let (column, first) = (column(&item).to_owned(), first.clone());
                return Err(ConfigError::Duplicate { kind: "column", name: column, first }.at(&value.at));
            }
            found.push((item, value.at.clone()));
        }
        Ok(found)
    }

    /// A property that gives values for columns.
    pub(super) fn map(&self, name: &str) -> Result<&'a [(PlacedText, Vec<PlacedText>)]> {
        match self.literal(name) {
            Some(Property { value: Literal::Map(entries), .. }) => Ok(entries),
            Some(Property { key, .. }) => {
                let message = format!("{name} takes a map, such as MAP {{'column': ['a', 'b']}}");
                Err(ConfigError::Syntax { message }.at(&key.at))
            }
            None => Ok(&[]),
        }
    }

    fn size(&self, name: &str) -> Result<Option<(u64, Position)>> {
        match self.own_or_setting(name)? {
            Some((key, value)) => {
                let size = ByteSize::parse(&value.text).ok_or_else(|| bad_value(&key, value, SIZE))?;
                Ok(Some((size.0, value.at.clone())))
            }
            None => Ok(None),
        }
    }

    /// The three sizes of published files, in order.
    pub(super) fn file_sizes(&self, table: &str, at: &Position) -> Result<FileSizes> {
        let (target, min, max) =
            (self.size("target_file_size")?, self.size("min_file_size")?, self.size("max_file_size")?);
        let bytes = target.as_ref().map_or(TARGET_FILE_SIZE, |(bytes, _)| *bytes);
        let share = |percent: u64| u64::try_from(u128::from(bytes) * u128::from(percent) / 100).unwrap_or(u64::MAX);
        let sizes = FileSizes {
            target: bytes,
            min: min.as_ref().map_or_else(|| share(75).max(1), |(bytes, _)| *bytes),
            max: max.as_ref().map_or_else(|| share(180), |(bytes, _)| *bytes),
        };
        if sizes.min <= sizes.target && sizes.target <= sizes.max {
            return Ok(sizes);
        }
        let culprit = if sizes.min > sizes.target { min } else { max };
        let at = culprit.or(target).map_or_else(|| at.clone(), |(_, at)| at);
        let show = |bytes| ByteSize(bytes).to_string();
        let (min, target, max) = (show(sizes.min), show(sizes.target), show(sizes.max));
        Err(ConfigError::SizeOrder { table: table.to_owned(), min, target, max }.at(&at))
    }

    /// How many snapshot bytes one task reads.
    pub(super) fn group_size(&self) -> Result<GroupSize> {
        match self.own_or_setting("file_group_size")? {
            Some((key, value)) => GroupSize::parse(&value.text).ok_or_else(|| bad_value(&key, value, GROUP)),
            None => Ok(GroupSize::Bytes(FILE_GROUP_SIZE)),
        }
    }

    /// What becomes of empty texts that partition the table.
    pub(super) fn empty_partition(&self) -> Result<EmptyPartition> {
        match self.own_or_setting("empty_partition")? {
            Some((key, value)) => EmptyPartition::parse(&value.text).ok_or_else(|| bad_value(&key, value, EMPTY)),
            None => Ok(EmptyPartition::default()),
        }
    }

    /// The codec with its level. A level that is a setting goes with the codec that is a setting: a table that names
    /// another codec starts from that codec's own level.
    pub(super) fn compression(&self) -> Result<WriteCompression> {
        let codec = match self.own_or_setting("write_compression")? {
            Some((key, value)) => WriteCompression::parse(&value.text).ok_or_else(|| bad_value(&key, value, CODEC))?,
            None => WriteCompression::Zstd(3),
        };
        let level = match self.own("write_compression")? {
            Some(_) => self.own("compression_level")?.map(|value| ("compression_level".to_owned(), value)),
            None => self.own_or_setting("compression_level")?,
        };
        match level {
            Some((key, value)) => codec.with_level(&value.text).map_err(|expected| bad_value(&key, value, expected)),
            None => Ok(codec),
        }
    }
}
