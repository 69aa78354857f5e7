"""MMER's first version (March 2022): the same fusion, mean pooling, CTC as the one auxiliary loss."""
