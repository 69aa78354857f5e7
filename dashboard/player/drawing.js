// What stands on the canvases. A view is {start, end, width, height, theme}: seconds, and CSS pixels.

// Levels are roots of amplitudes; 2 would give these back, less lifts what is quiet.
const LIFT = 1.5;
const LOW_OPACITY = 0.25;
const MOMENT = [213, 94, 0];
const MOMENT_HEIGHT = 16;

const xOf = (view, time) => ((time - view.start) / (view.end - view.start)) * view.width;
const opacity = (confidence) => LOW_OPACITY + (1 - LOW_OPACITY) * between(0, confidence ?? 0, 1);

/** A canvas's context, cleared and scaled to the screen's pixels. */
function cleared(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
}

/** The greatest level of each pixel's stretch, 0..1; amplitudes relative to the loudest. */
function columns(peaks, channel, view) {
  const levels = peaks.channels[channel];
  const loudest = Math.max(peaks.loudest, 1);
  const found = new Float32Array(Math.ceil(view.width));
  for (let x = 0; x < found.length; x += 1) {
    const time = view.start + (x / view.width) * (view.end - view.start);
    const step = (view.end - view.start) / view.width;
    const first = Math.floor(time * peaks.perSecond);
    const last = Math.max(first + 1, Math.floor((time + step) * peaks.perSecond));
    let greatest = 0;
    for (let at = first; at < last && at < levels.length; at += 1) greatest = Math.max(greatest, levels[at]);
    found[x] = (greatest / loudest) ** LIFT;
  }
  return found;
}

/** The waveform: one channel around the middle, two above and below it. */
function drawWaveform(context, view, peaks, top = 0) {
  const half = (view.height - top) / 2;
  const middle = top + half;
  context.fillStyle = css(view.theme.ink, 0.25);
  context.fillRect(0, middle - 0.5, view.width, 1);
  if (!peaks) return;
  context.fillStyle = css(view.theme.ink, 0.6);
  const above = columns(peaks, 0, view);
  const below = peaks.channels.length > 1 ? columns(peaks, 1, view) : above;
  for (let x = 0; x < above.length; x += 1) {
    const [up, down] = [above[x] * (half - 2), below[x] * (half - 2)];
    if (up + down > 0.2) context.fillRect(x, middle - up, 1, up + down);
  }
}

/** Stretches to point at, above the waveform: bars with their names where there is room. */
function drawMoments(context, view, moments) {
  const text = (one) => (one.is_worst ? "worst moment" : "negative moment");
  for (const one of moments) {
    const [left, right] = [Math.max(xOf(view, one.start), 0), Math.min(xOf(view, one.end), view.width)];
    if (right <= 0 || left >= view.width) continue;
    context.fillStyle = css(MOMENT, one.is_worst ? 1 : 0.22);
    context.beginPath();
    context.roundRect(left + 0.5, 1, Math.max(right - left - 1, 2), MOMENT_HEIGHT, 3);
    context.fill();
    context.font = `600 11px ${view.theme.font}`;
    if (context.measureText(text(one)).width + 10 > right - left) continue;
    context.fillStyle = one.is_worst ? "#111111" : css(view.theme.ink);
    context.fillText(text(one), left + 5, MOMENT_HEIGHT - 3);
  }
}

/** An utterance's box: its emotion's colour, opaque as it is sure; hatched where the model gave no label. */
function drawUtterance(context, view, one, colours, isDimmed, isNow) {
  const left = xOf(view, one.start);
  const width = Math.max(xOf(view, one.end) - left, 2);
  if (left + width < 0 || left > view.width) return;
  const [top, height] = [4, view.height - 8];
  const colour = rgb(one.label ? (colours.by_label[one.label] ?? colours.other) : colours.none);
  const alpha = (one.label ? opacity(one.confidence) : 0.35) * (isDimmed ? 0.25 : 1);
  box(context, left, top, width, height);
  context.fillStyle = css(colour, alpha);
  context.fill();
  if (!one.label) hatch(context, left, top, width, height, view.theme);
  box(context, left, top, width, height);
  context.lineWidth = isNow ? 2.5 : 1;
  context.strokeStyle = isNow ? css(view.theme.ink) : css(colour, isDimmed ? 0.3 : 0.9);
  context.stroke();
  const seen = Math.max(left, 0);
  const room = Math.min(left + width, view.width) - seen;
  if (room > 26 && !isDimmed) {
    const text = fitted(context, one.short, room - 7, `600 11px ${view.theme.font}`);
    const plain = blend(colour, view.theme.back, alpha);
    context.fillStyle = one.label ? inkOn(plain) : css(view.theme.ink);
    if (text) context.fillText(text, seen + 4, top + height / 2 + 4);
  }
}

function box(context, left, top, width, height) {
  context.beginPath();
  context.roundRect(left + 0.5, top + 0.5, Math.max(width - 1, 1), height - 1, Math.min(4, width / 2));
}

function hatch(context, left, top, width, height, theme) {
  context.save();
  box(context, left, top, width, height);
  context.clip();
  context.strokeStyle = css(theme.ink, 0.28);
  context.lineWidth = 1;
  context.beginPath();
  for (let x = left - height; x < left + width; x += 6) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}

