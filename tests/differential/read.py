"""Reads each text of a file (one a line, in hexadecimal) as a server in Python would; prints what it found.

`read.py json FILE`: the standard library, as web frameworks use it. `read.py pydantic FILE`: what the MCP SDK uses.
"""

import json
import struct
import sys


class Pairs(list):
    """An object as it is written: every member in its order."""


def canonical(value: object) -> str:
    """One spelling for one value, in which no two kinds look alike."""
    if value is None or value is True or value is False:
        return {None: "n", True: "t", False: "f"}[value]
    if isinstance(value, int):
        return f"i{value};"
    if isinstance(value, float):
        return f"d{struct.pack('>d', value).hex()};"
    if isinstance(value, str):
        return f"s{value.encode().hex()};"
    if isinstance(value, Pairs) or isinstance(value, dict):
        members = value if isinstance(value, Pairs) else value.items()
        return "{" + "".join(canonical(key) + canonical(member) for key, member in members) + "}"
    return "[" + "".join(map(canonical, value)) + "]"


def standard(text: bytes) -> str:
    """As bytes and as text, as it comes and with every member kept: one value all the same."""
    found = {
        canonical(json.loads(text)),
        canonical(json.loads(text.decode())),
        canonical(json.loads(text, object_pairs_hook=Pairs)),
    }
    return found.pop() if len(found) == 1 else "!several readings"


def pydantic(text: bytes) -> str:
    """The parser below `model_validate_json`."""
    import pydantic_core

    return canonical(pydantic_core.from_json(text))


read = {"json": standard, "pydantic": pydantic}[sys.argv[1]]
sys.setrecursionlimit(10_000)
with open(sys.argv[2], encoding="ascii") as texts:
    for line in texts:
        try:
            print(read(bytes.fromhex(line)))
        except Exception as error:  # whatever it is, the text was not read
            print(f"!{type(error).__name__}: {error}".replace("\n", " "))
