// The page: a recording or the microphone in, speakers, words and emotions out.

import { about, address, ApiError, checkKey, finished, key, upload } from "./api.js";
import { byId, clock, counted, percent } from "./dom.js";
import { LiveCall } from "./live.js";
import { ofAnalysis, ofLive, textOf } from "./model.js";
import { Result } from "./result.js";

const JOB = "mmer.job";
const result = new Result();
let limits = null;
let work = null; // What can be cancelled: { cancel() }.
let shown = null; // The analysis, to be saved.

async function begin() {
  limits = await about();
  showKey();
  byId("limits").textContent = `, up to ${megabytes(limits.max_job_body_bytes)}`;
  byId("caution").textContent = limits.caution ?? "";
  byId("caution").hidden = !limits.caution;
  const job = sessionStorage.getItem(JOB);
  if (job) await waited("A recording", null, (signal) => jobDone(JSON.parse(job), signal));
}

// Key

byId("key-form").onsubmit = async (event) => {
  event.preventDefault();
  key.set(byId("key").value.trim());
  byId("key").value = "";
  try {
    await checkKey();
    showKey();
    byId("error").hidden = true;
  } catch (error) {
    key.forget();
    note(error.message, "error");
  }
};

byId("change-key").onclick = () => {
  byId("key-form").hidden = false;
  byId("key-set").hidden = true;
  byId("key").focus();
};

byId("forget-key").onclick = () => {
  key.forget();
  showKey();
  note("The key is forgotten.");
};

function showKey() {
  byId("key-form").hidden = !limits.needs_key || Boolean(key.get());
  byId("key-set").hidden = !limits.needs_key || !key.get();
}

function note(text, kind = "") {
  byId("key-note").textContent = text;
  byId("key-note").dataset.kind = kind;
}

// Files

const drop = byId("drop");
byId("file").onchange = (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) analyse(file);
};
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file && !work) analyse(file);
});

byId("example").onclick = async () => {
  const answer = await fetch(address("page/example.opus"));
  if (answer.ok && !work) analyse(new File([await answer.blob()], "example.opus", { type: "audio/ogg" }));
};

function analyse(file) {
  if (file.size > limits.max_job_body_bytes) {
    fail(new Error(`${file.name} has ${megabytes(file.size)}; at most ${megabytes(limits.max_job_body_bytes)} are taken.`));
    return;
  }
  waited(file.name, file, async (signal) => {
    if (file.size <= limits.max_body_bytes) {
      try {
        return await sent("v1/audio/analyses", file, signal);
      } catch (error) {
        if (error.status !== 413) throw error;
      }
    }
    const job = await sent("v1/jobs", file, signal);
    return jobDone({ id: job.id, name: file.name }, signal);
  });
}

async function sent(path, file, signal) {
  const form = new FormData();
  form.append("file", file);
  for (const [name, values] of Object.entries(expected())) for (const value of values) form.append(`${name}[]`, value);
  const onSent = (share) => {
    byId("progress").hidden = share === 1;
    byId("progress").value = share;
    status(share === 1 ? "Listening: speakers, words, emotions" : `Sending ${file.name}, ${percent(share)}`);
  };
  onSent(0);
  return upload(path, form, { onSent, signal });
}

async function jobDone(job, signal) {
  sessionStorage.setItem(JOB, JSON.stringify(job));
  byId("title").textContent = job.name;
  const words = { queued: "Waiting for its turn: long recordings are heard one after the other", running: "Listening to a long recording" };
  try {
    return await finished(job.id, { onStatus: (state) => status(words[state] ?? "Waiting for the endpoint"), signal });
  } finally {
    sessionStorage.removeItem(JOB);
  }
}

// Does one piece of work with the status shown, and shows its analysis.
async function waited(title, sound, ask) {
  const controller = new AbortController();
  took({ cancel: () => controller.abort() });
  result.open(title, sound);
  byId("result").hidden = true;
  try {
    finish(await ask(controller.signal));
  } catch (error) {
    if (error.name === "AbortError") idle();
    else fail(error);
  }
}

// Microphone

byId("speak").onclick = () => (work instanceof Speaking ? work.end() : new Speaking().begin());

class Speaking {
  async begin() {
    took(this);
    this.messages = [];
    this.isReady = false;
    this.heardS = 0;
    this.call = new LiveCall(expected(), this);
    status("Asking for the microphone");
    try {
      await this.call.begin();
    } catch (error) {
      this.failed(error);
    }
  }

