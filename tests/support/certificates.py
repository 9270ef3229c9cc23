"""Certificates of a test authority, created with openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import find_binary


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; `certificate` is the certificate of the authority."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        files = ("-out", self._pair.certificate, "-keyout", self._pair.key)
        _openssl(*_NEW, "-x509", "-subj", f"/CN={name}", *_AN_AUTHORITY, *files)

    @property
    def certificate(self) -> Path:
        """The file for clients that trust this authority."""
        return self._pair.certificate

    def issue(self, name: str, *alternative_names: str) -> Pair:
        """A certificate for a common name, and for names such as `DNS:localhost` or `IP:127.0.0.1`."""
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        signer = ("-CA", self._pair.certificate, "-CAkey", self._pair.key)
        names = ("-addext", f"subjectAltName={','.join(alternative_names)}") if alternative_names else ()
        files = ("-out", pair.certificate, "-keyout", pair.key)
        _openssl(*_NEW, "-x509", "-subj", f"/CN={name}", *_NO_AUTHORITY, *names, *signer, *files)
        return pair


_NEW = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2")

# Without these extensions Python 3.13 and newer reject a certificate (VERIFY_X509_STRICT).
_AN_AUTHORITY = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
_NO_AUTHORITY = ("-addext", "basicConstraints=critical,CA:FALSE")


def _openssl(*words: str | Path) -> None:
    subprocess.run([find_binary("openssl"), *map(str, words)], capture_output=True, check=True)
