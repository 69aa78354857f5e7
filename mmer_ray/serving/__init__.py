"""The online endpoint: HTTP in front of the engine that the batch job uses. No Ray: `runners/online.py` places it."""
