"""What check_exports.py exports: the SQL of two databases, and trees as RDS and DynamoDB write them, in the documented layout."""

import base64
import datetime
import gzip
import hashlib
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WIDE = 25_000  # rows of the table that dumps are cut in; with 36 MB it is more than one piece of a plain dump, and the last

# Whatever a dump escapes, or takes for something else.
TEXTS = [
    "", "\\N", "NULL", "null", "\\", "\\\\", "\\.", "\n\\.\n", "\\n", "\\t", "\\x41", "\\101", "\\0", "a\\", "'", "''", "\\'", "'a'",
    '"', '""', "`", "\t", "\n", "\r", "\r\n", "a\nb\n", "\n\n", "\x01\x08\x0b\x0c\x1a\x1b\x7f", "%_", "\\%\\_", " both ", ",", ";", "a;\nb;",
    "$$", "$a$b$a$", "--", "-- Dump completed", "\n--\n-- PostgreSQL database dump complete\n--\n", "#", "/* a", "*/", "/*!50001 a */",
    "COPY public.texts (id, t) FROM stdin;\n1\tx\n\\.\n", "'),(99,'x','y','z');\nINSERT INTO `texts` VALUES (100,'", "E'\\n'", "0x41", "X'41'",
    "_binary 'a'", "DEFAULT", "true", "NaN", "ünï 日本 😀", "e\u0301", "\u00a0\u2028\u2029\u0085", "\ufeff", "\ufffd", "<a>&amp;</a>", "x" * 9000,
]  # fmt: skip
BYTES = [b"", b"\0", b"\0\0\\0", b"\\N", b"NULL", b"'\"\\`\n\r\t\x1a\x08", b"\xff\xfe\x80", b"\xc3", bytes(range(256)), bytes(range(255, -1, -1)) * 20]

POSTGRES_TABLES = [
    ("public", "texts"), ("public", "numbers"), ("public", "times"), ("public", "kinds"), ("public", "binaries"), ("public", "made"),
    ("public", "events"), ("audit", "events"), ("public", 'Mixed "Case".x'), ("public", "measures"), ("public", "parent"),
    ("public", "child"), ("public", "changed"), ("public", "no_rows"), ("public", "no_columns_but_key"), ("public", "wide"),
]  # fmt: skip
MARIADB_TABLES = [
    ("shop", "texts"), ("shop", "latin"), ("shop", "numbers"), ("shop", "times"), ("shop", "kinds"), ("shop", "binaries"), ("shop", "made"),
    ("shop", "events"), ("audit", "events"), ("shop", "Mixed Case"), ("shop", "measures"), ("shop", "no_rows"), ("shop", "wide"),
]  # fmt: skip


