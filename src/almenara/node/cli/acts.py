"""Audit entries of acts at the command line: nobody acts without a name."""

import getpass
import secrets
from datetime import datetime

from almenara.core.ids import PersonId
from almenara.evidence.audit import AuditAction, AuditActor, AuditEntry, AuditObject


def actor() -> AuditActor:
    """Whoever runs the command, as the operating system names them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return AuditActor(person_id=PersonId(f"shell/{name}"), name=name)


def entry(
    act: str,
    kind: str,
    subject: str,
    *,
    at: datetime,
    action: AuditAction = AuditAction.SECURITY,
) -> AuditEntry:
    """What the audit keeps of one act."""
    return AuditEntry(
        entry_id=secrets.token_hex(8),
        at=at,
        actor=actor(),
        action=action,
        act=act,
        object=AuditObject(kind=kind, id=subject),
    )
