"""Answers about the namespace between cells. Properties are never read: they would run code."""

import ast
import builtins
import codeop
import inspect
import json
import keyword
import types
import warnings

from _pyrepl3.reports import MESSAGE_MAX, describe_value, failed, short, type_name
from _pyrepl3.state import session


def names():
    return [
        name
        for name, value in session.namespace.items()
        if not name.startswith("__") and name not in session.internals and value is not session.overloads.get(name, names)
    ]


def kind_of(value):
    if isinstance(value, type):
        return "class"
    return "function" if callable(value) else "variable"


def list_names(previews):
    listed = []
    for name in names()[:1000]:
        value = session.namespace[name]
        entry = {"name": name, "kind": kind_of(value), "type": type_name(value), "preview": "…"}
        if previews:
            try:
                entry["preview"] = short(repr(value), 200)
            except Exception as error:
                entry["preview"] = f"<{type_name(error)} in repr>"
        listed.append(entry)
    return json.dumps(listed)


def get_name(name):
    if name not in session.namespace:
        return ""
    try:
        return describe_value(session.namespace[name])
    except Exception as error:
        return failed(error)


def set_names(values_json):
    values = json.loads(values_json)
    for name in values:
        if not name.isidentifier() or keyword.iskeyword(name) or name in session.internals or name.startswith("__"):
            raise ValueError(f"{name!r} cannot be the name of a variable")
    session.namespace.update(values)
    return json.dumps(list(values))


def delete_names(names_json):
    known = set(names())
    gone = [name for name in json.loads(names_json) if name in known]
    for name in gone:
        del session.namespace[name]
    return json.dumps(gone)


def follow(path):
    """The object at the end of a chain of names. Properties are not read: they would run code."""
    first, *rest = path
    if first in session.namespace:
        value = session.namespace[first]
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
        found = dir(follow(path)) if path else [*session.namespace, *dir(builtins), *keyword.kwlist]
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
    flags = session.future_flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
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


def answer(question, argument):
    try:
        return QUESTIONS[question](argument)
    except BaseException as error:
        # What has no answer is told from one by its first character.
        return "\0" + short(f"{type_name(error)}: {error}", MESSAGE_MAX)
