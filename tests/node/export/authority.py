"""A time stamping authority of the tests: ``openssl ts`` with keys of its own."""

import shutil
import subprocess
from pathlib import Path

SETTINGS = """\
[ca]
basicConstraints = critical, CA:true
[tsa]
basicConstraints = critical, CA:false
extendedKeyUsage = critical, timeStamping
[tsa_config]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class Authority:
    """A root and a stamping key in a folder."""

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        assert openssl is not None
        self._openssl, self._folder = openssl, folder
        folder.mkdir()
        (folder / "settings").write_text(SETTINGS.format(folder=folder))
        (folder / "serial").write_text("01\n")
        for name in ("root", "tsa"):
            self._run(f"ecparam -name prime256v1 -genkey -noout -out {name}.key")
        self._run(
            "req -x509 -new -key root.key -subj /CN=root -days 30 -out root.pem "
            "-config settings -extensions ca -addext keyUsage=keyCertSign"
        )
        self._run("req -new -key tsa.key -subj /CN=tsa -out tsa.csr -config settings")
        self._run(
            "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial "
            "-days 30 -extfile settings -extensions tsa -out tsa.pem"
        )
        self.root = (folder / "root.pem").read_text("ascii")

    def stamp(self, data: bytes) -> bytes:
        """A reply over the data, with the authority's certificate in it."""
        (self._folder / "data").write_bytes(data)
        self._run("ts -query -data data -sha256 -cert -out query")
        self._run(
            "ts -reply -config settings -section tsa_config -queryfile query "
            "-signer tsa.pem -inkey tsa.key -out reply"
        )
        return (self._folder / "reply").read_bytes()

    def _run(self, words: str) -> None:
        subprocess.run(  # noqa: S603  # fixed words
            [self._openssl, *words.split()],
            cwd=self._folder,
            check=True,
            capture_output=True,
        )
