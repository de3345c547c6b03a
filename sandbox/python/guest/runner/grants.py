"""The names that a session is given: its capabilities, its outputs, and `help`."""

import builtins
import json
import sys
import types

from _pyrepl3 import capabilities, display, faults, web
from _pyrepl3.calls import generic
from _pyrepl3.state import session

# The functions of each capability.
FUNCTIONS = {
    name: (getattr(capabilities, name),)
    for name in (
        *("read_file", "write_file", "list_files", "delete_file", "kv", "query", "execute", "transaction", "hash"),
        *("dns", "env", "secret", "exec", "sleep", "input", "approve", "review"),
    )
} | {
    "encrypt": (capabilities.encrypt, capabilities.decrypt),
    "fetch": (web.fetch,),
    "websocket": (web.websocket,),
}
# Built-in functions of another meaning, which all other code goes on to find.
OVERLOADED = {"hash": capabilities.hash, "exec": capabilities.exec}
OUTPUTS = {"display": display.display, "log": display.log}
LINES_MAX = 2000

granted = {}
refused = set()
docs = {}
# As people read them: what can be imported besides the standard library.
installed = ""


def grant(given_json, docs_json):
    """Gives the named capabilities, and says (separated by commas) which could not be given, because something else has their names.

    What is no longer named stays where it is: its calls say that it was withdrawn.
    """
    given = json.loads(given_json)
    session.patient = frozenset(given["patient"])
    docs.update({doc["name"]: doc for doc in json.loads(docs_json or "[]")})
    for name in given["capabilities"]:
        if name not in granted and name not in refused:
            give(name)
    session.granted = frozenset(given["capabilities"]) & granted.keys()
    return ",".join(name for name in given["capabilities"] if name in refused)


def give(name):
    functions = FUNCTIONS.get(name) or (generic(name),)
    if name in OVERLOADED:
        session.overloads[name] = OVERLOADED[name]
        session.namespace.setdefault(name, OVERLOADED[name])
    elif name != "input" and any(hasattr(builtins, function.__name__) for function in functions):
        refused.add(name)
        return
    else:
        for function in functions:
            setattr(builtins, function.__name__, function)
    granted[name] = functions


def begin(outputs, packages):
    """What does not depend on a person's decision: the outputs that the session writes to its own stream."""
    global installed
    installed = packages
    builtins.input = no_input
    builtins.help = help if "print" in outputs else no_help
    for name, function in OUTPUTS.items():
        if name in outputs:
            setattr(builtins, name, function)
    module = types.ModuleType("pyrepl3", "What sessions have besides the standard library.")
    public = (faults.CapabilityError, *faults.KINDS.values(), web.Headers, web.Response, web.WebSocketConnection)
    vars(module).update({each.__name__: each for each in public})
    vars(module).update({name: function for name, function in OUTPUTS.items() if name in outputs})
    sys.modules["pyrepl3"] = module


def no_input(prompt="", /):
    raise EOFError("This session was not given input().")


def no_help(*subject):
    raise RuntimeError("This session was not given print(), by which help() would tell.")


class Helper:
    """help(): what the session was given. help(x): what is known about a value, or about a name."""

    def __call__(self, *subject):
        sys.stdout.write(overview() if not subject else about(subject[0]))

    def __repr__(self):
        return "Type help() for what this session was given, or help(x) for help about x."


help = Helper()


def overview():
    lines = ["This session was given:"] if session.granted else ["This session was given no capabilities."]
    width = max((len(name) for name in session.granted), default=0)
    for name in granted:
        if name in session.granted:
            summary = docs[name]["summary"] if name in docs else ""
            lines.append(f"  {name:<{width}}  {summary}".rstrip())
    if installed:
        lines.append(f"  Packages: {installed}")
    return "\n".join([*lines, "  help(x): tells what is known about x, a value or a name.", ""])


def about(subject):
    name = subject if isinstance(subject, str) else capability_of(subject)
    if name in session.granted and name in docs:
        doc = docs[name]
        return f"{doc['signature']}\n\n{doc['summary']}\n"
    # It takes long to import, and few sessions ask.
    import pydoc

    try:
        text = pydoc.plain(pydoc.render_doc(subject, "%s"))
    except ImportError as error:
        text = f"{error}\n"
    lines = text.split("\n")
    return text if len(lines) <= LINES_MAX else "\n".join([*lines[:LINES_MAX], "…", ""])


def capability_of(value):
    for name, functions in granted.items():
        if any(value is function for function in functions):
            return name
    return None