def postgres_sql() -> str:
    def text(value: str) -> str:
        return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"

    texts = ",\n".join(f"({n}, {text(value)}, left({text(value)}, 60), left({text(value)}, 6))" for n, value in enumerate(TEXTS))
    binaries = ",\n".join(f"({n}, decode('{value.hex()}', 'hex'))" for n, value in enumerate(BYTES))
    return rf"""
CREATE SCHEMA audit;
CREATE TYPE mood AS ENUM ('fine', 'it''s "so, so"', E'tab\tand\\', '\N');
CREATE DOMAIN price AS numeric(12,2) CHECK (VALUE > -1000);
CREATE DOMAIN word AS varchar(20);
CREATE TYPE pair AS (x int, label text);
CREATE TABLE texts (id int PRIMARY KEY, t text, v varchar(60), c char(6));
INSERT INTO texts VALUES {texts}, (1000, NULL, NULL, NULL);
CREATE TABLE numbers (id int PRIMARY KEY, s smallint, i integer, b bigint, o oid, r real, d double precision, n numeric,
    n38 numeric(38,10), n65 numeric(65,30), n0 numeric(20), m money);
INSERT INTO numbers VALUES
    (1, 32767, 2147483647, 9223372036854775807, 4294967295, 3.4028235e38, 1.7976931348623157e308, 'NaN',
        9999999999999999999999999999.9999999999, 12345678901234567890123456789012345.123456789012345678901234567890, 99999999999999999999, '-12345.67'),
    (2, -32768, -2147483648, -9223372036854775808, 0, '-Infinity', 'NaN', 'Infinity',
        -9999999999999999999999999999.9999999999, -0.000000000000000000000000000001, -99999999999999999999, '92233720368547758.07'),
    (3, 0, 0, 0, 1, '-0', '-0', 0.000, -0.0000000001, 0, 0, '0'),
    (4, 1, -1, 9007199254740993, 2147483648, 0.1, 0.1, 123456789012345678901234567890.123456789012345678901234567890123456789,
        0.1, 1e30, 1, '1'),
    (5, 1, 1, 1, 1, 1e-45, 5e-324, 1.10, 1.10, 1.10, 10, '0.01'),
    (6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE times (id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tstz timestamptz, ts0 timestamp(0), i interval);
INSERT INTO times VALUES
    (1, '2024-02-29', '23:59:59.999999', '01:02:03.5+05:30', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+02', '1999-12-31 23:59:59',
        '1 year 2 mons 3 days 04:05:06.7'),
    (2, '0001-01-01', '00:00:00', '00:00:00-12', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '1969-12-31 23:59:59', '-1 days'),
    (3, '9999-12-31', '12:34:00', '12:00:00+00', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '1970-01-01 00:00:00', '178000000 years'),
    (4, '1582-10-10', '00:00:00.000001', '12:34-03:30', '1969-12-31 23:59:59.999999', '1883-11-18 12:03:57.5-05', '1582-10-15 00:00:00', '00:00:00'),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE kinds (id int PRIMARY KEY, b boolean, u uuid, j json, jb jsonb, e mood, p price, w word, ia int[], ta text[], tt text[][], na numeric(5,2)[],
    ea mood[], c pair, ip inet, bits bit(5), vb varbit, r int4range, v tsvector, pt point, x xml, "char" "char");
INSERT INTO kinds VALUES
    (1, true, '00000000-0000-0000-0000-000000000001', E'{{"a" : 1,\n "a": 2}}', '{{"k": [1, {{"z": null}}], "s": "\\ \" \n \u00e9"}}', 'it''s "so, so"', 1.25, 'ab',
        '{{1,NULL,3}}', ARRAY['a,b', '"q"', NULL, '', 'NULL', '\', '\N', E't\tn\n', '{{}}'], '{{{{a,b}},{{NULL,d}}}}', '{{1.50,NaN}}', '{{fine,"\\N"}}', ROW(NULL, 'a"b,c'),
        '10.0.0.1/8', B'10101', B'1', '[1,5)', 'cat & dog', '(1.5,-2)', '<a>x &amp; y</a>', 'a'),
    (2, false, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '""', '""', 'fine', 0, '', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', ROW(NULL, NULL), '::1', B'00000', B'', 'empty', '',
        '(0,0)', '', ''),
    (3, NULL, NULL, 'null', 'null', '\N', -999.99, '\N', '[0:1]={{7,8}}', '{{"multi\nline"}}', NULL, NULL, NULL, NULL, 'fe80::1', NULL, NULL, '(,5]', NULL, NULL, NULL, '\'),
    (4, NULL, NULL, NULL, NULL, E'tab\tand\\', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE binaries (id int PRIMARY KEY, b bytea);
INSERT INTO binaries VALUES {binaries}, (1000, NULL);
CREATE TABLE made (a int, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, twice int GENERATED ALWAYS AS (a * 2) STORED, z text DEFAULT 'd', s serial);
INSERT INTO made (a) SELECT nullif(n, 3) FROM generate_series(1, 5) n;
CREATE TABLE events (id int PRIMARY KEY, what text);
INSERT INTO events VALUES (1, 'public');
CREATE TABLE audit.events (id bigint PRIMARY KEY, at timestamptz, what text);
INSERT INTO audit.events VALUES (1, '2024-01-01 00:00:00+00', 'audit'), (2, NULL, NULL);
CREATE TABLE "Mixed ""Case"".x" ("Id" int PRIMARY KEY, "a,b" text, "select" text, "ümlaut" text, "with space" text, "quo""te" text, "it's" text, "tab	x" text);
INSERT INTO "Mixed ""Case"".x" VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g'), (2, NULL, '', NULL, '', NULL, '', NULL);
CREATE TABLE measures (id int, at date, v double precision, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE measures_2023 PARTITION OF measures FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE audit.measures_2024 PARTITION OF measures FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY HASH (id);
CREATE TABLE measures_2024_a PARTITION OF audit.measures_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE measures_2024_b PARTITION OF audit.measures_2024 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE measures_rest PARTITION OF measures DEFAULT;
INSERT INTO measures SELECT n, date '2022-11-01' + n, n / 3.0 FROM generate_series(1, 1000) n;
CREATE TABLE parent (id int PRIMARY KEY, t text);
CREATE TABLE child (extra int) INHERITS (parent);
INSERT INTO parent VALUES (1, 'parent');
INSERT INTO child VALUES (1, 'child', 7), (2, NULL, NULL);
CREATE TABLE changed (id int PRIMARY KEY, gone text, t text);
INSERT INTO changed VALUES (1, 'gone', 'before');
ALTER TABLE changed DROP COLUMN gone, ADD COLUMN added int DEFAULT 5;
INSERT INTO changed VALUES (2, 'after', NULL);
CREATE TABLE no_rows (id int PRIMARY KEY, t text, n numeric(10,2));
CREATE TABLE no_columns_but_key (id int PRIMARY KEY);
INSERT INTO no_columns_but_key VALUES (1), (2);
CREATE TABLE wide (id int PRIMARY KEY, t text, n numeric(12,3), at timestamptz, flag boolean);
INSERT INTO wide SELECT n, CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'\t\n\\.\n' || n ELSE repeat(md5(n::text), 110) END, n / 7.0,
    timestamptz '2024-01-01 00:00:00+00' + n * interval '1.234567 seconds', n % 2 = 0 FROM generate_series(1, {WIDE}) n;
CREATE VIEW a_view AS SELECT * FROM events;
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$ SELECT 'COPY public.x FROM stdin;' $f$;
COMMENT ON TABLE events IS E'INSERT INTO x VALUES (1);\nCOPY y FROM stdin;';
"""


