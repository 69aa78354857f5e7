// Requests to the endpoint. Addresses are relative to the page, which may stand below a prefix.

const KEY = "mmer.key";
const POLL_S = 2;

export class ApiError extends Error {
  constructor(status, error, retryAfterS) {
    super(error?.message ?? `The endpoint answered with status ${status}.`);
    Object.assign(this, { status, code: error?.code ?? "unknown", requestId: error?.request_id ?? "", retryAfterS });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

export const address = (path) => new URL(path, document.baseURI);

export async function about() {
  return (await fetch(address("page/about.json"), { cache: "no-store" })).json();
}

export async function checkKey() {
  await asked("v1/models");
}

export async function asked(path, options = {}) {
  const headers = key.get() ? { authorization: `Bearer ${key.get()}` } : {};
  const answer = await fetch(address(path), { ...options, headers, cache: "no-store" });
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, body?.error, Number(answer.headers.get("retry-after")) || POLL_S);
  return body;
}

// Uploads go by XMLHttpRequest: fetch does not tell how much of a body has been sent.
export function upload(path, form, { onSent, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    request.responseType = "json";
    if (key.get()) request.setRequestHeader("authorization", `Bearer ${key.get()}`);
    request.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    request.upload.onload = () => onSent(1);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(new ApiError(request.status, request.response?.error));
    };
    request.onerror = () => reject(new Error("The endpoint cannot be reached."));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

// Waits for a job. `onStatus` is told its status; a cancelled wait cancels the job.
export async function finished(id, { onStatus, signal }) {
  const path = `v1/jobs/${encodeURIComponent(id)}`;
  try {
    for (;;) {
      signal.throwIfAborted();
      const job = await passing(() => asked(path, { signal }));
      onStatus(job?.status ?? "unknown");
      if (job?.status === "succeeded") return job.result;
      if (job?.status === "failed") throw new ApiError(422, job.error);
      if (job?.status === "cancelled") throw new DOMException("cancelled", "AbortError");
      await pause(POLL_S, signal);
    }
  } catch (error) {
    if (signal.aborted) asked(`${path}/cancel`, { method: "POST" }).catch(() => {});
    throw error;
  }
}

// A network that is away for a moment ends no wait for a job of an hour.
async function passing(ask) {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TypeError || error.status === 429 || error.status === 503) return null;
    throw error;
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
