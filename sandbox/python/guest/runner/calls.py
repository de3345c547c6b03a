"""Calls whose effect lies outside the isolate, and waiting for their answers, with or without `await`."""

import asyncio
import functools
import inspect
import itertools
import json
import opcode
import sys

from pyodide.ffi import can_run_sync

from _pyrepl3.faults import fault_of
from _pyrepl3.holds import NOTHING_RUNS, hold_up
from _pyrepl3.state import cell_of, session

AWAITS = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
GET_AWAITABLE = opcode.opmap["GET_AWAITABLE"]
# Open calls: their numbers are the host's.
answers = {}


def raw_call(capability, args):
    """Makes the call; what it answers is the result of the future. The arguments are JSON data.

    @raise CapabilityError where it cannot be made
    """
    text = json.dumps(args, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    made = session.host.call(capability, text, place() if capability in session.patient else "")
    if made[0] == "{":
        raise fault_of(capability, json.loads(made))
    answer = session.loop.create_future()
    answer.call = int(made)
    answer.capability = capability
    answers[answer.call] = answer
    return answer


def settled(call, text):
    """The host's answer has come: '1' or '0' for whether it went well, and JSON."""
    if session.held is not None and session.held.reason == call:
        session.held.finish(text)
        return
    answer = answers.pop(call, None)
    if answer is not None and not answer.done():
        session.loop.start(settle, answer, text)


def settle(answer, text):
    told = json.loads(text[1:])
    if text[0] == "1":
        answer.set_result(told)
    else:
        answer.set_exception(fault_of(answer.capability, told))


def place():
    """Where in the user's code the call stands, as V8 would write it."""
    frame = sys._getframe()
    while frame is not None and not cell_of(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    line, _, column, _ = next(positions, (frame.f_lineno, None, None, None))
    return f"    at {frame.f_code.co_filename}:{line or frame.f_lineno}:{(column or 0) + 1}"


# --- waiting for answers --------------------------------------------------------------------------------------------


def finish(operation):
    """The result of a coroutine that awaits nothing but answers, without `await`."""
    if not can_run_sync():
        operation.close()
        raise RuntimeError(NOTHING_RUNS)
    try:
        answer = operation.send(None)
        while True:
            try:
                text = hold_up(answer.call)
            finally:
                answers.pop(answer.call, None)
            settle(answer, text)
            answer._asyncio_future_blocking = False
            answer = operation.send(None)
    except StopIteration as end:
        return end.value
    finally:
        operation.close()


class Call(asyncio.Task):
    """A call under way, to be awaited."""

    def __getattr__(self, name):
        raise AttributeError(
            f"a call of {self.get_name()}() has no {name!r} before it is awaited: in code that awaits anything, "
            f"write `await {self.get_name()}(…)`"
        )


def is_awaited(frame):
    """Whether what the frame calls is awaited as soon as it returns."""
    code = frame.f_code.co_code
    at = frame.f_lasti
    following = at + 2 + 2 * opcode._inline_cache_entries.get(opcode.opname[code[at]], 0)
    return following < len(code) and code[following] == GET_AWAITABLE


def awaits(frame):
    """Whether the code of the frame awaits things. A generator expression is part of the code around it."""
    while frame.f_code.co_name == "<genexpr>" and frame.f_back is not None:
        frame = frame.f_back
    code = frame.f_code
    # Of a cell, which is compiled in two parts, either may.
    of_cell = code.co_name == "<module>" and cell_of(code.co_filename)
    return session.cell_awaits if of_cell else code.co_flags & AWAITS != 0


def perform(operation, caller, args, options, plain=False):
    """A call that the code of the frame `caller` makes; `capability` says what it gives."""
    started = operation(*args, **options)
    if is_awaited(caller) or (not plain and awaits(caller)):
        return Call(started, loop=session.loop, name=operation.__name__, eager_start=True)
    return finish(started)


def capability(operation=None, *, plain=False):
    """Makes a function of an operation, which is a coroutine function that awaits nothing but answers.

    In code that awaits (an `async def`, or a cell with `await` in it) a call is an awaitable, and is under way at once; in any
    other code a call waits, and gives the result.
    @param plain for a function that everybody calls without `await`: it is awaitable only where it is awaited on the spot
    """
    if operation is None:
        return functools.partial(capability, plain=plain)

    @functools.wraps(operation)
    def function(*args, **options):
        return perform(operation, sys._getframe(1), args, options, plain)

    function.__module__ = "pyrepl3"
    return function


def generic(name):
    """The function of a capability that is described outside: of a client, or of an administrator."""

    async def operation(*args, **options):
        return await raw_call(name, [*args, options] if options else list(args))

    operation.__name__ = operation.__qualname__ = name
    return capability(operation)