def mariadb_sql() -> str:
    def text(value: str) -> str:
        return f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"

    with_nul = [*TEXTS, "\0", "a\0b", "\\0\0"]
    texts = ",\n".join(f"({n}, {text(value)}, LEFT({text(value)}, 60), LEFT({text(value)}, 6))" for n, value in enumerate(with_nul))
    binaries = ",\n".join(f"({n}, X'{v.hex()}', LEFT(X'{v.hex()}', 60), LEFT(X'{v.hex()}', 4))" for n, v in enumerate(BYTES))
    return rf"""
CREATE DATABASE shop CHARACTER SET utf8mb4;
CREATE DATABASE audit CHARACTER SET utf8mb4;
USE shop;
SET sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES';
CREATE TABLE texts (id int PRIMARY KEY, t mediumtext, v varchar(60), c char(6));
INSERT INTO texts VALUES {texts}, (1000, NULL, NULL, NULL);
CREATE TABLE latin (id int PRIMARY KEY, t text) CHARACTER SET latin1;
INSERT INTO latin VALUES (1, 'ünï €'), (2, ''), (3, NULL);
CREATE TABLE numbers (id int PRIMARY KEY, t tinyint, tu tinyint unsigned, s smallint unsigned, m mediumint, mu mediumint unsigned, i int, iu int unsigned,
    b bigint, bu bigint unsigned, f float, d double, n decimal(38,10), n65 decimal(65,30), nu decimal(5,0) unsigned, z int(8) zerofill, y year, b1 bit(1), b64 bit(64));
INSERT INTO numbers VALUES
    (1, 127, 255, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 3.40282e38, 1.7976931348623157e308,
        9999999999999999999999999999.9999999999, 12345678901234567890123456789012345.123456789012345678901234567890, 99999, 42, 2155, b'1', b'{"1" * 64}'),
    (2, -128, 0, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, -1.5, -2.2250738585072014e-308,
        -9999999999999999999999999999.9999999999, -0.000000000000000000000000000001, 0, 0, 1901, b'0', b'0'),
    (3, 0, 1, 1, 1, 1, 1, 1, 9007199254740993, 9223372036854775808, 0.1, 0.1, 0.1, 0.1, 1, 1, 0, b'1', b'101110001001110'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE times (id int PRIMARY KEY, d date, dt datetime, dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL, t time, t6 time(6));
INSERT INTO times VALUES
    (1, '2024-02-29', '2024-02-29 12:34:56', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56', '2024-02-29 12:34:56.789012', '23:59:59', '23:59:59.999999'),
    (2, '1000-01-01', '1000-01-01 00:00:00', '1000-01-01 00:00:00.000001', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', '-838:59:59', '-838:59:59.999999'),
    (3, '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999', '838:59:59', '00:00:00.000001'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE kinds (id int PRIMARY KEY, b boolean, e enum('fine', 'it''s "so, so"', 'back\slash', '', 'NULL'), s set('a', 'b c', 'it''s'), j json, u uuid, ip inet6);
INSERT INTO kinds VALUES
    (1, true, 'it''s "so, so"', 'a,it''s', '{{"a" : 1, "s": "\\ \" \n é", "n": null}}', '00000000-0000-0000-0000-000000000001', '::1'),
    (2, false, '', '', '""', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'fe80::1'),
    (3, NULL, 'back\slash', 'b c', 'null', NULL, NULL), (4, NULL, 'NULL', NULL, NULL, NULL, NULL), (5, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE binaries (id int PRIMARY KEY, b longblob, v varbinary(60), f binary(4));
INSERT INTO binaries VALUES {binaries}, (1000, NULL, NULL, NULL);
CREATE TABLE made (a int, id bigint unsigned AUTO_INCREMENT PRIMARY KEY, stored int AS (a * 2) STORED, virt varchar(20) AS (concat('v', a)) VIRTUAL, z varchar(9) DEFAULT 'd');
INSERT INTO made (a) VALUES (1), (NULL), (3);
CREATE TABLE events (id int PRIMARY KEY, what text);
INSERT INTO events VALUES (1, 'shop');
CREATE TABLE audit.events (id bigint PRIMARY KEY, at datetime, what text);
INSERT INTO audit.events VALUES (1, '2024-01-01 00:00:00', 'audit'), (2, NULL, NULL);
CREATE TABLE `Mixed Case` (`Id` int PRIMARY KEY, `a,b` text, `select` text, `ümlaut` text, `with space` text, `tick``s` text, `it's` text, `quo"te` text);
INSERT INTO `Mixed Case` VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g'), (2, NULL, '', NULL, '', NULL, '', NULL);
CREATE TABLE measures (id int, at date, v double, PRIMARY KEY (id, at)) PARTITION BY RANGE (year(at)) (PARTITION old VALUES LESS THAN (2023), PARTITION new VALUES LESS THAN MAXVALUE);
INSERT INTO measures SELECT seq, date '2022-06-01' + INTERVAL seq DAY, seq / 3 FROM seq_1_to_1000;
CREATE TABLE no_rows (id int PRIMARY KEY, t text, n decimal(10,2));
CREATE TABLE wide (id int PRIMARY KEY, t text, n decimal(12,3), at datetime(6), flag boolean);
INSERT INTO wide SELECT seq, CASE seq % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN concat(char(9), char(10), '\'';', char(10), seq) ELSE repeat(md5(seq), 110) END, seq / 7,
    timestamp '2024-01-01 00:00:00' + INTERVAL seq * 1234567 MICROSECOND, seq % 2 FROM seq_1_to_{WIDE};
CREATE VIEW a_view AS SELECT * FROM events;
CREATE TRIGGER a_trigger BEFORE INSERT ON events FOR EACH ROW SET NEW.what = 'INSERT INTO x VALUES (1);';
"""


