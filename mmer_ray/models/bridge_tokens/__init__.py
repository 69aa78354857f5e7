"""Bridge tokens: HuBERT and DeBERTa joined by learnable queries, classes and dimensions (Ispas et al. 2023)."""
