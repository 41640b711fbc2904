"""Runs the fuzz targets: `python -m tests.fuzz.run [--seconds 60] [--jobs 2] [TARGET …]`.

Ends by itself; exits with 1 when a target failed, and says which bytes did it and how to run them again.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.regressions import REGRESSIONS
from tests.fuzz.target import TARGET_NAMES, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

INPUT_SECONDS = 10
"""One input may take so long, instrumented and on a busy machine."""
MEMORY_MEGABYTES = 1024
STARTING_SECONDS = 60
"""A process that has not ended so long after its time is stopped."""
REPORT_SECONDS = 10
LONGEST_TOKEN = 64
"""What is longer does not fit into libFuzzer's dictionaries; our own mutations put it in all the same."""
MISSING = "atheris is not installed: pip install -e '.[dev,fuzz]' (a wheel for CPython 3.11 on Linux)"

_STATUS = re.compile(r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units: *(\d+)", re.MULTILINE)
_REPRODUCER = re.compile(r"Test unit written to (\S+)")


class Outcome(NamedTuple):
    """How one target fared."""

    name: str
    executions: int
    seconds: float
    coverage: int
    corpus: int
    failure: str
    """What to do about it; "" for none."""

    def __str__(self) -> str:
        rate = self.executions / max(self.seconds, 1)
        findings = "1 finding" if self.failure else "no findings"
        return (
            f"{self.name:12} {self.executions:10,} executions {rate:8,.0f}/s  coverage {self.coverage:5}"
            f"  corpus {self.corpus:5}  {findings}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets for their time, so many at once, and say how they fared."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="targets at the same time")
    parser.add_argument("--directory", type=Path, help="for corpora and reproducers; kept, a new one if not given")
    parser.add_argument("--corpus", type=Path, help="a directory of more inputs to start from")
    parser.add_argument("--input", type=Path, help="run one target over one file, without atheris")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGET_NAMES)}; all if none")
    options = parser.parse_args(arguments)
    names = options.targets or list(TARGET_NAMES)
    if unknown := set(names) - set(TARGET_NAMES):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    if options.input:
        for name in names:
            load(name).check(options.input.read_bytes())
        print("no failure")
        return 0
    if importlib.util.find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 2
    directory = options.directory or Path(tempfile.mkdtemp(prefix="mailwake-fuzz-"))
    with ThreadPoolExecutor(options.jobs) as executor:
        outcomes = list(executor.map(lambda name: fuzz(name, options.seconds, directory / name, options.corpus), names))
    print()
    for outcome in outcomes:
        print(outcome)
    for outcome in outcomes:
        if outcome.failure:
            print(f"\n{outcome.failure}")
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def load(name: str) -> Target:
    target: Target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    return target


def fuzz(name: str, seconds: int, directory: Path, more: Path | None) -> Outcome:
    """Run one target in a process of its own, and tell of its progress."""
    log = directory / "log"
    command = [sys.executable, "-m", "tests.fuzz.atheris_process", name, *prepared(name, directory)]
    command += [str(more)] if more else []
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen([*command, f"-max_total_time={seconds}"], stdout=output, stderr=subprocess.STDOUT)
        exit_code = watched(process, name, log, started + seconds + STARTING_SECONDS)
    return outcome_of(name, log, exit_code, time.monotonic() - started)


def prepared(name: str, directory: Path) -> list[str]:
    """Write what the search starts from; the arguments of libFuzzer that say so, and its limits."""
    target = load(name)
    corpus = directory / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate((*target.seeds, *REGRESSIONS.get(name, ()))):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    dictionary = directory / "tokens"
    dictionary.write_text("".join(f'"{quoted(token)}"\n' for token in target.tokens if len(token) <= LONGEST_TOKEN))
    return [
        *(str(corpus), f"-dict={dictionary}", f"-artifact_prefix={directory}/", "-print_final_stats=1"),
        *(f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MEGABYTES}", f"-max_len={target.max_length}"),
        "-len_control=0",  # long inputs from the start: messages are not short
    ]


def watched(process: subprocess.Popen[bytes], name: str, log: Path, deadline: float) -> int | None:
    """The exit code; None when the process did not end by itself."""
    while time.monotonic() < deadline:
        try:
            return process.wait(timeout=REPORT_SECONDS)
        except subprocess.TimeoutExpired:
            executions, coverage, corpus = progress(log)
            print(f"{name}: {executions:,} executions, coverage {coverage}, corpus {corpus}", flush=True)
    process.kill()
    process.wait()
    return None


def progress(log: Path) -> tuple[int, int, int]:
    """(executions, coverage, inputs in the corpus) as the log says last."""
    found = _STATUS.findall(log.read_text("utf-8", "replace"))
    if not found:
        return 0, 0, 0
    executions, coverage, _, corpus = map(int, found[-1])
    return executions, coverage, corpus


def outcome_of(name: str, log: Path, exit_code: int | None, seconds: float) -> Outcome:
    text = log.read_text("utf-8", "replace")
    executions, coverage, corpus = progress(log)
    if executed := _EXECUTED.search(text):
        executions = int(executed[1])
    return Outcome(name, executions, seconds, coverage, corpus, "" if exit_code == 0 else failure(name, log, exit_code))


def failure(name: str, log: Path, exit_code: int | None) -> str:
    """What failed, and the command that shows it again."""
    text = log.read_text("utf-8", "replace")
    how = "did not end" if exit_code is None else f"ended with {exit_code}"
    reproducer = _REPRODUCER.search(text)
    exception = text.find("=== Uncaught Python exception")
    excerpt = text[exception : exception + 4000].split("\n\n==")[0] if exception >= 0 else text[-2000:]
    lines = [f"{name} {how}; its output is in {log}", excerpt.strip()]
    if reproducer:
        lines += [f"reproducer: {reproducer[1]}", f"again:      {rerun(name, reproducer[1])}"]
    return "\n".join(lines)


def rerun(name: str, path: str) -> str:
    return f"{sys.executable} -m tests.fuzz.run {name} --input {path}"


def quoted(token: bytes) -> str:
    """A token as libFuzzer's dictionaries write it."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02X}" for byte in token)


if __name__ == "__main__":
    raise SystemExit(main())
