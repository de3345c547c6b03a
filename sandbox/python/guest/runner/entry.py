"""The functions that the host side of the isolate calls: nothing else enters Python."""

import asyncio
import builtins
import functools
import importlib
import io
import json
import os
import random
import signal
import sys
import types

from pyodide.ffi import run_sync

from _pyrepl3 import sleeping
from _pyrepl3.calls import settled
from _pyrepl3.cells import abandon, rehearse, run
from _pyrepl3.grants import begin, grant
from _pyrepl3.holds import PAUSE, go_on
from _pyrepl3.loop import HostLoop
from _pyrepl3.questions import answer
from _pyrepl3.state import is_own_file, session
from _pyrepl3.streams import Nothing, Stream

# The exit status of a process that SIGABRT has ended, as a shell gives it.
ABORTED = 134
SERVED = 64
# No other text is waited for.
SERVES = "\0serves\0"
# The way in, for an isolate that goes on from the memory of another.
own_modules = {name: sys.modules[name] for name in ("_pyrepl3", __name__)}
kept = {}


def on_interrupt(number, frame):
    """Ends what the user's code is doing. In our own code there is nothing to end, and nothing may be torn apart."""
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_own_file(file) and not file.startswith(("/lib/python314.zip/", "<frozen ")):
            raise KeyboardInterrupt
        frame = frame.f_back


def connect(powers):
    """The isolate has been made from the snapshot, in which there is no host."""
    session.host = powers
    session.loop = HostLoop()
    asyncio.set_event_loop(session.loop)


def detach():
    """Lets go of the host, so that nothing of JavaScript is left in the memory of the session. Says why that cannot be, or ''."""
    if session.running is not None or session.held is not None:
        return "code of its is running"
    if "js" in sys.modules or "pyodide_js" in sys.modules:
        return "it has used what JavaScript’s side of the isolate holds"
    session.host = None
    # The loader keeps the function of JavaScript's that was called last, and this is one that it knows how to find again.
    importlib.import_module("js").parseInt("0")
    del sys.modules["js"]
    sys.modules.update(own_modules)
    kept.update(path=list(sys.path), excepthook=sys.excepthook)
    return ""


def attach(powers):
    session.host = powers
    for name in own_modules:
        sys.modules.pop(name, None)


def resume(powers):
    """The memory of the session has come to another isolate, whose loader has left its marks on it."""
    attach(powers)
    sys.path[:] = kept["path"]
    sys.excepthook = kept["excepthook"]


def open_session(outputs, bytes_max, seed, argv, packages):
    session.value_bytes_max = bytes_max
    granted = "print" in outputs
    sys.stdout = sys.__stdout__ = Stream("stdout") if granted else Nothing()
    sys.stderr = sys.__stderr__ = Stream("stderr") if granted else Nothing()
    sys.stdin = sys.__stdin__ = io.StringIO("")
    sys.argv = json.loads(argv)
    random.seed(int(seed, 16))
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    session.namespace = main.__dict__
    session.internals.update(_=None, __=None, ___=None)
    session.namespace["__builtins__"] = builtins
    signal.signal(signal.SIGINT, on_interrupt)
    sleeping.install()
    asyncio.run = run_main
    os._exit = exit_now
    os.abort = functools.partial(exit_now, ABORTED)
    begin(outputs, packages)
    # There is no C library behind it; what it could do is to break the interpreter it runs in.
    sys.modules["_ctypes"] = None
    # Imported anew by whoever wants it, which is how `detach` knows.
    sys.modules.pop("pyodide_js", None)
    # The loader has put it there a second time.
    del sys.path[0]
    for name in [name for name in sys.modules if name.startswith("_pyrepl3")]:
        del sys.modules[name]


def exit_now(status):
    """os._exit: there is no process to end but the session, which goes on."""
    raise SystemExit(status)


def run_main(main, *, debug=None, loop_factory=None):
    """asyncio.run: the session's loop is running already, and runs on."""
    if not asyncio.iscoroutine(main):
        raise ValueError(f"a coroutine was expected, got {main!r}")
    return session.loop.run_until_complete(main)


def enter(given):
    """Runs code of the user's. It may be held up, and goes on when what it waits for has come.

    @param given the operation, and its two arguments, of which the first is a number
    @return what `run` gives, or ''
    """
    operation, a, b = given.split("\0", 2)
    match operation:
        case "run":
            return run(int(a), b)
        case "drive":
            session.loop.drive()
        case "fired":
            session.loop.fired()
        case "settled":
            settled(int(a), b)
        case "paused":
            go_on(PAUSE)
        case "abandon":
            abandon()
        case "rehearse":
            rehearse()
    return ""


class Told(str):
    """To Pyodide it is a future. The other side of the isolate takes it for what it is, and waits for what comes next."""

    _asyncio_future_blocking = False

    def __await__(self):
        yield self


def serve(given):
    """Runs what it is given, and what is given after that, without another stack to be made for it.

    Now and then it ends all the same: a stack keeps all the memory that it ever took.
    """
    for _ in range(SERVED):
        told = Told(SERVES + enter(given))
        given = None
        given = run_sync(told)
        if given.startswith("rest"):
            return ""
    return enter(given)


def ask(operation, a=None, b=None):
    """Answers at once."""
    return grant(a, b) if operation == "grant" else answer(operation, a)
