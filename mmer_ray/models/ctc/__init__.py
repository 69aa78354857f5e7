"""The embedded transcriber: a small wav2vec2 with a CTC head over characters."""
