"""Trained emotion models in plain files: what is known of each, which one is active, and the gate before it."""
