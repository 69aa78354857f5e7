// Gathers the microphone's samples into 16-bit pieces of a tenth of a second, in the audio thread.

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.restart();
  }

  restart() {
    this.samples = new Int16Array(Math.round(sampleRate / 10));
    this.length = 0;
    this.power = 0;
  }

  process([input]) {
    const channel = input[0];
    if (!channel) return true;
    for (const value of channel) {
      const clipped = Math.max(-1, Math.min(1, value));
      // WAV is little-endian, and so is every machine that runs browsers.
      this.samples[this.length++] = Math.round(clipped * 32767);
      this.power += clipped * clipped;
      if (this.length === this.samples.length) this.flush();
    }
    return true;
  }

  flush() {
    const level = Math.sqrt(this.power / this.length);
    this.port.postMessage({ samples: this.samples.buffer, level }, [this.samples.buffer]);
    this.restart();
  }
}

registerProcessor("microphone", Microphone);
