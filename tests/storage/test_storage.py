from __future__ import annotations
from residua import storage
def test_smoke(bucket, tmp_path):
    url = f"{bucket}/a b/ü#1?x%20.png"
    storage.write_bytes(url, b"abc")
    assert storage.read_bytes(url) == b"abc"
    assert storage.list_files(bucket) == ["a b/ü#1?x%20.png"]
    with storage.local_copy(f"{bucket}/a b") as p:
        assert [x.name for x in p.iterdir()] == ["ü#1?x%20.png"]
