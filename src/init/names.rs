//! Names: what a path says about tables. Pure.
//!
//! ```text
//! Order Items/2024/01/part-00001-5f0e....c000.gz.parquet
//! '---------' '-----' '--' '-----------------' '--------'
//!  table dir  volatile stem    counters          ending
//! ```
//!
//! Folders at the end of a path that only count or date (`1`, `2024-01-31`, `dt=2024`, a UUID) belong to the table
//! above them. Of a file's name, counters, dates and random parts are left out; what remains is its stem.

/// Words that say nothing about what is in a file.
pub(super) const GENERIC: [&str; 22] = [
    "part", "parts", "data", "export", "exports", "file", "files", "chunk", "batch", "output", "out", "run", "segment",
    "records", "rows", "dump", "block", "split", "shard", "snapshot", "full", "of",
];

/// Codecs that are before `.parquet` and say nothing about how the file is read.
const CODECS: [&str; 7] = ["gz", "snappy", "zstd", "lz4", "brotli", "lzo", "uncompressed"];

/// Endings of compressed files, with the dot.
const PACKED: [&str; 6] = [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz"];

/// A file's name in two: before its ending, and the ending in lower case with its dot, such as `.csv.gz`.
pub(super) fn split_ending(name: &str) -> (&str, String) {
    let mut stem = name;
    let mut take = |limit: usize, wanted: &dyn Fn(&str) -> bool| {
        if let Some((before, ending)) = stem.rsplit_once('.')
            && !before.is_empty()
            && ending.len() <= limit
            && !ending.is_empty()
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && wanted(&ending.to_ascii_lowercase())
        {
            stem = before;
        }
    };
    take(5, &|ending| PACKED.iter().any(|packed| &packed[1..] == ending));
    take(8, &|ending| ending.bytes().any(|byte| byte.is_ascii_alphabetic()));
    take(12, &|ending| CODECS.contains(&ending));
    let ending = name[stem.len()..].to_ascii_lowercase();
    (stem, ending)
}

/// Whether an ending is that of a compressed file.
pub(super) fn is_packed(ending: &str) -> bool {
    PACKED.iter().any(|packed| ending.ends_with(packed))
}

/// Digits, a date, a UUID, a long hexadecimal or a long mixed text, or a letter and digits (`c000`): it only
/// distinguishes files apart.
fn is_counter(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_ascii = token.is_ascii();
    digits == token.len()
        || (is_ascii && digits > 0 && digits + 1 == token.len() && token.as_bytes()[0].is_ascii_alphabetic())
        || (is_hex && token.len() >= 4 && digits > 0 && digits * 5 >= token.len())
        || (is_ascii && token.len() >= 16 && digits >= 2)
        // 20240131T050000Z
        || (digits >= 8 && digits + 2 >= token.len())
        || is_time(token)
}

/// What `2024-01-31T05:00:00Z` leaves beside numbers, `31t05` and `00z`; also `05h00`.
fn is_time(token: &str) -> bool {
    let digits =
        |text: &str, lengths: &[usize]| lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let bare = token.strip_suffix('z').unwrap_or(token);
    match bare.split_once(['t', 'h']) {
        Some((before, after)) => digits(before, &[2]) && digits(after, &[2, 4, 6]),
        None => bare.len() < token.len() && digits(bare, &[2]),
    }
}

fn tokens(text: &str) -> impl Iterator<Item = String> {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// What a file's name has in common with those of the same table; empty when it says nothing.
pub(super) fn stem(name: &str) -> String {
    let mut words: Vec<String> = tokens(name).filter(|token| !token.is_empty()).collect();
    let is_uuid = |words: &[String]| {
        let fits =
            |(word, length): (&String, &usize)| word.len() == *length && word.bytes().all(|b| b.is_ascii_hexdigit());
        words.iter().zip(&[8, 4, 4, 4, 12]).all(fits)
    };
    while let Some(at) = words.windows(5).position(is_uuid) {
        words.drain(at..at + 5);
    }
    let mut kept: Vec<String> =
        words.into_iter().filter(|word| !is_counter(word) && !GENERIC.contains(&&**word)).collect();
    if let Some(last) = kept.last_mut() {
        let bare = last.trim_end_matches(|c: char| c.is_ascii_digit());
        if bare.chars().count() >= 3 {
            *last = bare.to_owned();
        }
    }
    kept.join("_")
}

/// Whether a folder only counts, dates or partitions: `1`, `2024-01-31`, `batch_2`, `dt=2024`, a UUID.
pub(super) fn is_volatile(folder: &str) -> bool {
    let words = || tokens(folder).filter(|token| !token.is_empty());
    partition_key(folder).is_some()
        || (words().any(|word| is_counter(&word))
            && words().all(|word| is_counter(&word) || word == "batch" || word == "part"))
}

/// The key of a folder named `key=value`.
pub(super) fn partition_key(folder: &str) -> Option<&str> {
    folder.split_once('=').map(|(key, _)| key).filter(|key| !key.is_empty())
}

/// A name for a table or a folder of ours: lower case, letters, digits and single underscores; None if nothing is left.
pub(super) fn plain(text: &str) -> Option<String> {
    let words: Vec<String> = tokens(text).filter(|token| !token.is_empty()).collect();
    let name = words.join("_");
    match name.chars().next() {
        None => None,
        Some(first) if first.is_ascii_digit() => Some(format!("t_{name}")),
        Some(_) => Some(name),
    }
}

/// A string literal; `${` in it is no variable.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", escaped(text))
}

/// The inside of a string literal.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace('\'', "''")
}

