"""The lake: Delta tables with one writer (`writer.py`), one planner (`plan.py`) and one way to read (`queries.py`)."""
