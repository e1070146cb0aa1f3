"""Where a package's proofs come from: the evidence log of this centre."""

from almenara.evidence.package import Proofs
from almenara.node.config import Config
from almenara.node.store.database import Store


def log_proofs(store: Store, config: Config) -> Proofs | None:
    """The log as the exporter asks it; None while this centre keeps none."""
    del store, config
    return None


def log_keys(store: Store, config: Config) -> tuple[str, ...]:
    """Lines of a trust file: the log's own key."""
    del store, config
    return ()
