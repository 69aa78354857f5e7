// One lane per speaker, one block per utterance, coloured by emotion. For the eye: the transcript says the same.

import { clock, make } from "./dom.js";
import { labelOf, unlabelledOf, voiceOf } from "./model.js";

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const TICK_PIXELS = 90;
const NAME_PIXELS = 120;

export function drawTimeline(root, model, play) {
  const lanes = model.speakers.flatMap((speaker) => laneOf(model, speaker, play));
  root.replaceChildren(...lanes, ...(lanes.length ? [axisOf(model.durationS, root.clientWidth - NAME_PIXELS)] : []));
}

export function moveHead(root, share) {
  for (const head of root.querySelectorAll(".head")) {
    head.hidden = share === null;
    head.style.left = `${100 * share}%`;
  }
}

function laneOf(model, speaker, play) {
  const name = make(
    "div",
    { className: "lane-name", title: speaker.name, data: { voice: voiceOf(model, speaker.id) } },
    make("span", { className: "voice-dot" }),
    make("span", {}, speaker.name),
  );
  const lane = make("div", { className: "lane" });
  for (const one of model.utterances) if (one.speaker === speaker.id) lane.append(blockOf(model, one, play));
  lane.append(make("div", { className: "head", hidden: true }));
  return [name, lane];
}

function blockOf(model, utterance, play) {
  const label = labelOf(utterance);
  const felt = label ?? unlabelledOf(utterance);
  const block = make("div", {
    className: utterance.isProvisional ? "block provisional" : "block",
    title: `${clock(utterance.start_s)} ${felt ? `(${felt}) ` : ""}${utterance.text}`,
    data: { emotion: label ?? "" },
  });
  block.style.left = `${(100 * utterance.start_s) / model.durationS}%`;
  block.style.width = `${(100 * (utterance.end_s - utterance.start_s)) / model.durationS}%`;
  if (play) block.onclick = () => play(utterance.start_s);
  return block;
}

function axisOf(durationS, pixels) {
  const mostTicks = Math.max(2, Math.floor(pixels / TICK_PIXELS));
  const step = STEPS_S.find((seconds) => durationS / seconds <= mostTicks) ?? Math.ceil(durationS / mostTicks / 3600) * 3600;
  const axis = make("div", { className: "axis" });
  for (let second = 0; second <= durationS; second += step) {
    const isLast = second > 0.97 * durationS;
    const tick = make("span", { className: second === 0 ? "tick first" : isLast ? "tick last" : "tick" }, clock(second));
    tick.style.left = `${(100 * second) / durationS}%`;
    axis.append(tick);
  }
  return axis;
}