/// Text that may be in a comment of one line.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Gives each wish a name of its own: the first wish that nobody else has, else one with a number. Each list of wishes
/// goes from the shortest to the most exact name; equal input gives equal names.
pub(super) fn distinct(wishes: &[Vec<String>]) -> Vec<String> {
    let longest = wishes.iter().map(Vec::len).max().unwrap_or(0);
    let level = |wish: &Vec<String>, level: usize| wish.get(level).or(wish.last()).cloned().unwrap_or_default();
    let mut names: Vec<Option<String>> = vec![None; wishes.len()];
    for exactness in 0..longest {
        let now: Vec<String> = wishes.iter().map(|wish| level(wish, exactness)).collect();
        for index in 0..wishes.len() {
            let is_alone = |name: &String| {
                let open = (0..now.len()).filter(|other| names[*other].is_none() && now[*other] == *name).count();
                open == 1 && names.iter().flatten().all(|taken| taken != name)
            };
            if names[index].is_none() && is_alone(&now[index]) {
                names[index] = Some(now[index].clone());
            }
        }
    }
    for index in 0..wishes.len() {
        if names[index].is_none() {
            let base = level(&wishes[index], 0);
            let free = |name: &String| names.iter().flatten().all(|taken| taken != name);
            let numbered = (1_usize..).map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") });
            names[index] = numbered.into_iter().find(free);
        }
    }
    names.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endings_are_split_off_with_compression_and_codec() {
        for (name, stem, ending) in [
            ("orders.csv.gz", "orders", ".csv.gz"),
            ("A.B.CSV", "A.B", ".csv"),
            ("part-00000-c000.gz.parquet", "part-00000-c000", ".gz.parquet"),
            ("events", "events", ""),
            ("events.gz", "events", ".gz"),
            ("v1.2", "v1.2", ""),
            (".hidden", ".hidden", ""),
        ] {
            assert_eq!(split_ending(name), (stem, ending.to_owned()), "{name}");
        }
    }

    #[test]
    fn stems_leave_out_what_only_counts() {
        for (name, expected) in [
            ("part-00001-5f0e1c3a-9d1e-beef-cafe-0123456789ab-c000", ""),
            ("orders_2024-01-31", "orders"),
            ("orders-1", "orders"),
            ("planes2", "planes"),
            ("ajqzu7adbm4jzcuotgvmvpk7p4", ""),
            ("Order Items 20240131T050000Z", "order_items"),
            ("customers_eu", "customers_eu"),
            ("orders_2024-01-31T05-00-00Z", "orders"),
            ("orders_2024-01-31T05:00:00+01:00", "orders"),
            ("orders_2024-01-31T05", "orders"),
            ("orders_2024-01-31T0500Z", "orders"),
            ("orders_2024-01-31_05h00", "orders"),
            ("b2b 24x7 3d 10k", "b2b_24x7_3d_10k"),
            ("facade", "facade"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }

    #[test]
    fn volatile_folders_count_date_or_partition() {
        for folder in ["1", "00017", "2024-01-31", "batch_2", "dt=2024-01-31", "0f8fad5b-d9cb-469f-a165-70867728950e"] {
            assert!(is_volatile(folder), "{folder}");
        }
        for folder in ["orders", "part", "public.orders", "data", "cafe", "q1 sales", "Éclair"] {
            assert!(!is_volatile(folder), "{folder}");
        }
    }

    #[test]
    fn clashing_names_become_more_exact_then_numbered() {
        let wishes = [["orders", "sales_orders"], ["orders", "shop_orders"], ["x", "x"], ["x", "x"]];
        let wishes: Vec<Vec<String>> = wishes.iter().map(|wish| wish.map(str::to_owned).to_vec()).collect();
        assert_eq!(distinct(&wishes), ["sales_orders", "shop_orders", "x", "x_2"]);
    }

    proptest! {
        /// No two tables get one name, and no table is left without.
        #[test]
        fn names_are_distinct(wishes in prop::collection::vec(prop::collection::vec("[ab](_2)?", 1..3), 0..8)) {
            let names = distinct(&wishes);
            let mut unique = names.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!((unique.len(), names.len()), (wishes.len(), wishes.len()));
        }
    }
}
