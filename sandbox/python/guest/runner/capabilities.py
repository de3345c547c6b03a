"""The capabilities as functions of Python. Their signatures are those of the stubs that `capability.list` gives."""

import base64
import builtins
import sys

from _pyrepl3.calls import capability, perform, raw_call

UNSET = ...


def wire(value, what):
    """Text or bytes as an argument."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{what} must be str or bytes, not {type(value).__name__}")


def unwire(answer):
    return answer["text"] if "text" in answer else base64.b64decode(answer["base64"])


def options(**given):
    """An options object without what was not given; none at all where nothing was."""
    named = {name: value for name, value in given.items() if value is not None and value is not UNSET}
    return [named] if named else []


def overloads(operation):
    """For a function that a built-in one of another meaning has the name of: it is both."""

    def decorate(function):
        function.__wrapped__ = operation
        function.__module__ = "pyrepl3"
        operation.__name__ = operation.__qualname__ = function.__name__
        return function

    return decorate


# --- files ----------------------------------------------------------------------------------------------------------


@capability
async def read_file(path: str, *, encoding: str = "utf8", offset: int = 0, length: int | None = None) -> str | bytes:
    """Reads a file of the session's roots as text, or with encoding="bytes" as bytes."""
    given = options(encoding=None if encoding == "utf8" else encoding, offset=offset or None, length=length)
    return unwire(await raw_call("read_file", [path, *given]))


@capability
async def write_file(path: str, contents: str | bytes, *, append: bool = False, exclusive: bool = False) -> dict[str, int]:
    """Writes a file of the session's roots, and makes the folders that it needs."""
    given = options(append=append or None, exclusive=exclusive or None)
    return await raw_call("write_file", [path, wire(contents, "The contents for write_file()"), *given])


@capability
async def list_files(
    path: str = ".", *, recursive: bool = False, limit: int | None = None, cursor: str | None = None
) -> dict:
    """Lists a folder of the session's roots: {"entries": […], "cursor": … or None}."""
    return await raw_call("list_files", [path, *options(recursive=recursive or None, limit=limit, cursor=cursor)])


@capability
async def delete_file(path: str) -> bool:
    """Deletes a file, or a folder that is empty."""
    return await raw_call("delete_file", [path])


# --- data -----------------------------------------------------------------------------------------------------------


class kv:
    """JSON values under keys, kept when the daemon stops."""

    @staticmethod
    @capability
    async def get(key: str, *, store: str | None = None) -> object:
        """The value, or None where there is none."""
        found = await raw_call("kv", ["get", key, *options(store=store)])
        return None if found is None else found["value"]

    @staticmethod
    @capability
    async def entry(key: str, *, store: str | None = None) -> dict | None:
        """{"value": …, "version": …}, or None where there is none."""
        return await raw_call("kv", ["get", key, *options(store=store)])

    @staticmethod
    @capability
    async def set(key: str, value: object, *, store: str | None = None, if_version: int | None = UNSET) -> int:
        """Sets it and gives its version; with `if_version` only where it has that one, or with None only where it is not there."""
        return (await raw_call("kv", ["set", key, value, *changing(store, if_version)]))["version"]

    @staticmethod
    @capability
    async def delete(key: str, *, store: str | None = None, if_version: int | None = UNSET) -> bool:
        """Whether there was one to delete."""
        return await raw_call("kv", ["delete", key, *changing(store, if_version)])

    @staticmethod
    @capability
    async def list(*, store: str | None = None, prefix: str = "", limit: int = 1000, cursor: str | None = None) -> dict:
        """{"keys": [{"key": …, "version": …}, …], "cursor": … or None}."""
        return await raw_call("kv", ["list", *options(store=store, prefix=prefix or None, limit=limit, cursor=cursor)])


kv.__module__ = "pyrepl3"


def changing(store, if_version):
    given = {} if store is None else {"store": store}
    if if_version is not UNSET:
        given["ifVersion"] = if_version
    return [given] if given else []


def parameters(values):
    """An integer that JSON has no number for goes as its digits."""

    def one(value):
        if isinstance(value, (bytes, bytearray, memoryview)):
            return wire(value, "A parameter")
        return str(value) if type(value) is int and abs(value) > 2**53 - 1 else value

    return [one(value) for value in values]


def with_bytes(result):
    for row in result["rows"]:
        for name, value in row.items():
            if isinstance(value, dict) and value.keys() == {"base64"}:
                row[name] = unwire(value)
    return result


Parameters = list[None | bool | int | float | str | bytes]


