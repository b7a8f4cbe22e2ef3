#!/usr/bin/env python3
"""Writes seeds of the export formats, byte by byte, so that no other program is needed: seed_exports.py FOLDER"""

import json
import struct
import sys
import zlib
from pathlib import Path

FOLDER = Path(sys.argv[1])


def seed(target: str, name: str, content: bytes) -> None:
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


# --- Avro -----------------------------------------------------------------------------------------------------------------


def long(n: int) -> bytes:
    n, out = (n << 1) ^ (n >> 63), b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def text(s: bytes) -> bytes:
    return long(len(s)) + s


def avro(codec: str) -> bytes:
    logical = lambda base, meaning, **more: {"type": base, "logicalType": meaning, **more}  # noqa: E731
    fields = {
        "id": "long", "s": ["null", "string"], "total": logical("bytes", "decimal", precision=12, scale=2),
        "at": logical("long", "timestamp-micros"), "day": logical("int", "date"), "x": "double", "b": "bytes",
        "e": {"type": "enum", "name": "letter", "symbols": ["A", "B"]}, "list": {"type": "array", "items": "long"},
        "map": {"type": "map", "values": "int"}, "flag": "boolean",
    }  # fmt: skip
    schema = {"type": "record", "name": "row", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    row = long(7) + long(1) + text("é".encode()) + text(b"\x01\x02") + long(1700000000000000) + long(19000)
    row += struct.pack("<d", 1.5) + text(b"\x00\xff") + long(1) + long(2) + long(3) + long(-4) + long(0)
    row += long(1) + text(b"k") + long(9) + long(0) + b"\x01"
    rows = row * 2
    if codec == "deflate":
        pack = zlib.compressobj(wbits=-15)
        rows = pack.compress(rows) + pack.flush()
    meta = long(2) + text(b"avro.schema") + text(json.dumps(schema).encode()) + text(b"avro.codec") + text(codec.encode()) + long(0)
    sync = bytes(range(16))
    return b"Obj\x01" + meta + sync + long(2) + long(len(rows)) + rows + sync


seed("snapshot_typed", "null.avro", avro("null"))
seed("snapshot_typed", "deflate.avro", avro("deflate"))

# --- MongoDB and DynamoDB -------------------------------------------------------------------------------------------------


def document(*elements: tuple[int, str, bytes]) -> bytes:
    body = b"".join(bytes([kind]) + name.encode() + b"\0" + value for kind, name, value in elements) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def string(s: str) -> bytes:
    return struct.pack("<i", len(s.encode()) + 1) + s.encode() + b"\0"


seed("snapshot_documents", "all.bson", document(
    (7, "_id", bytes(range(12))), (18, "n", struct.pack("<q", -7)), (2, "any", string("é")), (9, "at", struct.pack("<q", 1500)),
    (5, "b", struct.pack("<iB", 2, 0) + b"\x00\xff"), (3, "doc", document((16, "a", struct.pack("<i", 1)))), (8, "flag", b"\x01"),
    (4, "tags", document((2, "0", string("t")), (10, "1", b""))), (1, "x", struct.pack("<d", 0.5)),
    (19, "total", bytes(14) + b"\x40\x30"), (11, "re", b"a\0i\0"), (17, "ts", struct.pack("<Q", 1)),
))  # fmt: skip
seed("snapshot_documents", "lines.json", b'{"_id":{"$oid":"0102030405060708090a0b0c"},"n":{"$numberLong":"7"},"at":{"$date":"2024-01-31T05:00:00Z"},'
     b'"total":{"$numberDecimal":"1.5"},"b":{"$binary":{"base64":"/wA=","subType":"00"}},"x":{"$numberDouble":"NaN"}}\n')  # fmt: skip
seed("snapshot_documents", "list.json", b'[{"n":{"$numberInt":"1"},"tags":["a",null]},\n{"doc":{"a":1,"t":"x"},"flag":true}]')
for pad in range(4):
    items = b'{"Item":{"id":{"N":"7"},"n":{"N":"1e3"},"tags":{"SS":["a"]},"doc":{"M":{"a":{"N":"1"}}},"b":{"B":"aGk="},"any":{"L":[{"NULL":true}]}}}'
    seed("snapshot_documents", f"items-{pad}.json", items + b"\n" + b" " * pad)

# --- COPY BINARY ----------------------------------------------------------------------------------------------------------

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
FIELDS = [
    b"\x01", struct.pack(">h", 1), struct.pack(">i", 2), struct.pack(">q", 3), struct.pack(">f", 0.5), struct.pack(">d", 0.25),
    "é".encode(), b"\x00\xff", struct.pack(">i", 8000), struct.pack(">q", 1), struct.pack(">q", 2), struct.pack(">q", 3),
    struct.pack(">hhHhhh", 2, 0, 0, 2, 1, 5000),
]  # fmt: skip
row = lambda fields: struct.pack(">h", len(fields)) + b"".join(struct.pack(">i", len(f)) + f for f in fields)  # noqa: E731
null = struct.pack(">h", len(FIELDS)) + struct.pack(">i", -1) * len(FIELDS)
seed("snapshot_pg_binary", "all.bin", HEAD + row(FIELDS) + null + b"\xff\xff")
for number, field in enumerate(FIELDS):
    seed("snapshot_pg_binary", f"one-{number}.bin", HEAD + row([field]) * 2 + b"\xff\xff")

# --- CSV of dialects ------------------------------------------------------------------------------------------------------

TEXTS = {
    "copy": "1\ta\\tb\t1.50\t2024-01-31 05:00:00\t\\\\x00ff\tt\tx\n2\t\\N\t\\N\t\\N\t\\N\tf\té\\\n\n\\.\n",
    "batch": "id\ts\td\tat\tb\tflag\tt\n1\tNULL\t1.5\t2024-01-31 05:00:00\t\t1\ta\\0b\n",
    "dms": '1,"a ""b""",1.5,2024-01-31 05:00:00,,true,\n,,,,,,\n',
    "redshift": "1|a\\|b|1.5|2024-01-31 05:00:00||t|é\n",
}
for name, content in TEXTS.items():
    for encoding in ("utf-8", "latin1", "utf-16-le"):
        seed("snapshot_dialects", f"{name}-{encoding}.txt", content.encode(encoding, "replace"))

# --- dumps ----------------------------------------------------------------------------------------------------------------

seed("export_dump", "pg.sql", b"""--
-- PostgreSQL database dump
--

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
CREATE TYPE public.mood AS ENUM ('a', 'b');
CREATE TABLE public.t (
    id bigint NOT NULL,
    note text DEFAULT 'x'::text,
    price numeric(9,2),
    m public.mood
)
PARTITION BY RANGE (id);
CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES FROM (0) TO (9);
CREATE TABLE public.u (id integer, b bytea, at timestamp with time zone);
COPY public.t1 (id, note, price, m) FROM stdin;
1\ta\\tb\t1.50\ta
2\t\\N\t\\N\t\\N
\\.
INSERT INTO public.u VALUES (1, '\\x00ff', '2024-01-31 05:00:00+00');
INSERT INTO public.u VALUES (NULL, NULL, E'2024-01-31\\n');
--
-- PostgreSQL database dump complete
--
""")
seed("export_dump", "my.sql", b"""-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `note` varchar(20) DEFAULT NULL COMMENT 'it''s; (a)',
  `b` varbinary(9), `d` decimal(9,2), `at` timestamp NULL, `bits` bit(8), `j` json,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
LOCK TABLES `t` WRITE;
INSERT INTO `t` VALUES (1,'a\\'b\\n;',_binary 'x\\0',1.50,'2024-01-31 05:00:00',b'101','{"a": 1}'),(2,NULL,0x00ff,-1,NULL,NULL,NULL);
INSERT INTO `t` (`id`, `note`) VALUES (3,'');
UNLOCK TABLES;
-- Dump completed on 2024-01-31
""")
