"""One conversation in other people's formats: a file for each format."""
