"""Shortest ways through a graph: heaps, memos of each search, exceptions, context managers."""

from __future__ import annotations

import contextlib
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from allcores import parallel


class Edge(NamedTuple):
    to: int
    cost: float


class NoWay(Exception):
    def __init__(self, start: int, goal: int) -> None:
        super().__init__(f"no way from {start} to {goal}")
        self.start, self.goal = start, goal


class Graph:
    def __init__(self, size: int) -> None:
        self.edges: dict[int, list[Edge]] = {k: [] for k in range(size)}

    def connect(self, a: int, b: int, cost: float) -> None:
        self.edges[a].append(Edge(b, cost))
        self.edges[b].append(Edge(a, cost))

    def __getitem__(self, node: int) -> list[Edge]:
        return self.edges[node]

    def __contains__(self, node: int) -> bool:
        return node in self.edges

    def __len__(self) -> int:
        return len(self.edges)


class Search:
    def __init__(self, graph: Graph, guess: Callable[[int, int], float]) -> None:
        self.graph, self.guess = graph, guess
        self.order = itertools.count()
        self.seen: dict[int, float] = {}
        self.before: dict[int, int] = {}
        self.open: list[tuple[float, int, int]] = []

    def push(self, node: int, cost: float, goal: int) -> None:
        self.seen[node] = cost
        heapq.heappush(self.open, (cost + self.guess(node, goal), next(self.order), node))

    def run(self, start: int, goal: int) -> list[int]:
        self.push(start, 0.0, goal)
        while self.open:
            _, _, node = heapq.heappop(self.open)
            if node == goal:
                return list(self.way(goal))[::-1]
            self.expand(node, goal)
        raise NoWay(start, goal)

    def expand(self, node: int, goal: int) -> None:
        for edge in self.graph[node]:
            cost = self.seen[node] + edge.cost
            if cost < self.seen.get(edge.to, float("inf")):
                self.before[edge.to] = node
                self.push(edge.to, cost, goal)

    def way(self, goal: int) -> Iterator[int]:
        node: int | None = goal
        while node is not None:
            yield node
            node = self.before.get(node)


@contextlib.contextmanager
def searching(graph: Graph, guess: Callable[[int, int], float]) -> Iterator[Search]:
    search = Search(graph, guess)
    try:
        yield search
    finally:
        search.open.clear()


def apart(a: int, b: int) -> float:
    return abs(a - b) * 0.1


def lattice(size: int) -> Graph:
    graph = Graph(size)
    for k in range(size - 1):
        graph.connect(k, k + 1, 1.0)
        if k + 7 < size:
            graph.connect(k, k + 7, 5.0)
    return graph


def main() -> list[list[int]]:
    graph = lattice(60)
    ways = []
    for goal in parallel(range(10, 60, 5)):
        with searching(graph, apart) as search:
            try:
                way = search.run(0, goal)
            except NoWay:
                way = []
        ways.append(way)
    return ways
