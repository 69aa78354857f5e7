// What was said, a row for each utterance: it follows the sound, is searched, and takes a person's verdict.

const REST_MS = 4000;
const MANY = 3000;

class Transcript {
  /** `asks.seek(time, plays)`, `asks.judge(row, what)`. */
  constructor(asks) {
    this.asks = asks;
    this.list = el("ol", { class: "rows", tabindex: "0", "aria-label": "Transcript" });
    this.find = el("input", {
      type: "search", class: "find", placeholder: "Find in this transcript", "aria-label": "Find in this transcript",
      maxlength: "200", oninput: () => this.search(),
    });
    this.found = el("span", { class: "found", role: "status" });
    this.follow = el("input", { type: "checkbox", checked: true });
    this.root = el("section", { class: "transcript", "aria-label": "Transcript" },
      el("div", { class: "transcript-bar" }, el("h3", {}, "Transcript"), this.find, this.found,
        el("label", { class: "follow" }, this.follow, "Follow the sound")),
      this.list);
    for (const name of ["wheel", "touchmove", "pointerdown"]) {
      this.list.addEventListener(name, () => { this.rests = performance.now() + REST_MS; }, { passive: true });
    }
    this.rests = 0;
    this.now = null;
  }

  open(data) {
    this.data = data;
    this.now = null;
    this.rows = new Map();
    // Rows that are laid out only where they are seen have guessed heights: not for lists that do without.
    this.list.classList.toggle("many", data.utterances.length > MANY);
    this.list.replaceChildren(...data.utterances.map((one) => this.row(one)));
    if (!data.utterances.length) {
      this.list.append(el("li", { class: "nothing" }, "Nobody was heard to speak in this recording."));
    }
    this.search();
  }

  /** Take what changed: rows whose utterance is another one are made anew, unless somebody writes in them. */
  refresh(data) {
    const before = this.data;
    this.data = data;
    if (before.utterances.length !== data.utterances.length) {
      this.open(data);
      return;
    }
    const focused = this.list.getRootNode().activeElement;
    data.utterances.forEach((one, at) => {
      const is = JSON.stringify([one, called(data, one), data.can_annotate]);
      const was = JSON.stringify([before.utterances[at], called(before, before.utterances[at]), before.can_annotate]);
      const old = this.rows.get(one.index);
      if (is === was && old && !old.isStale) return;
      // Who writes in a row goes on writing; it is made anew once that is over.
      if (old.querySelector("form")) {
        old.isStale = true;
        return;
      }
      const has = old.contains(focused) ? focused.className : null;
      const made = this.row(one);
      if (old === this.now) this.now = null;
      old.replaceWith(made);
      // The keyboard stays where it was.
      if (has) [...made.querySelectorAll("button")].find((other) => other.className === has)?.focus();
    });
    this.search();
  }

  row(one) {
    const speaker = called(this.data, one);
    const time = el("button", { class: "time", type: "button", "aria-label": `Play from ${clock(one.start)}` }, clock(one.start));
    time.addEventListener("click", () => this.asks.seek(one.start, true));
    const text = el("span", { class: "text", dir: "auto" }, one.corrected ?? one.text);
    const words = el("div", { class: "words" }, text, ...notes(one));
    const made = el("li", { class: "row" },
      time, el("span", { class: "speaker", dir: "auto", title: speaker }, speaker), words, chip(one, this.data.colours),
      this.data.can_annotate ? this.verdicts(one) : null);
    words.addEventListener("click", () => {
      if (!window.getSelection()?.toString()) this.asks.seek(one.start, false);
    });
    made.item = one;
    made.textPlace = text;
    this.rows.set(one.index, made);
    return made;
  }

  verdicts(one) {
    const button = (name, text, pressed) => el("button", {
      type: "button", class: `verdict ${name}`, "aria-pressed": String(pressed), title: text,
      "aria-label": `${text}: ${clock(one.start)}`,
    }, icon(name));
    const right = button("right", one.label ? "The emotion is right" : "There is no emotion to judge", one.verdict === "right");
    const wrong = button("wrong", "Heard wrong: correct the emotion or the words", Boolean(one.verdict === "wrong" || one.corrected || (one.heard && one.verdict !== "right")));
    right.disabled = !one.label;
    right.addEventListener("click", () => {
      this.asks.judge(one, one.verdict === "right"
        ? { verdict: null, label: null, text: one.corrected }
        : { verdict: "right", label: null, text: one.corrected });
    });
    wrong.addEventListener("click", () => this.correct(one));
    return el("span", { class: "verdicts" }, right, wrong);
  }

  /** Open or close the form of a row. */
  correct(one) {
    const row = this.rows.get(one.index);
    const open = row.querySelector("form");
    if (open) {
      open.remove();
      return;
    }
    const form = correction(one, this.data, (said) => {
      form.remove();
      if (said) this.asks.judge(one, said);
      row.querySelector("button.wrong")?.focus();
    });
    row.append(form);
    form.querySelector("select, textarea").focus();
    this.rests = performance.now() + 60000;
  }

  search() {
    const wanted = this.find.value.trim().toLocaleLowerCase();
    let number = 0;
    for (const row of this.rows.values()) {
      const one = row.item;
      const fits = !wanted || `${one.corrected ?? ""} ${one.text}`.toLocaleLowerCase().includes(wanted);
      row.hidden = !fits;
      number += fits ? 1 : 0;
    }
    this.found.textContent = wanted ? `${number} of ${this.rows.size}` : "";
  }