@capability
async def query(source: str, sql: str, params: Parameters = []) -> dict:
    """Runs one statement that only reads: {"columns": […], "rows": [{…}, …]}."""
    return with_bytes(await raw_call("query", [source, sql, parameters(params)]))


@capability
async def execute(source: str, sql: str, params: Parameters = []) -> dict:
    """Runs one statement: as query(), with "changes" and "lastId"."""
    return with_bytes(await raw_call("execute", [source, sql, parameters(params)]))


@capability
async def transaction(source: str, statements: list[tuple]) -> list[dict]:
    """Runs the statements, each (sql,) or (sql, params), in their order in one transaction."""
    wired = [[sql, *(parameters(one) for one in params)] for sql, *params in statements]
    return [with_bytes(result) for result in await raw_call("transaction", [source, wired])]


async def _hash(algorithm: str, data: str | bytes, *, key: str | bytes | None = None) -> str:
    """The digest in hexadecimal, keyed (HMAC) where a key is given."""
    given = options(key=None if key is None else wire(key, "The key of hash()"))
    return await raw_call("hash", [algorithm, wire(data, "The data for hash()"), *given])


@overloads(_hash)
def hash(*args, **options):
    """hash(object): as everywhere. hash(algorithm, data, *, key=None): the digest of data in hexadecimal."""
    if len(args) == 1 and not options:
        return builtins.hash(args[0])
    return perform(_hash, sys._getframe(1), args, options)


@capability
async def encrypt(data: str | bytes, *, secret: str | None = None, key: bytes | None = None) -> bytes:
    """AES-256-GCM under a named secret of the policy, or under 32 bytes."""
    return unwire(await raw_call("encrypt", ["encrypt", wire(data, "The data for encrypt()"), key_of(secret, key)]))


@capability
async def decrypt(data: bytes, *, secret: str | None = None, key: bytes | None = None) -> bytes:
    """The reverse of encrypt()."""
    return unwire(await raw_call("encrypt", ["decrypt", wire(data, "The data for decrypt()"), key_of(secret, key)]))


def key_of(secret, key):
    if (secret is None) == (key is None):
        raise TypeError("give either secret= or key=")
    return {"secret": secret} if key is None else wire(key, "The key")


# --- the rest -------------------------------------------------------------------------------------------------------


@capability
async def dns(name: str, type: str | None = None) -> list[str] | list[dict[str, object]]:
    """The records of a name: its addresses where no type is given."""
    return await raw_call("dns", [name] if type is None else [name, type])


@capability
async def env(name: str) -> str:
    """A variable that the policy lists."""
    return await raw_call("env", [name])


@capability
async def secret(name: str) -> str:
    """A secret that the policy lists; it is redacted wherever it would be printed or returned."""
    return await raw_call("secret", [name])


async def _exec(
    program: str, args: list[str], *, stdin: str | bytes | None = None, timeout_ms: int | None = None
) -> dict:
    """Runs a program of the policy's, without a shell: {"status": …, "signal": …, "stdout": …, "stderr": …, "truncated": …}."""
    given = options(stdin=None if stdin is None else wire(stdin, "The input of exec()"), timeoutMs=timeout_ms)
    return await raw_call("exec", [program, list(args), *given])


@overloads(_exec)
def exec(source, globals=None, locals=None, **options):
    """exec(source, …): as everywhere. exec(program, args, *, stdin=None, timeout_ms=None): runs a program of the policy's."""
    caller = sys._getframe(1)
    if isinstance(globals, (list, tuple)) and locals is None:
        return perform(_exec, caller, (source, globals), options)
    if globals is None:
        globals = caller.f_globals
        locals = caller.f_locals if locals is None else locals
    return builtins.exec(source, globals, locals, **options)


@capability
async def sleep(seconds: float | str) -> None:
    """Seconds, or a text such as "90s", "15m" or "3d". No isolate is kept in memory for a long one."""
    await raw_call("sleep", [seconds if isinstance(seconds, str) else seconds * 1000])


@capability(plain=True)
async def input(prompt: str = "") -> str:
    """A line of text from whoever runs the session."""
    answer = await raw_call("input", [str(prompt)])
    if answer is None:
        raise EOFError("EOF when reading a line")
    return answer


@capability
async def approve(question: str, details: object = None) -> bool:
    """Asks an administrator."""
    return await raw_call("approve", [question] if details is None else [question, details])


@capability
async def review(value: object, *, title: str | None = None) -> object:
    """Has an administrator look at JSON data before it is used; gives it as it was approved or changed."""
    return await raw_call("review", [value, *options(title=title)])
