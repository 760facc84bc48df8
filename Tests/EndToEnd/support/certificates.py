"""Certificates for the tests, made by the `openssl` program: an authority, one below it, and what they sign."""

import pathlib
import subprocess
import time


def openssl(*arguments, **options) -> bytes:
    result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=60, **options)
    assert result.returncode == 0, f"openssl {arguments}: {result.stderr.decode(errors='replace')}"
    return result.stdout


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: pathlib.Path, name: str = "authority"):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, name: str, names: str = "DNS:localhost,IP:127.0.0.1", subject: str | None = None, days: int = 30,
              authority: bool = False, rsa: bool = False):
        """A certificate and its key as paths; with `authority` one that may sign others."""
        certificate, key, request = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        kind = ["-newkey", "rsa:2048"] if rsa else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-new", *kind, "-nodes", "-keyout", key, "-out", request, "-subj", subject or f"/CN={name}")
        extensions = self.folder / f"{name}.ext"
        extensions.write_text("basicConstraints=critical,CA:TRUE\n" if authority else f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", extensions, "-out", certificate)
        return certificate, key

    def issue_ending_in(self, seconds: float, name: str):
        """A certificate, its key, and the moment (`time.time()`) at which it ends; openssl's `x509` cannot do that before 3.4."""
        certificate, key, request = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        configuration, extensions = self.folder / f"{name}.cnf", self.folder / f"{name}.ext"
        (self.folder / f"{name}.index").write_text("")
        (self.folder / f"{name}.serial").write_text("1000\n")
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        configuration.write_text(f"""
[ca]
default_ca = here
[here]
database = {self.folder / name}.index
serial = {self.folder / name}.serial
new_certs_dir = {self.folder}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
""")
        end = int(time.time() + seconds)
        openssl("ca", "-batch", "-notext", "-config", configuration, "-in", request, "-cert", self.certificate, "-keyfile", self.key, "-extfile", extensions,
                "-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end)), "-out", certificate)
        return certificate, key, end

    def below(self, name: str) -> "Authority":
        """An authority whose certificate this one signs."""
        lower = Authority.__new__(Authority)
        lower.folder, lower.name = self.folder, name
        lower.certificate, lower.key = self.issue(name, authority=True)
        return lower
