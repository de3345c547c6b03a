"""`display` and `log`: what a cell shows besides its value, and what it tells the session's log."""

import base64
import json

from _pyrepl3.reports import is_json, short
from _pyrepl3.state import session

# The methods by which values show themselves, as IPython has them.
METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
}
LEVELS = ("debug", "info", "warn", "error")


def display(*values):
    """Shows values. One that has `_repr_mimebundle_`, `_repr_html_`, `_repr_png_` or the like says itself how it looks; a dict
    whose keys all are MIME types is the bundle itself; any other is shown as text, and as JSON where it is that.
    """
    for value in values:
        session.host.display(encoded(bundle_of(value)))


def is_bundle(value):
    return type(value) is dict and bool(value) and all(type(key) is str and key.find("/") > 0 for key in value)


def bundle_of(value):
    if is_bundle(value):
        return value if "text/plain" in value else {"text/plain": short(repr(value)), **value}
    shown = {"text/plain": short(repr(value))}
    if isinstance(value, type):
        return shown
    own = getattr(value, "_repr_mimebundle_", None)
    if own is not None:
        made = own()
        # With its metadata.
        return {**shown, **(made[0] if isinstance(made, tuple) else made or {})}
    for method, kind in METHODS.items():
        function = getattr(value, method, None)
        made = None if function is None else function()
        if isinstance(made, tuple):
            made = made[0]
        if made is not None:
            shown[kind] = made
    if len(shown) == 1 and isinstance(value, (dict, list)) and is_json(value):
        shown["application/json"] = value
    return shown


def encoded(bundle):
    """The bundle as JSON. Bytes, such as those of a picture, are in Base64, as MIME bundles have them."""
    ready = {
        kind: base64.b64encode(data).decode("ascii") if isinstance(data, (bytes, bytearray)) else data
        for kind, data in bundle.items()
    }
    if not is_json(ready):
        raise TypeError("display(): a MIME bundle must be plain JSON data, and bytes.")
    text = json.dumps(ready, ensure_ascii=False, separators=(",", ":"))
    if len(text) > session.value_bytes_max:
        raise ValueError(f"display(): more than the {session.value_bytes_max} characters that one value may have.")
    return text


def log(*values, level="info"):
    """Writes to the session's log, at "debug", "info", "warn" or "error"."""
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    session.host.log(level, short(" ".join(map(str, values))))


for function in (display, log):
    function.__module__ = "pyrepl3"
