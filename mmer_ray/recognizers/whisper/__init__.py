"""The recognizer `whisper`: Radford et al. 2023, "Robust Speech Recognition via Large-Scale Weak Supervision"."""
