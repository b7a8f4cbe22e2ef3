"""An S3 server in this process's memory that lets each request wait, as a store that is far away does.

It speaks as much of S3 as snaplake asks for: conditional reads and writes, ranges, listings in pages of 1000 keys, uploads in
parts. It checks no signature. Requests are counted by method, and how many of them were under way at once.
"""

import asyncio
import hashlib
import threading
from collections import Counter
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found", 412: "Precondition Failed"}


class SlowStore:
    """`seconds` is what each request waits for."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.start_counting()
        started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(started)), daemon=True).start()
        started.wait()

    def start_counting(self) -> None:
        self.counts, self.running, self.most = Counter(), 0, 0

    async def serve(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0, limit=1 << 20, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await server.serve_forever()

    async def connected(self, reader, writer) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.running += 1
                self.most = max(self.most, self.running)
                await asyncio.sleep(self.seconds)
                status, told, content = self.answer(method, target, headers, body)
                self.running -= 1
                told = {"Content-Length": len(content), "Last-Modified": formatdate(usegmt=True), **told}
                lines = [f"HTTP/1.1 {status} {REASONS[status]}", *(f"{name}: {value}" for name, value in told.items())]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if method == "HEAD" else content))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, method: str, target: str, headers: dict, body: bytes) -> tuple[int, dict, bytes]:
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        key = unquote(url.path.lstrip("/").partition("/")[2])
        found = self.objects.get(key)
        if method == "GET" and not key:
            self.counts["LIST"] += 1
            return 200, {}, b"<ListMultipartUploadsResult/>" if "uploads" in query else self.list(query)
        self.counts[method] += 1
        if method == "POST" and "delete" in query:
            keys = [unescape(part.partition("</Key>")[0]) for part in body.decode().split("<Key>")[1:]]
            for deleted in keys:
                self.objects.pop(deleted, None)
            told = "".join(f"<Deleted><Key>{escape(deleted)}</Key></Deleted>" for deleted in keys)
            return 200, {}, f"<DeleteResult>{told}</DeleteResult>".encode()
        if method == "POST" and "uploads" in query:
            upload = f"upload-{len(self.uploads)}"
            self.uploads[upload] = {}
            return 200, {}, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode()
        if method == "POST":
            parts = self.uploads.pop(query["uploadId"])
            etag = self.put(key, b"".join(parts[number] for number in sorted(parts)))
            return 200, {}, f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>".encode()
        if method == "PUT" and "uploadId" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b""
        if method == "PUT":
            if "if-none-match" in headers and found:
                return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
            return 200, {"ETag": self.put(key, body)}, b""
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        if not found:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        content, etag = found
        if headers.get("if-match", etag) != etag:
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        if "range" not in headers:
            return 200, {"ETag": etag}, content
        first, _, last = headers["range"].removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(content) - int(last), 0)
        part = content[start : int(last) + 1 if first and last else len(content)]
        return 206, {"ETag": etag, "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(content)}"}, part

    def put(self, key: str, content: bytes) -> str:
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        self.objects[key] = (content, etag)
        return etag

    def list(self, query: dict) -> bytes:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        after = query.get("continuation-token", query.get("start-after", ""))
        keys, folders, is_cut = [], set(), False
        for key in sorted(key for key in self.objects if key.startswith(prefix) and key > after):
            below = key[len(prefix) :]
            if delimiter and delimiter in below:
                folders.add(prefix + below.partition(delimiter)[0] + delimiter)
            elif len(keys) == 1000:
                is_cut = True
                break
            else:
                keys.append(key)
        told = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{self.objects[key][1]}</ETag><Size>{len(self.objects[key][0])}</Size></Contents>"
            for key in keys
        )
        told += "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders))
        told += f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if is_cut else ""
        return f"<ListBucketResult><IsTruncated>{str(is_cut).lower()}</IsTruncated>{told}</ListBucketResult>".encode()
