// The rows over time: overview, sound, a lane per speaker, talk at the same time, valence and arousal, the clock.

const SPANS = [600, 180, 60, 20];
const FIRST_SPAN = 60;
const OVERVIEW_FROM = 150;
const [SOUND_HEIGHT, LANE_HEIGHT, TALK_HEIGHT, LINES_HEIGHT, AXIS_HEIGHT, OVERVIEW_HEIGHT] = [80, 36, 20, 72, 22, 46];

class Tracks {
  /** `asks.seek(time)`, `asks.describe(speaker)`: what a lane says of now, `asks.lit()`: the label to show alone. */
  constructor(asks) {
    this.asks = asks;
    this.stage = el("div", { class: "stage" });
    this.head = el("div", { class: "head", "aria-hidden": "true" });
    this.hover = el("div", { class: "hover", "aria-hidden": "true" });
    this.tip = el("div", { class: "tip", "aria-hidden": "true" });
    this.stage.addEventListener("pointermove", (event) => this.pointed(event));
    this.stage.addEventListener("pointerleave", () => this.stage.classList.remove("pointing"));
    this.stage.addEventListener("pointerdown", (event) => this.pressed(event));
    this.stage.addEventListener("pointerup", () => { this.dragged = null; });
    this.stage.addEventListener("pointercancel", () => { this.dragged = null; });
    this.watch = new ResizeObserver(() => this.layOut());
    this.watch.observe(this.stage);
    this.peaks = null;
    this.time = 0;
  }

  /** Show a recording. `this.span`: how many seconds the rows show, null: all. */
  open(data) {
    this.data = data;
    this.spans = [null, ...SPANS.filter((one) => one < 0.8 * data.duration)];
    this.hasOverview = data.duration > OVERVIEW_FROM;
    this.span = this.hasOverview ? FIRST_SPAN : null;
    this.first = 0;
    this.build();
  }

  build() {
    const { data } = this;
    this.rows = [];
    if (this.hasOverview) {
      this.overview = this.row("overview", "Whole recording", OVERVIEW_HEIGHT);
      this.overviewHead = el("div", { class: "overview-head", "aria-hidden": "true" });
      this.overview.cell.append(this.overviewHead);
    }
    this.sound = this.row("sound", "Sound", SOUND_HEIGHT);
    this.lanes = data.speakers.map((speaker) => this.lane(speaker));
    const isTalk = data.overlaps.length || data.interruptions.length;
    this.talk = isTalk ? this.row("talk", "Overlaps, \u25C6 interruptions", TALK_HEIGHT) : null;
    const hasLines = data.utterances.some((one) => one.valence !== null || one.arousal !== null);
    this.lines = hasLines ? this.row("lines", null, LINES_HEIGHT) : null;
    if (this.lines) this.lines.label.append(linesKey());
    this.axis = this.row("axis", "", AXIS_HEIGHT);
    this.stage.replaceChildren(...this.rows.flatMap((row) => [row.label, row.cell]), this.hover, this.head, this.tip);
    this.layOut();
  }

  row(name, text, height) {
    const canvas = el("canvas", { "aria-hidden": "true" });
    const cell = el("div", { class: `cell ${name}` }, canvas);
    const label = el("div", { class: `label ${name}` }, text);
    const made = { name, canvas, cell, label, height };
    this.rows.push(made);
    return made;
  }

  lane(speaker) {
    const made = this.row("lane", null, LANE_HEIGHT);
    made.speaker = speaker;
    made.label.append(el("span", { class: "name" }, speaker.called), el("span", { class: "role" }, speaker.role ?? ""));
    for (const [name, value] of Object.entries({
      role: "slider", tabindex: "0", "aria-label": `Time, with what ${speaker.called} says`, "aria-valuemin": "0",
      "aria-valuemax": Math.round(this.data.duration), "aria-orientation": "horizontal",
    })) made.cell.setAttribute(name, value);
    return made;
  }

  /** Stretch the rows over so many seconds around now; null: all. */
  zoom(span) {
    this.span = span;
    this.first = span ? between(0, this.time - span / 2, Math.max(0, this.data.duration - span)) : 0;
    this.draw();
    this.move(this.time);
  }

  get end() {
    return this.span ? Math.min(this.first + this.span, this.data.duration) : this.data.duration;
  }

  layOut() {
    const cell = this.axis?.cell;
    if (!cell) return;
    this.left = cell.offsetLeft;
    this.width = cell.clientWidth;
    this.draw();
    this.move(this.time);
  }

  view(row, whole = false) {
    const [start, end] = whole ? [0, this.data.duration] : [this.first, this.end];
    return { start, end: Math.max(end, start + 0.001), width: this.width, height: row.height, theme: this.theme };
  }

