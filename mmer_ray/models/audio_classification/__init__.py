"""Speech classifiers in the folders of the transformers library: wav2vec2, HuBERT, WavLM, AST, Whisper and others."""
