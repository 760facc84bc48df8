"""The harness itself: the parsers that judge the proxy are checked with vectors first."""

import random

import pytest

from support import eventsource, streams
from support.http_text import BodyDecoder, Malformed, framing, parse_request, parse_response


@pytest.mark.parametrize("stream, events", [
    (b"data: a\n\n", [("message", "a", "")]),
    (b"data: a\r\ndata:b\r\n\r\n", [("message", "a\nb", "")]),
    (b"data: a\rdata: b\r\r", [("message", "a\nb", "")]),
    (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    (b":\n\n\xef\xbb\xbfdata: a\n\n", []),
    (b"event: x\nid: 7\ndata\n\nid\ndata:  b\n\n", [("x", "", "7"), ("message", " b", "")]),
    (b"id: 1\x00\ndata: a\n\n", [("message", "a", "")]),
    (b"data: a\n", []),
    (b"data: a\n\n:\ndata: b\n:\n\n", [("message", "a", ""), ("message", "b", "")]),
])
def test_the_reference_reader_follows_the_standard(stream, events):
    reading = eventsource.read(stream)
    assert [(event.type, event.data, event.id) for event in reading.events] == events


def test_the_reference_reader_commits_ids_without_data_and_takes_only_decimal_retries():
    reading = eventsource.read(b"id: 5\n\nretry: 12\nretry: 1x\nretry:\ndata")
    assert (reading.last_event_id, reading.retry, reading.events) == ("5", 12, [])


@pytest.mark.parametrize("raw", [
    b"5\r\nhello\r\n0\r\n\r\nrest", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: 1\r\n\r\nrest"])
def test_the_chunk_decoder_gives_the_same_for_every_split(raw):
    for cut in range(len(raw) + 1):
        decoder = BodyDecoder("chunked")
        assert decoder.feed(raw[:cut]) + decoder.feed(raw[cut:]) == b"hello"
        assert decoder.complete and decoder.rest == b"rest"


@pytest.mark.parametrize("raw", [b"5\nhello", b"0x5\r\n", b" 5\r\n", b"5\r\nhelloXX", b"-1\r\n", b"\r\n"])
def test_the_chunk_decoder_refuses_what_is_not_plain(raw):
    with pytest.raises(Malformed):
        BodyDecoder("chunked").feed(raw)


@pytest.mark.parametrize("head", [
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n"])
def test_the_request_parser_refuses_ambiguity(head):
    with pytest.raises(Malformed):
        parse_request(head)


def test_a_message_with_both_lengths_is_refused():
    response = parse_response(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(Malformed):
        framing(response)


def test_random_splits_put_the_stream_together_again():
    for number in range(200):
        chance = random.Random(number)
        stream = streams.random_stream(chance, 20)
        pieces = streams.random_split(chance, stream, 9)
        assert b"".join(pieces) == stream and all(pieces)