  /** Mark the row of an utterance, and in it the word at `time`. */
  mark(one, time) {
    const row = one ? this.rows.get(one.index) : null;
    if (row !== this.now) {
      if (this.now) {
        this.now.classList.remove("now");
        this.now.removeAttribute("aria-current");
        this.now.textPlace.replaceChildren(this.now.item.corrected ?? this.now.item.text);
      }
      this.now = row;
      this.words = null;
      if (row) {
        row.classList.add("now");
        row.setAttribute("aria-current", "true");
        this.spread(row);
        this.scroll(row);
      }
    }
    if (!this.words) return;
    const at = firstAfter(this.words, time) - 1;
    if (at === this.word) return;
    this.words[this.word]?.place.classList.remove("word");
    this.word = at;
    this.words[at]?.place.classList.add("word");
  }

  /** Put each word of a row in an element of its own, where their times are known and the text is theirs. */
  spread(row) {
    const one = row.item;
    if (one.corrected || !one.words.length || one.words.map(([word]) => word).join(" ") !== one.text) return;
    this.word = -1;
    this.words = one.words.map(([word, start]) => ({ start, place: el("span", {}, word) }));
    row.textPlace.replaceChildren(...this.words.flatMap(({ place }, at) => (at ? [" ", place] : [place])));
  }

  scroll(row, tries = 4) {
    if (!this.follow.checked || performance.now() < this.rests || row.hidden || row !== this.now) return;
    const [top, height] = [row.offsetTop, this.list.clientHeight];
    const isSeen = top >= this.list.scrollTop && top + row.offsetHeight <= this.list.scrollTop + height;
    if (isSeen || !height) return;
    const isFar = Math.abs(top - this.list.scrollTop) > 2 * height;
    const isStill = isFar || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.list.scrollTo({ top: Math.max(0, top - height / 3), behavior: isStill ? "instant" : "smooth" });
    // Rows that were never seen have guessed heights: look again once they are laid out.
    if (isStill && tries) requestAnimationFrame(() => this.scroll(row, tries - 1));
  }
}

function called(data, one) {
  return data.speakers.find((speaker) => speaker.id === one.speaker)?.called ?? one.speaker;
}

/** The emotion of an utterance: a swatch as opaque as the model is sure, and its name. */
function chip(one, colours) {
  const colour = rgb(one.label ? (colours.by_label[one.label] ?? colours.other) : colours.none);
  const swatch = el("span", { class: one.label ? "swatch" : "swatch none" });
  if (one.label) {
    swatch.style.backgroundColor = css(colour, opacity(one.confidence));
    swatch.style.borderColor = css(colour);
  }
  const kind = one.label && !one.is_unsure ? "chip" : "chip unsure";
  return el("span", { class: kind, title: one.answer }, swatch, el("span", { class: "answer" }, one.short));
}

function notes(one) {
  const made = [];
  const note = (text, kind = "") => made.push(el("span", { class: `note ${kind}`, dir: "auto" }, text));
  if (one.interrupts) note("\u25C6 interrupts");
  if (one.overlap >= 0.3) note("others talk too");
  if (one.corrected) note(`the recognizer heard: ${one.text}`, "person");
  if (one.verdict === "right") note("you: right", "person");
  else if (one.verdict === "wrong") note(one.heard ? `you heard: ${one.heard}` : "you: wrong", "person");
  else if (one.heard) note(`you heard: ${one.heard}`, "person");
  for (const other of one.others) note(other, "person");
  return made;
}

/** The form of a correction; `done` is given what is said, or null. */
function correction(one, data, done) {
  const option = (value, text) => el("option", { value, selected: value === (one.heard ?? "") }, text);
  const label = el("select", {}, option("", "no other emotion"), ...data.labels.map((name) => option(name, name)));
  const wrong = el("input", { type: "checkbox", checked: one.verdict === "wrong" });
  const text = el("textarea", { rows: "2", maxlength: "5000", dir: "auto" });
  text.value = one.corrected ?? one.text;
  // As the browser has it: lines end otherwise there, and spaces at the ends are no correction.
  const before = text.value.trim();
  const has = one.verdict || one.corrected || one.heard;
  label.addEventListener("change", () => { if (label.value && one.label) wrong.checked = label.value !== one.label; });
  const form = el("form", { class: "correction", "aria-label": `Correct ${clock(one.start)}` },
    el("label", {}, "I heard", label),
    one.label ? el("label", { class: "check" }, wrong, `\u201C${one.label}\u201D is wrong`) : null,
    el("label", { class: "wide" }, "What was said", text),
    el("span", { class: "buttons" },
      el("button", { type: "submit", class: "primary" }, "Save"),
      el("button", { type: "button", onclick: () => done(null) }, "Cancel"),
      has ? el("button", { type: "button", onclick: () => done({ verdict: null, label: null, text: null }) }, "Take back") : null));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = text.value.trim();
    const isRight = one.verdict === "right" && !label.value && !wrong.checked;
    const judged = {
      verdict: one.label && wrong.checked ? "wrong" : isRight ? "right" : null,
      label: label.value || null,
      text: said === before ? one.corrected : said && said !== one.text.trim() ? said : null,
    };
    const known = { verdict: one.verdict, label: one.heard, text: one.corrected };
    const isNew = Object.entries(judged).some(([name, value]) => (value ?? null) !== (known[name] ?? null));
    done(isNew ? judged : null);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") done(null);
    event.stopPropagation();
  });
  return form;
}
