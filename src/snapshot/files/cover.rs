//! Classifies a file in a LOCATION by its name: data of the table, something else, or unclear. Pure.
//!
//! | name | for PARQUET, CSV or JSON |
//! | --- | --- |
//! | `a.parquet`, `b.PARQUET.gzip`, `c.gz.parquet`; `d.csv.gz`, `e.TSV`; `f.json.zst` | data of that format, otherwise of another |
//! | `_SUCCESS`, `.a.crc`, `_temporary/x`, but not `_k=1/x` | hidden, or a mark |
//! | `README.md`, `a.csv.md5`, `load.sql`, `Thumbs.db`, `manifest-files.json` | evidently not data of the table |
//! | `a.csv.bak`, `all.zip` | may hold rows, or the same rows again: the user decides |
//! | `000000_0`, `part-m-00000`, `20240101_x_abc`, `x.dat` | nothing: the content decides |

use super::left_out::LeftOutReason;
use crate::config::{FileFormat, JsonDialect, JsonOptions};
use crate::layout::OWNER;

/// What a file name says about the content of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant {
    /// A file of the table's format.
    Data,
    /// No file of the table.
    Left(LeftOutReason),
    /// It may hold rows of the table or not, and its content would not show it; why.
    Doubtful(&'static str),
    /// The name says nothing.
    Unknown,
}

/// File name endings per format, without a compression's.
const PARQUET: &[&str] = &["parquet", "parq", "pq"];
const CSV: &[&str] = &["csv", "tsv", "txt"];
const JSON: &[&str] = &["json", "ndjson", "jsonl"];

const ARROW: &[&str] = &["arrow", "arrows", "feather", "ipc"];

/// Endings of data in formats that are not read, or not by this table.
const OTHER_DATA: &[&str] = &[
    "orc", "avro", "bson", "arrow", "arrows", "feather", "ipc", "xlsx", "xls", "xlsb", "ods", "sqlite", "sqlite3",
    "duckdb", "dbf", "mdb", "accdb", "sav", "dta", "sas7bdat", "rds", "rdata", "h5", "hdf5", "npy", "npz", "pkl",
    "pickle", "shp", "ion", "xml",
];

const DOCUMENTS: &[&str] = &[
    "md", "rst", "adoc", "html", "htm", "pdf", "doc", "docx", "rtf", "ppt", "pptx", "png", "jpg", "jpeg", "gif", "svg",
    "ico", "webp",
];

const CHECKSUMS: &[&str] =
    &["crc", "crc32", "md5", "sha1", "sha256", "sha512", "checksum", "sig", "asc", "sfv", "etag"];

const CODE: &[&str] = &[
    "sql",
    "ddl",
    "hql",
    "py",
    "pyc",
    "sh",
    "r",
    "rb",
    "pl",
    "js",
    "ts",
    "java",
    "jar",
    "scala",
    "go",
    "rs",
    "bat",
    "cmd",
    "ps1",
    "yml",
    "yaml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "properties",
    "xsd",
    "lock",
    "ipynb",
    "tf",
    "ctl",
];

const BACKUPS: &[&str] = &[
    "bak",
    "backup",
    "old",
    "orig",
    "save",
    "tmp",
    "temp",
    "partial",
    "inprogress",
    "crdownload",
    "filepart",
    "copying",
];

/// Which say that an export is whole, to those who wait for it.
const DONE: &[&str] =
    &["done", "ok", "ready", "trigger", "trg", "flag", "complete", "completed", "finished", "success"];

const ARCHIVES: &[&str] = &["zip", "tar", "tgz", "tbz2", "txz", "7z", "rar"];

/// Words that a document without a telling ending is called by.
const TITLES: [&str; 8] = ["readme", "license", "licence", "changelog", "notice", "copying", "authors", "contributing"];

const SUMS: [&str; 5] = ["md5sums", "sha1sums", "sha256sums", "sha512sums", "checksums"];

/// Endings of compressed files.
const PACKED: [&str; 6] = ["gz", "gzip", "zst", "zstd", "bz2", "xz"];

/// Codecs of Parquet pages that some writers put behind `.parquet`, besides [`PACKED`].
const CODECS: [&str; 7] = ["snappy", "lz4", "brotli", "br", "lzo", "uncompressed", "none"];

/// Whether a part of a path is hidden; a folder of a partition column whose name begins with `_` is not.
pub(crate) fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || (part.starts_with('_') && !part.contains('='))
}