# What only a running server shows: columns that SELECT * leaves out, shapes, floats to the last digit, a view, bytes as enum.
RUNNING_TABLES = [("running", "hidden"), ("running", "shapes"), ("running", "a_view"), ("running", "versions"), ("running", "letters"), ("running", "floats")]
RUNNING_MARIADB = """
CREATE DATABASE running CHARACTER SET utf8mb4;
USE running;
SET sql_mode = '';
CREATE TABLE hidden (id int PRIMARY KEY, shown int, unseen int INVISIBLE, twice int AS (shown * 2) VIRTUAL INVISIBLE);
INSERT INTO hidden (id, shown, unseen) VALUES (1, 2, 3), (2, NULL, NULL);
CREATE TABLE shapes (id int PRIMARY KEY, g geometry, p point);
INSERT INTO shapes VALUES (1, ST_GeomFromText('LINESTRING(0 0, 1.5 -1)'), ST_GeomFromText('POINT(1 2)')), (2, NULL, NULL);
CREATE VIEW a_view AS SELECT h.id, h.shown, CAST(s.id AS DECIMAL(20, 3)) AS wide, NULL AS none FROM hidden h LEFT JOIN shapes s ON s.id = h.id;
CREATE TABLE versions (id int PRIMARY KEY, v int) WITH SYSTEM VERSIONING;
INSERT INTO versions VALUES (1, 1), (2, 2);
UPDATE versions SET v = 3 WHERE id = 1;
DELETE FROM versions WHERE id = 2;
CREATE TABLE letters (id int PRIMARY KEY, l varchar(20) CHARACTER SET latin1, c char(9) CHARACTER SET cp1251, u varchar(9) CHARACTER SET utf16, e enum('é', 'ü') CHARACTER SET latin1);
INSERT INTO letters VALUES (1, 'é€', 'Привет', '日本😀', 'ü'), (2, '', '', '', 'é'), (3, NULL, NULL, NULL, NULL);
CREATE TABLE floats (id int PRIMARY KEY, f float, d double);
INSERT INTO floats VALUES (1, 16777215, 0.1e0 + 0.2e0), (2, 1e-45, 5e-324), (3, -0e0, -1.7976931348623157e308);
CREATE TABLE zero (id int PRIMARY KEY, d date, dt datetime(3), ts timestamp NULL);
INSERT INTO zero VALUES (1, '2024-02-29', '2024-02-29 01:02:03.4', '2024-02-29 01:02:03'), (2, '0000-00-00', '0000-00-00', '0000-00-00'), (3, '2024-00-00', NULL, NULL);
CREATE TABLE plain (id int PRIMARY KEY) ENGINE = MyISAM;
CREATE TABLE first (id int PRIMARY KEY AUTO_INCREMENT, t text);
CREATE TABLE second (id int PRIMARY KEY, t text);
CREATE VIEW slow AS SELECT seq AS id, sleep(0.02) AS slept FROM mysql.seq_1_to_500;
"""
# Rows that are easy to get wrong. Partitions with another order of columns, or with partitions of their own; databases with
# tables of the same name in one dump; bytes in latin1 that are UTF-8 of something else; times in the server's zone.
ODD_POSTGRES = [
    ("CREATE DATABASE odd", "postgres"),
    ("CREATE DATABASE odd_2", "postgres"),
    ("CREATE TABLE twin (id int PRIMARY KEY, t text); INSERT INTO twin VALUES (1, 'odd')", "odd"),
    ("CREATE TABLE twin (id int PRIMARY KEY, t text); INSERT INTO twin VALUES (2, 'odd_2')", "odd_2"),
    (
        """
        CREATE TABLE reordered (id int, at int, t text) PARTITION BY RANGE (at);
        CREATE TABLE reordered_1 PARTITION OF reordered FOR VALUES FROM (0) TO (10);
        CREATE TABLE reordered_2 (t text, at int, id int);
        ALTER TABLE reordered ATTACH PARTITION reordered_2 FOR VALUES FROM (10) TO (20);
        INSERT INTO reordered VALUES (1, 1, 'a'), (2, 12, 'b');
        CREATE TABLE middle (id int, at int) PARTITION BY RANGE (at);
        CREATE TABLE middle_1 PARTITION OF middle FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (at);
        CREATE TABLE middle_1_1 PARTITION OF middle_1 FOR VALUES FROM (0) TO (10);
        INSERT INTO middle VALUES (1, 1), (2, 2);
        """,
        "odd",
    ),
]
ODD_MARIADB = """
CREATE DATABASE odd CHARACTER SET utf8mb4;
USE odd;
CREATE TABLE latin (id int PRIMARY KEY, t text) CHARACTER SET latin1;
INSERT INTO latin VALUES (1, CONVERT(X'C383C2BC' USING utf8mb4));
CREATE TABLE zone (id int PRIMARY KEY, at timestamp NULL);
INSERT INTO zone VALUES (1, '2024-01-01 00:00:00');
SET GLOBAL time_zone = '+05:00';
"""


