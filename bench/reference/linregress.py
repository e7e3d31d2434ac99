#!/usr/bin/env python3
"""Prints the reference values in crates/healthcore/testdata/linregress.in (needs scipy)."""
import scipy
from scipy.stats import linregress

cases = [
    (range(10), [2.1, 3.9, 6.2, 7.8, 10.1, 12.2, 13.8, 16.1, 18.0, 20.2]),
    ([i * 0.5 for i in range(6)], [5.0, 3.0, 8.0, 1.0, 9.0, 2.0]),
]
print(f"// scipy {scipy.__version__}, bench/reference/linregress.py: slope, intercept, r, p, stderr")
print("[")
for x, y in cases:
    f = linregress(list(x), y)
    print("    [%s]," % ", ".join(repr(float(v)) for v in (f.slope, f.intercept, f.rvalue, f.pvalue, f.stderr)))
print("]")
