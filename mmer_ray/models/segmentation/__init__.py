"""Speaker segmentation: who of at most three speakers talks in each frame of a short stretch, two at once at most."""
