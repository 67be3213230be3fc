"""Settings of the Sparkplug host; checked without a network."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from twin.ingest.sparkplug import SparkplugSettings
from twin.ingest.sparkplug_topic import NAMESPACE
from twin.ingest.sparkplug_wire import Limits

__all__ = ["SparkplugHostSettings"]

_S = 1_000_000_000
SparkplugId = Annotated[str, StringConstraints(pattern=r"^[^+#/]+$", max_length=200)]


class SparkplugHostSettings(BaseModel):
    """What a host application needs to know about itself.

    Attributes:
        host_id: Its name in the STATE topic; unique among the hosts of a broker.
        groups: Groups to listen to; empty means all.
        reorder_timeout_s: How long a missing message may still arrive before a rebirth is asked
            for; longer where several brokers or bridges stand in between.
        rebirth_interval_s: Shortest time between two rebirth requests to one node.
        rebirth_max_age_s: A request older than this is not sent: it comes from reading the
            journal again, and the past must not command devices.
        max_metrics: Metrics accepted in one DATA message.
        max_birth_metrics: Metrics accepted in one BIRTH message.
        max_nodes: Edge nodes followed at the same time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host_id: SparkplugId = "linetwin"
    groups: list[SparkplugId] = []
    reorder_timeout_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    rebirth_interval_s: Annotated[float, Field(ge=1, le=86400)] = 30.0
    rebirth_max_age_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    max_metrics: Annotated[int, Field(ge=1, le=100_000)] = 500
    max_birth_metrics: Annotated[int, Field(ge=1, le=100_000)] = 5000
    max_nodes: Annotated[int, Field(ge=1, le=100_000)] = 1000

    def subscriptions(self) -> list[tuple[str, int]]:
        """Topic filters and QoS: its own STATE first, then the data.

        QoS 1 is the most that is asked for; data come with QoS 0 as they were published, deaths
        with 1.
        """
        data = [f"{NAMESPACE}/{group}/#" for group in self.groups] or [f"{NAMESPACE}/#"]
        return [(f"{NAMESPACE}/STATE/{self.host_id}", 1), *((name, 1) for name in data)]

    def receiving(self) -> SparkplugSettings:
        """The settings of the receiving half."""
        return SparkplugSettings(
            reorder_ns=round(self.reorder_timeout_s * _S),
            rebirth_ns=round(self.rebirth_interval_s * _S),
            limits=Limits(metrics=self.max_metrics),
            birth_metrics=self.max_birth_metrics,
            max_nodes=self.max_nodes,
        )
