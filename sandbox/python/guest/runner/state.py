"""What the parts of the runner share: one session, its connection to the host, and the names of its cells."""

import weakref

# The parts are compiled under names that begin with this; no frame of theirs is shown to users.
OWN_FILE = "<pyrepl3"
# The frames of JavaScript that an exception of its has gone through.
ENGINE_FILE = "pyrepl3:"


class Session:
    def __init__(self):
        # What `make-python.ts` gives; None in the snapshot, which no session has come of yet.
        self.host = None
        self.loop = None
        # The globals of the cells, and those of them that are ours: `_`, `__`, `___`.
        self.namespace = {}
        self.internals = {}
        # Of `from __future__ import …` in a cell, for those after it.
        self.future_flags = 0
        # The task of the cell that runs.
        self.running = None
        self.cell_awaits = False
        self.value_bytes_max = 65_536
        # The names of its capabilities, and of those whose calls wait for a person or a timer.
        self.granted = frozenset()
        self.patient = frozenset()
        # Those of them that the cells find in place of a built-in function.
        self.overloads = {}
        # What holds up the code that runs without `await`, whose task that is, and the tasks that the host has given up.
        self.held = None
        self.blocked = None
        self.abandoned = weakref.WeakSet()


session = Session()


def is_own_file(filename):
    return filename.startswith(OWN_FILE)


def cell_of(filename):
    """Whether a frame is of a cell."""
    return filename.startswith("cell:") and filename[5:].isdigit()
