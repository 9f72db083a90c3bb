"""An image of the Mandelbrot set, row by row, written as a PGM file.

A plain loop over the rows, nothing imported: `allcores run examples/mandelbrot.py [WIDTH [FILE]]`
computes the rows on all cores and puts them together in order.
"""

import sys
from pathlib import Path

width = int(sys.argv[1]) if len(sys.argv) > 1 else 600
target = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parent / "out/mandelbrot.pgm")

height = width * 2 // 3
limit = 255


def steps_inside(c):
    """How many steps z = z**2 + c stays within a distance of 2, up to the limit."""
    z = 0j
    for n in range(limit):
        if z.real * z.real + z.imag * z.imag > 4.0:
            return n
        z = z * z + c
    return limit


rows = []
darkest = 0
for j in range(height):
    y = 1.0 - 2.0 * j / (height - 1)
    row = bytearray(width)
    for i in range(width):
        x = -2.0 + 3.0 * i / (width - 1)
        row[i] = limit - steps_inside(complex(x, y))
    darkest += row.count(0)
    rows.append(bytes(row))

target.parent.mkdir(parents=True, exist_ok=True)
target.write_bytes(b"P5 %d %d 255\n" % (width, height) + b"".join(rows))

area = 6.0 * darkest / (width * height)
print(f"{width} x {height} pixels; the area of the set is about {area:.4f}")
