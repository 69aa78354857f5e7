// The sound of a recording's page from its second on, while Streamlit is still to come. The player takes it over.
(() => {
  const LOOK_MS = 200;
  const ENDED = ["notRunning", "compilationError"];
  const [LOOKS, LOOKS_FOR_PLAYER] = [5, 50];
  const LONGEST_HOLD_MS = 400;
  const given = document.currentScript.dataset;

  /** Let Streamlit begin: its scripts are run as they come from their template. */
  let isHeld = true;
  function begin() {
    const held = document.getElementById("held");
    if (!isHeld) return;
    if (!held) {
      setTimeout(begin, LOOK_MS / 10);
      return;
    }
    isHeld = false;
    document.head.append(held.content.cloneNode(true));
  }
  // A sound that is converted first would not be there in time.
  setTimeout(begin, given.converted === "true" ? 0 : LONGEST_HOLD_MS);

  const audio = new Audio();
  audio.preload = "auto";
  audio.src = `${given.sound}#t=${given.start}`;
  const over = new AbortController();
  const listen = (target, name, act) => target.addEventListener(name, act, { signal: over.signal });
  const bar = () => document.getElementById("early-sound");
  const place = () => {
    const query = new URLSearchParams(location.search);
    return [location.pathname, query.get("recording"), query.get("of")].join("\n");
  };
  const opened = place();
  const draw = () => bar()?.classList.toggle("plays", !audio.paused && !audio.ended);

  function leave() {
    clearInterval(looking);
    over.abort();
    bar()?.remove();
    delete window.earlySound;
  }

  function stop() {
    leave();
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
  }

  /** Whether the page has been made and has no player: one that is still being drawn has its place at least. */
  let looks = 0;
  function isWithoutPlayer() {
    const app = document.querySelector("[data-testid=stApp]");
    const waits = document.querySelector("[data-testid=stSkeleton]");
    looks = app && !waits && ENDED.includes(app.dataset.testScriptState) ? looks + 1 : 0;
    return looks > (document.querySelector("[data-testid^=stBidiComponent]") ? LOOKS_FOR_PLAYER : LOOKS);
  }

  const looking = setInterval(() => { if (place() !== opened || isWithoutPlayer()) stop(); }, LOOK_MS);
  for (const name of ["play", "pause", "ended"]) listen(audio, name, draw);
  for (const name of ["canplay", "error"]) listen(audio, name, begin);
  // The player asks again, and says what is wrong.
  listen(audio, "error", stop);
  listen(document, "click", (event) => {
    if (!event.target.closest?.("#early-sound button")) return;
    if (audio.paused) audio.play().catch(draw);
    else audio.pause();
  });

  window.earlySound = {
    audio,
    /** The sound for the player of this recording, whose it is from now on; null for another one. */
    take(recording, corpus) {
      if (recording !== given.recording || corpus !== given.of || place() !== opened) return null;
      const hasFocus = Boolean(bar()?.contains(document.activeElement));
      leave();
      return { audio, address: given.sound, isConverted: given.converted === "true", hasFocus };
    },
  };
})();
