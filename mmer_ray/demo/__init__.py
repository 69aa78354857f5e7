"""The synthetic corpus: its grammar, its voices and the calls that ship with the package."""
