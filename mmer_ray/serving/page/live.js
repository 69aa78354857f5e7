// A live call: the microphone's samples go out over a WebSocket, utterances come back.

import { address, key, ApiError } from "./api.js";

const WANTED_HZ = 16000;
// The voice as it is: what browsers do to it for telephony takes away what emotions are heard by.
const WANTED = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const MAX_UNSENT_BYTES = 4 << 20;

export class LiveCall {
  // `on` has ready(), message(message), level(0..1), failed(error) and final(analysis, wav).
  constructor(expected, on) {
    this.expected = expected;
    this.on = on;
    this.parts = [];
    this.isOver = false;
  }

  async begin() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser gives the microphone to pages at https:// or at localhost alone.");
    }
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    this.context = await opened(this.stream);
    await this.context.audioWorklet.addModule(address("page/microphone.js"));
    if (this.isOver) return this.release();
    this.connect();
  }

  connect() {
    const target = address("v1/audio/stream");
    target.protocol = target.protocol.replace("http", "ws");
    const protocols = ["mmer.stream", ...(key.get() ? [`mmer.bearer.${key.get()}`] : [])];
    this.socket = new WebSocket(target, protocols);
    this.socket.onopen = () => this.socket.send(JSON.stringify(this.start));
    this.socket.onmessage = (event) => this.take(JSON.parse(event.data));
    this.socket.onclose = () => this.fail(new Error("The connection to the endpoint was lost."));
  }

  get start() {
    return { type: "start", sample_rate: this.context.sampleRate, channels: 1, ...this.expected };
  }

  take(message) {
    if (message.type === "ready") this.listen();
    else if (message.type === "error") this.fail(new ApiError(message.status, message.error));
    else if (message.type === "final") this.close(() => this.on.final(message.analysis, this.wav()));
    else this.on.message(message);
  }

  listen() {
    const source = this.context.createMediaStreamSource(this.stream);
    const worklet = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    worklet.port.onmessage = ({ data }) => this.send(data);
    source.connect(worklet);
    this.isListening = true;
    this.on.ready();
  }

  send({ samples, level }) {
    if (this.isOver || !this.isListening) return;
    this.on.level(level);
    this.parts.push(samples);
    this.socket.send(samples);
    if (this.socket.bufferedAmount > MAX_UNSENT_BYTES) this.fail(new Error("The network is too slow for live sound."));
  }

  // No more sound: the final message follows.
  end() {
    this.isListening = false;
    this.release();
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"type": "end"}');
  }

  cancel() {
    this.close(() => {});
  }

  fail(error) {
    this.close(() => this.on.failed(error));
  }

  close(then) {
    if (this.isOver) return;
    this.isOver = true;
    this.release();
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.close();
    }
    then();
  }

  release() {
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.context?.state !== "closed") this.context?.close();
  }

  wav() {
    return new Blob([header(this.parts, this.context.sampleRate), ...this.parts], { type: "audio/wav" });
  }
}

// Some browsers cannot bring a microphone to another rate than its own; the endpoint takes up to 48 kHz.
async function opened(stream) {
  for (const options of [{ sampleRate: WANTED_HZ }, {}]) {
    const context = new AudioContext(options);
    try {
      context.createMediaStreamSource(stream);
      await context.resume();
      return context;
    } catch {
      await context.close();
    }
  }
  throw new Error("The microphone cannot be listened to.");
}

function header(parts, rateHz) {
  const numBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + numBytes, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rateHz, true); view.setUint32(28, rateHz * 2, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, numBytes, true);
  return view.buffer;
}
