// The keyboard.

const SKIP = 5;
const FAR = 30;
const KEYS = [
  ["Space", "play or pause"], ["\u2190 \u2192", `${SKIP} seconds back or ahead`],
  ["Page Up, Page Down", `${FAR} seconds ahead or back`], ["\u2191 \u2193", "previous or next utterance"],
  ["p n", "previous or next negative moment"], ["Home, End", "start or end"],
];

/** Do what a key means; a key that is not the player's is left alone. */
function pressed(event, player) {
  const inside = event.currentTarget === player.root;
  // A key that is pressed while nothing has the focus is meant for the player too.
  if (!inside && event.target !== document.body) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.composedPath()[0];
  if (target.closest?.("input, textarea, select, summary, form")) return;
  if (event.key === " " && target.closest?.("button")) return;
  const { sound } = player;
  const act = {
    " ": () => sound.toggle(),
    ArrowLeft: () => player.seek(sound.time - SKIP),
    ArrowRight: () => player.seek(sound.time + SKIP),
    PageUp: () => player.seek(sound.time + FAR),
    PageDown: () => player.seek(sound.time - FAR),
    ArrowUp: () => player.step(-1),
    ArrowDown: () => player.step(1),
    Home: () => player.seek(0),
    End: () => player.seek(player.data.duration),
    p: () => player.jump(-1),
    n: () => player.jump(1),
  }[event.key];
  const isScroll = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"].includes(event.key);
  if (!act || (isScroll && (!inside || target === player.transcript.list))) return;
  event.preventDefault();
  act();
}

/** The keys, to be read. */
function keysInWords() {
  return el("details", { class: "keys" }, el("summary", {}, "Keys"),
    el("dl", {}, ...KEYS.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])));
}
