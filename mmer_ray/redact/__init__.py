"""What must not be published: found in text by rules, and taken out of text and words. No lake, no audio."""
