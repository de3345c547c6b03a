"""The standard streams of a session."""

import io

from _pyrepl3.state import session


class Stream(io.TextIOBase):
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream):
        self._stream = stream
        self.name = "<" + stream + ">"

    def writable(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation("fileno")

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            session.host.write(self._stream, text)
        return len(text)

    def flush(self):
        pass


class Nothing(io.TextIOBase):
    """Output that the level does not grant."""

    def write(self, text):
        return len(text)
