"""Score large audio corpora: who spoke when, what was said and how it was felt."""

__version__ = "0.1.0"