# --- trees ------------------------------------------------------------------------------------------------------------

RDS_ROWS = pa.table(
    {
        "id": pa.array(range(300), pa.int64()),
        "name": pa.array([None if n % 3 == 0 else "" if n % 3 == 1 else f"ü {n}\n" for n in range(300)], pa.string()),
        "data": pa.array([bytes([n % 256, 0]) for n in range(300)], pa.binary()),
    }
)
RDS_INFO = "export_info_shop-1.json"
RDS_FIRST = "export_tables_info_shop-1_from_1_to_2.json"
RDS_SECOND = "export_tables_info_shop-1_from_3_to_3.json"
RDS_LAST = "export_tables_info_shop-1_from_4_to_4.json"


def write_rds(root: Path) -> None:
    """Four tables in three lists; `shop.public.orders` has two batches."""
    root.mkdir(parents=True)
    info = {"exportTaskIdentifier": "shop-1", "snapshotTime": "Mar 31, 2026, 6:00:12 AM", "status": "COMPLETE", "percentProgress": 100}
    (root / RDS_INFO).write_text(json.dumps(info))
    targets = [f"shop.public.{name}" for name in ("customers", "orders", "other", "last")]
    for name, of_list in ((RDS_FIRST, targets[:2]), (RDS_SECOND, targets[2:3]), (RDS_LAST, targets[3:])):
        counts = {"partitioningInfo": {"numberOfPartitions": 1, "numberOfCompletedPartitions": 1}}
        tables = [{"target": target, "status": "COMPLETE", "tableStatistics": counts} for target in of_list]
        (root / name).write_text(json.dumps({"perTableStatus": tables}))
    for target in targets:
        database, table = target.split(".", 1)
        for batch, rows in enumerate((RDS_ROWS.slice(0, 100), RDS_ROWS.slice(100)), 1):
            folder = root / database / table / str(batch)
            folder.mkdir(parents=True)
            pq.write_table(rows, folder / f"part-0000{batch}-c000.gz.parquet", compression="gzip")
            (folder / "_SUCCESS").touch()


