"""Whether the keys of `task::canonical` tell numbers apart, and only those, beside mpmath.

    cargo build --release -p task --example same
    python examples/check_keys.py target/release/examples/same 40000

Needs mpmath. Draws nested expressions of small numbers, square and cube roots, pi and i, and works them out to 60 digits.
Printed are the expressions of different values that have one key, and the values that have several keys.
"""

import random
import subprocess
import sys

from mpmath import cbrt, mp, mpc, mpf, nstr, pi, sqrt

mp.dps = 60
TINY = mpf(10) ** -25
draw = random.Random(0)


def leaf():
    number = draw.choice([1, 2, 3, 4, 5, 6, 8, 9, 12])
    return draw.choice(
        [(str(number), mpf(number))] * 5
        + [(f"\\sqrt{{{number}}}", sqrt(mpf(number))), (f"\\sqrt[3]{{{number}}}", cbrt(mpf(number)))]
        + [("\\pi", +pi), ("i", mpc(0, 1))]
    )


def expression(depth):
    if depth == 0:
        return leaf()
    text, value = expression(depth - 1)
    other, second = expression(draw.randrange(depth))
    power = draw.choice([-2, -1, 2, 3])
    kinds = {
        "sum": lambda: (f"({text}+{other})", value + second),
        "difference": lambda: (f"({text}-{other})", value - second),
        "product": lambda: (f"{text}\\cdot {other}", value * second),
        "quotient": lambda: (f"\\frac{{{text}}}{{{other}}}", value / second),
        "power": lambda: (f"({text})^{{{power}}}", value**power),
        "root": lambda: (f"\\sqrt{{{text}}}", sqrt(value)),
    }
    return kinds[draw.choice(list(kinds))]()


def rounded(value):
    return tuple(nstr(part if abs(part) > TINY else mpf(0), 25) for part in (mpc(value).real, mpc(value).imag))


def main():
    binary, count = sys.argv[1], int(sys.argv[2])
    drawn = []
    while len(drawn) < count:
        try:
            drawn.append(expression(draw.choice([1, 2, 2, 3])))
        except ZeroDivisionError:
            continue
    lines = "".join(f"{text}\t{text}\n" for text, _ in drawn)
    done = subprocess.run([binary], input=lines, capture_output=True, text=True, check=True)
    values, keys = {}, {}
    for (text, value), line in zip(drawn, done.stdout.splitlines(), strict=True):
        key = line.split("\t")[1]
        values.setdefault(key, {}).setdefault(rounded(value), text)
        keys.setdefault(rounded(value), {}).setdefault(key, text)
    merged = [texts for texts in values.values() if len(texts) > 1]
    split = [texts for texts in keys.values() if len(texts) > 1]
    print(f"{count} expressions, {len(keys)} values, {len(values)} keys")
    print(f"{len(merged)} keys of several values, {len(split)} values of several keys")
    for texts in merged + split:
        print("\t".join(texts.values()))


main()
