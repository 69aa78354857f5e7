"""A small head over the layers of a frozen speech encoder, with means per speaker as an option."""
