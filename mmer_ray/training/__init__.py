"""Plain-torch training: the embedded models from synthetic speech, and the published recipes."""
