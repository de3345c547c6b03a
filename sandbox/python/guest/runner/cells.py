"""Runs cells: compiles them, and tells how they ended."""

import __future__

import ast
import asyncio
import collections
import inspect
import linecache
import warnings

from _pyrepl3.reports import describe_value, failed
from _pyrepl3.state import session

SOURCES_KEPT = 200
FEATURES = [getattr(__future__, name) for name in __future__.all_feature_names]


def may_be_expression(source):
    """Whether it is worth trying: what is one expression needs no tree, which takes longer to make than all the rest."""
    return "\n" not in source and "=" not in source and not source[:1].isspace()


def compile_cell(source, filename):
    """The cell in two parts, so that the value of its last expression can be had; None for a part it has not."""
    flags = session.future_flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    if may_be_expression(source):
        try:
            return None, compile(source, filename, "eval", flags, dont_inherit=True)
        except SyntaxError:
            # It is told below, as of a cell.
            pass
    tree = compile(source, filename, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    body = compile(tree, filename, "exec", flags, dont_inherit=True) if tree.body else None
    for feature in FEATURES:
        if body is not None and body.co_flags & feature.compiler_flag:
            flags |= feature.compiler_flag
    ending = compile(last, filename, "eval", flags, dont_inherit=True) if last is not None else None
    session.future_flags = flags & ~ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return body, ending


async def execute(body, ending, begun):
    begun(asyncio.current_task(session.loop))
    value = None
    for code in (body, ending):
        if code is None:
            continue
        value = eval(code, session.namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            value = await value
    return value if ending is not None else None


def remember(value):
    if value is None:
        return
    session.internals.update(_=value, __=session.internals.get("_"), ___=session.internals.get("__"))
    session.namespace.update({name: kept for name, kept in session.internals.items() if kept is not None})


# The cells whose source is kept, oldest first.
kept = collections.deque()


def keep_source(filename, source):
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    kept.append(filename)
    if len(kept) > SOURCES_KEPT:
        linecache.cache.pop(kept.popleft(), None)


def run(cell, source):
    """The outcome, after the number of the cell; '' where it is not there yet, and leaves through `host.done`."""
    filename = f"cell:{cell}"
    keep_source(filename, source)
    try:
        with warnings.catch_warnings():
            body, ending = compile_cell(source, filename)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return f"{cell}\0{failed(error, 'SYNTAX_ERROR')}"
    session.cell_awaits = any(code is not None and code.co_flags & inspect.CO_COROUTINE for code in (body, ending))
    loop = session.loop
    task = None
    told = ""

    def begun(own):
        nonlocal task
        task = session.running = own

    def ended(_):
        if session.running is task:
            session.running = None
            session.host.done(cell, outcome_of(task))

    def begin():
        nonlocal told
        try:
            loop.create_task(execute(body, ending, begun), eager_start=True)
        except (KeyboardInterrupt, SystemExit):
            # What it ended has it as its exception.
            pass
        # What the cell has made ready comes first.
        if loop.is_ready or not task.done():
            task.add_done_callback(ended)
        elif session.running is task:
            session.running = None
            told = f"{cell}\0{outcome_of(task)}"

    if loop.is_held:
        begun(loop.create_task(execute(body, ending, begun)))
        task.add_done_callback(ended)
    else:
        loop.drive(begin)
    return told


def rehearse():
    """What is slow when it is done for the first time is done before there is a session. Nothing of it is left."""
    tasks = []
    parts = compile_cell("1 + 1", "cell:0")
    loop = session.loop
    loop.drive(lambda: loop.create_task(execute(*parts, tasks.append), name="rehearsal", eager_start=True))
    describe_value(tasks[0].result())
    session.running = None
    session.namespace.clear()
    return ""


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
    """The host gave the running cell up. What holds the session up without `await` ends with it, whoever began it."""
    task, session.running = session.running, None
    if task is None:
        return
    session.abandoned.add(task)
    task.cancel()
    if session.held is not None:
        session.abandoned.add(session.blocked)
        session.held.finish("")
    session.loop.drive()
