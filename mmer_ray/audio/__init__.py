"""From bytes to windows of mono 16 kHz samples, and where speech lies in them."""
