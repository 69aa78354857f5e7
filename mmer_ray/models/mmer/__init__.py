"""MMER: wav2vec2 + RoBERTa with cross-modal fusion (Interspeech 2023)."""
