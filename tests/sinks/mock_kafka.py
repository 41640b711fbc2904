"""librdkafka's own mock cluster (rdkafka_mock.h): brokers that speak the real protocol, and fail when told to."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import Consumer, Message, TopicPartition

PRODUCE = 0
"""The number of ProduceRequest (Kafka protocol)."""

NOT_LEADER, REQUEST_TIMED_OUT, TOPIC_AUTHORIZATION_FAILED, MESSAGE_TOO_LARGE = 6, 7, 29, 10

_PATIENCE = 30.0


def _library() -> ctypes.CDLL:
    """The library that confluent_kafka has loaded."""
    paths = [*(Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka-*.so*")]
    if not paths:
        pytest.skip(
            "KAFKA IS NOT TESTED: this confluent_kafka has no librdkafka of its own, as its wheels for Linux have"
        )
    library = ctypes.CDLL(str(paths[0]))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


class MockKafka:
    """A cluster of three brokers on ports of their own."""

    def __init__(self, brokers: int = 3) -> None:
        self._library = _library()
        error = ctypes.create_string_buffer(512)
        configuration = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        self._handle = ctypes.c_void_p(self._library.rd_kafka_new(0, configuration, error, 512))
        assert self._handle, error.value
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._handle, brokers))
        self._brokers = brokers
        self.addresses: tuple[str, ...] = tuple(
            self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode().split(",")
        )

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def create_topic(self, topic: str, partitions: int) -> None:
        created = self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, self._brokers)
        assert created == 0

    def fail_next(self, *errors: int) -> None:
        """Answer the next ProduceRequests with these errors, whoever sends them."""
        array = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(PRODUCE), ctypes.c_size_t(len(errors)), array
        )

    def down(self) -> None:
        for number in range(1, self._brokers + 1):
            self._library.rd_kafka_mock_broker_set_down(self._cluster, ctypes.c_int32(number))

    def up(self) -> None:
        for number in range(1, self._brokers + 1):
            self._library.rd_kafka_mock_broker_set_up(self._cluster, ctypes.c_int32(number))

    def messages(self, topic: str, count: int, partitions: int = 1) -> list[Message]:
        """What is in the topic, each partition in its order, once it has so many different values."""
        consumer = Consumer({"bootstrap.servers": ",".join(self.addresses), "group.id": "test"})
        try:
            consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
            found: list[Message] = []
            deadline = time.monotonic() + _PATIENCE
            while len({each.value() for each in found}) < count:
                assert time.monotonic() < deadline, f"{len(found)} messages, and no more"
                found += [each for each in consumer.consume(1000, 0.1) if each.error() is None]
            return found
        finally:
            consumer.close()
