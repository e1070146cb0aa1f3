"""What this node is and whether it is well; the first thing a page asks.

In safe mode the console comes up all the same and shows every fault of the
configuration at once: where it stands, what was found, what was expected, the cure.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection

from almenara.console.accounts import Accounts
from almenara.console.gate import Gate, anybody
from almenara.console.wire import Wire
from almenara.core.ids import CentreId

LANGUAGES = ("ar", "es", "fr", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with the configuration."""

    place: str
    """File, line or key."""

    found: str
    expected: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the node says of itself."""

    version: str
    build: str
    """Changes with the static bundle: a page of another build offers to reload."""

    centre_id: CentreId
    centre: str
    """Its name as people say it."""

    simulated: bool
    """Some station's pictures are made, not seen."""

    faults: tuple[Fault, ...] = ()
    """Empty in normal mode."""

    @property
    def mode(self) -> Literal["normal", "safe"]:
        """Safe as long as there is a fault."""
        return "safe" if self.faults else "normal"


class NodeBoard(Protocol):
    """What this resource needs from the rest of Almenara; the node provides it."""

    def state(self) -> NodeState:
        """As of now."""
        ...


class FaultRow(Wire):
    """A fault on the wire."""

    place: str
    found: str
    expected: str
    cure: str


class NodeRow(Wire):
    """The node on the wire."""

    version: str
    build: str
    mode: str
    simulated: bool
    faults: list[FaultRow]
    centre: str
    languages: list[str]
    needs_setup: bool


def node_row(state: NodeState, *, needs_setup: bool, signed_in: bool) -> NodeRow:
    """The node as the wire shows it; strangers do not learn its faults."""
    faults = state.faults if signed_in else ()
    return NodeRow(
        version=state.version,
        build=state.build,
        mode=state.mode,
        simulated=state.simulated,
        faults=[FaultRow.model_validate(fault) for fault in faults],
        centre=state.centre,
        languages=list(LANGUAGES),
        needs_setup=needs_setup,
    )


def router(board: NodeBoard, accounts: Accounts, gate: Gate) -> APIRouter:
    """Bind the handler; it answers strangers because a sign-in page needs it."""
    api = APIRouter(prefix="/node", tags=["node"])

    @api.get("", dependencies=[Depends(anybody)])
    async def node(connection: HTTPConnection) -> NodeRow:
        caller = await gate.caller(connection)
        return node_row(
            board.state(),
            needs_setup=await accounts.need_setup(),
            signed_in=caller is not None,
        )

    return api
