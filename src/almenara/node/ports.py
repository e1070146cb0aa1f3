"""Claims the console's port before anything else starts, or says who to ask."""

import errno
import socket

from almenara.core.errors import PortInUseError

BACKLOG = 128


def claim(host: str, port: int) -> socket.socket:
    """Listen at ``host``:``port``; 0 takes a free port.

    Raises:
        PortInUseError: With the cure: another program listens there, this machine has
            no such address, or the port needs a right this user lacks.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise PortInUseError(
            f"console.host: {host} is no name of this machine; "
            "use 127.0.0.1 or an address it has"
        ) from error
    family, kind, _, _, address = found[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUseError(_explained(host, port, error)) from error
    listener.settimeout(0)
    return listener


def _explained(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{host}:{port}: another program listens there; stop it, "
            "or choose another port (--port, console.port)"
        )
    if error.errno == errno.EACCES:
        return (
            f"{host}:{port}: ports below 1024 need a right this user lacks; "
            "choose one above"
        )
    return (
        f"{host}:{port}: {error.strerror}; "
        "use 127.0.0.1 or an address this machine has (console.host)"
    )