  draw() {
    if (!this.width || !this.data) return;
    const { data } = this;
    this.theme = themeOf(this.stage);
    for (const [name, colour] of Object.entries(DIMENSIONS[this.theme.isDark ? "dark" : "light"])) {
      this.stage.style.setProperty(`--${name}`, colour);
    }
    const lit = this.asks.lit();
    const paint = (row, whole) => [cleared(row.canvas, this.width, row.height), this.view(row, whole)];
    if (this.hasOverview) {
      this.overview.cell.hidden = this.overview.label.hidden = !this.span;
      const shown = { start: this.first, end: this.end };
      drawOverview(...paint(this.overview, true), this.peaks, data.utterances, data.colours, data.moments, shown);
    }
    const [context, view] = paint(this.sound);
    drawWaveform(context, view, this.peaks, MOMENT_HEIGHT + 2);
    drawMoments(context, view, data.moments);
    for (const lane of this.lanes) this.drawLane(lane, paint, lit);
    if (this.talk) drawTalk(...paint(this.talk), data.overlaps, data.interruptions);
    if (this.lines) drawDimensions(...paint(this.lines), data.utterances);
    drawAxis(...paint(this.axis));
  }

  drawLane(lane, paint, lit) {
    const [context, view] = paint(lane);
    context.fillStyle = css(view.theme.ink, 0.05);
    context.fillRect(0, 2, view.width, view.height - 4);
    for (const one of this.data.utterances) {
      if (one.speaker !== lane.speaker.id) continue;
      const isDimmed = lit !== null && one.label !== lit;
      drawUtterance(context, view, one, this.data.colours, isDimmed, one === this.now);
    }
  }

  /** Put the playing time at `time`; the rows turn a page where it leaves them. */
  move(time, now = this.now) {
    this.time = time;
    const isOther = now !== this.now;
    this.now = now;
    if (!this.width) return;
    if (this.span && !this.dragged && (time < this.first || time > this.end - 0.02 * this.span)) {
      const first = between(0, time - 0.1 * this.span, Math.max(0, this.data.duration - this.span));
      if (Math.abs(first - this.first) > 0.01) {
        this.first = first;
        this.draw();
      } else if (isOther) this.draw();
    } else if (isOther) this.draw();
    const view = this.view(this.axis);
    const x = xOf(view, time);
    this.head.style.transform = `translateX(${this.left + between(0, x, this.width)}px)`;
    this.head.hidden = x < -1 || x > this.width + 1;
    if (this.hasOverview) {
      this.overviewHead.style.transform = `translateX(${xOf(this.view(this.overview, true), time)}px)`;
    }
    for (const lane of this.lanes) {
      lane.cell.setAttribute("aria-valuenow", Math.round(time));
      const text = this.asks.describe(lane.speaker.id, time);
      if (lane.said !== text) lane.cell.setAttribute("aria-valuetext", (lane.said = text));
    }
  }

  /** The time under a pointer, and the row; null beside the rows. */
  at(event) {
    const place = this.axis.cell.getBoundingClientRect();
    const x = event.clientX - place.left;
    if (x < 0 || x > place.width) return null;
    const row = this.rows.find((one) => {
      const { top, bottom } = one.cell.getBoundingClientRect();
      return event.clientY >= top && event.clientY < bottom;
    });
    if (!row) return null;
    const view = this.view(row, row === this.overview);
    return { row, x, time: between(0, view.start + (x / this.width) * (view.end - view.start), this.data.duration) };
  }

  pressed(event) {
    const found = event.button === 0 ? this.at(event) : null;
    if (!found) return;
    this.dragged = found.row;
    this.stage.setPointerCapture(event.pointerId);
    this.seek(found);
  }

  seek(found) {
    if (found.row === this.overview && this.span) {
      this.first = between(0, found.time - this.span / 4, Math.max(0, this.data.duration - this.span));
      this.draw();
    }
    this.asks.seek(found.time);
  }

  pointed(event) {
    const found = this.at(event);
    this.stage.classList.toggle("pointing", found !== null);
    if (!found) return;
    if (this.dragged === found.row) this.seek(found);
    const text = this.asks.tip(found.time, found.row.speaker?.id ?? null);
    this.hover.style.transform = `translateX(${this.left + found.x}px)`;
    this.tip.textContent = text;
    const [width, top] = [this.tip.offsetWidth, found.row.cell.offsetTop - this.tip.offsetHeight - 6];
    const left = between(0, this.left + found.x - width / 2, this.left + this.width - width);
    this.tip.style.transform = `translate(${left}px, ${Math.max(top, -28)}px)`;
  }

  close() {
    this.watch.disconnect();
  }
}

function linesKey() {
  const line = (name) => el("span", { class: `line ${name}` });
  return el("span", { class: "lines-key" },
    el("span", {}, line("valence"), "valence"), el("span", {}, line("arousal"), "arousal"),
    el("span", { class: "range" }, "\u22121 to +1"));
}
