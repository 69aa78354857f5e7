// Elements, times and colours. Text from a lake goes into text nodes alone, never into markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, handlers (`onclick`, ..) and children; strings become text nodes. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6 4.5h4v15H6zM14 4.5h4v15h-4z",
  back: "M18 5v14l-9-7zM6 5h2.4v14H6z",
  forward: "M6 5v14l9-7zM15.6 5H18v14h-2.4z",
  link: "M9.5 14.5l5-5M10.8 7.2l1.4-1.4a4.2 4.2 0 0 1 6 6l-1.5 1.4M13.2 16.8l-1.4 1.4a4.2 4.2 0 0 1-6-6l1.5-1.4",
  right: "M4.5 12.5l5 5 10-11",
  wrong: "M6 6l12 12M18 6L6 18",
};
const STROKED = new Set(["link", "right", "wrong"]);

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", STROKED.has(name) ? "icon stroked" : "icon");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** 75.4 -> "1:15", 3675 -> "1:01:15". */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const percent = (share) => `${Math.round(100 * share)} %`;
const signed = (number) => (number > 0 ? "+" : number < 0 ? "\u2212" : "") + Math.abs(number).toFixed(2);
const between = (low, value, high) => Math.min(Math.max(value, low), high);

/** "#0072B2", "rgb(1, 2, 3)", .. -> [r, g, b]. */
function rgb(text) {
  const found = /^#([0-9a-f]{6})$/i.exec(text.trim());
  if (found) return [0, 2, 4].map((at) => parseInt(found[1].slice(at, at + 2), 16));
  const numbers = (text.match(/[\d.]+/g) || []).slice(0, 3).map(Number);
  return numbers.length === 3 ? numbers : [128, 128, 128];
}

const css = ([r, g, b], alpha = 1) => `rgba(${Math.round(r)}, ${Math.round(g)}, ${Math.round(b)}, ${alpha})`;
const blend = (front, back, alpha) => front.map((value, at) => alpha * value + (1 - alpha) * back[at]);

/** Relative luminance (WCAG 2). */
function luminance(colour) {
  const [r, g, b] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever reads better on a colour. */
const inkOn = (colour) => (luminance(colour) > 0.18 ? "#111111" : "#ffffff");

/** What the page's theme says now. */
function themeOf(element) {
  const style = getComputedStyle(element);
  const read = (name, other) => style.getPropertyValue(name).trim() || other;
  const back = rgb(read("--st-background-color", "#ffffff"));
  return {
    back,
    ink: rgb(read("--st-text-color", "#262730")),
    accent: rgb(read("--st-primary-color", "#0072b2")),
    isDark: luminance(back) < 0.18,
    font: read("--st-font", "sans-serif"),
  };
}

/** The first index whose `start` lies behind a time; items sorted by start. */
function firstAfter(items, time) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
