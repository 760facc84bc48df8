"""Who a client is over TLS: sessions that are resumed, client certificates, and both through a reload."""

import signal
import ssl

import pytest

from support.certificates import Authority
from support.tls import answer, ask, connect, tls_block, trusting, wait_for_words


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed_whichever_worker_takes_them(stage, authority, identity, version):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity), workers=4)
    context = trusting(authority, maximum_version=getattr(ssl.TLSVersion, version))
    session, resumed, connections = None, 0, 40
    for _ in range(connections):
        with connect(proxy, context, session=session) as secured:
            ask(secured, wanted=b"hello")
            resumed += secured.session_reused
            session = secured.session
    print(f"{version}: {resumed} of {connections - 1} handshakes resumed a session")
    assert resumed == connections - 1
    records = proxy.access_log.wait_for(lambda record: record.get("tls_resumed"), count=resumed)
    workers = {record["stream"].split("-")[0] for record in records}
    assert len(workers) > 1, "the connections all went to one worker, so this proves nothing"


def test_sessions_outlive_a_reload(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    context = trusting(authority)
    with connect(proxy, context) as secured:
        ask(secured, wanted=b"hello")
        session = secured.session
    proxy.send_signal(signal.SIGHUP)
    wait_for_words(proxy, "read again")
    with connect(proxy, context, session=session) as secured:
        ask(secured, wanted=b"hello")
        assert secured.session_reused


def test_client_certificates_reach_the_server_in_a_field_that_cannot_be_forged(stage, authority, identity):
    known = authority.issue("known", "DNS:known.test", subject="/O=Example/CN=known")
    origin = stage.origin(answer)
    proxy = stage.heartwire(origin, listen=tls_block(
        identity, extra=f"client_certificates optional\nclient_authority {authority.certificate}\nclient_subject_field X-Client-Subject"))
    forged = "X-Client-Subject: CN=admin\r\nx-client-SUBJECT: CN=admin\r\nX_Client_Subject: CN=admin\r\n"
    context = trusting(authority)
    with connect(proxy, context) as secured:
        ask(secured, "/without", forged, b"hello")
    context.load_cert_chain(*map(str, known))
    with connect(proxy, context) as secured:
        ask(secured, "/with", forged, b"hello")
    received = origin.everything_received()
    assert b"CN=admin" not in received
    assert received.count(b"X-Client-Subject: CN=known,O=Example\r\n") == 1
    # Another listener cannot be used to forge the field either; a listener without TLS has no subject.
    strangers = Authority(authority.folder / "strangers", "strangers")
    context = trusting(authority)
    context.load_cert_chain(*map(str, strangers.issue("stranger")))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with connect(proxy, context) as secured:
            ask(secured, wanted=b"hello")
    assert any("certificate verify failed" in record["evidence"] for record in proxy.access_log.wait_for(
        lambda record: record.get("cause") == "client_tls_error"))


def test_client_certificates_can_be_demanded(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(
        identity, extra=f"client_certificates required\nclient_authority {authority.certificate}"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with connect(proxy, trusting(authority)) as secured:
            ask(secured, wanted=b"hello")
    context = trusting(authority)
    context.load_cert_chain(*map(str, authority.issue("known")))
    with connect(proxy, context) as secured:
        assert ask(secured, wanted=b"hello")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_ticket_does_not_stand_in_for_a_certificate_that_a_reload_demands(stage, authority, identity, tmp_path, version):
    first, second = Authority(tmp_path / "first", "first"), Authority(tmp_path / "second", "second")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(first.certificate.read_bytes())
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity))
    path = proxy.folder / "heartwire.conf"
    demanding = f"client_certificates required\nclient_authority {trusted}\n"

    def visit(context, session=None):
        with connect(proxy, context, session=session) as secured:
            assert ask(secured, wanted=b"hello")
            return secured.session, secured.session_reused

    def reload(count):
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_words("SIGHUP: done", count)

    def client(pair=None):
        context = trusting(authority, maximum_version=getattr(ssl.TLSVersion, version))
        if pair:
            context.load_cert_chain(*map(str, pair))
        return context

    nobody, known = client(), client(first.issue("known"))
    of_nobody, _ = visit(nobody)
    path.write_text(path.read_text().replace("certificate ", demanding + "certificate ", 1))
    reload(1)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        visit(nobody, of_nobody)
    of_known, _ = visit(known)
    # The requirements stay the same, so the sessions stay valid.
    reload(2)
    of_known, resumed = visit(known, of_known)
    assert resumed
    # The authority is removed from the same file: its clients are not accepted any more.
    trusted.write_bytes(second.certificate.read_bytes())
    reload(3)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        visit(known, of_known)
    assert visit(client(second.issue("newcomer")))
