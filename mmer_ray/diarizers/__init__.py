"""Diarizers: what tells who speaks when. One file per member, behind one interface."""
