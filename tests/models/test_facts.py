"""The table of sizes that ships with the package."""

from __future__ import annotations

import pytest

from mmer_ray.errors import UsageError
from mmer_ray.models.facts import all_facts, facts_about
from mmer_ray.models.parameter_counts import count_all


def test_the_shipped_counts_are_those_of_the_models() -> None:
    assert all_facts() == count_all(), "run jobs/count_parameters.py"


def test_an_unknown_family_or_size_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="families: mmer, mmer_v1"):
        facts_about("mmerr")
    with pytest.raises(UsageError, match="sizes: tiny, base"):
        facts_about("mmer", "huge")
