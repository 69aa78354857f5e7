"""Stages in order."""
