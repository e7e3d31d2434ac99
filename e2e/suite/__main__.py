"""Runs scenarios against a lab that is up; `e2e/run` brings it up. One line a scenario, then `N passed, N failed`."""
import argparse
import os
import sys
import tempfile
import time

# Each registers its scenarios, in this order.
from . import (  # noqa: F401
    page,
    scenarios,
    delivery,
    edge,
    deployment,
    image,
    documents,
    guides,
    serve,
    broken,
    logs,
    past,
    whole,
    objects,
    jvm,
    loki,
    registry,
    history,
    stores,
)
from .case import SCENARIOS, Case
from .lab import World
from .product import Product


def main():
    ap = argparse.ArgumentParser(prog="suite", description=__doc__)
    ap.add_argument("names", nargs="*", metavar="NAME", help="only these scenarios (default: all)")
    ap.add_argument("--list", action="store_true", help="print the names and what each is about")
    ap.add_argument("--lab-dir")
    ap.add_argument("--binary")
    ap.add_argument("--prometheus-port", type=int, default=19091)
    ap.add_argument("--api-port", type=int, default=16543)
    a = ap.parse_args()
    if a.list:
        for name, function in SCENARIOS.items():
            print(f"{name:32} {function.__doc__}")
        return 0
    unknown = [n for n in a.names if n not in SCENARIOS]
    if unknown:
        ap.error(f"no scenario {', '.join(unknown)}: expected one of {', '.join(SCENARIOS)}")
    if not a.lab_dir or not a.binary:
        ap.error("--lab-dir and --binary are needed")
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="healthcheck-e2e-") as work:
        world = World(a.lab_dir, a.prometheus_port, a.api_port, work, Product(os.path.abspath(a.binary), work))
        world.plant()
        for name in a.names or SCENARIOS:
            case = Case(name)
            began = time.monotonic()
            case.run(SCENARIOS[name], world)
            notes = f"  [{'; '.join(case.notes)}]" if case.notes else ""
            print(f"{'FAIL' if case.failures else 'ok  '} {name} ({time.monotonic() - began:.1f} s){notes}", flush=True)
            for failure in case.failures:
                print(f"       - {failure}", flush=True)
            passed, failed = passed + (not case.failures), failed + bool(case.failures)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
