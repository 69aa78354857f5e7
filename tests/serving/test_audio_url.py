"""Audio by URL: from listed public hosts alone. Whatever is refused is refused before a socket opens."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import Receive, Scope, Send

from mmer_ray.serve_options import ServeOptions
from mmer_ray.serving.api_errors import ApiError
from mmer_ray.serving.audio_url import AudioUrls
from mmer_ray.serving.public_addresses import is_public
from tests.serving.cheap_scorers import CheapScorers
from tests.serving.endpoint import endpoint
from tests.serving.http_server import serving
from tests.serving.job_gateway import JobGateway
from tests.serving.sounds import wav

HOST = "audio.example"
LIMIT = 1 << 20
OPTIONS = ServeOptions(audio_url_hosts=(HOST, "Other.Example:8443"), body_silence_s=1.0, body_timeout_s=3.0)
NOT_PUBLIC = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.8.8", "168.63.129.16"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8"),
    *(
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "3fff:fff::1",
    ),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    *("2606:4700:4700::1111%eth0", "", "localhost", "127.1", "0x7f000001", "2130706433", "8.8.8.8.", "08.8.8.8"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_told_so(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "193.99.144.80", "2606:4700:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_told_so(address: str) -> None:
    assert is_public(address)


class Watched:
    """A resolver that says what it is told, and a record of every name asked for and every socket made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] = ["8.8.8.8"]
        self.asked: list[str] = []
        self.num_sockets = 0
        self._runner = asyncio.Runner()
        # The loop's own pair of sockets is made now.
        self._runner.get_loop()
        watched = self

        class Socket(socket.socket):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                watched.num_sockets += 1
                super().__init__(*arguments, **options)

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            self.asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]

        monkeypatch.setattr(socket, "socket", Socket)
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def refusal(self, url: str, options: ServeOptions = OPTIONS) -> ApiError:
        with pytest.raises(ApiError) as refused:
            self._runner.run(AudioUrls(options).fetched(url, LIMIT))
        return refused.value

    def close(self) -> None:
        self._runner.close()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched(monkeypatch)
    yield watched
    watched.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://audio.example/a.wav",
        "ftp://audio.example/a.wav",
        "file:///etc/passwd",
        "gopher://audio.example/",
        "data:audio/wav;base64,UklGRg==",
        "//audio.example/a.wav",
        "audio.example/a.wav",
        "",
        "https://",
        "https:///a.wav",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/a.wav",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/a.wav",
        "https://127.0.0.1/a.wav",
        "https://0x7f.1/a.wav",
        "https://2130706433/",
        "https://elsewhere.example/a.wav",
        "https://audio.example.elsewhere.example/a.wav",
        "https://xaudio.example/a.wav",
        "https://sub.audio.example/a.wav",
        "https://audio.example./a.wav",
        "https://audio.example:22/",
        "https://audio.example:8443/",
        "https://other.example/a.wav",
        "https://audio.example:99999/",
        "https://audio.example:x/",
        "https://user@audio.example/a.wav",
        "https://user:pass@audio.example/a.wav",
        "https://elsewhere.example@audio.example/",
        "https://audio.example@elsewhere.example/",
        "https://elsewhere.example#@audio.example/",
        "https://elsewhere.example?@audio.example/",
        "https://elsewhere.example\\@audio.example/",
        "https://audio.example\\.elsewhere.example/",
        "https://audio.example%2eelsewhere.example/",
        "https://audio%2eexample/a.wav",
        "https://audio。example/a.wav",
        "https://\uff41udio.example/a.wav",
        "https://audio.example/a\r\nX-Evil: 1",
        "https://audio.example/a b",
        "https://audio.example\t/a",
        "https://[audio.example]/",
        "https://audio.example/" + "a" * 3_000,
        " https://audio.example/a.wav",
        "\x00https://audio.example/a.wav",
    ],
)
def test_an_address_that_is_not_https_at_a_listed_host_is_refused_before_its_name_is_looked_up(
    watched: Watched, url: str
) -> None:
    refused = watched.refusal(url)
    assert (refused.status, refused.param) == (400, "audio_url")
    assert watched.asked == []
    assert watched.num_sockets == 0


