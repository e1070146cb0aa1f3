"""Weights of our own that come with the package: found, checked, never fetched.

Source: docs/reference/detectors/verifier.md.
"""

import hashlib
from importlib import resources

from almenara.core.errors import MediaError
from almenara.detection.verifier import Verifier, read_weights

VERIFIER_SHA256 = "95dbd118bb4018e5f7cedc59c2e68a160994afcda22a5fc82a20ec59df5848b9"
"""Of the file that the model card speaks of."""


def verifier() -> Verifier | None:
    """The thermal verifier; None where the package came without weights.

    Raises:
        MediaError: The file is not the one that was published.
    """
    file = resources.files("almenara.node") / "data" / "verifier.npz"
    if not file.is_file():
        return None
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != VERIFIER_SHA256:
        raise MediaError(f"{file}: not the published weights; install Almenara anew")
    return Verifier(read_weights(data))
