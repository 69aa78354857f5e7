"""Words and turns that others made: files beside the recordings, which take the place of a stage."""
