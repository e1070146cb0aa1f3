"""Negative controls: with one check taken out, the change it finds goes unseen.

So each finding of ``test_verify`` is owed to the check that its name says.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from almenara.evidence.package import MANIFEST, SIGNATURE, manifest
from almenara.node.export import verify
from tests.conftest import NOON
from tests.node.export.packages import Centre, centre, request

pytestmark = pytest.mark.slow
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def tarifa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with centre(tmp_path_factory.mktemp("tarifa")) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tarifa: Centre, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "package"
    tarifa.export(out, request(2, start=NOON))
    return out


def clip(package: Path) -> Path:
    return min((package / "data").glob("clip-*.mp4"))


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def a_document(package: Path) -> None:
    flipped(package / "data/decisions.json", 40)


def a_list_and_its_document(package: Path) -> None:
    a_document(package)
    hashes = {
        path.relative_to(package).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in package.rglob("*")
        if path.is_file() and path.name not in (MANIFEST, SIGNATURE)
    }
    (package / MANIFEST).write_bytes(manifest(hashes))


def a_picture(package: Path) -> None:
    flipped(clip(package), clip(package).stat().st_size - 3)


def a_leaf(package: Path) -> None:
    path = min((package / "data/proofs").glob("*.leaf"))
    path.write_bytes(path.read_bytes().replace(b'"run":', b'"ran":'))


def listed_anew(by: Centre, package: Path) -> None:
    a_list = package / MANIFEST
    a_list_and_its_document(package)
    (package / SIGNATURE).write_bytes(by.key.sign(a_list.read_bytes()))


def yes(*_: Any, **__: Any) -> bool:
    return True


def no_fault(*_: Any, **__: Any) -> str:
    return ""


def nothing(*_: Any, **__: Any) -> None:
    return None


def word(package: Path, tarifa: Centre) -> str:
    trust = verify.trust_of([tarifa.trust()])
    return verify.Package(verify.opened(package), trust).check().word()


@pytest.mark.parametrize(
    ("change", "holder", "check", "blind"),
    [
        (a_document, verify.Package, "compare", yes),
        (a_list_and_its_document, verify, "cms_is_good", yes),
        (a_leaf, verify, "_check_root", nothing),
        (a_picture, verify, "_fault_of", no_fault),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_without_its_check_a_change_goes_unseen(
    made: Path,
    tarifa: Centre,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    change: Change,
    holder: Any,
    check: str,
    blind: Any,
):
    package = Path(shutil.copytree(made, tmp_path / "package"))
    change(package)
    if change in (a_leaf, a_picture):  # or the list of files would tell
        listed_anew(tarifa, package)

    assert word(package, tarifa) == "altered"
    monkeypatch.setattr(holder, check, blind)
    assert word(package, tarifa) == "authentic"
