"""Whoever is alone at the gate is alone."""

from __future__ import annotations

import threading

from mailwake.store.gate import Gate


def test_one_alone_waits_for_those_inside_and_keeps_others_out() -> None:
    gate = Gate()
    inside, leave, alone, end = (threading.Event() for _ in range(4))
    order: list[str] = []

    def first() -> None:
        with gate.shared():
            inside.set()
            leave.wait(10)
            order.append("first left")

    def lonely() -> None:
        with gate.alone():
            order.append("alone")
            alone.set()
            end.wait(10)
            order.append("no longer")

    def late() -> None:
        alone.wait(10)
        end.set()
        with gate.shared(), gate.shared():
            order.append("late")

    threads = [threading.Thread(target=each) for each in (first, lonely, late)]
    threads[0].start()
    inside.wait(10)
    for each in threads[1:]:
        each.start()
    leave.set()
    for each in threads:
        each.join(10)
    assert order == ["first left", "alone", "no longer", "late"]
