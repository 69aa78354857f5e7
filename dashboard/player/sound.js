// The audio element: where its sound comes from, what happens when an address is too old or a browser cannot play it.

const LONGEST_WAIT_MS = 20000;

class Sound {
  /** `asks.address()` wants a new address, `asks.say(text)` tells the listener, `asks.changed()` redraws. `begun`: what
   * the page's HTML began to load of the first recording, else null; it is gone on with. */
  constructor(asks, begun) {
    this.asks = asks;
    this.begun = begun;
    this.audio = begun?.audio ?? el("audio", { preload: "auto" });
    this.address = null;
    this.isConverted = false;
    this.waits = null;
    for (const name of ["play", "pause", "ended", "seeking", "seeked", "ratechange", "playing", "waiting"]) {
      this.audio.addEventListener(name, () => asks.changed());
    }
    this.audio.addEventListener("error", () => this.failed());
    this.audio.addEventListener("playing", () => asks.say(""));
  }

  get time() {
    return this.pending ?? this.audio.currentTime;
  }

  get isPlaying() {
    return !this.audio.paused && !this.audio.ended && !this.audio.error;
  }

  /** Begin with a recording at a time; `data` has `sound`, `wav` and `is_converted`. */
  open(data, start) {
    this.data = data;
    const { begun } = this;
    this.begun = null;
    this.isConverted = begun ? begun.isConverted : data.is_converted;
    if (begun) this.goOn(begun.address, start);
    else this.load(start, false);
  }

  /** Let a sound that has begun to load from an address play on; `start` is where it begins. */
  goOn(address, start) {
    this.address = address;
    if (this.audio.readyState < 1) this.begin(start);
  }

  /** Take newer addresses; the one in use is kept while it works. */
  renew(data) {
    this.data = data;
    if (this.waits) {
      const { time, plays } = this.waits;
      this.waits = null;
      this.load(time, plays);
    }
  }

  load(time, plays) {
    const address = this.isConverted ? this.data.wav : this.data.sound;
    if (!address) return;
    this.address = address;
    this.audio.src = `${address}#t=${time.toFixed(3)}`;
    this.begin(time);
    if (plays) this.play();
  }

  /** Go to a time as soon as the sound's length is known. */
  begin(time) {
    this.pending = time;
    const rate = this.audio.playbackRate;
    this.audio.addEventListener("loadedmetadata", () => {
      this.audio.playbackRate = rate;
      this.seek(this.pending ?? time);
    }, { once: true });
  }

  seek(time) {
    if (this.audio.readyState >= 1) {
      this.pending = null;
      this.audio.currentTime = time;
    } else {
      this.pending = time;
    }
    this.asks.changed();
  }

  play() {
    if (this.audio.error) {
      // What has failed plays no more until it is loaded anew.
      this.load(this.time, true);
      return;
    }
    // Refused before the listener has touched the page, or broken off by another address: `failed` tells the rest.
    this.audio.play().catch(() => this.asks.changed());
  }

  toggle() {
    if (this.isPlaying) this.audio.pause();
    else this.play();
  }

  async failed() {
    const [time, plays] = [this.time, !this.audio.paused];
    this.asks.changed();
    let answer = null;
    try {
      answer = await fetch(this.address, { method: "HEAD", signal: AbortSignal.timeout(LONGEST_WAIT_MS) });
    } catch {
      this.asks.say("The server does not answer. Check that it runs, then press play.");
      return;
    }
    if (answer.status === 403) {
      this.waits = { time, plays };
      this.asks.address();
    } else if (answer.status === 404 || answer.status === 409) {
      this.asks.say(
        answer.status === 404
          ? "The file of this recording is no longer where it was when it was scored."
          : "The file of this recording has changed since it was scored, so it is not played.",
      );
    } else if (answer.status >= 500) {
      this.asks.say("The sound cannot be had at the moment. Try again: press play.");
    } else if (!this.isConverted && this.data.wav) {
      this.isConverted = true;
      this.asks.say("Your browser cannot play this file as it is: it is being converted.");
      this.load(time, plays);
    } else {
      this.asks.say("The sound of this recording cannot be played.");
    }
  }

  close() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
  }
}

/** What the page's HTML began to load of this recording (`assets/early.js`), the player's from now on; else null. */
function begunSound({ recording, of }) {
  return window.earlySound?.take(recording, of) ?? null;
}

/** The levels behind an address: `{perSecond, channels: [Uint8Array]}`; null where there are none. */
async function fetchPeaks(address) {
  const answer = await fetch(address);
  if (!answer.ok) return null;
  const content = new Uint8Array(await answer.arrayBuffer());
  const end = content.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(content.subarray(0, end)));
  const numPoints = Math.floor((content.length - end - 1) / head.num_channels);
  const channels = [];
  for (let at = 0; at < head.num_channels; at += 1) {
    channels.push(content.subarray(end + 1 + at * numPoints, end + 1 + (at + 1) * numPoints));
  }
  return { perSecond: head.points_per_s, channels };
}
