"""CAM++ speaker embeddings: a densely connected time delay network with context-aware masks."""