@pytest.mark.parametrize("address", [address for address in NOT_PUBLIC if address])
def test_a_listed_host_with_an_address_that_is_not_public_is_refused_before_a_socket_opens(
    watched: Watched, address: str
) -> None:
    # The bad one hides behind a good one.
    watched.addresses = ["8.8.8.8", address]
    refused = watched.refusal("https://audio.example/a.wav")
    assert (refused.status, refused.param) == (400, "audio_url")
    assert watched.asked == ["audio.example"]
    assert watched.num_sockets == 0


def test_the_watch_sees_a_socket_where_one_is_opened(watched: Watched) -> None:
    watched.addresses = ["127.0.0.1"]
    with pytest.raises(ApiError):
        watched._runner.run(AudioUrls(OPTIONS, is_allowed=lambda _: True).fetched("https://audio.example/a", LIMIT))
    assert watched.num_sockets > 0


def test_without_listed_hosts_nothing_is_fetched(watched: Watched) -> None:
    refused = watched.refusal("https://audio.example/a.wav", ServeOptions())
    assert "send the file" in refused.message
    assert (watched.asked, watched.num_sockets) == ([], 0)


def test_a_host_without_an_address_is_told_so(watched: Watched) -> None:
    watched.addresses = []
    assert watched.refusal("https://audio.example/a.wav").code == "audio_url_failed"


class Host:
    """A host on loopback that speaks TLS, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.port = 0
        self.names_looked_up = 0

    @property
    def authority(self) -> str:
        return f"{HOST}:{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self.asked.append((headers[b"host"].decode(), f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}"))
        status, more, body, delay_s = {
            "/a.wav": (200, [], b"RIFF" + bytes(5_000), 0.0),
            "/clip.wav": (200, [], wav(), 0.0),
            "/page": (200, [], b"<html>" + bytes(100), 0.0),
            "/moved": (302, [(b"location", b"https://127.0.0.1/secret")], b"", 0.0),
            "/missing": (404, [], b"", 0.0),
            "/packed": (200, [(b"content-encoding", b"gzip")], b"x", 0.0),
            "/declared": (200, [(b"content-length", b"99999999")], b"", 0.0),
            "/endless": (200, [], None, 0.0),
            "/silent": (200, [], b"x", 60.0),
            "/dripping": (200, [], None, 0.5),
        }[scope["path"]]
        await send({"type": "http.response.start", "status": status, "headers": more})
        while body is None:
            await asyncio.sleep(delay_s)
            await send({"type": "http.response.body", "body": bytes(1 if delay_s else 65_536), "more_body": True})
        await asyncio.sleep(delay_s)
        await send({"type": "http.response.body", "body": body})


def _certificate(folder: Path, name: str) -> Path:
    """A certificate that vouches for itself, with its key."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    certificate = (
        builder.not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


Fetch = Callable[..., bytes | Path]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def fetch(tmp_path: Path, host: Host) -> Iterator[Fetch]:
    """Fetch a path from the host, by its name."""
    certificate = _certificate(tmp_path, HOST)

    async def resolve(name: str, port: int) -> list[str]:
        host.names_looked_up += 1
        return ["127.0.0.1"]

    with serving(host, ssl_certfile=str(certificate), ssl_keyfile=str(certificate), lifespan="off") as address:
        host.port = int(address.rpartition(":")[2])

        def fetch(path: str, name: str = HOST, folder: Path | None = None, max_bytes: int = LIMIT) -> bytes | Path:
            authority = f"{name}:{host.port}"
            options = OPTIONS.model_copy(update={"audio_url_hosts": (authority,)})
            tls = ssl.create_default_context(cafile=certificate)
            urls = AudioUrls(options, resolve=resolve, is_allowed=lambda address: address == "127.0.0.1", tls=tls)
            return asyncio.run(urls.fetched(f"https://{authority}{path}", max_bytes, folder))

        yield fetch


