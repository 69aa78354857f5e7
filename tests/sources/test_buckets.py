"""Buckets, against a small server that speaks the two calls that listing makes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import s3fs

from mmer_ray.errors import PreflightError, SourceError
from mmer_ray.records import Recording
from mmer_ray.sources import buckets
from mmer_ray.sources.listing import SourceListing, recordings_of
from mmer_ray.sources.sources import list_sources

PAGE_KEYS = 3
NUM_AT_ONCE = 4


class Store:
    """A bucket called `calls`; every object's size is the length of its key."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.forbidden: set[str] = set()
        self.num_pages = self.num_heads = 0
        self.listed_together: threading.Barrier | None = None
        """Where set, no folder below another one is listed before so many are asked for at once."""
        self.together: threading.Barrier | None = None
        """Where set, no object is described before so many are asked for at once."""

    def page(self, prefix: str, after: str, delimiter: str = "") -> bytes:
        self.num_pages += 1
        if self.listed_together is not None and prefix.count("/") > 1:
            self.listed_together.wait(timeout=30)
        inside = [key for key in sorted(self.keys) if key.startswith(prefix)]
        names = sorted({self._entry(key, prefix, delimiter) for key in inside})
        names = [name for name in names if name > after]
        entries = "".join(self._described(name, bool(delimiter)) for name in names[:PAGE_KEYS])
        more = f"<NextContinuationToken>{names[PAGE_KEYS - 1]}</NextContinuationToken>" if names[PAGE_KEYS:] else ""
        truncated = str(bool(more)).lower()
        return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{entries}{more}</ListBucketResult>".encode()

    def _entry(self, key: str, prefix: str, delimiter: str) -> str:
        """The key, or the folder right below the prefix that it lies in."""
        head, found, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
        return f"{prefix}{head}{found}" if found else key

    def _described(self, name: str, may_be_folder: bool) -> str:
        if may_be_folder and name.endswith("/") and name not in self.keys:
            return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        return (
            f"<Contents><Key>{name}</Key><LastModified>2026-11-20T23:59:59.000Z</LastModified>"
            f"<ETag>&quot;e-{name}&quot;</ETag><Size>{len(name)}</Size></Contents>"
        )


class Handler(BaseHTTPRequestHandler):
    store: Store

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.strip("/") == "closed":
            body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            self.answer(403, body)
        elif url.path.strip("/") != "calls":
            self.answer(404, b"<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>")
        else:
            after = query.get("continuation-token", "") or query.get("start-after", "")
            self.answer(200, self.store.page(query.get("prefix", ""), after, query.get("delimiter", "")))

    def do_HEAD(self) -> None:
        key = unquote(self.path).removeprefix("/calls/")
        self.store.num_heads += 1
        if self.store.together is not None:
            self.store.together.wait(timeout=30)
        if key in self.store.forbidden:
            self.answer(403, b"")
        elif key not in self.store.keys:
            self.answer(404, b"")
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(key)))
            self.send_header("ETag", f'"e-{key}"')
            self.send_header("Last-Modified", "Fri, 20 Nov 2026 23:59:59 GMT")
            self.end_headers()

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    store = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHandler", (Handler,), {"store": store}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    use(monkeypatch, server.server_address[1])
    yield store
    server.shutdown()
    server.server_close()
    thread.join()
    s3fs.S3FileSystem.clear_instance_cache()


def listing_of(*sources: str | Path, roots: tuple[str, ...] = ()) -> SourceListing:
    return list_sources([str(source) for source in sources], "calls", roots)


def recordings(listing: SourceListing) -> list[Recording]:
    return [recording for batch in listing.batches() for recording in recordings_of(batch)]


def test_all_pages_of_a_folder_are_listed_and_nothing_beside_it(store: Store) -> None:
    inside = [f"2026/{index}.wav" for index in range(7)]
    store.keys = [*inside, "2026/", "2026/a.txt", "2026/.x", "2026/lake/_delta_log/_last", "2026-old/a.wav"]
    listing = listing_of("s3://calls/2026")
    found = recordings(listing)
    assert [one.uri for one in found] == [f"s3://calls/{key}" for key in inside]
    assert (found[0].root, found[0].size_bytes, found[0].modified) == ("s3://calls/2026/", 10, "e-2026/0.wav")
    assert found[0].day == "2026-11-20"
    assert listing.left_out == {"(hidden)": 1, "(lake)": 1, "txt": 1}


def test_the_first_rows_come_before_the_last_page_is_asked_for(store: Store) -> None:
    store.keys = [f"{index}.wav" for index in range(9)]
    objects = buckets.list_objects("s3://calls")
    assert next(objects).uri == "s3://calls/0.wav"
    assert store.num_pages == 1
    assert len(list(objects)) == 8
    assert store.num_pages == 3


