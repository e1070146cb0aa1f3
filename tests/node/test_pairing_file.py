"""A pairing file is taken whole, or every fault of it is named with its cure."""

from datetime import UTC, datetime

import pytest

from almenara.core.errors import ConfigError
from almenara.core.ids import CentreId
from almenara.exchange.keys import KeyUse, PublicKey
from almenara.exchange.release import Gate, Released
from almenara.node.pairing_file import parse_pairing, read_pairing
from tests.exchange.centres import record

OURS = PublicKey(
    kid="es-1",
    centre_id=CentreId("es"),
    use=KeyUse.EXCHANGE,
    public_hex="1" * 64,
    valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    valid_until=datetime(2027, 1, 1, tzinfo=UTC),
)
GOOD = f"""
[partner]
id = "ma"
name = "Centre of the south shore"
url = "https://127.0.0.1:9443"
listen = "127.0.0.1:9444"
telephone = "+212 000"
[partner.key]
kid = "ma-1"
public_key = "{"2" * 64}"
valid_from = 2026-01-01T00:00:00Z
valid_until = 2027-01-01T00:00:00Z
[agreement]
legal_basis = "agreement of 2026"
valid_from = 2026-01-01T00:00:00Z
valid_until = 2027-01-01T00:00:00Z
purposes = ["sar", "safety"]
[agreement.fields]
incident = ["incident", "what", "where"]
"rescue.case" = ["case", "phase", "position", "people"]
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_pairing("ma.toml", text, OURS)
    return [str(fault) for fault in caught.value.faults]


def test_a_good_file_becomes_a_pairing_whose_gate_lets_out_what_it_names():
    pairing = parse_pairing("ma.toml", GOOD, OURS)

    assert (pairing.partner, pairing.telephone) == ("ma", "+212 000")
    assert pairing.ring.keys.keys() == {"es-1", "ma-1"}
    said = record(fields={"what": "adrift", "mmsi": 1})
    decision = Gate(agreement=pairing.agreement).decide(
        said, datetime(2026, 3, 1, tzinfo=UTC)
    )
    assert isinstance(decision, Released)
    assert decision.body == {"what": "adrift"}


def test_both_sides_come_to_the_same_genesis():
    there = GOOD.replace('"ma"', '"es"').replace("2" * 64, "1" * 64)
    there = there.replace("ma-1", "es-1")
    theirs = PublicKey(
        kid="ma-1",
        centre_id=CentreId("ma"),
        use=KeyUse.EXCHANGE,
        public_hex="2" * 64,
        valid_from=OURS.valid_from,
        valid_until=OURS.valid_until,
    )

    here = parse_pairing("ma.toml", GOOD, OURS)
    assert parse_pairing("es.toml", there, theirs).genesis == here.genesis


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('id = "ma"', 'id = "es"', "which is this centre"),
        ("https://127.0.0.1", "http://192.0.2.80", "expected https://host:port"),
        ("https://127.0.0.1", "https://192.0.2.80", "no authority_file"),
        ("127.0.0.1:9444", "0.0.0.0:9444", "no authority_file"),
        ("127.0.0.1:9444", "9444", "expected host:port"),
        ("https://127", "https://me:secret@127", "password"),
        ("telephone", 'authority_file = "no.pem"\ntelephone', "No such file"),
        ('"safety"]', '"audit"]', "never leaves a centre"),
        ('"what", "where"', '"what", "face"', "has not: face"),
        ("incident =", "person =", "the unknown type person"),
        ("2" * 64, "22", "text of the form"),
        ("legal_basis", "legal_bases", "unknown key legal_bases"),
        ("+212 000", "", "at least 3 characters"),
        ("2027-01-01T00:00:00Z\npurposes", "2025-01-01T00:00:00Z\npurposes", "an end"),
    ],
)
def test_each_fault_is_named_with_its_place_and_its_cure(old, new, words):
    assert old in GOOD

    said = faults(GOOD.replace(old, new))
    assert all(line.startswith("ma.toml:") for line in said)
    assert any(words in line for line in said)
    assert "secret" not in "".join(said)


def test_all_faults_come_at_once():
    text = GOOD.replace('id = "ma"', 'id = "es"').replace('"what", ', '"x", ')

    assert len(faults(text)) == 2


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_pairing(tmp_path / "nothing.toml", OURS)


def test_what_is_no_toml_is_said_with_its_line():
    assert faults("[partner\n")[0].startswith("ma.toml:1")
