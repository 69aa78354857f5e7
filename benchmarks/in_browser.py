"""What the benchmarks of pages share: when a page counts as interactive, and a Streamlit page with nothing on it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_S = 60.0
WAIT_MS = 120_000
POLL_MS = 20

SETTLED = """
    const app = document.querySelector('[data-testid=stApp]');
    const has = (selector) => document.querySelector(selector) !== null;
    const all = (selector, fits) => [...document.querySelectorAll(selector)].every(fits);
    if (app?.dataset.testScriptState !== 'notRunning') return null;
    if (has('[data-testid=stSkeleton], [data-stale=true]')) return null;
    if (!all('[data-testid=stVegaLiteChart]', (one) => one.querySelector('canvas, svg.marks'))) return null;
    if (!all('[data-testid=stDataFrame]', (one) => one.querySelector('canvas'))) return null;
"""
"""The script has ended, nothing stands in for something else, charts and tables are drawn."""
NAVIGATED = f"(last) => {{ {SETTLED} return has(last) ? performance.now() : null; }}"
CHANGED = f"() => {{ {SETTLED} return window.runs > 0 ? performance.now() - window.changedAt : null; }}"
CHOSEN = f"""
    () => {{ {SETTLED}
        const heading = document.querySelector('h1')?.textContent;
        return heading && heading !== window.heading ? performance.now() - window.changedAt : null;
    }}
"""
"""Another page stands there. Its script may be too short to be seen running."""
WATCH = """
    () => {
        window.heading = document.querySelector('h1')?.textContent;
        const app = document.querySelector('[data-testid=stApp]');
        window.runs = 0;
        new MutationObserver((seen) => {
            window.runs += seen.some((one) => one.oldValue === 'notRunning') ? 1 : 0;
        }).observe(app, { attributeFilter: ['data-test-script-state'], attributeOldValue: true });
        window.addEventListener('keydown', (event) => {
            if (event.key === 'Enter') window.changedAt = performance.now();
        }, true);
        window.addEventListener('click', () => { window.changedAt = performance.now(); }, true);
    }
"""
"""From here on the script's runs are counted, and the moment of the last click or Enter is kept."""


def navigated_s(page: Any, address: str, last: str) -> float:
    """Seconds from navigation until the page is interactive; `last` is a selector of its last element."""
    page.goto(address, wait_until="commit")
    found: float = page.wait_for_function(NAVIGATED, arg=last, polling=POLL_MS, timeout=WAIT_MS).json_value()
    return found / 1000


def changed_s(page: Any, label: str, choice: str) -> float:
    """Seconds from the choice in a list until the page is interactive again."""
    page.evaluate(WATCH)
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(choice)
    page.get_by_role("option", name=choice).first.wait_for()
    box.press("Enter")
    found: float = page.wait_for_function(CHANGED, polling=POLL_MS, timeout=WAIT_MS).json_value()
    return found / 1000


def chosen_s(page: Any, entry: str) -> float:
    """Seconds from a click on an entry of the menu until its page is interactive; `entry` is a selector."""
    page.evaluate(WATCH)
    page.locator(entry).click()
    found: float = page.wait_for_function(CHOSEN, polling=POLL_MS, timeout=WAIT_MS).json_value()
    return found / 1000


@contextmanager
def empty_streamlit(folder: Path) -> Iterator[str]:
    """The address of a Streamlit page that shows one heading: what every page of Streamlit costs at least."""
    script = folder / "empty.py"
    script.write_text('import streamlit as st\n\nst.title("Nothing")\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = (
        "--server.headless=true",
        "--server.address=127.0.0.1",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
    )
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(address: str) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