def dynamodb_item(n: int) -> dict:
    """Each type of DynamoDB; some items lack an attribute, or have NULL."""
    item = {
        "pk": {"S": f"user#{n}/ü"}, "n": {"N": f"{n}.5"}, "flag": {"BOOL": n % 2 == 0}, "note": {"S": "" if n % 2 else "a\n\"b\"\\"},
        "big": {"N": f"{n + 1}" + "0" * 30 + "1"}, "raw": {"B": base64.b64encode(bytes([n % 256, 0])).decode()},
        "tags": {"SS": ["a", "{\"N\""]}, "sizes": {"NS": [str(n), "-1"]}, "blobs": {"BS": ["AA=="]},
        "at": {"M": {"S": {"S": "not a type"}, "inner": {"M": {"list": {"L": [{"N": "1"}, {"NULL": True}]}}}}},
        "none": {"NULL": True} if n % 3 else {"S": "x"},
    }  # fmt: skip
    if n % 5 == 0:
        del item["tags"]
    return item


DYNAMODB_ITEMS = [dynamodb_item(n) for n in range(500)]


def plain(value: dict):
    """A value of DynamoDB without its type; a number of more digits than a DOUBLE keeps as text, as snaplake infers it."""
    ((kind, inner),) = value.items()
    octets = lambda text: "\\x" + base64.b64decode(text).hex()  # noqa: E731
    match kind:
        case "N":
            return inner if len(inner) > 20 else float(inner) if set(".eE") & set(inner) else int(inner)
        case "B":
            return octets(inner)
        case "NULL":
            return None
        case "NS":
            return [int(number) for number in inner]
        case "BS":
            return [octets(text) for text in inner]
        case "L":
            return [plain(item) for item in inner]
        case "M":
            return {name: plain(item) for name, item in inner.items()}
    return inner


def write_manifest(file: Path, text: str) -> None:
    file.write_text(text)
    file.with_suffix(".md5").write_bytes(base64.b64encode(hashlib.md5(text.encode()).digest()))


