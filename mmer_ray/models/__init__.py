"""The models: which one is meant and where it lies, the emotion families, the transcriber, the speaker model."""
