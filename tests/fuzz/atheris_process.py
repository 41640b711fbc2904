"""One target under atheris: `python -m tests.fuzz.atheris_process TARGET CORPUS [libFuzzer options]`, as `run.py` does.

The scanners are regular expressions, in which atheris sees no coverage (its hook for them does not know possessive
quantifiers). So mutations are made of the target's tokens as well as of bytes.
"""

from __future__ import annotations

import importlib
import random
import sys
from typing import TYPE_CHECKING

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # has no types, and is an extra
from tests.fuzz.target import TARGET_NAMES, Target

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_CHANGES = 6


def main(arguments: list[str]) -> None:
    """Fuzz the target until libFuzzer's options end it."""
    name = arguments[1]
    if name not in TARGET_NAMES:
        raise SystemExit(f"no fuzz target {name!r}; there are {', '.join(TARGET_NAMES)}")
    # What is instrumented is only known once the target is; so it is imported twice, the second time instrumented.
    packages = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET.packages
    for module in [module for module in sys.modules if module.startswith(("mailwake", "tests.fuzz", *packages))]:
        del sys.modules[module]
    with atheris.instrument_imports(include=list(packages)):
        target: Target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    atheris.Setup([sys.argv[0], *arguments[2:]], target.check, custom_mutator=mutator(target))
    atheris.Fuzz()


def mutator(target: Target) -> Callable[[bytes, int, int], bytes]:
    """Half of its mutations are libFuzzer's, half are made of the tokens and seeds of the target."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        for _ in range(chance.randint(1, _MOST_CHANGES)):
            data = _changed(data, target, chance)
        return data[:max_size]

    return mutate


def _changed(data: bytes, target: Target, chance: random.Random) -> bytes:
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.randint(1, 30))
    match chance.randrange(8):
        case 0:
            return data[:start] + data[end:]
        case 1:
            return data[:end] + data[start:]
        case 2:
            return data[:start] + chance.choice(target.tokens) + data[end:]
        case 3:
            seed = chance.choice(target.seeds)
            cut = chance.randint(0, len(seed))
            return data[:start] + seed[cut : cut + chance.randint(1, 200)] + data[start:]
        case _:
            return data[:start] + chance.choice(target.tokens) + data[start:]


if __name__ == "__main__":
    main(sys.argv)
