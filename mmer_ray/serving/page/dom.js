// Making elements. Text is only ever set as text: what was said in a recording may look like markup.

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { data = {}, ...others } = properties;
  for (const [name, value] of Object.entries(others)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export const span = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds));
export const percent = (share) => `${Math.round(share * 100)} %`;
export const counted = (number, noun, many = `${noun}s`) => `${number} ${number === 1 ? noun : many}`;