/** As much of a text as fits: all of it, its first word, or nothing. */
function fitted(context, text, width, font) {
  context.font = font;
  if (context.measureText(text).width <= width) return text;
  const word = text.split(" ")[0];
  return context.measureText(word).width <= width ? word : "";
}

/** Who talks at the same time, and who takes the floor. */
function drawTalk(context, view, overlaps, interruptions) {
  for (const [start, end] of overlaps) {
    const left = xOf(view, start);
    const width = Math.max(xOf(view, end) - left, 2);
    if (left + width < 0 || left > view.width) continue;
    context.fillStyle = css(view.theme.ink, 0.3);
    context.fillRect(left, 4, width, view.height - 8);
  }
  for (const one of interruptions) {
    const x = xOf(view, one.start);
    if (x < -8 || x > view.width + 8) continue;
    const middle = view.height / 2;
    context.fillStyle = css(view.theme.ink);
    if (isFar(view)) {
      context.fillRect(x - 0.5, middle - 6, 1, 12);
      continue;
    }
    context.beginPath();
    context.moveTo(x, middle - 6);
    context.lineTo(x + 5, middle);
    context.lineTo(x, middle + 6);
    context.lineTo(x - 5, middle);
    context.fill();
  }
}

/** Whether so much time is shown that single utterances cannot be told apart. */
const isFar = (view) => view.end - view.start > 600;
const BIN = 4;

/** A dimension over time: a point in the middle of each utterance that has it; from afar means of a few pixels. */
function drawLine(context, view, utterances, name, colour, dashes) {
  const y = (value) => view.height / 2 - value * (view.height / 2 - 6);
  const points = [];
  for (const one of utterances) {
    if (one[name] === null) continue;
    const x = xOf(view, (one.start + one.end) / 2);
    const last = points.at(-1);
    if (isFar(view) && last && Math.floor(x / BIN) === Math.floor(last.x / BIN)) {
      last.value += (one[name] - last.value) / (last.number += 1);
    } else points.push({ x, value: one[name], number: 1 });
  }
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineWidth = isFar(view) ? 1.5 : 2;
  context.lineJoin = "round";
  context.setLineDash(isFar(view) ? [] : dashes);
  context.beginPath();
  points.forEach(({ x, value }, at) => (at ? context.lineTo(x, y(value)) : context.moveTo(x, y(value))));
  context.stroke();
  context.setLineDash([]);
  if (isFar(view)) return;
  for (const { x, value } of points) {
    context.beginPath();
    context.arc(x, y(value), 2.5, 0, 2 * Math.PI);
    context.fill();
  }
}

const DIMENSIONS = {
  light: { valence: "#0072B2", arousal: "#A86B00" },
  dark: { valence: "#56B4E9", arousal: "#E69F00" },
};

function drawDimensions(context, view, utterances) {
  for (const value of [-1, 0, 1]) {
    context.fillStyle = css(view.theme.ink, value ? 0.12 : 0.3);
    context.fillRect(0, view.height / 2 - value * (view.height / 2 - 6) - 0.5, view.width, 1);
  }
  const colours = DIMENSIONS[view.theme.isDark ? "dark" : "light"];
  drawLine(context, view, utterances, "valence", colours.valence, []);
  drawLine(context, view, utterances, "arousal", colours.arousal, [5, 4]);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

function drawAxis(context, view) {
  const span = view.end - view.start;
  const step = STEPS.find((one) => (one / span) * view.width >= 64) ?? 14400;
  context.font = `11px ${view.theme.font}`;
  context.textBaseline = "top";
  for (let time = Math.ceil(view.start / step) * step; time <= view.end; time += step) {
    const x = xOf(view, time);
    const text = clock(time);
    const wide = context.measureText(text).width;
    context.fillStyle = css(view.theme.ink, 0.35);
    context.fillRect(x - 0.5, 0, 1, 5);
    context.fillStyle = css(view.theme.ink, 0.85);
    context.fillText(text, between(0, x - wide / 2, view.width - wide), 7);
  }
}

/** The whole recording in one strip: sound, emotions below it, what the rows beneath show. */
function drawOverview(context, view, peaks, utterances, colours, moments, shown) {
  const strip = 8;
  drawWaveform(context, { ...view, height: view.height - strip - 3 }, peaks);
  for (const one of moments) {
    context.fillStyle = css(MOMENT, one.is_worst ? 1 : 0.45);
    context.fillRect(xOf(view, one.start), 0, Math.max(xOf(view, one.end) - xOf(view, one.start), 2), one.is_worst ? 6 : 3);
  }
  for (const one of utterances) {
    const left = xOf(view, one.start);
    const colour = rgb(one.label ? (colours.by_label[one.label] ?? colours.other) : colours.none);
    context.fillStyle = css(colour, one.label ? Math.max(opacity(one.confidence), 0.5) : 0.4);
    context.fillRect(left, view.height - strip, Math.max(xOf(view, one.end) - left, 1), strip);
  }
  const [left, right] = [xOf(view, shown.start), xOf(view, shown.end)];
  context.fillStyle = css(view.theme.accent, 0.16);
  context.fillRect(left, 0, right - left, view.height);
  context.strokeStyle = css(view.theme.accent);
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, 0.75, Math.max(right - left - 1.5, 2), view.height - 1.5);
}
