"""LEAF + CNN, BERT + GRU, contextual GRUs and a transformer over the dialogue (Dutta and Ganapathy, ICASSP 2022)."""
