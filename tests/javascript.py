"""The page's scripts run without a page: V8 by mini-racer, with values that travel as JSON."""

import json
import weakref

from py_mini_racer import JSEvalException, MiniRacer

ScriptError = JSEvalException  # what a script throws; its text holds the error's message


class Scripts:
    """A JavaScript context in which scripts were run one after the other.

    Args:
        *sources: Texts of classic scripts.
    """

    def __init__(self, *sources: str):
        self._context = MiniRacer()
        # at the latest when the process ends: later its thread could not end any more, and Python 3.13 waits for it
        weakref.finalize(self, self._context.close)
        for source in sources:
            self.run(source)

    def run(self, source: str) -> None:
        """Run a script; its value is dropped."""
        self._context.eval(f"{source}\n;undefined")

    def __call__(self, expression: str) -> object:
        """Value of an expression as JSON carries it: undefined and numbers that are not finite become None."""
        return json.loads(self._context.eval(f"JSON.stringify({{value: {expression}}})")).get("value")
