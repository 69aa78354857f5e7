"""The stages between decoding and the lake: diarize, transcribe and join (what was heard), emotion, link."""
