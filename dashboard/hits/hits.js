// A list of utterances: read, heard one at a time, opened at their second. `elements.js` stands before this.

const MARGIN_S = 0.05;
const LONGEST_WAIT_MS = 20000;

class Hits {
  constructor(root, tell) {
    this.tell = tell;
    this.audio = el("audio", { preload: "none" });
    this.message = el("p", { class: "message", role: "status" });
    this.list = el("ol", { class: "hits" });
    root.append(el("div", { class: "all" }, this.list, this.message), this.audio);
    this.playing = null;
    /** Whether `playing` waits for a newer address. */
    this.waits = false;
    this.shown = "";
    this.audio.addEventListener("timeupdate", () => this.stopAtEnd());
    for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.mark());
    this.audio.addEventListener("error", () => this.failed());
  }

  show(hits) {
    this.hits = hits;
    this.showRows(hits);
    if (this.waits) this.goOn();
  }

  showRows(hits) {
    // Newer addresses of the same rows change nothing that is seen: what has the focus keeps it.
    const seen = JSON.stringify(hits.map((hit) => ({ ...hit, sound: null, wav: null })));
    if (seen === this.shown) return;
    this.shown = seen;
    const playing = hits.find((hit) => hit.key === this.playing);
    if (!playing) {
      this.audio.pause();
      this.playing = null;
    }
    this.message.textContent = "";
    this.list.replaceChildren(...hits.map((hit, index) => this.row(hit, index)));
    this.mark();
  }

  row(hit, index) {
    const theme = themeOf(this.list);
    const label = `Play ${clock(hit.start)} of ${hit.name}`;
    const hasSound = hit.sound || hit.wav;
    const play = el(
      "button",
      { class: "play", type: "button", "aria-label": label, title: hasSound ? "Play" : "No sound",
        disabled: !hasSound, onclick: () => this.toggle(index) },
      icon("play"),
    );
    const open = el(
      "a",
      { class: "open", href: hit.link, onclick: (event) => this.open(event, hit.key) },
      `${clock(hit.start)} in ${hit.name}`,
    );
    const marks = hit.marks.map((mark) => this.chip(mark, theme));
    return el(
      "li",
      { class: "hit" },
      play,
      el(
        "div",
        { class: "said" },
        hit.before ? el("p", { class: "around" }, hit.before) : null,
        el("p", { class: "text" }, el("span", { class: "who" }, hit.who), " ", ...this.found(hit.text, hit.needle)),
        hit.after ? el("p", { class: "around" }, hit.after) : null,
      ),
      el("div", { class: "felt" }, ...marks, hit.note ? el("span", { class: "note" }, hit.note) : null),
      el("div", { class: "where" }, open, el("span", { class: "place" }, hit.place)),
    );
  }

  chip(mark, theme) {
    const colour = rgb(mark.colour);
    const back = mark.unsure ? blend(colour, theme.back, 0.35) : colour;
    const style = `background: ${css(back)}; color: ${inkOn(back)}`;
    const chip = el("span", { class: mark.unsure ? "chip unsure" : "chip", style }, mark.text);
    return mark.title ? el("span", { class: "titled" }, el("span", { class: "title" }, mark.title), chip) : chip;
  }

  /** The text, what was searched for marked in it. */
  found(text, needle) {
    if (!needle) return [text];
    const [low, wanted, parts] = [text.toLowerCase(), needle.toLowerCase(), []];
    // Where lower case has another length, places in it are not places in the text.
    if (low.length !== text.length || !wanted) return [text];
    let from = 0;
    for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
      parts.push(text.slice(from, at), el("mark", {}, text.slice(at, at + wanted.length)));
      from = at + wanted.length;
    }
    return [...parts, text.slice(from)];
  }

  open(event, key) {
    // With a key held the browser opens a tab of its own.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.audio.pause();
    this.tell("opened", key);
  }

  toggle(index) {
    const hit = this.hits[index];
    if (this.playing === hit.key && !this.audio.paused) {
      this.audio.pause();
      return;
    }
    this.message.textContent = "";
    this.playing = hit.key;
    this.waits = false;
    this.start(hit, hit.sound || hit.wav, !hit.sound);
  }

  /** Play what waited, from its newer address. */
  goOn() {
    this.waits = false;
    const hit = this.hits.find((one) => one.key === this.playing);
    const isConverted = this.current.isConverted || !hit?.sound;
    const address = isConverted ? hit?.wav : hit.sound;
    if (address && this.current.hit.key === hit.key) this.start(hit, address, isConverted, true);
  }

  /** `isRenewed`: the address was made because the one before was too old. */
  start(hit, address, isConverted, isRenewed = false) {
    this.current = { hit, address, isConverted, isRenewed };
    this.audio.src = `${address}#t=${hit.from.toFixed(3)},${hit.until.toFixed(3)}`;
    this.audio.play().catch(() => this.mark());
    this.mark();
  }

  stopAtEnd() {
    if (this.current && this.audio.currentTime >= this.current.hit.until - MARGIN_S) this.audio.pause();
  }

  async failed() {
    if (!this.current) return;
    const { current } = this;
    const { hit, address, isConverted, isRenewed } = current;
    let status = 0;
    try {
      ({ status } = await fetch(address, { method: "HEAD", signal: AbortSignal.timeout(LONGEST_WAIT_MS) }));
    } catch {
      // Nobody answers.
    }
    // Another one may have been begun meanwhile.
    if (this.current !== current) return;
    if (status === 403 && !isRenewed) {
      this.waits = true;
      this.tell("renew", Date.now());
    } else if (status && status < 400 && !isConverted && hit.wav) {
      this.start(hit, hit.wav, true);
    } else {
      this.giveUp(status);
    }
  }

  giveUp(status) {
    this.message.textContent = status && status < 500 && status !== 403
      ? "This sound cannot be played: its file is gone, has changed or cannot be read."
      : "The sound cannot be had at the moment. Try again.";
    this.playing = null;
    this.mark();
  }

  mark() {
    const buttons = this.list.querySelectorAll(".play");
    this.hits.forEach((hit, index) => {
      const plays = hit.key === this.playing && !this.audio.paused;
      const button = buttons[index];
      if (button.dataset.plays === String(plays)) return;
      button.dataset.plays = String(plays);
      button.setAttribute("aria-pressed", String(plays));
      button.replaceChildren(icon(plays ? "pause" : "play"));
    });
  }
}

const lists = new WeakMap();

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  let list = lists.get(parentElement);
  if (!list) {
    list = new Hits(parentElement, setTriggerValue);
    lists.set(parentElement, list);
  }
  list.tell = setTriggerValue;
  list.show(data.hits);
  const host = parentElement.host ?? parentElement;
  return () => {
    // Also called for a call of this function that a newer one has overtaken; the list is then still there.
    setTimeout(() => {
      if (host.isConnected) return;
      list.audio.pause();
      list.audio.removeAttribute("src");
      lists.delete(parentElement);
    }, 0);
  };
}
