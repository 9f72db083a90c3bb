"""Words, lines and the commonest words over many text files: by default, Python's own library.

A plain loop that merges each file's counts into the totals, nothing imported:
`allcores run examples/text_stats.py [HOW_MANY [DIRECTORY]]` reads and counts on all cores, and
merges in the order of the files.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path

how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 600
directory = Path(sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.__file__))

paths = sorted(path for path in directory.rglob("*.py") if "site-packages" not in path.parts)
paths = paths[:how_many]

word = re.compile(r"[a-z]+(?:'[a-z]+)?")

total = Counter()
lines = 0
longest_file, longest = None, 0
for path in paths:
    text = path.read_text(encoding="utf-8", errors="replace")
    counts = Counter(word.findall(text.lower()))
    total.update(counts)
    length = text.count("\n")
    lines += length
    if length > longest:
        longest_file, longest = path.name, length

print(f"{len(paths)} files, {lines:,} lines, {total.total():,} words, {len(total):,} different")
print(f"longest: {longest_file} with {longest:,} lines")
for each, count in total.most_common(10):
    print(f"{each:>12} {count:>8,}")
