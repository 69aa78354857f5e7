"""From what the user names to the recordings of a job, and the bytes behind their addresses."""
