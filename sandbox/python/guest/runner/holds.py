"""Holding code up without `await`, and without a thread: the host enters the isolate again when it can go on."""

import asyncio

from pyodide.ffi import can_run_sync, run_sync

from _pyrepl3.state import session

NOTHING_RUNS = "Nothing can be waited for here: no cell is running."
PAUSE = "pause"
LOOP = "loop"


class Held:
    """What holds up the code that runs. To Pyodide it is a future, but no loop has to run for its callbacks to be called."""

    _asyncio_future_blocking = False

    def __init__(self, reason):
        self.reason = reason
        self._text = None
        self._callbacks = []

    def add_done_callback(self, callback, *, context=None):
        self._callbacks.append(callback)

    def result(self):
        return self._text

    def __await__(self):
        yield self
        return self._text

    def finish(self, text):
        session.held = None
        self._text = text
        for callback in self._callbacks:
            callback(self)


def hold_up(reason):
    """Holds the code up until the host says that it can go on, and gives what it says, which is a text.

    The event loop stands still meanwhile, as it does in any code that blocks.
    @param reason the number of the call that is to be answered, or one of the constants above
    @raise KeyboardInterrupt where the cell is given up
    """
    if not can_run_sync():
        raise RuntimeError(NOTHING_RUNS)
    task = asyncio.current_task(session.loop)
    if task in session.abandoned:
        raise KeyboardInterrupt
    session.held = Held(reason)
    session.blocked = task
    try:
        text = run_sync(session.held)
    finally:
        session.held = session.blocked = None
    if text == "":
        raise KeyboardInterrupt
    return text


def go_on(reason):
    """Ends the hold for that reason, where there is one."""
    if session.held is not None and session.held.reason == reason:
        session.held.finish("over")


def pause(milliseconds):
    session.host.pause(milliseconds)
    try:
        hold_up(PAUSE)
    finally:
        session.host.unpause()
