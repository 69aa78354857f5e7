// One row per utterance: when, who, the words, the emotion. A row with chances opens to show them.

import { clock, make, percent } from "./dom.js";
import { labelOf, unlabelledOf, voiceOf } from "./model.js";

const UNSURE_P = 0.5;

export function rowOf(model, utterance, play) {
  const chances = chancesOf(utterance.emotion);
  const row = make("li", {
    className: utterance.isProvisional ? "provisional" : "",
    data: { voice: voiceOf(model, utterance.speaker) },
  });
  row.append(
    timeOf(utterance, play),
    make("span", { className: "who", title: utterance.name }, utterance.name),
    wordsOf(utterance),
    emotionOf(utterance, chances) ?? "",
  );
  if (chances) row.append(chances);
  return row;
}

function timeOf(utterance, play) {
  const time = clock(utterance.start_s);
  if (!play) return make("span", { className: "at" }, time);
  const button = make("button", { type: "button", className: "at", ariaLabel: `Play from ${time}` }, time);
  button.onclick = () => play(utterance.start_s);
  return button;
}

// Words with times are marked while they are played; those that the recognizer doubts are underlined.
function wordsOf(utterance) {
  const said = make("span", { className: "said" });
  if (utterance.language) said.lang = utterance.language;
  if (!utterance.words?.length) said.append(utterance.text);
  utterance.words?.forEach((word, index) => {
    const element = make("span", {}, word.word);
    if (word.p !== null && word.p < UNSURE_P) {
      element.className = "unsure";
      element.title = `Not sure: ${percent(word.p)}`;
    }
    if (word.start_s !== null) Object.assign(element.dataset, { start: word.start_s, end: word.end_s });
    said.append(index ? " " : "", element);
  });
  return said;
}

function emotionOf(utterance, chances) {
  const { emotion } = utterance;
  const label = labelOf(utterance);
  const words = label ?? unlabelledOf(utterance);
  if (words === null) return null;
  if (!chances) return make("span", { className: "unlabelled" }, words);
  const parts = [make("span", { className: "dot" }), words];
  if (label && emotion.confidence !== null) parts.push(make("span", { className: "number" }, percent(emotion.confidence)));
  const summary = make("summary", { title: "Show all chances", data: { emotion: label ?? "" } }, ...parts);
  const details = make("details", { className: "felt" }, summary);
  details.ontoggle = () => { chances.hidden = !details.open; };
  return details;
}

function chancesOf(emotion) {
  const entries = Object.entries(emotion?.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  if (!entries.length) return null;
  const box = make("div", { className: "chances", hidden: true });
  for (const [label, chance] of entries) {
    const bar = make("div", { data: { emotion: label } });
    bar.style.width = `${100 * (chance ?? 0)}%`;
    box.append(make("span", {}, label), make("div", { className: "bar" }, bar));
    box.append(make("span", { className: "number" }, percent(chance ?? 0)));
  }
  const scales = ["valence", "arousal", "dominance"].filter((name) => emotion[name] !== null);
  if (scales.length) {
    box.append(make("p", {}, scales.map((name) => `${name} ${signed(emotion[name])}`).join(", ") + " (from −1 to 1)"));
  }
  return box;
}

const signed = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