/// What a name says, in any case; `path` counts from LOCATION on.
pub(crate) fn by_name(format: &FileFormat, path: &str) -> Meant {
    let name = path.rsplit('/').next().unwrap_or_default();
    if let Some(reason) = mark_or_hidden(path, name) {
        let is_hidden = reason == LeftOutReason::Hidden;
        return Meant::Left(if is_hidden { hidden(format, path) } else { reason });
    }
    let name = name.to_lowercase();
    if let Some(reason) = evident(&name) {
        return Meant::Left(reason);
    }
    let (stem, ending) = split(&name);
    let is_packed = PACKED.contains(&ending);
    let (bare_stem, bare) = if is_packed { split(stem) } else { (stem, ending) };
    if ARCHIVES.contains(&bare) {
        return Meant::Doubtful("an archive is not read; unpack it");
    }
    if DONE.contains(&bare) {
        return Meant::Doubtful("it may say that an export is whole");
    }
    if BACKUPS.contains(&bare) || name.ends_with('~') {
        // Whose content is no data of the table is no doubt.
        let inner = if name.ends_with('~') { name.trim_end_matches('~') } else { bare_stem };
        return match by_name(format, inner) {
            Meant::Left(reason) => Meant::Left(reason),
            _ => Meant::Doubtful("it looks like a copy, or like a file that is not complete"),
        };
    }
    let is_title = TITLES.contains(&bare_stem) && !matches!(bare, "csv" | "tsv");
    if DOCUMENTS.contains(&bare) || (is_title && !PARQUET.contains(&bare) && !JSON.contains(&bare)) {
        return Meant::Left(LeftOutReason::Document);
    }
    if CODE.contains(&bare) {
        return Meant::Left(LeftOutReason::Code);
    }
    let is_parquet = PARQUET.contains(&bare) || (CODECS.contains(&ending) && PARQUET.contains(&split(stem).1));
    let (is_csv, is_json) = (CSV.contains(&bare), JSON.contains(&bare));
    let is_own = match format {
        FileFormat::Parquet => is_parquet,
        FileFormat::Csv(_) => is_csv,
        FileFormat::Json(JsonOptions { dialect: JsonDialect::Bson, .. }) => bare == "bson",
        FileFormat::Json(_) => is_json,
        FileFormat::Avro => bare == "avro",
        FileFormat::Arrow => ARROW.contains(&bare),
        FileFormat::Inserts(_) | FileFormat::PgBinary(_) => false,
    };
    match (is_own, bare, format) {
        (true, ..) => Meant::Data,
        (_, "log", FileFormat::Csv(_)) => Meant::Doubtful("it may be a log of the export"),
        _ if is_parquet || is_csv || is_json || OTHER_DATA.contains(&bare) => Meant::Left(LeftOutReason::OtherFormat),
        _ => Meant::Unknown,
    }
}

/// What a hidden file is: many writers hide their notes, and some hide rows, such as those of a job that never ended.
pub(crate) fn hidden(format: &FileFormat, path: &str) -> LeftOutReason {
    let name = path.rsplit('/').next().unwrap_or_default();
    let bare = name.trim_start_matches(['.', '_']);
    // What macOS keeps beside each file of an archive begins with these two.
    let is_data =
        !name.starts_with("._") && name != OWNER && bare.contains('.') && by_name(format, bare) == Meant::Data;
    if is_data { LeftOutReason::HiddenData } else { LeftOutReason::Hidden }
}

fn mark_or_hidden(path: &str, name: &str) -> Option<LeftOutReason> {
    let (folders, _) = path.rsplit_once('/').unwrap_or(("", path));
    let is_mark = name.eq_ignore_ascii_case("_SUCCESS")
        || name.ends_with("_$folder$")
        || ["_started_", "_committed_"].iter().any(|start| name.starts_with(start));
    if is_mark && !folders.split('/').any(is_hidden) {
        return Some(LeftOutReason::Mark);
    }
    // A file `_k=1` is no folder.
    let is_own = name.starts_with(['.', '_']);
    (is_own || folders.split('/').any(is_hidden)).then_some(LeftOutReason::Hidden)
}

/// Why a file is no table's whatever the format, as its name in lower case says.
pub(crate) fn evident(name: &str) -> Option<LeftOutReason> {
    if ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"].contains(&name) {
        return Some(LeftOutReason::System);
    }
    let (stem, ending) = split(name);
    if CHECKSUMS.contains(&ending) || SUMS.contains(&stem) {
        return Some(LeftOutReason::Checksum);
    }
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let is_manifest = (ending == "json" && starts(&["export_info_", "export_tables_info_", "manifest-summary"]))
        || ["manifest", "manifest.json", "manifest-files.json"].contains(&name)
        || (ending == "parquet" && starts(&["manifest-data"]))
        || (ending.is_empty() && name.ends_with("manifest"))
        || name.ends_with("-manifest.csv")
        || ending == "metadata"
        || name.ends_with(".metadata.json");
    is_manifest.then_some(LeftOutReason::Manifest)
}

