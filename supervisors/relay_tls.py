"""The relay's certificate: loaded, looked at, and exchanged while connections stand.

load_tls(server) -> context          BadInput: certificate and key cannot be used
look_at(context, certificate)        a TLS 1.3 handshake in memory with whoever trusts just this certificate
Tls.context                          what the next connection gets; those that stand keep theirs
"""

from __future__ import annotations

import ssl
from typing import Any, cast

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay_tables import ServerConfig

ROUNDS = 10  # a handshake in memory takes three


class Tls:
    """Which context new connections get. A context of its own each time: one that takes a second certificate keeps
    the first one too, if its key is of another kind."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context = context


def load_tls(server: ServerConfig) -> ssl.SSLContext | None:
    """TLS 1.3, HTTP/1.1 and nothing else; None where no certificate is configured. Raises BadInput."""
    if server.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> str:
        """Asked for where the key is encrypted. Without this OpenSSL would ask whoever sits at the terminal."""
        raise BadInput(
            f"{server.tls_key}: the key is encrypted, and a relay that starts by itself has nobody to ask for its "
            "password: decrypt it with `openssl pkey`, in a file that only the relay's user can read"
        )

    try:
        context.load_cert_chain(server.tls_certificate, server.tls_key, no_password)
    except OSError as error:  # ssl.SSLError is one
        raise BadInput(f"{server.tls_certificate}: certificate and key cannot be used: {error.strerror}") from error
    return context


def look_at(context: ssl.SSLContext, certificate: str) -> dict[str, Any]:
    """What the certificate says of itself. Raises BadInput where nobody could accept it: expired, or not begun."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # this certificate itself is trusted, whoever signed it
    trusting.load_verify_locations(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(there, back)
    server = context.wrap_bio(back, there, server_side=True)
    try:
        for _ in range(ROUNDS):
            if all([advance(client), advance(server)]):
                break
    except ssl.SSLCertVerificationError as error:
        raise BadInput(f"{certificate}: nobody can accept this certificate: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise BadInput(f"{certificate}: no TLS 1.3 connection can be made with it: {error.reason}") from error
    return cast("dict[str, Any]", client.getpeercert() or {})


def advance(side: ssl.SSLObject) -> bool:
    """Go on with a handshake as far as the bytes reach. Returns whether it is done."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
