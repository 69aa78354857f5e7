// The result: facts, player, timeline, speakers, measures, transcript.

import { byId, clock, counted, make, percent, span } from "./dom.js";
import { labelOf, tally, voiceOf } from "./model.js";
import { drawTimeline, moveHead } from "./timeline.js";
import { rowOf } from "./transcript.js";

export class Result {
  constructor() {
    this.player = byId("player");
    this.player.ontimeupdate = () => this.follow();
    this.play = (second) => {
      this.player.currentTime = second;
      this.player.play();
    };
  }

  // A new result. `sound`: what can be played beside it, null while there is none.
  open(title, sound = null) {
    this.clear();
    byId("result").hidden = false;
    byId("title").textContent = title;
    this.hear(sound);
  }

  hear(sound) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = sound && URL.createObjectURL(sound);
    this.player.hidden = !sound;
    this.player.onerror = () => { this.player.hidden = true; };
    if (sound) this.player.src = this.url;
    else this.player.removeAttribute("src");
  }

  clear() {
    byId("result").hidden = true;
    for (const id of ["facts", "timeline", "speakers", "measures", "transcript"]) byId(id).replaceChildren();
    byId("silent").hidden = true;
    this.rows = [];
  }

  // Shows all of a model; a live one only gets its new utterances, so that what is read out is not repeated.
  show(model, { isLive = false } = {}) {
    this.model = model;
    const play = isLive ? null : this.play;
    byId("facts").textContent = factsOf(model);
    drawTimeline(byId("timeline"), model, play);
    byId("speakers").replaceChildren(...(isLive ? [] : model.speakers.map((one) => speakerOf(model, one))));
    byId("measures").replaceChildren(...(model.measures ? measuresOf(model.measures) : []));
    const fresh = model.utterances.slice(isLive ? this.rows.length : 0).map((one) => rowOf(model, one, play));
    if (!isLive) byId("transcript").replaceChildren();
    byId("transcript").append(...fresh);
    this.rows = isLive ? [...this.rows, ...fresh] : fresh;
    byId("silent").hidden = model.utterances.length > 0;
    byId("silent").textContent = isLive ? "The first sentence is shown here a moment after it is finished." : "Nobody speaks here.";
  }

  // Marks what is being played.
  follow() {
    if (!this.model || this.player.hidden) return;
    const second = this.player.currentTime;
    const isNow = (start, end) => start <= second && second < end;
    this.model.utterances.forEach((one, index) => {
      const row = this.rows[index];
      const isHere = isNow(one.start_s, one.end_s);
      row?.classList.toggle("now", isHere);
      for (const word of row?.querySelectorAll("[data-start]") ?? []) {
        word.classList.toggle("now", isHere && isNow(Number(word.dataset.start), Number(word.dataset.end)));
      }
    });
    moveHead(byId("timeline"), Math.min(1, second / this.model.durationS));
  }
}

function factsOf(model) {
  const facts = [span(model.durationS)];
  if (model.speakers.length) facts.push(counted(model.speakers.length, "speaker"));
  if (model.languages.length) facts.push(`${model.languages.length > 1 ? "languages" : "language"} ${model.languages.join(", ")}`);
  if (model.flags.length) facts.push(model.flags.map((flag) => flag.replaceAll("_", " ")).join(", "));
  return facts.join(" · ");
}

function speakerOf(model, speaker) {
  const own = model.utterances.filter((one) => one.speaker === speaker.id);
  const talkS = model.speakers.reduce((sum, one) => sum + one.talk_s, 0);
  const mix = tally(own, labelOf);
  const labelledS = mix.reduce((sum, [, seconds]) => sum + seconds, 0);
  const rate = speaker.words_per_minute;
  const facts = [`${percent(talkS ? speaker.talk_s / talkS : 0)} of the talk`];
  if (rate) facts.push(`${Math.round(rate)} words/min`);
  const card = make(
    "article",
    { className: "card speaker", data: { voice: voiceOf(model, speaker.id) } },
    make("h4", {}, speaker.name),
    make("p", { className: "share" }, facts.join(", ")),
  );
  if (!mix.length) return card;
  const bar = make("div", { className: "mix", ariaHidden: "true" });
  const legend = make("div", { className: "legend" });
  for (const [label, seconds] of mix) {
    const part = make("div", { data: { emotion: label } });
    part.style.width = `${(100 * seconds) / labelledS}%`;
    bar.append(part);
    const dot = make("span", { className: "dot" });
    legend.append(make("span", { className: "label", data: { emotion: label } }, dot, `${label} ${percent(seconds / labelledS)}`));
  }
  card.append(bar, legend);
  return card;
}

function measuresOf(measures) {
  const shown = [
    ["Silence", span(measures.silence_s)],
    ["Speech at the same time", span(measures.overlap_s)],
    ["Interruptions", String(measures.interruptions)],
    ["Longest monologue", span(measures.longest_monologue_s)],
  ];
  if (measures.worst_window_start_s !== null) shown.push(["Lowest mood", `30 s from ${clock(measures.worst_window_start_s)}`]);
  return shown.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}
