"""A config with one thing wrong is either sound after all and builds, or refused by name."""

from __future__ import annotations

import random
from collections import Counter

from tests.mutations import SOUND, mutate, outcome

COUNT = 200


def test_sound_configs_are_accepted():
    from tests.mutations import Mutation

    rng = random.Random(1)
    for sound in SOUND:
        for _ in range(10):
            assert outcome(Mutation(sound(rng), "", "sound")) == "accepted"


def test_mutated_configs_are_refused_by_name_or_build():
    rng = random.Random(0)
    outcomes = Counter(outcome(mutate(rng)) for _ in range(COUNT))
    assert outcomes.total() == COUNT
    # Dropped options fall back to defaults; most of the rest contradicts something.
    assert outcomes["refused"] > COUNT / 2
    assert outcomes["accepted"] > COUNT / 20
