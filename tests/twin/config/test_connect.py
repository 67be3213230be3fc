"""Topics, topic filters, and who can reach the listener."""

from __future__ import annotations

import pytest

from twin.config.connect import filter_problem, is_open, topic_problem
from twin.model.line import Listener


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 65_536, "é" * 40_000])
def test_no_topic_and_no_filter(text):
    """Empty, too long (in bytes) or with a NUL: neither a topic nor a filter."""
    assert "empty, too long" in topic_problem(text)
    assert "empty, too long" in filter_problem(text)


@pytest.mark.parametrize("text", ["a", "/", "a//b", "a b/ü", "a/$x"])
def test_topics(text):
    """Levels may be empty and hold any letter; a topic is also a filter."""
    assert topic_problem(text) == filter_problem(text) == ""


@pytest.mark.parametrize(
    ("text", "is_filter"),
    [("#", True), ("a/#", True), ("+/+", True), ("a#", False), ("#/a", False), ("a+/b", False)],
)
def test_wildcards(text, is_filter):
    """A wildcard stands alone in its level, and # in the last one; a topic has none."""
    assert (filter_problem(text) == "") is is_filter
    assert "wildcard" in topic_problem(text)


@pytest.mark.parametrize(
    ("host", "reachable"),
    [
        *(("127.0.0.1", False), ("127.1.2.3", False), ("::1", False), ("localhost", False)),
        *(("0.0.0.0", True), ("::", True), ("10.0.0.1", True), ("gateway", True), ("", True)),
    ],
)
def test_who_can_reach_the_listener(host, reachable):
    """Only loopback is closed; a name that cannot be judged without a network counts as open."""
    assert is_open(Listener(host=host)) is reachable
    assert not is_open(Listener(host=host, enabled=False))
