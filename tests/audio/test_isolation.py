"""The decoding child has no network, no credentials, and no way back to them."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmer_ray.audio.decode import Decoder
from mmer_ray.audio.guard import GuardedChild, child_environment
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import Recording
from tests.bad_audio.containers import wav16
from tests.bad_audio.signals import voice

PR_CAPBSET_DROP, CAP_SYS_ADMIN, CAP_SYS_PTRACE = 24, 21, 19

CONNECT = """
import socket, sys
from mmer_ray.audio.isolation import isolate
refusal = isolate()
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5).close()
    print("connected", refusal)
except OSError as exc:
    print("refused", refusal)
"""
READ_PARENT = """
import os
from mmer_ray.audio.isolation import isolate
isolate()
try:
    print(len(open(f"/proc/{os.getppid()}/environ", "rb").read()))
except PermissionError:
    print("refused")
"""
DECODE = """
import sys
from mmer_ray.audio.decode import Decoder
from mmer_ray.profiles import DecodeOptions
from mmer_ray.records import Recording
with Decoder(DecodeOptions()) as decoder:
    *_, facts = decoder.decode(Recording(uri=sys.argv[1]))
    print(facts.duration_s, decoder.network_isolation())
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server on loopback that anybody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def python(code: str, *arguments: str, before: tuple[str, ...] = ()) -> str:
    command = [*before, sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=child_environment(), check=True, capture_output=True, text=True).stdout.strip()


def without_privilege(work: Callable[[], str]) -> str:
    """What `work` gives in a thread whose child processes are not administrators of the machine."""
    found: list[str] = []

    def run() -> None:
        for capability in (CAP_SYS_ADMIN, CAP_SYS_PTRACE):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        found.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def refusal_here() -> str | None:
    with Decoder(DecodeOptions()) as decoder:
        return decoder.network_isolation()


needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or python("from mmer_ray.audio.isolation import isolate; print(isolate())") != "None",
    reason="this system allows no network namespaces",
)


@needs_namespaces
def test_a_child_cannot_connect_to_a_server_on_loopback(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert python(CONNECT, str(port)) == "refused None"


@needs_namespaces
def test_a_child_of_an_ordinary_user_cannot_connect_either(port: int) -> None:
    assert without_privilege(lambda: python(CONNECT, str(port))) == "refused None"


@needs_namespaces
@pytest.mark.parametrize("privileged", [True, False])
def test_a_child_cannot_read_the_environment_of_its_parent(privileged: bool) -> None:
    assert (python(READ_PARENT) if privileged else without_privilege(lambda: python(READ_PARENT))) == "refused"


@needs_namespaces
def test_the_running_child_is_in_a_network_of_its_own(tmp_path: Path) -> None:
    with Decoder(DecodeOptions()) as decoder:
        assert decoder.network_isolation() is None
        (child,) = decoder._pool.children()
        interfaces = Path(f"/proc/{child.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    assert Path("/proc/self/net/dev").read_text().splitlines()[2:] != interfaces


def test_where_namespaces_are_refused_decoding_works_and_the_refusal_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav16(voice()))
    # In a user namespace of its own, root may forbid all further ones.
    forbid = "echo 0 > /proc/sys/user/max_net_namespaces && echo 0 > /proc/sys/user/max_user_namespaces"
    before = ("unshare", "--user", "--map-root-user", "sh", "-c", f'{forbid} && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("user namespaces cannot be made here, so they cannot be forbidden either")
    assert python(DECODE, str(path), before=before) == f"3.0 {os.strerror(28)}"


def test_the_child_inherits_no_credentials_no_proxies_and_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = {
        "AWS_SECRET_ACCESS_KEY": "planted-secret",
        "AWS_SESSION_TOKEN": "planted-token",
        "MMER_LAKE_KEY": "planted-key",
        "HF_TOKEN": "planted-hub",
        "https_proxy": "http://user:planted-password@proxy",
    }
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    path = tmp_path / "a.wav"
    path.write_bytes(wav16(voice()))
    with Decoder(DecodeOptions()) as decoder:
        assert len(list(decoder.decode(Recording(uri=str(path))))) == 2
        (child,) = decoder._pool.children()
        environment = Path(f"/proc/{child.pid}/environ").read_bytes()
    assert b"planted" not in environment
    assert not any(name.encode() in environment for name in planted)
    assert b"LC_ALL=C.UTF-8" in environment


def test_a_child_that_cannot_start_is_an_error_with_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    child = GuardedChild(1024, 3.0)
    with pytest.raises(Exception, match="exit code 1") as caught:
        child.greet()
    child.kill()
    assert caught.value.code == "internal"
