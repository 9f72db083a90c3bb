"""Text: regular expressions, counters, a small tokenizer with state of its own."""

from __future__ import annotations

import collections
import functools
import re
from collections.abc import Iterator

from allcores import parallel

STOP = frozenset("the a an of and or in to is are was were be by for with on at from as".split())
WORD = re.compile(r"[a-z']+")
SUFFIXES = ("ingly", "edly", "ing", "ed", "ly", "es", "s")


class Tokens:
    """Words of a text, one after the other, with a look ahead."""

    def __init__(self, text: str) -> None:
        self.words = WORD.findall(text.lower())
        self.at = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at >= len(self.words):
            raise StopIteration
        self.at += 1
        return self.words[self.at - 1]

    def peek(self) -> str | None:
        return self.words[self.at] if self.at < len(self.words) else None


@functools.cache
def stem(word: str) -> str:
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def pairs(text: str) -> Iterator[tuple[str, str]]:
    tokens = Tokens(text)
    for word in tokens:
        following = tokens.peek()
        if following is not None and word not in STOP and following not in STOP:
            yield stem(word), stem(following)


class Profile:
    def __init__(self, text: str) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.pairs: dict[str, list[str]] = collections.defaultdict(list)
        self.add(text)

    def add(self, text: str) -> None:
        for first, second in pairs(text):
            self.counts[first] += 1
            self.pairs[first].append(second)

    def similarity(self, other: Profile) -> float:
        shared = self.counts.keys() & other.counts.keys()
        both = sum(min(self.counts[w], other.counts[w]) for w in shared)
        return both / max(1, sum(self.counts.values()))

    def summary(self) -> str:
        top = ", ".join(f"{word} ({count})" for word, count in self.counts.most_common(3))
        return f"{len(self.counts)} words: {top}"


def main() -> dict[int, tuple[str, float]]:
    texts = [f"The cats were running {k} times and jumping on walking dogs {k}" for k in range(9)]
    reference = Profile(texts[0])
    found = {}
    for k, text in parallel(list(enumerate(texts))):
        profile = Profile(text)
        profile.add(text.upper())
        found[k] = profile.summary(), profile.similarity(reference)
    return found
