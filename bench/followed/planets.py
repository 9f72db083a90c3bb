"""Orbits: small classes with operators, properties and methods that call each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from allcores import parallel

G = 6.674e-11


class Vector:
    def __init__(self, x: float, y: float, z: float = 0.0) -> None:
        self.x, self.y, self.z = x, y, z

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, k: float) -> Vector:
        return Vector(self.x * k, self.y * k, self.z * k)

    def __repr__(self) -> str:
        return f"Vector({self.x:.3g}, {self.y:.3g}, {self.z:.3g})"

    @property
    def length(self) -> float:
        return math.sqrt(self.x**2 + self.y**2 + self.z**2)

    def normalised(self) -> Vector:
        return self * (1 / (self.length or 1.0))


@dataclass
class Body:
    name: str
    mass: float
    position: Vector
    velocity: Vector
    trail: list[Vector] = field(default_factory=list)

    def pulled_by(self, other: Body) -> Vector:
        between = other.position - self.position
        distance = max(between.length, 1e3)
        return between.normalised() * (G * other.mass / distance**2)

    def move(self, pull: Vector, dt: float) -> None:
        self.velocity = self.velocity + pull * dt
        self.position = self.position + self.velocity * dt
        self.trail.append(self.position)

    @property
    def energy(self) -> float:
        return 0.5 * self.mass * self.velocity.length**2


class System:
    def __init__(self, bodies: list[Body], dt: float) -> None:
        self.bodies, self.dt, self.steps = bodies, dt, 0

    def step(self) -> None:
        pulls = [self.total_pull(body) for body in self.bodies]
        for body, pull in zip(self.bodies, pulls):
            body.move(pull, self.dt)
        self.steps += 1

    def total_pull(self, body: Body) -> Vector:
        total = Vector(0, 0)
        for other in self.bodies:
            if other is not body:
                total = total + body.pulled_by(other)
        return total

    def run(self, steps: int) -> System:
        for _ in range(steps):
            self.step()
        return self

    def energy(self) -> float:
        return sum(body.energy for body in self.bodies)


def system(seed: int) -> System:
    sun = Body("sun", 2e30, Vector(0, 0), Vector(0, 0))
    planets = [
        Body(f"planet {k}", 6e24 * k, Vector(1.5e11 * k, 0), Vector(0, 3e4 / k + seed))
        for k in range(1, 4)
    ]
    return System([sun, *planets], dt=3600.0)


def main() -> list[float]:
    energies = []
    for seed in parallel(range(6)):
        made = system(seed).run(20)
        energies.append(made.energy())
    return energies
