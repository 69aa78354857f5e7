"""Recognizers: what turns speech into words. One file per member, behind one interface."""
