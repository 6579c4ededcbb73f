"""The scripts that the server runs, each one transition: nothing else happens on the server between its first line and its last."""

from dataclasses import dataclass, field
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name the server gives it."""

    text: str = field(repr=False)
    sha: str

    @classmethod
    def read(cls, name: str) -> "Script":
        """A script of this package, with what all of them share put behind its first line, which must stay the first."""
        lua = files("serving.stores.redis") / "lua"
        first, _, rest = (lua / f"{name}.lua").read_text(encoding="utf-8").partition("\n")
        shared = (lua / "marks.lua").read_text(encoding="utf-8")
        text = f"{first}\n{shared}\n{rest}"
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


LOOK = Script.read("look")
COMMIT = Script.read("commit")
RESEED = Script.read("reseed")
LEAD = Script.read("lead")
LEADER = Script.read("leader")
RESIGN = Script.read("resign")
ACK = Script.read("ack")
ACKS = Script.read("acks")
MAY = Script.read("may")
LOG = Script.read("log")
KEEP = Script.read("keep")
UNFINISHED = Script.read("unfinished")
FINISH = Script.read("finish")
