"""SIGHUP with a file that cannot be used: what is refused, and what changes nothing."""

import os
import signal
import socket

import pytest

from support.certificates import Authority
from support.client import Client, get
from support.ports import reserve_port
from support.reloading import File, connects, origin_named


@pytest.mark.parametrize("harm", ["errors", "gone", "taken", "certificate", "log"])
def test_what_cannot_be_used_changes_nothing_at_all(stage, tmp_path, harm):
    old, new = stage.origin(origin_named(b"old")), stage.origin(origin_named(b"new"))
    proxy = stage.heartwire(old, heartbeat="10s")
    file, second = File(proxy), reserve_port()
    good = file.path.read_text()
    # Each file also has changes that would be valid by themselves.
    changes = [(f"server {old.address}", f"server {new.address}"), ("workers 1\n", f"workers 1\nlisten 127.0.0.1:{second}\n")]
    with Client(proxy.port) as client:
        _, stream = client.open_stream("/stream")
        stream.wait_for(b"old")
        descriptors = proxy.descriptors()
        file.edit(*changes)
        blocker = None
        if harm == "errors":
            file.put(file.path.read_text() + "nonsense 1\nroute /x {\n  heartbeat 1\n}\n")
        elif harm == "gone":
            file.path.unlink()
        elif harm == "taken":
            taken = reserve_port()
            blocker = socket.create_server(("127.0.0.1", taken))
            file.edit(("workers 1\n", f"workers 1\nlisten 127.0.0.1:{taken}\n"))
        elif harm == "certificate":
            file.edit((f"listen 127.0.0.1:{second}\n", f"listen 127.0.0.1:{second} {{\ntls {{\ncertificate /no/cert /no/key\n}}\n}}\n"))
        elif harm == "log":
            file.edit((f"access_log {proxy.folder}/access.log", "access_log /no/such/folder/access.log"))
        said = file.reload("nothing has changed")
        expected = {
            "errors": ["unknown directive 'nonsense'", "heartbeat"], "gone": ["cannot read the configuration file"],
            "taken": ["cannot listen on"], "certificate": ["/no/cert"], "log": ["cannot open the log file /no/such/folder/access.log"]}
        for words in expected[harm]:
            assert words in said, said
        assert get(proxy.port).body == b"old" and not connects(second)
        assert proxy.descriptors() <= descriptors + 2, "descriptors were left behind"
        seen = len(stream.data)
        stream.wait_for(lambda data: len(data) > seen + 100)
        if blocker:
            blocker.close()
        # The next good file is used.
        file.put(good)
        file.edit(*changes)
        file.reload()
        assert get(proxy.port).body == b"new" and connects(second)


def test_a_certificate_that_cannot_be_read_stays_while_the_rest_changes(stage, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("site")
    origin = stage.origin(origin_named(b"here"))
    proxy = stage.heartwire(origin, listen=f"tls {{\ncertificate {certificate} {key}\n}}")
    plain = reserve_port()
    file = File(proxy)
    certificate.write_text("nonsense")
    file.edit(("workers 1\n", f"workers 1\nlisten 127.0.0.1:{plain}\n"))
    said = file.reload()
    assert str(certificate) in said and "certificates were read again" in said
    assert get(plain).body == b"here"


@pytest.mark.parametrize("harm, words", [
    ("pipe", "it is a pipe, and cannot be read again"),
    ("folder", "Is a directory"),
    ("zero", "it is no regular file"),
    ("huge", "the file is larger than 1MiB"),
])
def test_a_file_that_would_hold_up_the_proxy_is_refused(stage, harm, words):
    proxy = stage.heartwire(stage.origin(origin_named(b"here")))
    path, good = proxy.folder / "heartwire.conf", proxy.folder / "good"
    path.rename(good)
    spoil(path, harm)
    file = File(proxy)
    said = file.reload("SIGHUP: the configuration cannot be used; the one in force stays")
    assert words in said and "heartwire.conf" in said
    assert get(proxy.port).body == b"here"
    # The next signal works.
    path.rmdir() if harm == "folder" else path.unlink()
    good.rename(path)
    file.reload("SIGHUP: done")


def spoil(path, harm):
    if harm == "pipe":
        os.mkfifo(path)
    elif harm == "folder":
        path.mkdir()
    elif harm == "zero":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 10 << 30)


@pytest.mark.parametrize("harm, words", [
    ("pipe", "it is a pipe, and cannot be read again"),
    ("folder", "Is a directory"),
    ("zero", "it is no regular file"),
    ("huge", "it is larger than 16MiB"),
])
@pytest.mark.parametrize("which", ["certificate", "key", "staple", "authority"])
def test_a_file_of_tls_that_would_hold_up_the_proxy_is_refused(stage, tmp_path, which, harm, words):
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("site")
    proxy = stage.heartwire(stage.origin(origin_named(b"here")), listen=f"tls {{\ncertificate {certificate} {key}\n}}")
    spoiled = tmp_path / "spoiled"
    spoil(spoiled, harm)
    files = f"{certificate} {spoiled}" if which == "key" else f"{spoiled} {key}" if which == "certificate" else f"{certificate} {key}"
    more = f" {spoiled}" if which == "staple" else f"\nclient_certificates optional\nclient_authority {spoiled}" if which == "authority" else ""
    file = File(proxy)
    file.edit((f"certificate {certificate} {key}", f"certificate {files}{more}"))
    said = file.reload("the configuration in force stays, and nothing has changed")
    assert f"{spoiled}: it cannot be read: {words}" in said


def test_what_cannot_change_is_named(stage):
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), workers=2)
    file = File(proxy)
    file.edit(("workers 2", "workers 5"))
    said = file.reload()
    assert "workers stays 2" in said and "the file asks for 5" in said and "nothing in the configuration has changed" in said


def test_without_a_file_certificates_are_read_again_and_nothing_else(stage):
    origin, port = stage.origin(origin_named(b"a")), reserve_port()
    proxy = stage.command(["proxy", "--upstream", origin.address, "--listen", f"127.0.0.1:{port}", "--stream-log", "stream.log"], port)
    proxy.send_signal(signal.SIGHUP)
    proxy.wait_for_words("SIGHUP: there are no certificates to read again")
    assert get(port).body == b"a"