def test_folders_of_a_folder_are_listed_at_once_and_come_in_order_of_keys(store: Store) -> None:
    names = ["2026/a.wav", "2026/a/1.wav", "2026/a/2.wav", "2026/a/3.wav", "2026/a/b/4.wav", "2026/b/1.wav"]
    store.keys, store.listed_together = names[::-1], threading.Barrier(2)
    objects = buckets.list_objects("s3://calls/2026")
    found = [next(objects).uri for _ in range(4)]
    # The rest of the first folder, a further page, is asked for alone.
    store.listed_together = None
    assert [*found, *(one.uri for one in objects)] == [f"s3://calls/{name}" for name in names]


def test_more_folders_than_a_page_holds_are_listed_page_by_page(store: Store) -> None:
    store.keys = ["0.wav", "1.wav", "2.wav", *(f"call-{index}/audio.wav" for index in range(12))]
    assert [one.uri for one in buckets.list_objects("s3://calls")] == [
        f"s3://calls/{key}" for key in sorted(store.keys)
    ]
    assert store.num_pages <= 1 + 1 + 12 // PAGE_KEYS


def test_one_object_is_its_own_source(store: Store) -> None:
    store.keys = ["2026/notes.txt"]
    (recording,) = recordings(listing_of("s3://calls/2026/notes.txt"))
    assert (recording.root, recording.size_bytes) == ("s3://calls/2026/", 14)


def test_a_manifest_asks_for_many_objects_at_once(store: Store, tmp_path: Path) -> None:
    store.keys = [f"{index}.wav" for index in range(NUM_AT_ONCE)]
    store.together = threading.Barrier(NUM_AT_ONCE)
    manifest = tmp_path / "m.csv"
    manifest.write_text("uri,recorded_at\n" + "".join(f" s3://calls/{key},2026-03-05\n" for key in store.keys))
    found = recordings(listing_of(manifest))
    assert [(one.uri, one.modified) for one in found] == [(f"s3://calls/{key}", f"e-{key}") for key in store.keys]
    assert {one.day for one in found} == {"2026-03-05"}


def test_objects_that_are_gone_or_closed_become_rows_and_end_nothing(store: Store, tmp_path: Path) -> None:
    store.keys, store.forbidden = ["a.wav", "closed.wav"], {"closed.wav"}
    (tmp_path / "m.csv").write_text("uri\ns3://calls/a.wav\ns3://calls/gone.wav\ns3://calls/closed.wav\n")
    found = recordings(listing_of(tmp_path / "m.csv"))
    assert [(one.size_bytes, one.modified) for one in found] == [(5, "e-a.wav"), (0, ""), (0, "")]


def test_an_object_that_the_manifest_describes_is_not_asked_for(store: Store, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("uri,size_bytes,etag\ns3://calls/a.wav,7,abc\n")
    (recording,) = recordings(listing_of(tmp_path / "m.csv"))
    assert (recording.size_bytes, recording.modified, store.num_heads) == (7, "abc", 0)
    assert recording.metadata == {"size_bytes": "7", "etag": "abc"}


def test_named_prefixes_are_the_roots_of_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("uri,size_bytes,etag\ns3://calls/x/a.wav,7,a\ns3://other/b.wav,7,b\n")
    first, second = recordings(listing_of(tmp_path / "m.csv", roots=("s3://calls",)))
    assert (first.root, second.root) == ("s3://calls/", "s3://calls/")
    assert not second.uri.startswith(second.root)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("s3://calls/nothing", "holds no objects"),
        ("s3://no-such-bucket/x", "no such bucket"),
        ("s3://closed/x", "these credentials may not use bucket 'closed'"),
        ("s3:///x", "names no bucket"),
        ("s3://no bucket!/x", "is no address of a store"),
    ],
)
def test_a_bucket_that_cannot_be_listed_is_refused_by_name(store: Store, source: str, said: str) -> None:
    with pytest.raises((SourceError, PreflightError), match=said):
        recordings(listing_of(source))


def test_a_store_that_takes_the_connection_and_stays_silent_is_given_up_after_a_few_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(buckets.LISTING_CONNECTION, "read_timeout", 0.1)
    num_attempts = int(buckets.LISTING_CONNECTION["retries"]["total_max_attempts"])
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        use(monkeypatch, silent.getsockname()[1])
        with pytest.raises(PreflightError, match="s3://calls/x: the store did not answer"):
            recordings(listing_of("s3://calls/x"))
        silent.setblocking(False)
        num_connections = 0
        while True:
            try:
                silent.accept()[0].close()
                num_connections += 1
            except BlockingIOError:
                break
    s3fs.S3FileSystem.clear_instance_cache()
    assert num_connections == num_attempts


def test_a_store_that_nobody_runs_is_a_preflight_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        use(monkeypatch, unused.getsockname()[1])
        (tmp_path / "m.csv").write_text("uri\ns3://calls/a.wav\n")
        for source in ("s3://calls/x", tmp_path / "m.csv"):
            with pytest.raises(PreflightError, match=r"s3://calls/.*did not answer.*AWS_ENDPOINT_URL"):
                recordings(listing_of(source))
    s3fs.S3FileSystem.clear_instance_cache()
