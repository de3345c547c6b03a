"""Runs the cells of one session, inside its isolate. Everything that leaves is text; the host checks it again."""

import __future__

import ast
import asyncio
import builtins
import codeop
import heapq
import inspect
import io
import json
import keyword
import linecache
import math
import random
import signal
import sys
import threading
import time
import traceback
import types
import warnings
from asyncio import base_events, events

OWN_FILE = "<pyrepl3>"
# The frames of JavaScript that an exception of its has gone through.
ENGINE_FILE = "pyrepl3:"
TEXT_MAX = 16_384
MESSAGE_MAX = 8_192
FRAMES_MAX = 50
SOURCES_KEPT = 200
DEPTH_MAX = 200
SAFE_INTEGER = 2**53 - 1
FEATURES = [getattr(__future__, name) for name in __future__.all_feature_names]

host = None
value_bytes_max = 65_536
namespace = {}
internals = {}
future_flags = 0
running = None


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
        self._armed = None
        # It is always running, so nothing can run it a second time.
        self._thread_id = threading.get_ident()

    def time(self):
        return host.now() / 1000

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
        if not self._driving:
            host.wake()

    def stop(self):
        raise RuntimeError("The event loop of a session ends with the session")

    close = stop

    def _due(self):
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(self._scheduled)._scheduled = False
        return self._scheduled[0]._when if self._scheduled else None

    def drive(self):
        """Runs until nothing is ready, and has the host come back when the next timer is due."""
        if self._driving:
            return
        self._driving = True
        events._set_running_loop(self)
        try:
            while True:
                try:
                    due = self._due()
                    if not self._ready and (due is None or due > self.time() + self._clock_resolution):
                        break
                    self._run_once()
                except (KeyboardInterrupt, SystemExit):
                    # What it ended has it as its exception; the loop itself goes on.
                    pass
        finally:
            self._driving = False
            events._set_running_loop(None)
        self._arm(due)

    def _arm(self, due):
        if due == self._armed:
            return
        self._armed = due
        host.timer(-1 if due is None else max(0, math.ceil((due - self.time()) * 1000)))

    def fired(self):
        self._armed = None
        self.drive()

    def call_exception_handler(self, context):
        if self._exception_handler is not None:
            super().call_exception_handler(context)
            return
        error = context.get("exception")
        sys.stderr.write(str(context.get("message", "Unhandled exception in the event loop")) + "\n")
        if error is not None:
            sys.stderr.write("".join(render(error)))


loop = None


