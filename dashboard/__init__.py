"""The analysts' dashboard: pages over a lake, served on this machine by `mmer dashboard`.

It reads through `mmer_ray.lake` alone: neither torch nor Ray is loaded. `server.py` starts it, `main.py` lists its
pages, `session.py` holds what all of them share, `access.py` says who sees which corpora, `questions/` has the SQL of
each page.
"""
