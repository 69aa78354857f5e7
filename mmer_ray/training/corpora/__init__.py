"""Labelled speech in the layouts that it is published in; `reading.read_corpus` knows them all."""
