"""Late fusion: a speaker-recognition ResNet and BERT, joined at their scores (Odyssey 2022)."""
