"""Many more mutated configs than the tests try: each builds, or is refused by name.

Run:  python benchmarks/mutations.py [--record]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mutations import mutate, outcome

RESULT = Path(__file__).parent / "results" / "mutations.json"
COUNT = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the counts to results/")
    record = parser.parse_args().record
    rng = random.Random(1)
    counts: Counter[str] = Counter()
    for _ in range(COUNT):
        mutation = mutate(rng)
        try:
            counts[f"{mutation.kind}, {outcome(mutation)}"] += 1
        except Exception as error:
            counts[f"{mutation.kind}, failed"] += 1
            print(f"{mutation.config}\n{type(error).__name__}: {error}", file=sys.stderr)
    facts = {"configs": COUNT, "outcomes": dict(sorted(counts.items()))}
    print(json.dumps(facts, indent=2))
    if any("failed" in kind for kind in counts):
        sys.exit(1)
    if record:
        RESULT.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