/// The ending that a name is shown by, such as `.csv.gz`; empty if it has none.
pub(crate) fn ending(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let (stem, ending) = split(&name);
    let inner = if PACKED.contains(&ending) || CODECS.contains(&ending) { split(stem).0 } else { stem };
    // A name that is all ending, or an ending that counts, says nothing.
    if ending.len() > 12 || ending.bytes().all(|byte| byte.is_ascii_digit()) {
        return String::new();
    }
    name[inner.len()..].to_owned()
}

/// The parts before and after the last dot.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CsvOptions;

    fn csv() -> FileFormat {
        FileFormat::Csv(CsvOptions::default())
    }

    fn json() -> FileFormat {
        FileFormat::Json(JsonOptions::default())
    }

    #[test]
    fn data_is_known_by_its_ending_in_any_case_and_compression() {
        for name in ["a.parquet", "a.PARQ", "a.snappy.parquet", "x.gz.parquet", "b.parquet.gzip", "b.parquet.snappy"] {
            assert_eq!(by_name(&FileFormat::Parquet, name), Meant::Data, "{name}");
            assert_eq!(by_name(&csv(), name), Meant::Left(LeftOutReason::OtherFormat), "{name}");
        }
        for name in ["a.csv", "a.CSV.GZ", "a.tsv.zst", "x/k=1/a.txt", "notices.csv", "license.csv", "a.b.csv"] {
            assert_eq!(by_name(&csv(), name), Meant::Data, "{name}");
        }
        for name in ["a.json", "a.ndjson.bz2", "A.JSONL"] {
            assert_eq!(by_name(&json(), name), Meant::Data, "{name}");
        }
    }

    #[test]
    fn what_exporters_write_without_an_ending_is_looked_at() {
        let names = [
            "000000_0",
            "20240101_x_abc",
            "part-m-00000",
            "part-00000",
            "0000_part_00",
            "x.dat",
            "part-00000.gz",
            "000000_0.snappy",
            "data.2024",
        ];
        for name in names {
            for format in [FileFormat::Parquet, csv(), json()] {
                assert_eq!(by_name(&format, name), Meant::Unknown, "{name}");
            }
        }
    }

    #[test]
    fn what_is_evidently_no_data_says_what_it_is() {
        use LeftOutReason::*;
        for (name, reason) in [
            ("_SUCCESS", Mark),
            ("a/_SUCCESS", Mark),
            ("sub_$folder$", Mark),
            ("._SUCCESS.crc", Hidden),
            (".a.parquet.crc", Hidden),
            ("_temporary/0/a.csv.crc", Hidden),
            ("_metadata/a", Hidden),
            ("__MACOSX/._a.csv", Hidden),
            ("_k=1", Hidden),
            ("a.csv.crc", Checksum),
            ("SHA256SUMS", Checksum),
            ("README.md", Document),
            ("readme.txt", Document),
            ("LICENSE", Document),
            ("load.sql", Code),
            ("Thumbs.db", System),
            ("desktop.ini", System),
            ("export_info_x.json", Manifest),
            ("manifest", Manifest),
            ("unload_manifest", Manifest),
            ("x.csv.metadata", Manifest),
            ("a.orc", OtherFormat),
            ("notes.md.bak", Document),
        ] {
            for format in [FileFormat::Parquet, csv(), json()] {
                assert_eq!(by_name(&format, name), Meant::Left(reason), "{name}");
            }
        }
        assert_eq!(by_name(&csv(), "_k=1/a.csv"), Meant::Data);
        for name in ["_temporary/0/a.csv", "x/_a.csv.gz", ".a.CSV", "_old/2024/a.tsv"] {
            assert_eq!(by_name(&csv(), name), Meant::Left(HiddenData), "{name}");
            assert_eq!(by_name(&json(), name), Meant::Left(Hidden), "{name}");
        }
    }

    #[test]
    fn copies_archives_and_logs_are_for_the_user_to_decide() {
        for name in [
            "a.csv.done",
            "a.ok",
            "a.csv.bak",
            "a.csv~",
            "a.csv.tmp",
            "all.zip",
            "all.tar.gz",
            "part-1.tmp",
            "export.log",
        ] {
            assert!(matches!(by_name(&csv(), name), Meant::Doubtful(_)), "{name}");
        }
        assert_eq!(by_name(&json(), "app.log.gz"), Meant::Unknown);
    }

    #[test]
    fn ending_is_reported_with_its_compression() {
        let endings = ["x/a.csv.gz", "a.CSV", "000000_0", "data.2024", "a.b.parquet.snappy"].map(ending);
        assert_eq!(endings, [".csv.gz", ".csv", "", "", ".parquet.snappy"]);
    }
}