class Stream(io.TextIOBase):
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream):
        self._stream = stream
        self.name = "<" + stream + ">"

    def writable(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation("fileno")

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            host.write(self._stream, text)
        return len(text)

    def flush(self):
        pass


class Nothing(io.TextIOBase):
    """Output that the level does not grant."""

    def write(self, text):
        return len(text)


# --- what leaves ----------------------------------------------------------------------------------------------------


class TooLarge(Exception):
    pass


def is_json(value, depth=0, seen=()):
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return True
    if kind is int:
        return -SAFE_INTEGER <= value <= SAFE_INTEGER
    if kind is float:
        return math.isfinite(value) and not (value == 0 and math.copysign(1, value) < 0)
    if kind is not list and kind is not dict:
        return False
    if depth >= DEPTH_MAX or id(value) in seen:
        return False
    if len(value) > value_bytes_max:
        return False
    around = (*seen, id(value))
    if kind is list:
        return all(is_json(element, depth + 1, around) for element in value)
    return all(type(key) is str and is_json(element, depth + 1, around) for key, element in value.items())


def type_name(value):
    kind = type(value)
    name = type.__dict__["__qualname__"].__get__(kind)
    return str(name)[:128]


def describe_value(value):
    if is_json(value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if len(text) <= value_bytes_max and len(text.encode("utf-8", "replace")) <= value_bytes_max:
            return json.dumps({"status": "value", "json": text})
    return json.dumps({"status": "preview", "type": type_name(value), "text": short(repr(value))})


def short(text, most=TEXT_MAX):
    text = str(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def cell_of(filename):
    return filename.startswith("cell:") and filename[5:].isdigit()


def user_frames(error):
    """The frames from the first one of a cell on: what called it is ours."""
    told = traceback.TracebackException(type(error), error, error.__traceback__, limit=-FRAMES_MAX, max_group_width=0)
    frames = [frame for frame in told.stack if frame.filename != OWN_FILE and not frame.filename.startswith(ENGINE_FILE)]
    for index, frame in enumerate(frames):
        if cell_of(frame.filename):
            return frames[index:]
    return []


def render(error):
    lines = traceback.StackSummary.from_list(user_frames(error)).format()
    return [
        *(["Traceback (most recent call last):\n"] if lines else []),
        *lines,
        f"{type_name(error)}: {short(message_of(error), MESSAGE_MAX)}\n",
    ]


def message_of(error):
    if isinstance(error, SyntaxError) and error.msg is not None:
        return str(error.msg)
    return str(error)


def describe_error(error, depth=0, code="RUNTIME_ERROR"):
    report = {"code": code, "name": type_name(error)}
    try:
        report["message"] = short(message_of(error), MESSAGE_MAX)
    except Exception:
        report["message"] = "<exception str() failed>"
    frames = user_frames(error)
    report["stack"] = short("".join(traceback.StackSummary.from_list(frames).format()).rstrip("\n"))
    if isinstance(error, SyntaxError) and isinstance(error.filename, str) and cell_of(error.filename):
        place = (error.lineno, error.offset, error.text)
    else:
        inner = next((frame for frame in reversed(frames) if cell_of(frame.filename)), None)
        place = None if inner is None else (inner.lineno, (inner.colno or 0) + 1, inner._original_lines)
    if place is not None and isinstance(place[0], int) and place[0] > 0:
        line, column, text = place
        report["line"] = line
        report["column"] = max(1, column) if isinstance(column, int) else 1
        frame = code_frame(text, report["column"])
        if frame:
            report["frame"] = frame
    if isinstance(error, NameError) and type(getattr(error, "name", None)) is str:
        report["capability"] = error.name
    if depth < 4:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            report["cause"] = describe_error(cause, depth + 1)
        if isinstance(error, BaseExceptionGroup):
            report["errors"] = [describe_error(one, depth + 1) for one in error.exceptions[:10]]
    return report


def code_frame(text, column):
    line = (text or "").split("\n")[0]
    if not line.strip():
        return ""
    start = max(0, min(column - 1, len(line)) - 60)
    return line[start : start + 120].replace("\t", " ") + "\n" + " " * max(0, column - 1 - start) + "^"


def failed(error, code="RUNTIME_ERROR"):
    return json.dumps({"status": "error", "error": describe_error(error, code=code)})


# --- cells ----------------------------------------------------------------------------------------------------------


def compile_cell(source, filename):
    """The cell in two parts, so that the value of its last expression can be had; None for a part it has not."""
    global future_flags
    flags = future_flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, filename, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    body = compile(tree, filename, "exec", flags, dont_inherit=True) if tree.body else None
    for feature in FEATURES:
        if body is not None and body.co_flags & feature.compiler_flag:
            flags |= feature.compiler_flag
    ending = compile(last, filename, "eval", flags, dont_inherit=True) if last is not None else None
    future_flags = flags & ~ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return body, ending


async def execute(body, ending):
    value = None
    for code in (body, ending):
        if code is None:
            continue
        value = eval(code, namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            value = await value
    return value if ending is not None else None


def remember(value):
    if value is None:
        return
    internals.update(_=value, __=internals.get("_"), ___=internals.get("__"))
    namespace.update({name: kept for name, kept in internals.items() if kept is not None})


def keep_source(filename, source):
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    cells = [name for name in linecache.cache if cell_of(name)]
    if len(cells) > SOURCES_KEPT:
        del linecache.cache[cells[0]]


def run(cell, source):
    """The outcome as JSON, or '' where the cell awaits something: then the outcome leaves through `host.done`."""
    global running
    filename = f"cell:{cell}"
    keep_source(filename, source)
    try:
        with warnings.catch_warnings():
            body, ending = compile_cell(source, filename)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return failed(error, "SYNTAX_ERROR")
    outcome = []
    awaiting = False

    def ended(task):
        global running
        if running is not task:
            return
        running = None
        text = outcome_of(task)
        if awaiting:
            host.done(cell, text)
        else:
            outcome.append(text)

    running = loop.create_task(execute(body, ending))
    running.add_done_callback(ended)
    loop.drive()
    awaiting = True
    return outcome[0] if outcome else ""


def outcome_of(task):
    try:
        value = task.result()
    except SystemExit as error:
        # To end the script well is not to fail.
        if error.code is None or (type(error.code) is int and error.code == 0):
            return describe_value(None)
        return failed(error)
    except BaseException as error:
        return failed(error)
    try:
        text = describe_value(value)
    except BaseException as error:
        return failed(error)
    remember(value)
    return text


def abandon():
    """The host gave the running cell up."""
    global running
    task, running = running, None
    if task is not None:
        task.cancel()
        loop.drive()


# --- questions ------------------------------------------------------------------------------------------------------


def names():
    return [name for name in namespace if not name.startswith("__") and name not in internals]


def kind_of(value):
    if isinstance(value, type):
        return "class"
    return "function" if callable(value) else "variable"


def list_names(previews):
    listed = []
    for name in names()[:1000]:
        value = namespace[name]
        entry = {"name": name, "kind": kind_of(value), "type": type_name(value), "preview": "…"}
        if previews:
            try:
                entry["preview"] = short(repr(value), 200)
            except Exception as error:
                entry["preview"] = f"<{type_name(error)} in repr>"
        listed.append(entry)
    return json.dumps(listed)


def get_name(name):
    if name not in namespace:
        return ""
    try:
        return describe_value(namespace[name])
    except Exception as error:
        return failed(error)


def set_names(values_json):
    values = json.loads(values_json)
    for name in values:
        if not name.isidentifier() or keyword.iskeyword(name) or name in internals or name.startswith("__"):
            raise ValueError(f"{name!r} cannot be the name of a variable")
    namespace.update(values)
    return json.dumps(list(values))


def delete_names(names_json):
    known = set(names())
    gone = [name for name in json.loads(names_json) if name in known]
    for name in gone:
        del namespace[name]
    return json.dumps(gone)


def follow(path):
    """The object at the end of a chain of names. Properties are not read: they would run code."""
    first, *rest = path
    if first in namespace:
        value = namespace[first]
    elif hasattr(builtins, first):
        value = getattr(builtins, first)
    else:
        raise LookupError(first)
    for name in rest:
        value = inspect.getattr_static(value, name) if not isinstance(value, types.ModuleType) else vars(value)[name]
    return value


def complete(path_json):
    *path, prefix = json.loads(path_json)
    try:
        found = dir(follow(path)) if path else [*namespace, *dir(builtins), *keyword.kwlist]
    except Exception:
        return "[]"
    hidden = not prefix.startswith("_")
    matches = {name for name in found if isinstance(name, str) and name.startswith(prefix)}
    return json.dumps(sorted(name for name in matches if not (hidden and name.startswith("_")))[:1000])


def inspect_name(path_json):
    try:
        value = follow(json.loads(path_json))
        try:
            title = getattr(value, "__name__", "") + str(inspect.signature(value))
        except (TypeError, ValueError):
            title = f"{type_name(value)}: {short(repr(value), 4096)}"
        doc = inspect.getdoc(value) if callable(value) or isinstance(value, types.ModuleType) else None
        return title if not doc else f"{title}\n{short(doc, 8192)}"
    except Exception:
        return ""


def is_complete(source):
    flags = future_flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    unfinished = flags | codeop.PyCF_ALLOW_INCOMPLETE_INPUT | codeop.PyCF_DONT_IMPLY_DEDENT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "<input>", "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return "incomplete" if could_go_on(source, unfinished) else "invalid"
    # A block is only over with an empty line, as at every prompt of Python.
    last = source.rstrip(" \t").split("\n")[-1]
    return "incomplete" if "\n" in source and last.strip() != "" and last[0] in " \t" else "complete"


def could_go_on(source, flags):
    try:
        compile(source + "\n", "<input>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        return type(error).__name__ == "_IncompleteInputError"
    except (ValueError, OverflowError, RecursionError, MemoryError):
        return False
    return True


# --- the session ----------------------------------------------------------------------------------------------------


def sleep_for(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if seconds > 0:
        raise RuntimeError("time.sleep would hold up the whole session; use `await asyncio.sleep(seconds)`")


def on_interrupt(number, frame):
    """Ends what the user's code is doing. In our own code there is nothing to end, and nothing may be torn apart."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file != OWN_FILE and not file.startswith(("/lib/python", "<frozen ")):
            raise KeyboardInterrupt
        frame = frame.f_back


def connect(powers):
    """The isolate has been made from the snapshot, in which there is no host."""
    global host, loop
    host = powers
    loop = HostLoop()
    asyncio.set_event_loop(loop)


def open_session(outputs, bytes_max, seed):
    global namespace, value_bytes_max
    value_bytes_max = bytes_max
    granted = "print" in outputs
    sys.stdout = sys.__stdout__ = Stream("stdout") if granted else Nothing()
    sys.stderr = sys.__stderr__ = Stream("stderr") if granted else Nothing()
    sys.stdin = sys.__stdin__ = io.StringIO("")
    random.seed(int(seed, 16))
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    namespace = main.__dict__
    internals.update(_=None, __=None, ___=None)
    namespace["__builtins__"] = builtins
    signal.signal(signal.SIGINT, on_interrupt)
    time.sleep = sleep_for
    asyncio.run = plain_run


def plain_run(main, *, debug=None, loop_factory=None):
    """asyncio.run as CPython has it: refused inside of a loop, in which every cell runs."""
    if hasattr(main, "close"):
        main.close()
    raise RuntimeError("asyncio.run() cannot be called from a running event loop; use `await` instead")


QUESTIONS = {
    "list": lambda a: list_names(True),
    "names": lambda a: list_names(False),
    "get": get_name,
    "set": set_names,
    "delete": delete_names,
    "complete": complete,
    "inspect": inspect_name,
    "isComplete": is_complete,
}


def enter(operation, a=None, b=None):
    match operation:
        case "run":
            return run(a, b)
        case "drive":
            loop.drive()
        case "fired":
            loop.fired()
        case "abandon":
            abandon()
        case _:
            return answer(QUESTIONS[operation], a)
    return ""


def answer(question, argument):
    try:
        return question(argument)
    except BaseException as error:
        # What has no answer is told from one by its first character.
        return "\0" + short(f"{type_name(error)}: {error}", MESSAGE_MAX)
