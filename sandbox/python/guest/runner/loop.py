"""asyncio without a thread that waits: the host keeps the time, and enters the isolate when something is due."""

import asyncio
import heapq
import math
import sys
import threading
from asyncio import base_events, events

from _pyrepl3.holds import LOOP, go_on, hold_up
from _pyrepl3.reports import render
from _pyrepl3.state import session


class NoFiles:
    """An isolate has no file descriptors to wait for: between two entries the loop waits for the host."""

    def select(self, timeout=None):
        return []

    def get_map(self):
        return {}

    def close(self):
        pass


class HostLoop(base_events.BaseEventLoop):
    """asyncio's own loop. It runs what is ready while the host has entered the isolate; the host keeps the time between."""

    def __init__(self):
        super().__init__()
        self._selector = NoFiles()
        self._clock_resolution = 0.0005
        self._driving = False
        self._starting = False
        self._armed = None
        # It is always running: nothing can run it a second time but `run_until_complete` below.
        self._thread_id = threading.get_ident()

    def time(self):
        return session.host.now() / 1000

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass

    def call_soon(self, *args, **options):
        handle = super().call_soon(*args, **options)
        self._wake()
        return handle

    def call_at(self, *args, **options):
        handle = super().call_at(*args, **options)
        self._wake()
        return handle

    def _wake(self):
        # A promise of JavaScript has called back.
        if self._driving:
            go_on(LOOP)
        elif not self._starting:
            session.host.wake()

    def stop(self):
        raise RuntimeError("The event loop of a session ends with the session")

    close = stop

    def _due(self):
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(self._scheduled)._scheduled = False
        return self._scheduled[0]._when if self._scheduled else None

    def _is_idle(self, due):
        return not self._ready and (due is None or due > self.time() + self._clock_resolution)

    @property
    def is_held(self):
        """Whether something that it runs is held up, behind which everything else waits."""
        return self._driving

    @property
    def is_ready(self):
        return bool(self._ready)

    def drive(self, begin=None):
        """Runs until nothing is ready, and has the host come back when the next timer is due.

        @param begin runs before anything else
        """
        if self._driving:
            go_on(LOOP)
            return
        self._driving = True
        events._set_running_loop(self)
        try:
            if begin is not None:
                begin()
            while True:
                try:
                    due = self._due()
                    if self._is_idle(due):
                        break
                    self._run_once()
                except (KeyboardInterrupt, SystemExit):
                    # What it ended has it as its exception; the loop itself goes on.
                    pass
        finally:
            self._driving = False
            events._set_running_loop(None)
        self._arm(due)

    def start(self, change, *args):
        """Makes a change, and runs what that makes ready: the host need not come back for it."""
        self._starting = True
        try:
            change(*args)
        finally:
            self._starting = False
        self.drive()

    def _arm(self, due):
        if due == self._armed:
            return
        self._armed = due
        session.host.timer(-1 if due is None else max(0, math.ceil((due - self.time()) * 1000)))

    def fired(self):
        self._armed = None
        self.drive()

    def run_until_complete(self, future):
        """Holds up the code that calls it, and runs everything else until the future is done."""
        task = asyncio.ensure_future(future, loop=self)
        caller = asyncio.current_task(self)
        try:
            while not task.done():
                due = self._due()
                if self._is_idle(due):
                    self._arm(due)
                    hold_up(LOOP)
                    continue
                asyncio.tasks._swap_current_task(self, None)
                try:
                    self._run_once()
                finally:
                    asyncio.tasks._swap_current_task(self, caller)
        except BaseException:
            task.cancel()
            raise
        return task.result()

    def call_exception_handler(self, context):
        if self._exception_handler is not None:
            super().call_exception_handler(context)
            return
        error = context.get("exception")
        sys.stderr.write(str(context.get("message", "Unhandled exception in the event loop")) + "\n")
        if error is not None:
            sys.stderr.write("".join(render(error)))
