"""What rewriting costs: beside other ways to do it, for a message and its copies, on hostile input, and in size.

    benchmarks/rewrite [CORPUS] [--only SECTION ...]

CORPUS is a directory with `html/` and `manifest.json` (benchmarks/corpus.py); without one, what needs real mail is left
out. All times are CPU time, the best of several runs. Exits 1 when twice a hostile input takes 2.5 times the time, or
when a message is scanned more than once. That nothing is changed which should not be is benchmarks/corpus_report's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import candidates_table, hostile, recipients, rendering, size_table
from benchmarks.corpus import read_corpus, read_snippets
from benchmarks.machine import describe_machine

SECTIONS = ("candidates", "rendering", "recipients", "size", "hostile")


def main() -> int:
    """Print the sections; 1 when an aim that holds on any machine is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks/rewrite", description="What rewriting costs.")
    parser.add_argument("corpus", nargs="?", type=Path, help="directory with html/ and manifest.json")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION", help=str(SECTIONS))
    arguments = parser.parse_args()
    files = read_corpus(arguments.corpus) if arguments.corpus else []
    print(describe_machine())
    well = True
    for section in SECTIONS:
        if section not in arguments.only:
            continue
        print(f"\n== {section}")
        if section == "candidates":
            if files:
                candidates_table.show(files, read_snippets(arguments.corpus))
            else:
                print("no corpus given: pass its directory for the speed on real mail")
        elif section == "rendering":
            rendering.show(files)
        elif section == "recipients":
            well = recipients.show() and well
        elif section == "size":
            size_table.show()
        else:
            well = hostile.show() and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
