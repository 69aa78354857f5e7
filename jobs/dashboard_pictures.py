"""Makes the pictures of the dashboard: `PYTHONPATH=. python jobs/dashboard_pictures.py [--work FOLDER]`.

The lake is that of `make demo`. Models and Compare need more than one model: `jobs/retrain.py` trains a small one on
the demo's truth, registers it and lets it answer too; the lake then follows the demo's own model again. Each page of a
real `mmer dashboard` is opened in Chromium, light and dark. What is in the work folder already is not made again.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from dashboard.links import recording_address
from mmer_ray.cli.demo import CORPUS
from mmer_ray.demo.labelled import write_labels
from mmer_ray.demo.truth import read_truth
from mmer_ray.lake.queries import open_lake
from mmer_ray.models.registered import REGISTRY_VARIABLE
from mmer_ray.training.registry.reading import RegisteredModels
from tests.dashboard.browser import chromium, dashboard_at

PICTURES = Path(__file__).parents[1] / "docs" / "dashboard"
THEMES = ("light", "dark")
WIDTH, HEIGHT, MAX_HEIGHT = 1280, 900, 2600
WAIT_MS = 120_000
COLOURS = 256
"""Of a picture: what else there is are edges of letters, and files are a third as large."""
TRAINING = ("--family", "frozen_encoder", "--protocol", "kfold3", "--floor", "0.35")
"""A head on a frozen Whisper encoder, as it takes the shortest; of four classes, so chance is a UA of 0.25."""
MOST_ANGRY = """
    SELECT recording_id, start_ms FROM active_emotions JOIN utterances USING (corpus, recording_id, utterance_idx)
    WHERE label = 'angry' AND role = 'customer' ORDER BY end_ms - start_ms DESC, recording_id LIMIT 1
"""
"""The longest utterance of an angry customer."""
INTO_MS = 1_500
SETTLED = """
    () => {
        const app = document.querySelector('[data-testid=stApp]');
        if (app?.dataset.testScriptState !== 'notRunning') return false;
        const waits = '[data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true]';
        if (document.querySelector(waits) || document.fonts.status !== 'loaded') return false;
        const players = [...document.querySelectorAll('*')].map((one) => one.shadowRoot?.querySelector('.player'));
        return players.every((one) => !one || one.dataset.waveform === 'drawn');
    }
"""
TALL = """
    () => Math.ceil(Math.max(...[...document.querySelectorAll('[data-testid=stMain]')].map((one) => one.scrollHeight)))
"""


@dataclass(frozen=True)
class Shot:
    """One page and its address."""

    name: str
    address: str


def main() -> None:
    """Make the lake where it is not there yet, then the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder of the lake and the registry; left out: a new one")
    parser.add_argument("--into", type=Path, default=PICTURES, help="folder of the pictures")
    parser.add_argument("--width", type=int, default=WIDTH, help="of the browser's window, in pixels")
    parser.add_argument("--page", action="append", help="make this one alone; may be repeated")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="mmer-pictures-"))
    work.mkdir(parents=True, exist_ok=True)
    os.environ[REGISTRY_VARIABLE] = str(work.absolute() / "registry")
    lake = make_lake(work.absolute())
    shots = [one for one in shots_of(lake) if not options.page or one.name in options.page]
    options.into.mkdir(parents=True, exist_ok=True)
    with dashboard_at(lake, work / "cache") as address, chromium() as browser:
        for theme in THEMES:
            for shot in shots:
                file = options.into / f"{shot.name}_{theme}.png"
                file.write_bytes(picture(browser, f"{address}/{shot.address}", theme, options.width))
                print(f"{file.name}: {file.stat().st_size // 1000} kB")


def make_lake(work: Path) -> Path:
    """The demo's lake with the answers of a second model; the registry is beside it."""
    lake, truth = work / "lake", work / "demo.csv"
    if not lake.exists():
        run("-m", "mmer_ray", "demo", "--into", str(lake))
    models = answering(lake)
    demo = models[0]
    if len(models) > 1 and followed(lake) == demo:
        return lake
    write_labels(truth, read_truth())
    retrain = str(Path(__file__).with_name("retrain.py"))
    run(retrain, "--data", str(truth), "--lake", str(lake), "--into", str(work / "training"), *TRAINING)
    run("-m", "mmer_ray", "models", "activate", demo, "--lake", str(lake))
    return lake


def answering(lake: Path) -> list[str]:
    """The models that have answered, the demo's own first: the registry has none but those trained here."""
    trained = {one.scorer for one in RegisteredModels().models()}
    with open_lake(str(lake)) as reader:
        found = [str(row["scorer"]) for row in reader.sql("SELECT DISTINCT scorer FROM emotions").to_pylist()]
    return sorted(found, key=lambda one: one in trained)


def followed(lake: Path) -> str:
    """The model that the lake follows."""
    with open_lake(str(lake)) as reader:
        return str(reader.sql("SELECT DISTINCT scorer FROM active_emotions").to_pylist()[0]["scorer"])


def run(*arguments: str) -> None:
    """Run Python with these arguments; its output goes where ours does."""
    subprocess.run([sys.executable, *arguments], check=True)


def shots_of(lake: Path) -> list[Shot]:
    """Every page, each with something to see."""
    with open_lake(str(lake)) as reader:
        (angry,) = reader.sql(MOST_ANGRY).to_pylist()
    recording = urlencode(recording_address(CORPUS, angry["recording_id"], angry["start_ms"] + INTO_MS))
    return [
        Shot("overview", ""),
        Shot("recordings", "recordings"),
        Shot("recording", f"recording?{recording}"),
        Shot("search", "search?text=the&label=angry&role=customer"),
        Shot("compare", "compare"),
        Shot("runs", "runs"),
        Shot("models", "models"),
        Shot("method", "method"),
    ]


def picture(browser: Any, address: str, theme: str, width: int) -> bytes:
    """A page from top to bottom as a PNG of few colours."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    page.locator("[data-testid=stMain] h1, [data-testid=stMain] h2").first.wait_for()
    settle(page)
    # The page scrolls inside its window: a window as tall as the page shows all of it.
    tall = min(max(page.evaluate(TALL), HEIGHT), MAX_HEIGHT)
    page.set_viewport_size({"width": width, "height": tall})
    settle(page)
    shot = page.screenshot()
    context.close()
    written = io.BytesIO()
    few_colours(Image.open(io.BytesIO(shot)).convert("RGB")).save(written, "PNG", optimize=True)
    return written.getvalue()


def few_colours(shot: Image.Image) -> Image.Image:
    """The picture in its most frequent colours, each kept as it is, and the nearest of them for all others."""
    pixels = np.asarray(shot).reshape(-1, 3)
    colours, place, number = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    kept = colours[np.argsort(-number)[:COLOURS]]
    nearest = cKDTree(kept).query(colours)[1][place]
    few = Image.fromarray(nearest.astype(np.uint8).reshape(shot.height, shot.width))
    few.putpalette(kept.tobytes())
    return few


def settle(page: Any) -> None:
    """Wait until nothing is drawn any longer."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(700)
    page.wait_for_function(SETTLED)


if __name__ == "__main__":
    main()
