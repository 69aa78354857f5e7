// The box beside the transcript.

/** What the models say of an utterance. */
function detailsOf(one, data) {
  if (!one) return [el("h3", {}, "This moment"), el("p", { class: "faint" }, "Nobody speaks here.")];
  const speaker = data.speakers.find((other) => other.id === one.speaker);
  const bars = one.probabilities.map(([label, share]) => {
    const bar = el("span", { class: "bar-fill" });
    bar.style.width = `${Math.max(1, 100 * share)}%`;
    bar.style.backgroundColor = data.colours.by_label[label] ?? data.colours.other;
    return el("div", { class: "share" }, el("span", { class: "share-name" }, label), el("span", { class: "bar-place" }, bar),
      el("span", { class: "share-number" }, percent(share)));
  });
  const fact = (name, value) => (value === null ? [] : [el("dt", {}, name), el("dd", {}, value)]);
  const number = (value) => (value === null ? null : signed(value));
  return [
    el("h3", {}, "This moment"),
    el("p", { class: "who" }, el("b", { dir: "auto" }, speaker?.called ?? one.speaker), speaker?.role ? ` (${speaker.role})` : "", `, ${clock(one.start)} to ${clock(one.end)}`),
    el("p", { class: "answer-line" }, one.answer),
    ...bars,
    el("dl", {}, ...fact("Valence", number(one.valence)), ...fact("Arousal", number(one.arousal)),
      ...fact("Words believed", one.word_p === null ? null : percent(one.word_p)),
      ...fact("Speaker sure", one.speaker_p === null ? null : percent(one.speaker_p)),
      ...fact("Signal to noise", one.snr_db === null ? null : `${one.snr_db.toFixed(0)} dB`),
      ...fact("Others talk for", one.overlap > 0 ? `${one.overlap.toFixed(1)} s` : null)),
  ];
}
