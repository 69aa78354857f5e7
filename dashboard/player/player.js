// The player: what belongs together, and the one function that Streamlit calls.

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];
const BEFORE_MOMENT = 1;

class Player {
  constructor(place, begun) {
    this.sound = new Sound({
      address: () => this.send("renew", Date.now()),
      say: (text) => this.say(text),
      changed: () => this.changed(),
    }, begun);
    this.tracks = new Tracks({
      seek: (time) => this.seek(time),
      lit: () => this.lit,
      describe: (speaker, time) => this.describe(speaker, time),
      tip: (time, speaker) => this.tip(time, speaker),
    });
    this.transcript = new Transcript({
      seek: (time, plays) => { this.seek(time); if (plays) this.sound.play(); },
      judge: (one, said) => this.judge(one, said),
    });
    this.lit = null;
    this.build(place);
    if (begun?.hasFocus) this.playButton.focus();
    this.onkey = (event) => pressed(event, this);
    this.root.addEventListener("keydown", this.onkey);
    document.addEventListener("keydown", this.onkey);
    const tick = () => {
      if (this.sound.isPlaying) this.show();
      this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  build(place) {
    const button = (name, text, act) => el("button", { type: "button", class: name, "aria-label": text, title: text, onclick: act });
    this.playButton = button("play", "Play", () => this.sound.toggle());
    this.back = button("jump", "Previous negative moment (p)", () => this.jump(-1));
    this.forward = button("jump", "Next negative moment (n)", () => this.jump(1));
    this.back.append(icon("back"));
    this.forward.append(icon("forward"));
    this.clock = el("span", { class: "clock" });
    this.moment = el("span", { class: "moment" });
    this.speed = el("select", { "aria-label": "Speed", title: "Speed" },
      ...SPEEDS.map((one) => el("option", { value: one, selected: one === 1 }, `${one}\u00D7`)));
    this.speed.addEventListener("change", () => {
      this.sound.audio.defaultPlaybackRate = this.sound.audio.playbackRate = Number(this.speed.value);
    });
    this.zoom = el("div", { class: "zoom", role: "group", "aria-label": "Seconds on the screen" });
    this.link = button("link", "Copy a link to this second", () => this.copyLink());
    this.link.append(icon("link"), el("span", {}, "Link to this second"));
    this.legend = el("div", { class: "legend", role: "group", "aria-label": "Emotions: show one alone" });
    this.message = el("p", { class: "message", role: "status" });
    this.details = el("aside", { class: "details", "aria-label": "This moment" });
    this.title = el("h1", { dir: "auto" });
    this.facts = el("p", { class: "facts", dir: "auto" });
    this.root = el("div", { class: "player", role: "region", "aria-label": "Player" },
      this.title, this.facts,
      el("div", { class: "bar" }, this.playButton, this.clock,
        el("span", { class: "moments" }, this.back, this.moment, this.forward),
        el("span", { class: "gap" }), this.zoom, this.speed, this.link),
      this.message, this.tracks.stage, this.legend,
      el("div", { class: "below" }, this.transcript.root, this.details),
      keysInWords(),
      this.sound.audio);
    place.append(this.root);
  }

  /** Show `data`: another recording from its start time, or what changed about this one. */
  update(data, send) {
    this.send = send;
    const before = this.data;
    this.data = data;
    if (before?.key !== data.key) {
      this.lit = null;
      // First, so that the sound comes while the rows of a thousand utterances are made.
      this.sound.open(data, between(0, data.start, data.duration));
      this.tracks.open(data);
      this.transcript.open(data);
      this.say(data.note ?? "");
      this.load();
    } else {
      this.sound.renew(data);
      this.tracks.data = data;
      if (JSON.stringify(before.speakers) !== JSON.stringify(data.speakers)) this.tracks.build();
      this.transcript.refresh(data);
    }
    this.title.textContent = data.title;
    this.facts.textContent = data.facts;
    if (data.notice.number && data.notice.number !== this.noticed) this.say(data.notice.text);
    this.noticed = data.notice.number;
    this.showLegend();
    this.showZoom();
    const has = data.moments.length > 0;
    this.back.disabled = this.forward.disabled = !has;
    this.changed();
    this.tracks.draw();
  }

  async load() {
    const { key, peaks } = this.data;
    this.tracks.peaks = null;
    if (!peaks) return;
    try {
      const found = await fetchPeaks(peaks);
      if (!found || this.data.key !== key) return;
      found.loudest = Math.max(...found.channels.map((levels) => levels.reduce((most, one) => Math.max(most, one), 0)));
      this.tracks.peaks = found;
      this.tracks.draw();
      this.root.dataset.waveform = "drawn";
    } catch {
      // The rows do without a waveform.
    }
  }

  /** The utterance at a time: the one that began last and is not over; else null. */
  at(time, speaker = null) {
    const { utterances } = this.data;
    for (let at = firstAfter(utterances, time + 0.005) - 1; at >= 0 && at > firstAfter(utterances, time - 60) - 2; at -= 1) {
      const one = utterances[at];
      if (one.end > time && (speaker === null || one.speaker === speaker)) return one;
    }
    return null;
  }

  seek(time) {
    this.sound.seek(between(0, time, Math.max(0, this.data.duration - 0.05)));
    this.show();
  }

  jump(direction) {
    const time = this.sound.time;
    const starts = this.data.moments.map((one) => Math.max(0, one.start - BEFORE_MOMENT));
    const behind = direction > 0 ? starts.findIndex((one) => one > time + 0.5) : starts.findLastIndex((one) => one < time - 1.5);
    if (behind < 0) return;
    this.seek(starts[behind]);
    this.say(`Negative moment ${behind + 1} of ${starts.length}, at ${clock(this.data.moments[behind].start)}`);
  }

  step(direction) {
    const { utterances } = this.data;
    const time = this.sound.time;
    const at = direction > 0 ? firstAfter(utterances, time + 0.05) : firstAfter(utterances, time - 0.3) - 1;
    if (utterances[at]) this.seek(utterances[at].start);
  }

  judge(one, said) {
    this.say("Saving\u2026");
    const { heard_key, scorer } = this.data;
    this.send("judged", { ...said, utterance: one.index, heard_key, scorer, at: Date.now() });
  }

  async copyLink() {
    const address = new URL(window.location.href);
    for (const [name, value] of Object.entries(this.data.address)) address.searchParams.set(name, value);
    address.searchParams.set(this.data.time_name, this.sound.time.toFixed(1));
    try {
      await navigator.clipboard.writeText(address.href);
      this.say(`Copied: a link to ${clock(this.sound.time)}`);
    } catch {
      this.say(address.href);
    }
  }

  say(text) {
    this.message.textContent = text;
  }

  changed() {
    if (!this.data) return;
    const name = this.sound.isPlaying ? "pause" : "play";
    if (this.playButton.dataset.shows !== name) {
      this.playButton.dataset.shows = name;
      this.playButton.replaceChildren(icon(name));
      const text = name === "pause" ? "Pause" : "Play";
      this.playButton.setAttribute("aria-label", text);
      this.playButton.title = `${text} (space)`;
    }
    this.playButton.disabled = !this.data.sound && !this.data.wav;
    this.show();
  }

  show() {
    const time = this.sound.time;
    const now = this.at(time);
    this.tracks.move(time, now);
    this.transcript.mark(now, time);
    this.clock.textContent = `${clock(time)} / ${clock(this.data.duration)}`;
    const { moments } = this.data;
    const inside = moments.findIndex((one) => time >= one.start - BEFORE_MOMENT - 0.1 && time < one.end);
    this.moment.textContent = moments.length
      ? inside >= 0 ? `negative moment ${inside + 1} of ${moments.length}` : `${moments.length} negative moment${moments.length > 1 ? "s" : ""}`
      : "no negative moment";
    if (this.detailed !== now || this.detailedOf !== this.data) {
      [this.detailed, this.detailedOf] = [now, this.data];
      this.details.replaceChildren(...detailsOf(now, this.data));
    }
  }

  describe(speaker, time) {
    const one = this.at(time, speaker);
    return one ? `${clock(time)}: ${one.short}: ${one.corrected ?? one.text}`.slice(0, 200) : `${clock(time)}: silent`;
  }

  tip(time, speaker) {
    const one = this.at(time, speaker);
    if (!one) return clock(time);
    const text = one.corrected ?? one.text;
    return `${clock(time)}  ${called(this.data, one)}: ${one.short}  ${text.length > 80 ? `${text.slice(0, 80)}\u2026` : text}`;
  }

  showLegend() {
    const { by_label: colours, other } = this.data.colours;
    const labels = [...new Set(this.data.utterances.map((one) => one.label).filter(Boolean))];
    labels.sort((one, two) => this.data.labels.indexOf(one) - this.data.labels.indexOf(two));
    const made = labels.map((label) => {
      const swatch = el("span", { class: "swatch" });
      swatch.style.backgroundColor = colours[label] ?? other;
      return el("button", {
        type: "button", "aria-pressed": String(this.lit === label), title: `Show ${label} alone`,
        onclick: () => { this.lit = this.lit === label ? null : label; this.showLegend(); this.tracks.draw(); },
      }, swatch, label);
    });
    const none = this.data.utterances.some((one) => !one.label);
    const key = el("span", { class: "legend-note" }, "opaque: sure, pale: unsure",
      none ? el("span", { class: "hatched" }) : null, none ? "hatched: no answer" : null);
    replaceKeepingFocus(this.legend, ...made, key);
  }

  showZoom() {
    const text = (span) => (span === null ? "All" : span >= 60 ? `${span / 60} min` : `${span} s`);
    const { spans } = this.tracks;
    this.zoom.hidden = spans.length < 2;
    replaceKeepingFocus(this.zoom, ...spans.map((span) => el("button", {
      type: "button", "aria-pressed": String(span === this.tracks.span),
      onclick: () => { this.tracks.zoom(span); this.showZoom(); },
    }, text(span))));
  }

  close() {
    cancelAnimationFrame(this.frame);
    document.removeEventListener("keydown", this.onkey);
    this.sound.close();
    this.tracks.close();
    this.root.remove();
  }
}

/** Other buttons in a group; that with the words of the one that has the focus gets it. */
function replaceKeepingFocus(group, ...made) {
  const focused = group.getRootNode().activeElement;
  const words = group.contains(focused) ? focused.textContent : null;
  group.replaceChildren(...made);
  if (words !== null) made.find((one) => one.textContent === words)?.focus();
}

const players = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  let player = players.get(parentElement);
  if (!player) {
    player = new Player(parentElement, begunSound(data.address));
    players.set(parentElement, player);
  }
  player.update(data, setTriggerValue);
  const host = parentElement.host ?? parentElement;
  return () => {
    // Also called for a call of this function that a newer one has overtaken; the player is then still there.
    setTimeout(() => {
      if (host.isConnected) return;
      player.close();
      players.delete(parentElement);
    }, 0);
  };
}
