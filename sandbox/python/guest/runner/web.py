"""`fetch` and `websocket`, and the objects that they give."""

import codecs
import json as json_module

from _pyrepl3.calls import capability, raw_call
from _pyrepl3.capabilities import options, unwire, wire


class Headers:
    """The headers of a response. Names are compared without regard to case."""

    def __init__(self, pairs):
        self._pairs = [(name, value) for name, value in pairs]

    def get(self, name, default=None):
        found = [value for each, value in self._pairs if each.lower() == name.lower()]
        return ", ".join(found) if found else default

    def get_all(self, name):
        return [value for each, value in self._pairs if each.lower() == name.lower()]

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name):
        return self.get(name) is not None

    def __iter__(self):
        return iter(dict.fromkeys(name.lower() for name, _ in self._pairs))

    def __len__(self):
        return len(list(iter(self)))

    def keys(self):
        return list(self)

    def items(self):
        return [(name, self[name]) for name in self]

    def __repr__(self):
        return f"Headers({dict(self.items())!r})"


class Response:
    """What a server answered. Its body can be read once: as a whole, or piece by piece."""

    def __init__(self, answer):
        self.url = answer["url"]
        self.status = answer["status"]
        self.status_text = answer["statusText"]
        self.redirected = answer["redirected"]
        self.headers = Headers(answer["headers"])
        body = answer["body"]
        self._pending = b"" if body is None else unwire(body)
        self._handle = None if body is None or body["done"] else body["handle"]
        self._used = False

    @property
    def ok(self):
        return 200 <= self.status < 300

    def raise_for_status(self):
        if not self.ok:
            raise OSError(f"{self.url} answered {self.status} {self.status_text}".rstrip())
        return self

    async def _read(self):
        """The next piece; b'' once there is nothing left."""
        while not self._pending and self._handle is not None:
            piece = await raw_call("fetch", ["read", self._handle])
            self._pending = unwire(piece)
            if piece["done"]:
                self._handle = None
        piece, self._pending = self._pending, b""
        return piece

    async def _whole(self):
        if self._used:
            raise RuntimeError("The body of this response has been read already.")
        self._used = True
        pieces = []
        while piece := await self._read():
            pieces.append(piece)
        return b"".join(pieces)

    @capability
    async def read(self) -> bytes:
        """The next piece of the body; b'' once there is nothing left."""
        self._used = True
        return await self._read()

    @capability
    async def bytes(self) -> bytes:
        """The whole body."""
        return await self._whole()

    @capability
    async def text(self) -> str:
        """The whole body as text: UTF-8, unless the response says otherwise."""
        return (await self._whole()).decode(self._charset(), "replace")

    @capability
    async def json(self) -> object:
        """The whole body, which is JSON."""
        return json_module.loads(await self._whole())

    @capability
    async def close(self) -> None:
        """Gives up what has not been read of the body."""
        handle, self._handle, self._pending = self._handle, None, b""
        if handle is not None:
            await raw_call("fetch", ["cancel", handle])

    def _charset(self):
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.strip().partition("=")
            if name.lower() == "charset":
                try:
                    return codecs.lookup(value.strip('"')).name
                except LookupError:
                    break
        return "utf-8"

    def __iter__(self):
        while piece := self.read():
            yield piece

    async def __aiter__(self):
        while piece := await self.read():
            yield piece

    def __repr__(self):
        return f"<Response [{self.status}] {self.url}>"


@capability
async def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str | bytes | None = None,
    redirect: str = "follow",
) -> Response:
    """Makes an HTTP request to a host that the policy lists."""
    pairs = headers.items() if hasattr(headers, "items") else headers or ()
    init = {
        "method": method.upper(),
        "headers": [[str(name), str(value)] for name, value in pairs],
        "body": None if body is None else wire(body, "The body for fetch()"),
        "redirect": redirect,
    }
    return Response(await raw_call("fetch", ["open", str(url), init]))


class WebSocketConnection:
    """A connection on which both sides send messages."""

    def __init__(self, answer):
        self.url = answer["url"]
        self.protocol = answer["protocol"]
        # (code, reason) once the end of the messages has been received.
        self.closed = None
        self._handle = answer["handle"]

    async def _receive(self):
        if self.closed is not None:
            return None
        answer = await raw_call("websocket", ["receive", self._handle])
        if "closed" not in answer:
            return unwire(answer["message"])
        self.closed = (answer["closed"]["code"], answer["closed"]["reason"])
        return None

    @capability
    async def send(self, data: str | bytes) -> None:
        """Sends one message."""
        await raw_call("websocket", ["send", self._handle, wire(data, "The message for send()")])

    @capability
    async def receive(self) -> str | bytes | None:
        """The next message, or None once the connection is closed."""
        return await self._receive()

    @capability
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the connection."""
        await raw_call("websocket", ["close", self._handle, code, reason])

    def __iter__(self):
        while (message := self.receive()) is not None:
            yield message

    async def __aiter__(self):
        while (message := await self.receive()) is not None:
            yield message

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __repr__(self):
        return f"<WebSocketConnection {self.url}{' closed' if self.closed else ''}>"


@capability
async def websocket(url: str, *, protocols: list[str] | None = None) -> WebSocketConnection:
    """Opens a WebSocket to a host that the policy lists."""
    return WebSocketConnection(await raw_call("websocket", ["open", str(url), *options(protocols=protocols)]))


for kind in (Headers, Response, WebSocketConnection):
    kind.__module__ = "pyrepl3"
