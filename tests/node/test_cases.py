"""Cases over a real store: whole or not at all, never rewritten, told until taken."""

import json
import ssl
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from almenara.core.errors import CaseVersionError, StoreError
from almenara.core.ids import CentreId
from almenara.core.time import ManualClock
from almenara.node.case_desk import CaseDesk
from almenara.node.cli import app
from almenara.node.rcc import FolderCourier, HonestCourier, WebhookCourier, body_of
from almenara.node.store import cases as table
from almenara.node.store.cases import SqlCases
from almenara.node.store.database import open_store
from almenara.rescue import case as acts
from almenara.rescue.case import Change, Notification
from almenara.rescue.phases import Phase
from tests.conftest import NOON
from tests.console.fakes import CENTRE
from tests.contracts.console_stores import entry
from tests.contracts.test_case_desks import by, opening, raising
from tests.rescue.cases import ANA, SOON, case

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "almenara.db") as opened:
        yield opened


def desk_of(store) -> CaseDesk:
    return CaseDesk(
        SqlCases(store),
        own=CENTRE,
        partner=CentreId("tetouan"),
        clock=ManualClock(NOON),
    )


def told(**changes) -> Notification:
    (made,) = acts.decide(case(), Phase.ALERT, at=SOON, by=ANA).notifications
    return replace(made, **changes)


