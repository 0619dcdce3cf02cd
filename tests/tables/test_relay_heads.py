"""A row a request: what the door reads of it, and what it answers to the rest."""

from http import HTTPStatus

import pytest

from ferryman.actors.relay.heads import REQUESTS_PER_CONNECTION, Heads, Refusal, Request, Response, Upgrade

HOST = b"Host: relay\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n"


def head(line, *headers):
    return line + b"\r\n" + b"".join(headers) + b"\r\n"


def heard(data):
    heads = Heads()
    heads.feed(data)
    return heads.next()


REFUSED = {
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no host": (head(b"GET / HTTP/1.1"), 400),
    "a header without a colon": (head(b"GET / HTTP/1.1", HOST, b"nonsense\r\n"), 400),
    "a blank before the colon": (head(b"GET / HTTP/1.1", HOST, b"A : b\r\n"), 400),
    "a bare carriage return in a value": (head(b"GET / HTTP/1.1", HOST, b"A: b\rc\r\n"), 400),
    "two lengths": (head(b"POST /invite HTTP/1.1", HOST, b"Content-Length: 3\r\nContent-Length: 4\r\n"), 400),
    "a negative length": (head(b"POST /invite HTTP/1.1", HOST, b"Content-Length: -1\r\n"), 400),
    "a length and a coding": (
        head(b"POST /invite HTTP/1.1", HOST, b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        400,
    ),
    "an upgrade with a body": (head(b"GET / HTTP/1.1", HOST, UPGRADE, b"Content-Length: 1\r\n") + b"x", 400),
    "a chunked body": (head(b"POST /invite HTTP/1.1", HOST, b"Transfer-Encoding: chunked\r\n"), 411),
    "a chunked body of a GET": (head(b"GET /health HTTP/1.1", HOST, b"Transfer-Encoding: chunked\r\n"), 411),
    "another coding": (head(b"POST /invite HTTP/1.1", HOST, b"Transfer-Encoding: gzip\r\n"), 411),
    "a body without a length": (head(b"POST /invite HTTP/1.1", HOST), 411),
    "a body announced too long": (head(b"POST /invite HTTP/1.1", HOST, b"Content-Length: 8193\r\n"), 413),
    "a head too long": (b"GET / HTTP/1.1\r\nHost: relay\r\nX: " + b"x" * 8192, 431),
    "a line too long": (b"GET /" + b"x" * 9000, 431),
    "HTTP/2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
@pytest.mark.req("W8-23", "W8-24", "W8-28")
def test_a_bad_request_is_refused_with_its_status(data, status):
    assert heard(data) == Refusal(HTTPStatus(status))


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_just_the_same_when_it_comes_byte_by_byte_as_a_second_request(data, status):
    heads = Heads()
    heads.feed(head(b"GET /health HTTP/1.1", HOST))
    assert isinstance(heads.next(), Request)
    heads.answer(Response(HTTPStatus.OK))
    assert heads.again()
    for place in range(len(data)):
        heads.feed(data[place : place + 1])
        event = heads.next()
        if event is not None:
            break
    assert event == Refusal(HTTPStatus(status))
    assert heads.refuse(HTTPStatus(status)).startswith(b"HTTP/1.1 %d " % status)


def test_a_request_is_whole_with_its_body_and_without_its_query():
    request = heard(head(b"POST /invite?x=1 HTTP/1.1", HOST, b"Content-Length: 4\r\nA: b\r\n") + b"body")
    assert isinstance(request, Request)
    assert (request.method, request.path, request.body) == ("POST", "/invite", b"body")
    assert request.header(b"a") == "b"
    assert request.header(b"missing") is None


def test_nothing_is_heard_before_the_last_byte():
    heads = Heads()
    whole = head(b"POST /invite HTTP/1.1", HOST, b"Content-Length: 4\r\n") + b"body"
    assert not heads.begun
    for place in range(len(whole) - 1):
        heads.feed(whole[place : place + 1])
        assert heads.next() is None
        assert heads.begun
    heads.feed(whole[-1:])
    assert isinstance(heads.next(), Request)


def test_an_upgrade_keeps_what_came_after_its_head_for_the_websocket():
    upgrade = heard(head(b"GET /sync HTTP/1.1", HOST, UPGRADE) + b"\x82\x80")
    assert isinstance(upgrade, Upgrade)
    assert (upgrade.path, upgrade.rest) == ("/sync", b"\x82\x80")
    assert upgrade.head.startswith(b"GET /sync HTTP/1.1\r\n")
    assert upgrade.head.endswith(b"\r\n\r\n")


def test_an_offer_of_h2c_is_answered_in_http_1():
    assert isinstance(heard(head(b"GET /health HTTP/1.1", HOST, b"Upgrade: h2c\r\nConnection: Upgrade\r\n")), Request)


def test_who_waits_for_100_continue_gets_it_once():
    heads = Heads()
    heads.feed(head(b"POST /invite HTTP/1.1", HOST, b"Content-Length: 1\r\nExpect: 100-continue\r\n"))
    assert heads.next() is None
    assert heads.wants_continue().startswith(b"HTTP/1.1 100 ")
    assert heads.wants_continue() == b""
    heads.feed(b"x")
    assert isinstance(heads.next(), Request)


def test_a_connection_serves_a_hundred_requests_and_says_when_it_is_the_last():
    heads = Heads()
    for number in range(1, REQUESTS_PER_CONNECTION + 1):
        heads.feed(head(b"GET /health HTTP/1.1", HOST))
        assert isinstance(heads.next(), Request)
        answer = heads.answer(Response(HTTPStatus.OK, b"{}"))
        assert (b"onnection: close" in answer) == (number == REQUESTS_PER_CONNECTION)
        assert heads.again() == (number < REQUESTS_PER_CONNECTION)


def test_the_end_of_the_stream_between_two_requests_is_no_error():
    heads = Heads()
    heads.feed(b"")
    assert heads.next() is None
    assert heads.ended


def test_an_answer_has_its_length_and_a_204_has_none():
    heads = Heads()
    heads.feed(head(b"GET /health HTTP/1.1", HOST))
    heads.next()
    assert b"Content-Length: 2\r\n" in heads.answer(Response(HTTPStatus.OK, b"{}"))
    heads.again()
    heads.feed(head(b"GET /health HTTP/1.1", HOST))
    heads.next()
    assert b"ontent-" not in heads.answer(Response(HTTPStatus.NO_CONTENT))


def test_an_answer_to_head_has_the_length_of_a_body_and_no_body():
    heads = Heads()
    heads.feed(head(b"HEAD /health HTTP/1.1", HOST))
    heads.next()
    answer = heads.answer(Response(HTTPStatus.OK, b"{}"))
    assert b"Content-Length: 2\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
