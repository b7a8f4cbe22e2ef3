"""ministack with CRCs in C: in its own, byte by byte in Python, a program whose uploads carry one would wait for the server.

Polars asks for a CRC-64 of each part of an upload; snaplake does not. Told by environment variables, as ministack itself.
"""

from awscrt import checksums
from ministack import app
from ministack.services import s3

CHECK = b"123456789"  # that both find the same is asked at each start: these names are not ministack's to keep
assert checksums.crc64nvme(CHECK) == s3._crc64nvme(CHECK) and checksums.crc32c(CHECK) == s3._crc32c(CHECK)
s3._crc64nvme, s3._crc32c = checksums.crc64nvme, checksums.crc32c
app.main()
