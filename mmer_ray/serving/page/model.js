// What is shown, made of an analysis (`mmer.analysis/1`) or of the messages of a live call.

const SKIPPED = { too_short: "too short to tell", low_confidence: "not clear" };

export function ofAnalysis(analysis) {
  return {
    durationS: analysis.recording.duration_s,
    speakers: analysis.speakers.map((one) => ({ ...one, id: one.speaker, name: nameOf(one.speaker, one.name, one.role) })),
    utterances: analysis.utterances.map((one) => ({ ...one, name: nameOf(one.speaker, one.speaker_name, one.role) })),
    measures: analysis.measures,
    languages: languagesOf(analysis.utterances),
    flags: analysis.recording.flags,
  };
}

// Of a live call so far. Speakers are those that are told apart while it goes on.
export function ofLive(messages, durationS) {
  const utterances = messages.map((one) => {
    const speaker = one.speaker ?? "?";
    return { ...one, speaker, name: speaker === "?" ? "Speaker" : nameOf(speaker), isProvisional: true };
  });
  const ids = [...new Set(utterances.map((one) => one.speaker))];
  const speakers = ids.map((id) => ({ id, name: utterances.find((one) => one.speaker === id).name }));
  return { durationS, speakers, utterances, measures: null, languages: languagesOf(utterances), flags: [] };
}

function nameOf(speaker, name = null, role = null) {
  return [name ?? speaker.replace(/^S(\d+)$/, "Speaker $1"), role].filter(Boolean).join(", ");
}

// Most seconds first.
function languagesOf(utterances) {
  return tally(utterances, (one) => one.language).map(([language]) => language);
}

// Seconds of speech by what `of` says of an utterance, the most first; null is not counted.
export function tally(utterances, of) {
  const seconds = new Map();
  for (const one of utterances) {
    const value = of(one);
    if (value) seconds.set(value, (seconds.get(value) ?? 0) + one.end_s - one.start_s);
  }
  return [...seconds].sort((a, b) => b[1] - a[1]);
}

export const labelOf = (utterance) => utterance.emotion?.label ?? null;

// Why an utterance has no label; null where no model was asked.
export function unlabelledOf(utterance) {
  const reason = utterance.emotion?.skip_reason;
  return reason ? SKIPPED[reason] ?? reason : null;
}

export const voiceOf = (model, speaker) => String(model.speakers.findIndex((one) => one.id === speaker) % 6);

export function textOf(model) {
  return model.utterances.map((one) => `${one.name}: ${one.text}`).join("\n") + "\n";
}
