"""Whisper's encoder as a PyTorch module that gives out every layer and takes speech of any length up to 30 s."""