  ready() {
    this.isReady = true;
    this.beganS = performance.now() / 1000;
    byId("speak").textContent = "Stop";
    document.querySelector(".speak").classList.add("on");
    byId("level").hidden = false;
    result.open("Live");
    status("Listening: speak, a sentence is shown when it is finished");
  }

  level(level) {
    // Speech has about a tenth of full scale.
    byId("meter").style.width = `${100 * Math.min(1, Math.sqrt(level) * 1.6)}%`;
    this.heardS = performance.now() / 1000 - this.beganS;
    byId("clock").textContent = clock(this.heardS);
  }

  message(message) {
    if (message.type === "utterance") this.messages.push(message);
    if (message.type === "progress") {
      this.heardS = message.received_s;
      status(liveStatus(message));
    }
    if (this.heardS > 0) result.show(ofLive(this.messages, this.heardS), { isLive: true });
  }

  end() {
    // A second click on "Start speaking": the call has not begun.
    if (!this.isReady) return;
    this.quiet();
    byId("speak").disabled = true;
    status("Listening to all of it once more");
    this.call.end();
  }

  quiet() {
    byId("speak").textContent = "Start speaking";
    document.querySelector(".speak").classList.remove("on");
    byId("level").hidden = true;
  }

  final(analysis, wav) {
    this.quiet();
    result.open("What you said", wav);
    finish(analysis);
  }

  cancel() {
    this.call.cancel();
    this.quiet();
    idle();
  }

  async failed(error) {
    this.quiet();
    // A browser does not tell a page why a WebSocket was refused; a request with the same key does.
    const refusal = error instanceof ApiError ? null : await checkKey().then(() => null, (why) => why);
    fail(refusal instanceof ApiError ? refusal : error);
  }
}

function liveStatus({ is_speaking, num_waiting }) {
  if (num_waiting) return `Working on ${counted(num_waiting, "stretch", "stretches")} of speech`;
  return is_speaking ? "Hearing speech" : "Listening: speak, a sentence is shown when it is finished";
}

// What the page says

function took(cancellable) {
  work = cancellable;
  shown = null;
  byId("actions").hidden = true;
  byId("error").hidden = true;
  byId("about").hidden = true;
  byId("file").disabled = byId("example").disabled = true;
  drop.classList.add("busy");
  byId("speak").disabled = !(cancellable instanceof Speaking);
  byId("progress").hidden = true;
}

function idle() {
  work = null;
  byId("status").hidden = true;
  byId("file").disabled = byId("example").disabled = byId("speak").disabled = false;
  drop.classList.remove("busy");
}

function status(text) {
  byId("status").hidden = false;
  byId("status-text").textContent = text;
}

function finish(analysis) {
  idle();
  shown = analysis;
  byId("actions").hidden = false;
  byId("copy").hidden = !navigator.clipboard;
  result.show(ofAnalysis(analysis));
  byId("result").hidden = false;
  byId("result").focus({ preventScroll: true });
  byId("result").scrollIntoView({ behavior: "smooth", block: "start" });
}

function fail(error) {
  idle();
  const remedy = error.status === 401 ? " Enter a key above." : "";
  byId("error").textContent = error.message + remedy + (error.requestId ? ` (request ${error.requestId})` : "");
  byId("error").hidden = false;
  if (error.status === 401) byId("change-key").click();
}

byId("cancel").onclick = () => work?.cancel();
byId("copy").onclick = async () => {
  await navigator.clipboard.writeText(textOf(ofAnalysis(shown)));
  byId("copy").textContent = "Copied";
  setTimeout(() => { byId("copy").textContent = "Copy text"; }, 2000);
};
byId("save").onclick = () => {
  const url = URL.createObjectURL(new Blob([JSON.stringify(shown, null, 2)], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href: url, download: `${byId("title").textContent}.json` }).click();
  URL.revokeObjectURL(url);
};

// What the caller knows, as the fields of a request.
function expected() {
  const list = (id) => byId(id).value.split(",").map((word) => word.trim()).filter(Boolean);
  const lists = { languages: list("languages"), keywords: list("keywords") };
  return Object.fromEntries(Object.entries(lists).filter(([, words]) => words.length));
}

const megabytes = (bytes) => `${Math.floor(bytes / (1 << 20))}\u00a0MB`;

begin().catch(fail);
