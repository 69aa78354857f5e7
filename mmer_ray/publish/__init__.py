"""Conversations of a lake for the world outside: exports of many, and copies without what must not be published."""