def test_a_file_is_fetched_from_the_address_that_was_looked_at_by_the_hosts_name(fetch: Fetch, host: Host) -> None:
    assert fetch("/a.wav?signature=x%2Fy&b=1") == b"RIFF" + bytes(5_000)
    assert host.asked == [(f"{HOST}:{host.port}", "/a.wav?signature=x%2Fy&b=1")]
    assert host.names_looked_up == 1


def test_a_file_for_a_job_goes_into_a_folder(fetch: Fetch, tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    path = fetch("/a.wav", folder=folder)
    assert isinstance(path, Path)
    assert path.read_bytes() == b"RIFF" + bytes(5_000)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/moved", 422, "redirects are not followed"),
        ("/missing", 422, "status 404"),
        ("/packed", 422, "packed"),
        ("/declared", 413, "larger than"),
        ("/endless", 413, "larger than"),
        ("/silent", 422, "in time"),
        ("/dripping", 422, "in time"),
    ],
)
def test_what_the_host_does_not_give_is_told_and_leaves_nothing(
    fetch: Fetch, host: Host, tmp_path: Path, path: str, status: int, words: str
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    with pytest.raises(ApiError) as refused:
        fetch(path, folder=folder)
    assert (refused.value.status, refused.value.param) == (status, "audio_url")
    assert words in refused.value.message
    assert len(host.asked) == 1
    assert list(folder.iterdir()) == []


def test_a_host_whose_certificate_is_anothers_is_not_asked(fetch: Fetch, host: Host) -> None:
    with pytest.raises(ApiError) as refused:
        fetch("/a.wav", name="bank.example")
    assert refused.value.code == "audio_url_failed"
    assert host.asked == []


def test_proxies_of_the_environment_are_not_asked(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    caplog.set_level("INFO")
    assert fetch("/a.wav")
    assert "a.wav" not in caplog.text


def test_only_so_many_are_fetched_at_a_time() -> None:
    async def at_once() -> list[Any]:
        async def resolve(name: str, port: int) -> list[str]:
            await asyncio.sleep(0.2)
            return ["127.0.0.1"]

        urls = AudioUrls(OPTIONS.model_copy(update={"max_in_flight_per_key": 2}), resolve=resolve)
        fetches = [urls.fetched("https://audio.example/a", LIMIT) for _ in range(4)]
        first = await asyncio.gather(*fetches, return_exceptions=True)
        # The places are free again.
        return [*first, *await asyncio.gather(urls.fetched("https://audio.example/a", LIMIT), return_exceptions=True)]

    assert [error.status for error in asyncio.run(at_once())] == [400, 400, 503, 503, 400]


@pytest.fixture
def gateway(tmp_path: Path, host: Host) -> Iterator[JobGateway]:
    """The routes of jobs, to which the host is a public one."""
    certificate = _certificate(tmp_path, HOST)

    async def resolve(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with serving(host, ssl_certfile=str(certificate), ssl_keyfile=str(certificate), lifespan="off") as address:
        host.port = int(address.rpartition(":")[2])
        gateway = JobGateway(tmp_path / "state", OPTIONS.model_copy(update={"audio_url_hosts": (host.authority,)}))
        tls = ssl.create_default_context(cafile=certificate)
        gateway.audio_urls = AudioUrls(gateway.options, resolve=resolve, is_allowed=lambda _: True, tls=tls)
        gateway.key = gateway.keys.add("dialler")
        with serving(gateway.app()) as gateway.address:
            yield gateway
        gateway.database.close()


def test_a_job_of_an_address_is_the_job_of_its_file(gateway: JobGateway, host: Host) -> None:
    answer = gateway.ask("POST", "/v1/jobs", data={"audio_url": f"https://{host.authority}/clip.wav"})
    assert answer.status_code == 202, answer.text
    assert gateway.submitted(1.0) == answer.json()["id"]
    gateway.job_once(answer.json()["id"], "succeeded")
    _until_no_sounds(gateway)


def test_a_job_that_is_sent_again_fetches_nothing_again(gateway: JobGateway, host: Host) -> None:
    asked = {"data": {"audio_url": f"https://{host.authority}/clip.wav"}, "headers": {"Idempotency-Key": "once"}}
    first, second = gateway.ask("POST", "/v1/jobs", **asked), gateway.ask("POST", "/v1/jobs", **asked)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    assert len(host.asked) == 1
    gateway.job_once(first.json()["id"], "succeeded")
    _until_no_sounds(gateway)


def test_an_address_beside_a_file_two_addresses_and_one_elsewhere_are_refused_and_leave_nothing(
    gateway: JobGateway, host: Host
) -> None:
    url = f"https://{host.authority}/clip.wav"
    answers = [
        gateway.hand_in(20.0, data={"audio_url": url}),
        gateway.ask("POST", "/v1/jobs", data={"audio_url": [url, url]}),
        gateway.ask("POST", "/v1/jobs", data={"audio_url": "https://169.254.169.254/latest"}),
    ]
    assert [(answer.status_code, answer.json()["error"]["param"]) for answer in answers] == [(400, "audio_url")] * 3
    no_audio = gateway.ask("POST", "/v1/jobs", data={"audio_url": f"https://{host.authority}/page"})
    assert no_audio.status_code == 415
    assert [path for _, path in host.asked] == ["/page?"]
    assert gateway.num_sounds() == 0


def test_the_endpoint_transcribes_and_analyses_what_it_fetches_and_fetches_nothing_by_default(tmp_path: Path) -> None:
    with endpoint(CheapScorers(), tmp_path) as served, served.client() as client:
        for path, fields in (("transcriptions", {"model": "whisper-1"}), ("analyses", {})):
            answer = client.post(f"/v1/audio/{path}", data={**fields, "audio_url": f"https://{HOST}/clip.wav"})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "audio_url")
            assert "send the file" in answer.json()["error"]["message"]
            kept = served.service.audio_urls
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(kept, "fetched", _fetched)
                answer = client.post(f"/v1/audio/{path}", data={**fields, "audio_url": f"https://{HOST}/clip.wav"})
            assert answer.status_code == 200, answer.text
            assert "good morning" in answer.json()["text"]


@pytest.mark.parametrize(("path", "fields"), [("transcriptions", {"model": "whisper-1"}), ("analyses", {})])
def test_an_answer_that_is_kept_is_given_again_without_fetching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, fields: dict[str, str]
) -> None:
    fetched: list[str] = []

    async def fetch(url: str, max_bytes: int, folder: Path | None = None) -> bytes:
        fetched.append(url)
        return await _fetched(url, max_bytes, folder)

    with endpoint(CheapScorers(), tmp_path) as served, served.client() as client:
        monkeypatch.setattr(served.service.audio_urls, "fetched", fetch)
        asked = {
            "data": {**fields, "audio_url": f"https://{HOST}/clip.wav"},
            "headers": {"Idempotency-Key": "once"},
        }
        first, second = (client.post(f"/v1/audio/{path}", **asked) for _ in range(2))
    assert (first.status_code, second.content) == (200, first.content)
    assert len(fetched) == 1


async def _fetched(url: str, max_bytes: int, folder: Path | None = None) -> bytes:
    assert (url, folder) == (f"https://{HOST}/clip.wav", None)
    return wav()


def _until_no_sounds(gateway: JobGateway) -> None:
    deadline = time.monotonic() + 10
    while gateway.num_sounds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
