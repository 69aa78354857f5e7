"""Counts the parameters of every family and size for `mmer models list`: `python jobs/count_parameters.py`."""

from __future__ import annotations

from mmer_ray.models.facts import FACTS, facts_as_json
from mmer_ray.models.parameter_counts import count_all


def main() -> None:
    """Write the counts into the package."""
    FACTS.write_text(facts_as_json(count_all()), encoding="utf-8")
    print(f"wrote {FACTS}")


if __name__ == "__main__":
    main()