def write_dynamodb(bucket: Path) -> Path:
    """One export of 500 items in two data files and an empty one; returns its folder."""
    key = "AWSDynamoDB/01693685827463-2d8752fd"
    root = bucket / key
    (root / "data").mkdir(parents=True)
    (root / "_started").touch()
    lines = []
    for number, items in enumerate((DYNAMODB_ITEMS[:200], [], DYNAMODB_ITEMS[200:])):
        packed = gzip.compress(b"".join(json.dumps({"Item": item}, ensure_ascii=False).encode() + b"\n" for item in items))
        name = f"data/{number}abcdefghijklmnopqrstuvwxy.json.gz"
        (root / name).write_bytes(packed)
        md5 = base64.b64encode(hashlib.md5(packed).digest()).decode()
        lines.append({"itemCount": len(items), "md5Checksum": md5, "etag": hashlib.md5(packed).hexdigest() + "-1", "dataFileS3Key": f"{key}/{name}"})
    write_manifest(root / "manifest-files.json", "".join(json.dumps(line) + "\n" for line in lines))
    summary = {
        "version": "2020-06-30", "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/users", "s3Bucket": "bucket", "s3Prefix": None,
        "manifestFilesS3Key": f"{key}/manifest-files.json", "itemCount": 500, "outputFormat": "DYNAMODB_JSON", "exportType": "FULL_EXPORT",
    }  # fmt: skip
    write_manifest(root / "manifest-summary.json", json.dumps(summary))
    return root


def write_history(bucket: Path, seed: int) -> tuple[list[Path], dict]:
    """A table that changes: a full export and incremental ones, of which some overlap; their folders, and the items at the end."""
    rng = random.Random(seed)
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    hour = lambda at: (start + datetime.timedelta(hours=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # noqa: E731
    micros = lambda at: int(start.timestamp() * 1_000_000) + round(at * 3_600_000_000)  # noqa: E731

    def image(key: tuple, version: int) -> dict:
        item = dynamodb_item(version)
        octets, number = key
        spelled = rng.choice([str(number), f"{number}.0", f"{number}e0", f"{number * 10}E-1"])
        return {"kb": {"B": base64.b64encode(octets).decode()}, "kn": {"N": spelled}} | item | {"v": {"N": str(version)}}

    writes = []
    for n in range(3000):
        key = (bytes([rng.randrange(8), 0, 255]), rng.randrange(-40, 40))
        writes.append((rng.uniform(-5, 20), n, key, None if rng.random() < 0.3 else image(key, n)))
    writes.sort(key=lambda write: write[0])
    table = lambda until: {key: item for at, _, key, item in writes if at < until}  # noqa: E731

    def export(name: str, data: str, files: list[list[dict]], summary: dict) -> Path:
        root = bucket / "AWSDynamoDB" / name
        for folder in (root, bucket / data):
            folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for number, records in enumerate(files):
            packed = gzip.compress(b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records))
            part = f"{data}/{name}{number}.json.gz"
            (bucket / part).write_bytes(packed)
            md5 = base64.b64encode(hashlib.md5(packed).digest()).decode()
            lines.append({"itemCount": len(records), "md5Checksum": md5, "dataFileS3Key": part})
        write_manifest(root / "manifest-files.json", "".join(json.dumps(line) + "\n" for line in lines))
        summary = {
            "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/users", "tableId": "1", "outputFormat": "DYNAMODB_JSON",
            "manifestFilesS3Key": f"AWSDynamoDB/{name}/manifest-files.json", "itemCount": sum(map(len, files)),
        } | summary  # fmt: skip
        write_manifest(root / "manifest-summary.json", json.dumps(summary))
        return root

    items = [{"Item": item} for item in table(0).values() if item]
    full = {"exportType": "FULL_EXPORT", "exportTime": hour(0)}
    folders = [export("full", "AWSDynamoDB/full/data", [items[0::2], [], items[1::2]], full)]
    for number, (begin, end) in enumerate([(-2, 3), (3, 8), (6, 12), (12, 13), (13, 20)]):
        last = {key: (at, item) for at, _, key, item in writes if begin <= at < end}
        before = table(begin)
        changes = []
        for key, (at, item) in last.items():
            keys = {name: value for name, value in (item or image(key, 0)).items() if name in ("kb", "kn")}
            change = {"Metadata": {"WriteTimestampMicros": {"N": str(micros(at))}}, "Keys": keys}
            change |= {"OldImage": before[key]} if before.get(key) else {}
            changes.append(change | ({"NewImage": item} if item else {}))
        rng.shuffle(changes)
        scope = {
            "exportType": "INCREMENTAL_EXPORT", "outputView": "NEW_AND_OLD_IMAGES", "exportFromTime": hour(begin), "exportToTime": hour(end),
        }  # fmt: skip
        folders.append(export(f"part{number}", "AWSDynamoDB/data", [changes[:100], changes[100:]], scope))
    rng.shuffle(folders)
    return folders, {key: item for key, item in table(20).items() if item}
