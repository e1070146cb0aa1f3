"""The doctor names what is wrong with this machine, and the remedy."""

import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from almenara.core.errors import Fault, PortInUseError
from almenara.node import doctor
from almenara.node.doctor import Verdict
from almenara.node.ports import claim
from almenara.node.store.place import Server


def test_every_check_answers_and_every_complaint_has_a_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    findings = doctor.examine()

    checks = {finding.check for finding in findings}
    assert {"python", "decoder h264", "decoder hevc", "store disk", "clock"} <= checks
    for finding in findings:
        assert finding.detail
        assert bool(finding.remedy) == (finding.verdict is not Verdict.OK), finding
    assert list(tmp_path.iterdir()) == []


def test_each_fault_of_the_configuration_is_a_line():
    fault = Fault(place="a:1: b", found="c", expected="d", cure="Do e.")

    (finding,) = doctor.configuration([fault])

    assert (finding.verdict, finding.remedy) == (Verdict.FAIL, "Do e.")


@pytest.mark.parametrize(
    ("took_us", "verdict"),
    [
        ([2_000.0] * 100, Verdict.OK),
        ([2_000.0] * 90 + [300_000.0] * 10, Verdict.FAIL),
        ([5.0] * 100, Verdict.WARN),
    ],
    ids=["good", "slow", "lies"],
)
def test_a_slow_disk_fails_and_one_that_answers_too_fast_is_not_believed(
    monkeypatch, tmp_path, took_us, verdict
):
    monkeypatch.setattr(doctor, "time_syncs", lambda _: took_us)

    *_, finding = doctor.disk("store", tmp_path)

    assert finding.verdict is verdict


def test_a_folder_that_cannot_be_written_fails(monkeypatch, tmp_path):
    def refuse(_: Path) -> list[float]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor, "time_syncs", refuse)

    *_, finding = doctor.disk("store", tmp_path)

    assert finding.verdict is Verdict.FAIL


def store_of(path: Path, version: str) -> Path:
    with sqlite3.connect(path) as database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values (?)", (version,))
    database.close()
    return path


def test_the_store_may_be_absent_but_neither_newer_nor_damaged(tmp_path):
    (tmp_path / "bad.db").write_bytes(b"this is no database, only a text")

    assert doctor.store(tmp_path / "none.db").verdict is Verdict.OK
    assert doctor.store(tmp_path / "bad.db").verdict is Verdict.FAIL
    newer = doctor.store(store_of(tmp_path / "newer.db", "v9999"))
    assert newer.verdict is Verdict.FAIL
    assert "newer" in newer.detail


def test_a_port_in_use_fails_with_the_cure():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = doctor.port("127.0.0.1", taken.getsockname()[1])

    assert finding.verdict is Verdict.FAIL
    assert finding.remedy.startswith("Stop it")


def test_a_claimed_port_is_listened_at_and_given_to_nobody_else():
    with claim("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(PortInUseError):
            claim("127.0.0.1", port)


def test_a_name_that_is_none_is_refused():
    with pytest.raises(PortInUseError, match=r"console\.host"):
        claim("no.such.name.invalid", 0)


@pytest.mark.slow
def test_a_server_is_examined_and_its_cure_is_said(server: Server):
    assert doctor.store(server).verdict is Verdict.OK

    nowhere = replace(server, url="postgresql://a@/d?host=/nowhere")
    finding = doctor.store(nowhere)

    assert finding.verdict is Verdict.FAIL
    assert finding.remedy.startswith("Check that the server runs")