class Courier:
    """Takes what it is given; ``broken`` is a peer that does not answer."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.broken = False

    async def deliver(self, notification: Notification) -> str:
        if self.broken:
            raise OSError("no route")
        self.taken.append(notification.key)
        return "ok"


# -- the store -------------------------------------------------------------------------


async def test_every_version_stays_as_it_was(store):
    desk = desk_of(store)
    first = await desk.open(opening(), entry=by())
    await desk.act(first.case_id, raising(Phase.DISTRESS), version=1, entry=by())

    assert await SqlCases(store).version(first.case_id, 1) == first
    assert await SqlCases(store).version(first.case_id, 9) is None


async def test_two_who_write_the_same_version_do_not_both(store):
    kept = SqlCases(store)
    made = case()
    await kept.commit(Change(case=made, act="case.open"), (), at=NOON, by=ANA)
    two = acts.decide(made, Phase.ALERT, at=SOON, by=ANA)
    await kept.commit(two, (), at=SOON, by=ANA)

    with pytest.raises(CaseVersionError):
        await kept.commit(two, (entry(),), at=SOON, by=ANA)
    with pytest.raises(CaseVersionError):
        await kept.commit(Change(case=made, act="case.open"), (), at=NOON, by=ANA)

    assert await kept.entries(made.case_id) == ()
    assert len(await kept.waiting(limit=10)) == 1


async def test_a_failed_audit_takes_the_act_back(store):
    kept = SqlCases(store)
    bad = entry(entry_id=None)

    with pytest.raises(sa.exc.IntegrityError):
        await kept.commit(Change(case=case(), act="case.open"), (bad,), at=NOON, by=ANA)

    assert await kept.get(case().case_id) is None


@pytest.mark.parametrize("verb", ["update {} set version = 99", "delete from {}"])
async def test_a_version_cannot_be_rewritten(store, verb):
    await desk_of(store).open(opening(), entry=by())

    with pytest.raises((sa.exc.DatabaseError, StoreError), match="append-only"):
        await store.write(
            lambda c: c.exec_driver_sql(verb.format("case_version")).close()
        )


async def test_the_way_leads_to_these_tables(store):
    found = sa.inspect(store.engine)

    for declared in vars(table).values():
        if isinstance(declared, sa.Table):
            columns = {
                c["name"]: c["nullable"] for c in found.get_columns(declared.name)
            }
            assert columns == {c.name: c.nullable for c in declared.columns}
            indexes = {i["name"] for i in found.get_indexes(declared.name)}
            assert {i.name for i in declared.indexes} <= indexes


# -- telling ---------------------------------------------------------------------------


async def test_what_nobody_takes_waits_in_order_and_holds_up_nothing(store):
    desk, courier = desk_of(store), Courier()
    made = await desk.open(opening(), entry=by())
    courier.broken = True
    await desk.deliver_once(courier)
    await desk.act(made.case_id, raising(Phase.ALERT), version=1, entry=by())

    courier.broken = False
    await desk.deliver_once(courier)
    await desk.deliver_once(courier)

    assert courier.taken == [f"{made.case_id}/1", f"{made.case_id}/2"]
    sendings = await desk.sendings(made.case_id)
    assert [s.receipt for s in sendings] == ["ok", "ok"]


async def test_a_notification_in_a_folder_is_whole_and_has_one_name(tmp_path):
    courier = FolderCourier(tmp_path / "rcc", language="es")

    receipts = [await courier.deliver(told()) for _ in range(2)]

    (file,) = (tmp_path / "rcc").iterdir()
    assert receipts == [f"file {file.name}"] * 2
    said = json.loads(file.read_text("utf-8"))
    assert said["phase"] == "alert"
    assert [part["letter"] for part in said["parts"]] == list("ABCDEFGHJKLMN")
    assert "B. Posición: 35°54.000" in said["text"]


@pytest.mark.parametrize("label", ["exercise", "simulated"])
async def test_what_is_not_real_never_reaches_the_real_centre(tmp_path, label):
    class Never(FolderCourier):
        async def deliver(self, notification: Notification) -> str:
            raise AssertionError(notification.key)

    drill = FolderCourier(tmp_path / "rcc", language="en")
    courier = HonestCourier(Never(tmp_path, language="en"), drill)

    receipt = await courier.deliver(told(**{label: True}))

    assert receipt.startswith("not real: ")
    with pytest.raises(AssertionError):
        await courier.deliver(told())


@pytest.fixture
def peer():
    """A web server that answers what it is told to."""

    class Handler(BaseHTTPRequestHandler):
        answer = 204
        heard: list[tuple[str, bytes]] = []  # noqa: RUF012 - of one test

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            type(self).heard.append((self.headers["Idempotency-Key"], body))
            self.send_response(self.answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Handler, f"http://127.0.0.1:{server.server_port}/rcc"
        server.shutdown()
        thread.join()


async def test_a_web_hook_that_takes_it_gives_the_receipt(peer):
    handler, url = peer

    receipt = await WebhookCourier(url, language="fr").deliver(told())

    assert receipt == "http 204"
    ((key, body),) = handler.heard
    assert key == told().key
    assert body == body_of(told(), "fr")


@pytest.mark.parametrize("status", [301, 302, 307, 400, 500, 503])
async def test_a_web_hook_that_does_not_is_tried_again_and_never_elsewhere(
    peer, status
):
    handler, url = peer
    handler.answer = status

    with pytest.raises(OSError, match=str(status)):
        await WebhookCourier(url, language="en").deliver(told())
    assert len(handler.heard) == 1


async def test_a_web_hook_that_is_not_there_is_tried_again():
    courier = WebhookCourier(
        "https://127.0.0.1:9/x", language="en", tls=ssl.create_default_context()
    )

    with pytest.raises(OSError, match=r"refused|urlopen"):
        await courier.deliver(told())


async def test_people_are_reminded_of_an_open_offer_once_each_time(store):
    clock = ManualClock(NOON)
    desk = CaseDesk(
        SqlCases(store), own=CENTRE, partner=CentreId("tetouan"), clock=clock
    )
    made = await desk.open(opening(), entry=by())
    offer = partial(acts.hand_over, act=acts.CustodyAct.OFFER, at=NOON, by=ANA)
    await desk.act(made.case_id, offer, version=1, entry=by())
    service = entry().actor

    early = await desk.remind_once(service)
    clock.advance(timedelta(minutes=6))
    due = [await desk.remind_once(service) for _ in range(2)]

    assert early == ()
    assert [len(said) for said in due] == [2, 0]
    kept = await desk.get(made.case_id)
    assert kept is not None
    assert kept.told == frozenset(due[0])


# -- the command line ------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "almenara.toml"
    config.write_text('[centre]\nid = "ceuta"\n')

    def run(*words: str):
        return CliRunner().invoke(app, ["case", *words, "-c", str(config)])

    return run


@pytest.fixture
def kept_case(tmp_path):
    """A case in the store that the command will open."""
    with open_store(tmp_path / "data" / "almenara.db") as opened:
        desk = desk_of(opened)
        made = anyio.run(partial(desk.open, opening(Phase.DISTRESS), entry=by()))
    return made.case_id


def test_the_command_lists_and_shows_a_case(shell, kept_case):
    listed = shell("list", "--json")
    shown = shell("show", kept_case)
    plain = json.loads(shell("show", kept_case, "--json").stdout)

    (row,) = json.loads(listed.stdout)
    assert (row["case"], row["phase"], row["state"]) == (kept_case, "distress", "open")
    assert "D. Number of persons at risk: from 30 to 50" in shown.stdout
    assert plain["custody"]["coordinator"] == "ceuta"
    assert shell("list", "--all").exit_code == 0


def test_the_command_asks_to_close_and_closes_nothing(shell, kept_case):
    asked = shell("close", kept_case, "--reason", "all safe", "--json")

    (row,) = json.loads(asked.stdout)
    assert len(row["digest"]) == 64
    assert json.loads(shell("list", "--json").stdout)[0]["state"] == "open"
    assert shell("close", kept_case, "--reason", "again").exit_code == 0


def test_a_case_that_is_not_there_is_said_so(shell):
    for words in (["show", "x"], ["close", "x", "--reason", "r"]):
        answer = shell(*words)
        assert answer.exit_code == 1
        assert "no such case" in answer.stderr
    assert "No open case" in shell("list").stderr
