"""The keys of one store. All of them share one hash tag, so a cluster keeps them on one node, where a script may touch them together.

{prefix}:head        hash    schema, fence, epoch, head: how far the store has come
{prefix}:audit       stream  the audit: entry EPOCH-0 holds hash, entry and record; whoever waits for news reads on from it
{prefix}:families    hash    the document of each family
{prefix}:revisions   hash    its revision
{prefix}:operations  hash    `EPOCH REVISION` of each operation id
{prefix}:of:FAMILY   list    `EPOCH MICROSECONDS` of the family's audit entries; {prefix}:of: has the re-seeds
{prefix}:beats       hash    the renewals of each family's canary lease
{prefix}:leader      hash    holder, token, until (milliseconds)
{prefix}:gateways    hash    when each gateway was heard of, and what it serves
{prefix}:board       hash    `document`: what runs; `rollouts`: what was last seen of rollouts;
                             `hints`: how often it was said that the registry has news
{prefix}:log:ID      list    the decision log of a rollout
{prefix}:logs        hash    the fencing token that last wrote to each
{prefix}:checkpoints hash    what each rollout had come to by one of its log's lines, until it is over
{prefix}:seen        hash    what was seen of each last, once it is over
"""


class Keys:
    """The names, under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._tag = f"{{{prefix}}}"
        self.head = self._key("head")
        self.audit = self._key("audit")
        self.families = self._key("families")
        self.revisions = self._key("revisions")
        self.operations = self._key("operations")
        self.beats = self._key("beats")
        self.leader = self._key("leader")
        self.gateways = self._key("gateways")
        self.board = self._key("board")
        self.logs = self._key("logs")
        self.checkpoints = self._key("checkpoints")
        self.seen = self._key("seen")
        self.reseeds = self.entries_of("")
        self.pattern = self._key("*")
        """All of them, as an ACL says it."""

    def entries_of(self, family: str) -> str:
        """Which audit entries are a family's."""
        return self._key(f"of:{family}")

    def log_of(self, rollout: str) -> str:
        """A rollout's decision log."""
        return self._key(f"log:{rollout}")

    def _key(self, name: str) -> str:
        return f"{self._tag}:{name}"
