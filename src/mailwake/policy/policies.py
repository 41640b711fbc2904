"""All policies of a worker in their order: each phase is put to those that have a function for it."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mailwake.policy.verdict import PolicyError, Verdict
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.phases import Phase
    from mailwake.policy.validation import Question

FAILED = Reply(451, "4.3.0", "Policy failed, try again later")
"""What a client gets when a policy raised, ran too long or returned nonsense: nothing is lost, nothing leaks."""


class PolicyHost(Protocol):
    """One policy file, in whatever language."""

    name: str
    """The file's name, for logs."""
    phases: frozenset[Phase]
    """Those it has a function for."""

    def ask(self, question: Question) -> Any:
        """What its function for the phase returns, or an awaitable of it; raises what the function raises."""

    def where(self, error: BaseException) -> str:
        """File and line in which an error came up."""


class ConfiguredPolicy(NamedTuple):
    """A policy, and what the operator said about it."""

    host: PolicyHost
    on_error: str = "refuse"
    """"refuse" for now, or "continue" as if the policy had said nothing."""
    timeout: float = 5.0
    """Seconds for a function that is async."""


class _Settled(NamedTuple):
    """Whether a phase is over after one policy's answer, and with which refusal."""

    over: bool
    refusal: Reply | None = None


_GO_ON = _Settled(False)


class Policies:
    """Asks the policies; one object serves one worker."""

    def __init__(self, configured: Sequence[ConfiguredPolicy], *, log: Logger, metrics: Metrics) -> None:
        self._by_phase: dict[Phase, list[ConfiguredPolicy]] = {}
        for policy in configured:
            for phase in policy.host.phases:
                self._by_phase.setdefault(phase, []).append(policy)
        self._log = log
        self._metrics = metrics

    def has(self, phase: Phase) -> bool:
        """Whether any policy has a function for this phase."""
        return phase in self._by_phase

    def ask(self, question: Question) -> Reply | Awaitable[Reply | None] | None:
        """The refusal, or None to go on; an awaitable of it where a function is async. Never raises."""
        return self._ask_from(question, 0)

    def _ask_from(self, question: Question, start: int) -> Reply | Awaitable[Reply | None] | None:
        policies = self._by_phase.get(question.phase, ())
        for index in range(start, len(policies)):
            try:
                answer = policies[index].host.ask(question)
            except Exception as error:
                settled = self._failed(policies[index], question, error)
            else:
                if inspect.isawaitable(answer):
                    return self._ask_later(question, index, answer)
                settled = self._settled(policies[index], question, answer)
            if settled.over:
                return settled.refusal
        return question.context.reply

    async def _ask_later(self, question: Question, index: int, answer: Awaitable[Any]) -> Reply | None:
        policy = self._by_phase[question.phase][index]
        try:
            async with asyncio.timeout(policy.timeout):
                settled = self._settled(policy, question, await answer)
        except TimeoutError:
            settled = self._failed(policy, question, PolicyError(f"took longer than {policy.timeout:g} s"))
        except Exception as error:
            settled = self._failed(policy, question, error)
        if settled.over:
            return settled.refusal
        rest = self._ask_from(question, index + 1)
        return await rest if inspect.isawaitable(rest) else rest

    def _settled(self, policy: ConfiguredPolicy, question: Question, answer: Any) -> _Settled:
        if answer is None or answer is Verdict.CONT:
            return _GO_ON
        if answer is Verdict.DONE:
            return _Settled(True, question.context.reply)
        if isinstance(answer, Reply):
            return _Settled(True, answer)
        error = PolicyError(f"{question.phase} returned {answer!r:.100}; return CONT, DONE or refuse(code, text)")
        return self._failed(policy, question, error)

    def _failed(self, policy: ConfiguredPolicy, question: Question, error: Exception) -> _Settled:
        self._metrics.counter("policy_errors_total", policy.host.name, question.phase).inc()
        self._log.error(
            "policy failed",
            policy=policy.host.name,
            phase=str(question.phase),
            where=policy.host.where(error),
            peer=question.accept.remote_ip,
            error=str(error)[:500] or type(error).__name__,
            then=policy.on_error,
            exc_info=None if isinstance(error, PolicyError) else error,
        )
        if policy.on_error == "continue":
            question.context.reply = None
            return _GO_ON
        return _Settled(True, FAILED)
