"""What leaves the isolate of values and errors: text, which the host checks again."""

import itertools
import json
import math
import traceback

from _pyrepl3.faults import CapabilityError
from _pyrepl3.state import ENGINE_FILE, cell_of, is_own_file, session

TEXT_MAX = 16_384
MESSAGE_MAX = 8_192
FRAMES_MAX = 50
DEPTH_MAX = 200
SAFE_INTEGER = 2**53 - 1
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
    if len(value) > session.value_bytes_max:
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
        text = encode(value)
        if len(text) <= session.value_bytes_max and len(text.encode("utf-8", "replace")) <= session.value_bytes_max:
            return json.dumps({"status": "value", "json": text, **as_written(value, text)})
    return json.dumps({"status": "preview", "type": type_name(value), "text": short(repr(value))})


def as_written(value, text):
    """The repr, where JSON does not tell what it is: that has one kind of number.

    Not where Python escapes a text, in which nobody would find a secret any more that is not to leave.
    """
    if len(text) > TEXT_MAX:
        return {}
    differs = False
    pending = [value]
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind is float:
            differs = differs or one.is_integer() or abs(one) < 1e-4
        elif kind is str:
            if repr(one)[1:-1] != one:
                return {}
        elif kind is list:
            pending.extend(one)
        elif kind is dict:
            pending.extend(one)
            pending.extend(one.values())
    return {"text": short(repr(value))} if differs else {}


def short(text, most=TEXT_MAX):
    text = str(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def user_frames(error):
    """The frames from the first one of a cell on: what called it is ours."""
    told = traceback.TracebackException(type(error), error, error.__traceback__, limit=-FRAMES_MAX, max_group_width=0)
    frames = [frame for frame in told.stack if not is_own_file(frame.filename) and not frame.filename.startswith(ENGINE_FILE)]
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


def syntax_lines(error):
    """Where the text that could not be compiled is wrong, as Python writes it below the frames."""
    if not isinstance(error, SyntaxError):
        return []
    try:
        told = traceback.TracebackException(type(error), error, None).format_exception_only()
        return list(itertools.takewhile(lambda line: line.startswith("  "), told))
    except Exception:
        # Its fields may be anything.
        return []


def describe_error(error, depth=0, code="RUNTIME_ERROR"):
    report = {"code": code, "name": type_name(error)}
    try:
        report["message"] = short(message_of(error), MESSAGE_MAX)
    except Exception:
        report["message"] = "<exception str() failed>"
    frames = user_frames(error)
    lines = [*traceback.StackSummary.from_list(frames).format(), *syntax_lines(error)]
    report["stack"] = short("".join(lines).rstrip("\n"))
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
    if isinstance(error, SystemExit) and type(error.code) in (int, bool) and abs(error.code) <= SAFE_INTEGER:
        report["exitStatus"] = int(error.code)
    if isinstance(error, CapabilityError) and type(error.capability) is str:
        report["code"] = str(error.code)
        report["capability"] = error.capability
    if isinstance(error, NameError) and type(getattr(error, "name", None)) is str:
        report["capability"] = error.name
    if depth < 4:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            report["cause"] = describe_error(cause, depth + 1)
            if error.__cause__ is None:
                report["whileHandling"] = True
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
