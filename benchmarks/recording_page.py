"""How soon does an hour of sound play from a link to its middle, and does the server's memory grow?

    PYTHONPATH=. python benchmarks/recording_page.py [--opens 50]

A real `mmer dashboard`, a real Chromium, an hour of WAV (8 kHz, mono) with about a thousand utterances. Each opening
goes to another second. Fresh: a browser context that knows nothing. Again: one that has the page's files. What a
person has: the first button that plays is pressed in the frame that shows it; from the link until its sound is 50 ms
past the second. Beside it: until that button is shown, and until the whole player is there and goes on with that sound.
Rival of the same run: an empty Streamlit page in the same browser, which plays nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.in_browser import empty_streamlit, navigated_s
from mmer_ray.lake.queries import open_lake
from tests.dashboard.browser import chromium, dashboard_at
from tests.dashboard.lakes import call_lake

HOUR_S = 3_600.0
REPEATS = 5
VIEWPORT = {"width": 1280, "height": 900}
WATCH = """
    (() => {
        const player = () => document.querySelector('[data-testid=stBidiComponentIsolated]')?.shadowRoot;
        const seen = { button: null, page: null, sound: null, both: null };
        let audio = null;
        const look = () => {
            const button = document.querySelector('#early-sound button') ?? player()?.querySelector('.play');
            if (seen.button === null && button && !button.disabled) {
                seen.button = performance.now();
                audio = window.earlySound?.audio ?? player().querySelector('audio');
                button.click();
            }
            if (seen.sound === null && audio?.currentTime > %s) seen.sound = performance.now();
            if (seen.page === null && player()?.querySelector('.row.now')) seen.page = performance.now();
            if (seen.both === null && seen.page !== null && seen.sound !== null) {
                const still = player().querySelector('audio') === audio && !audio.paused;
                seen.both = still ? performance.now() : null;
            }
            window.seen = seen;
            if (seen.both === null) requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    })()
"""
"""Presses the first button that plays in the first frame that shows it, and keeps the milliseconds since the link was
followed: until there was a button, until its sound had come past a second, until the whole player was there."""


@dataclass(frozen=True)
class Opened:
    """One opening of the page; seconds from the link."""

    button_s: float
    sound_s: float
    page_s: float
    mb: float
    """What the browser got."""


def opened(browser: Any, address: str, at_s: float) -> Opened:
    """Open a link to a second in a fresh context."""
    context = browser.new_context(viewport=VIEWPORT)
    found = opened_in(context, address, at_s)
    context.close()
    return found


def opened_in(context: Any, address: str, at_s: float) -> Opened:
    """The same in a context that may have been here before."""
    page, received = context.new_page(), [0.0]
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.dataReceived", lambda event: received.__setitem__(0, received[0] + event["dataLength"] / 1e6))
    page.add_init_script(WATCH % (at_s + 0.05))
    page.goto(f"{address}&at={at_s:g}", wait_until="commit")
    page.wait_for_function("() => window.seen?.both", polling=100, timeout=120_000)
    seen = page.evaluate("window.seen")
    page.close()
    return Opened(seen["button"] / 1000, seen["sound"] / 1000, seen["page"] / 1000, received[0])


def server_of(address: str) -> int:
    """The process that listens there."""
    port = f"{int(address.rpartition(':')[2]):04X}"
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inode = next(one[9] for one in listening if one[1].endswith(f":{port}") and one[3] == "0A")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) == f"socket:[{inode}]" for link in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    raise SystemExit("nobody listens any longer")


def rss_mb(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--opens", type=int, default=50)
    opens = parser.parse_args().opens
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        lake = call_lake(folder, (HOUR_S,))
        with open_lake(lake.address) as reader:
            recording_id = reader.find_recording("call_0.wav")["recording_id"]
        with dashboard_at(lake.address, folder / "cache") as server, chromium() as browser:
            address, process = f"{server}/recording?recording={recording_id}&of=calls", server_of(server)
            report(browser, address, process, opens)
        with empty_streamlit(folder) as server, chromium() as browser:
            report_empty(browser, server)


def report_empty(browser: Any, address: str) -> None:
    """An empty page of Streamlit, fresh and again."""
    fresh, again = [], []
    for _ in range(REPEATS):
        context = browser.new_context(viewport=VIEWPORT)
        for times in (fresh, again):
            page = context.new_page()
            times.append(navigated_s(page, address, "h1"))
            page.close()
        context.close()
    print(f"an empty Streamlit page: fresh {statistics.median(fresh):.2f} s, again {statistics.median(again):.2f} s")


def report(browser: Any, address: str, process: int, opens: int) -> None:
    tell("first of all, no waveform kept", [opened(browser, address, HOUR_S / 2)])
    context, again = browser.new_context(viewport=VIEWPORT), []
    for number in range(REPEATS + 1):
        again.append(opened_in(context, address, HOUR_S / (number + 2)))
    context.close()
    tell("again", again[1:])
    fresh, memory = [], []
    for number in range(opens):
        fresh.append(opened(browser, address, 60 + number * (HOUR_S - 120) / opens))
        memory.append(rss_mb(process))
        if number % 10 == 9:
            print(f"after {number + 1} openings: server {memory[-1]:.0f} MiB", flush=True)
    tell("fresh", fresh)
    middle = statistics.median(memory[opens // 5 : opens // 2 + 1])
    print(f"server: {memory[0]:.0f} MiB after 1, {middle:.0f} (median) before the half, {memory[-1]:.0f} at the end")


def tell(name: str, found: Sequence[Opened]) -> None:
    """Medians and worst of some openings."""
    parts = {
        "link to sound": [one.sound_s for one in found],
        "to the first button": [one.button_s for one in found],
        "to the whole player": [one.page_s for one in found],
    }
    words = [f"{part} {statistics.median(values):.2f} s (worst {max(values):.2f})" for part, values in parts.items()]
    mb = statistics.median(one.mb for one in found)
    print(f"{name}, of {len(found)}: {', '.join(words)}; {mb:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
