"""Checks of what connects: topics and topic filters, brokers and the listener.

The rules for topics are those of MQTT 5.0, sections 4.7.1 and 4.7.3.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.config.positions import Path
    from twin.config.problems import Problems
    from twin.model.line import Broker, Listener

__all__ = ["check_broker", "check_listener", "filter_problem", "is_open", "topic_problem"]

_LONGEST = 65_535
"""Bytes of a topic (MQTT 5.0, 1.5.4)."""


def topic_problem(topic: str) -> str:
    """What keeps a text from being a topic to publish to; empty when nothing does.

    Examples:
        >>> topic_problem("line/+/x")
        'is no topic: it holds a wildcard'
    """
    if not topic or len(topic.encode()) > _LONGEST or "\0" in topic:
        return "is no topic: it is empty, too long or holds a NUL"
    if "+" in topic or "#" in topic:
        return "is no topic: it holds a wildcard"
    if topic.startswith("$"):
        return "is no topic: $ at the beginning belongs to the broker"
    if "{" in topic or "}" in topic:
        return "is no topic: a name in braces was not filled in"
    return ""


def filter_problem(topic_filter: str) -> str:
    """What keeps a text from being a topic filter; empty when nothing does.

    Examples:
        >>> filter_problem("line/#/x")
        'is no topic filter: # stands alone in the last level'
    """
    if not topic_filter or len(topic_filter.encode()) > _LONGEST or "\0" in topic_filter:
        return "is no topic filter: it is empty, too long or holds a NUL"
    levels = topic_filter.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        return "is no topic filter: # stands alone in the last level"
    if any("+" in level and level != "+" for level in levels):
        return "is no topic filter: + stands alone in its level"
    return ""


def check_broker(broker: Broker, path: Path, problems: Problems) -> None:
    """Note what is wrong with an external broker."""
    if not broker.host.strip():
        problems.add((*path, "host"), "is empty", broker.host, "a host name or an address")
    for i, topic_filter in enumerate(broker.topics):
        where: Path = (*path, "topics", i)
        if topic_filter == "#":
            problems.add(
                where,
                "takes everything the broker has",
                topic_filter,
                "filters that name at least one level, for example twin/v1/#",
            )
        elif why := filter_problem(topic_filter):
            problems.add(where, why, topic_filter, "a topic filter")


def check_listener(listener: Listener, problems: Problems) -> None:
    """Note what is wrong with the direct listener.

    Beyond loopback everybody on the network can reach it, so everybody must say who they are.
    """
    path: Path = ("listener",)
    certain = not problems.knows((*path, "host"), (*path, "enabled"))
    reachable = is_open(listener) and certain
    bare = not listener.cert_file and not problems.knows((*path, "cert_file"))
    by_certificate = bool(listener.client_ca_file) or problems.knows((*path, "client_ca_file"))
    for name in ("key_file", "client_ca_file"):
        if getattr(listener, name) and bare:
            problems.add((*path, name), "stands without cert_file", getattr(listener, name))
    if reachable and listener.anonymous:
        problems.add(
            (*path, "anonymous"),
            f"{listener.host} is not loopback",
            listener.anonymous,
            'anonymous = false with [[listener.device]], or host = "127.0.0.1"',
        )
    if reachable and not listener.device:
        problems.add(
            (*path, "device"),
            f"is missing, and {listener.host} is not loopback",
            allowed="[[listener.device]] with user and password_file",
        )
    for i, device in enumerate(listener.device):
        where: Path = (*path, "device", i)
        if reachable and not device.password_file and not by_certificate:
            problems.add(
                (*where, "password_file"),
                f"is missing, and {listener.host} is not loopback",
                allowed="a file with the password or its argon2 hash, or client_ca_file",
            )
        for j, topic_filter in enumerate(device.publish):
            if why := filter_problem(topic_filter):
                problems.add((*where, "publish", j), why, topic_filter, "a topic filter")
        for j, topic_filter in enumerate(device.subscribe):
            why = filter_problem(topic_filter)
            if why or not _is_alarm_filter(topic_filter):
                problems.add(
                    (*where, "subscribe", j),
                    why or "is not below twin/…/alarm/",
                    topic_filter,
                    "for example twin/+/+/+/alarm/#",
                )


def is_open(listener: Listener) -> bool:
    """Whether others than this machine can reach the listener."""
    return listener.enabled and not _is_loopback(listener.host)


def _is_alarm_filter(topic_filter: str) -> bool:
    levels = topic_filter.split("/")
    return levels[0] == "twin" and "alarm" in levels[1:-1]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
