"""Runs tests of CPython inside a session: this is a cell, and what it defines are calls of the cells after it."""

import asyncio
import base64
import io
import json
import os
import sys
import types
import unittest
import warnings
import zlib

FOLDER = "/tmp/cpython"
REASON_MAX = 400


class Recorder(unittest.TestResult):
    """What became of each test, by its id: the first word on it counts, so that a subtest that fails is a failure."""

    def __init__(self):
        super().__init__()
        self.ends = {}

    def note(self, test, end, reason=""):
        reason = " ".join(str(reason).split())
        self.ends.setdefault(test.id(), [end, reason if len(reason) <= REASON_MAX else "…" + reason[-REASON_MAX:]])

    def addSuccess(self, test):
        self.note(test, "passed")

    def addExpectedFailure(self, test, error):
        self.note(test, "passed")

    def addUnexpectedSuccess(self, test):
        self.note(test, "failed", "passed, which its author did not expect")

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addFailure(self, test, error):
        self.note(test, "failed", last_words(error))

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(test, "failed", f"{subtest._subDescription()} {last_words(error)}")


class Wait:
    """What the loop below waits with."""

    def __init__(self, loop):
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("the loop waits for something that cannot come")
        self._loop.now += timeout
        return []

    def get_map(self):
        return {}

    def close(self):
        pass


class OwnTimeLoop(asyncio.base_events.BaseEventLoop):
    """asyncio's own loop, without the sockets that the one of Unix has: its time passes when it would wait."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._selector = Wait(self)

    def time(self):
        return self.now

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass


def last_words(error):
    kind, value, _ = error
    try:
        text = str(value)
    except Exception:
        text = "<exception str() failed>"
    return f"{kind.__name__}: {text}"


def unpack(packed):
    files = json.loads(zlib.decompress(base64.b64decode(packed)))
    for path, text in files.items():
        file = os.path.join(FOLDER, path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as opened:
            opened.write(base64.b64decode(text))
    return len(files)


def load(module):
    """Finds the tests of the module; answers how many."""
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    os.chdir(FOLDER)
    from test import support

    # None of what a run of regrtest has to be asked for: the network, minutes of CPU, gigabytes.
    support.use_resources = {}
    # Whole modules about asyncio are skipped where there are no sockets, although hardly a test in them opens one.
    support.has_socket_support = True
    suite = without_loop(lambda: unittest.defaultTestLoader.loadTestsFromName(module))
    driver.tests = list(flat(suite))
    return len(driver.tests)


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def run(indexes):
    """Runs these of the tests; answers what became of each of them, as JSON in a text."""
    recorder = Recorder()
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            without_loop(lambda: unittest.TestSuite([driver.tests[index] for index in indexes]).run(recorder))
    finally:
        sys.stdout, sys.stderr = kept
    return json.dumps(recorder.ends)


def without_loop(action):
    """A cell runs inside the loop of its session; tests start loops of their own, which asyncio refuses inside of another."""
    loop, run = asyncio._get_running_loop(), asyncio.run
    task = loop and asyncio.current_task(loop)
    if task:
        asyncio.tasks._leave_task(loop, task)
    asyncio._set_running_loop(None)
    asyncio.run = asyncio.runners.run
    asyncio.SelectorEventLoop = asyncio.EventLoop = OwnTimeLoop
    policy, asyncio.events._event_loop_policy = asyncio.events._event_loop_policy, None
    asyncio.unix_events._DefaultEventLoopPolicy._loop_factory = OwnTimeLoop
    try:
        return action()
    finally:
        asyncio.run = run
        asyncio.events._event_loop_policy = policy
        asyncio._set_running_loop(loop)
        if task:
            asyncio.tasks._enter_task(loop, task)


driver = types.SimpleNamespace(unpack=unpack, load=load, run=run, tests=[])
