"""A small network trained from each of several starts, with NumPy."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from allcores import parallel

Array = Any


class Layer(ABC):
    @abstractmethod
    def forward(self, x: Array) -> Array: ...

    @abstractmethod
    def backward(self, grad: Array) -> Array: ...

    def step(self, rate: float) -> None:
        pass


class Dense(Layer):
    def __init__(self, rng: Any, fan_in: int, fan_out: int) -> None:
        self.w = rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in)
        self.b = np.zeros(fan_out)
        self.x: Array = None
        self.dw: Array = None
        self.db: Array = None

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.w + self.b

    def backward(self, grad: Array) -> Array:
        self.dw = self.x.T @ grad
        self.db = grad.sum(axis=0)
        return grad @ self.w.T

    def step(self, rate: float) -> None:
        self.w -= rate * self.dw
        self.b -= rate * self.db


class Tanh(Layer):
    def forward(self, x: Array) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, grad: Array) -> Array:
        return grad * (1 - self.y**2)


class Network:
    def __init__(self, seed: int, sizes: list[int]) -> None:
        rng = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            self.layers.append(Dense(rng, fan_in, fan_out))
            self.layers.append(Tanh())
        self.losses: list[float] = []

    def predict(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train(self, x: Array, y: Array, epochs: int, rate: float = 0.05) -> Network:
        for _ in range(epochs):
            out = self.predict(x)
            self.losses.append(self.loss(out, y))
            self.learn(2 * (out - y) / len(y), rate)
        return self

    def learn(self, grad: Array, rate: float) -> None:
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        for layer in self.layers:
            layer.step(rate)

    @staticmethod
    def loss(out: Array, y: Array) -> float:
        return float(((out - y) ** 2).mean())


def main() -> list[float]:
    x = np.linspace(-1, 1, 40).reshape(-1, 1)
    y = np.sin(3 * x)
    best = []
    for seed in parallel(range(6)):
        network = Network(seed, [1, 8, 1]).train(x, y, epochs=20)
        best.append(min(network.losses))
    return best
