"""The exceptions of capability calls. They are importable from the module `pyrepl3`."""


class CapabilityError(Exception):
    """A call of a capability that failed.

    `code` says how, as in the protocol ("CAPABILITY_DENIED", "TOO_LARGE", …), `capability` is its name, and `details` holds
    what else is known, such as `details["reason"]` or `details["limit"]`.
    """

    code = "INTERNAL"
    capability = None
    details = {}


def _kind(name, code, summary, *standard):
    """A class that code can catch by its own name, or by the standard class that means the same."""
    return type(name, (CapabilityError, *standard), {"code": code, "__doc__": summary, "__module__": "pyrepl3"})


CapabilityError.__module__ = "pyrepl3"
CapabilityDenied = _kind("CapabilityDenied", "CAPABILITY_DENIED", "The policy does not let the session do this.", PermissionError)
ApprovalDenied = _kind("ApprovalDenied", "APPROVAL_DENIED", "A person was asked, and refused.", PermissionError)
RateLimited = _kind("RateLimited", "RATE_LIMITED", "Called more often than the policy lets the session.")
BudgetExceeded = _kind("BudgetExceeded", "BUDGET_EXCEEDED", "The session has used up what the policy gives it.")
TooLarge = _kind("TooLarge", "TOO_LARGE", "More than the policy lets one call move.", ValueError)
TimedOut = _kind("TimedOut", "TIMED_OUT", "There was no answer in time.", TimeoutError)
Conflict = _kind("Conflict", "CONFLICT", "What was to be changed is not as the call expected.")
EffectFailed = _kind("EffectFailed", "EFFECT_FAILED", "The effect was tried, and failed.")
InDoubt = _kind("InDoubt", "IN_DOUBT", "Nobody knows whether the effect has happened.")
InvalidArguments = _kind("InvalidArguments", "INVALID_PARAMS", "The arguments are not what the capability takes.", ValueError)
Unavailable = _kind("Unavailable", "UNAVAILABLE", "What the capability needs is not there at the moment.")
Busy = _kind("Busy", "BUSY", "Too many calls are under way already.")
Interrupted = _kind("Interrupted", "INTERRUPTED", "The call was given up before it was answered.")

KINDS = {
    kind.code: kind
    for kind in (
        *(CapabilityDenied, ApprovalDenied, RateLimited, BudgetExceeded, TooLarge, TimedOut, Conflict, EffectFailed),
        *(InDoubt, InvalidArguments, Unavailable, Busy, Interrupted),
    )
}
# What failed for one of these reasons can be caught by the standard class as well.
BY_REASON = {
    reason: type("EffectFailed", (EffectFailed, standard), {"__module__": "pyrepl3", "__doc__": EffectFailed.__doc__})
    for reason, standard in {
        "not-found": FileNotFoundError,
        "exists": FileExistsError,
        "not-a-folder": NotADirectoryError,
        "unreachable": ConnectionError,
        "timed-out": TimeoutError,
    }.items()
}


def fault_of(capability, told):
    """@param told the object of the daemon's answer: `code`, `message`, and perhaps `details`"""
    code = told.get("code")
    details = told.get("details")
    reason = details.get("reason") if isinstance(details, dict) else None
    kind = BY_REASON.get(reason) if code == "EFFECT_FAILED" else None
    error = (kind or KINDS.get(code, CapabilityError))(str(told.get("message", "")))
    error.code = code if isinstance(code, str) else "INTERNAL"
    error.capability = capability
    error.details = details if isinstance(details, dict) else {}
    return error
