"""Scenarios and what they expect. A scenario goes on after a failed expectation, so one run shows all of them."""
import json
import traceback

SCENARIOS = {}


def scenario(function):
    """Registers a scenario under its function's name, with dashes, in the order of the source."""
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


class Case:
    """The expectations of one scenario."""

    def __init__(self, name):
        self.name = name
        self.failures = []
        self.notes = []

    def fail(self, message):
        self.failures.append(message)

    def note(self, message):
        """A fact for the reader that is no failure."""
        self.notes.append(message)

    def expect(self, condition, message):
        if not condition:
            self.fail(message)
        return bool(condition)

    def equal(self, got, want, what):
        return self.expect(got == want, f"{what}: expected {want!r}, got {got!r}")

    def contains(self, text, part, what):
        return self.expect(part.lower() in text.lower(), f"{what}: expected the text {part!r}, got {shorten(text)!r}")

    def lacks(self, text, part, what):
        return self.expect(part not in text, f"{what}: the text {part!r} occurs and must not")

    def same_set(self, got, want, what):
        """Two sets of rows; shows up to eight differences each way."""
        missing, extra = sorted(map(str, want - got)), sorted(map(str, got - want))
        return self.expect(not missing and not extra, f"{what}: missing {listed(missing)}; not expected {listed(extra)}")

    def run(self, function, world):
        """Runs the scenario; any exception is a failure with its place."""
        try:
            function(world, self)
        except Exception as error:  # a broken scenario must not end the suite
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.fail(f"{type(error).__name__} at {place.filename.rsplit('/', 1)[-1]}:{place.lineno}: {error}")


def listed(items, most=8):
    if not items:
        return "nothing"
    return "; ".join(items[:most]) + (f"; and {len(items) - most} more" if len(items) > most else "")


def shorten(text, most=600):
    text = text if isinstance(text, str) else json.dumps(text)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
