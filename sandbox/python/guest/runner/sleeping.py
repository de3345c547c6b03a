"""`time.sleep` and `asyncio.sleep`: by the timers of the host, and for long by the capability, whose waits keep no isolate in memory."""

import asyncio
import functools
import math
import operator
import time

from _pyrepl3.calls import finish, raw_call
from _pyrepl3.faults import CapabilityError
from _pyrepl3.holds import pause
from _pyrepl3.state import session

# A call is made, counted and written down for each, and cannot be cancelled: that is for waits that are long.
LONG_SECONDS = 60
plain_sleep = asyncio.sleep


def is_long(seconds):
    return LONG_SECONDS <= seconds < math.inf and "sleep" in session.granted


async def wait_long(seconds):
    """Whether it has waited: the level may bound what the capability waits for."""
    try:
        await raw_call("sleep", [seconds * 1000])
    except CapabilityError:
        return False
    return True


@functools.wraps(time.sleep)
def sleep_for(seconds, /):
    if not isinstance(seconds, float):
        try:
            seconds = operator.index(seconds)
        except TypeError:
            kind = type(seconds).__name__
            raise TypeError(f"{kind!r} object cannot be interpreted as an integer or float") from None
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if is_long(seconds) and finish(wait_long(seconds)):
        return
    if seconds > 0:
        pause(math.ceil(seconds * 1000))


@functools.wraps(plain_sleep)
async def sleep(delay, result=None):
    # A call is answered in the session's loop, and in no other.
    if is_long(delay) and asyncio.get_running_loop() is session.loop and await wait_long(delay):
        return result
    return await plain_sleep(delay, result)


def install():
    time.sleep = sleep_for
    # Where the parts of asyncio itself find it, and where everybody else does.
    asyncio.sleep = asyncio.tasks.sleep = sleep
