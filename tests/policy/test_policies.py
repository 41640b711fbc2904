"""Several policies in their order: who is asked, what ends a phase, and what follows when one fails."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.policy.context import Context
from mailwake.policy.message_view import Message
from mailwake.policy.phases import Phase
from mailwake.policy.policies import FAILED, ConfiguredPolicy, Policies
from mailwake.policy.python_host import PythonPolicy
from mailwake.policy.validation import Accept, Question, ValidationContext
from mailwake.smtp.replies import Reply

HEAD = "import asyncio\nfrom mailwake.policy import CONT, DONE, refuse\n"
PHASE = Phase.DATA_SPOOL


class Asked:
    """The outcome of the phase `validate_data_spool` for policies of which only the function's body is given."""

    def __init__(self, directory: Path, *bodies: str, **options: object) -> None:
        self.metrics = Metrics()
        configured = []
        for number, body in enumerate(bodies):
            path = directory / f"p{number}.py"
            prefix = "async " if "await" in body else ""
            path.write_text(f"{HEAD}{prefix}def {PHASE}(message, accept, context):\n    {body}\n")
            configured.append(ConfiguredPolicy(PythonPolicy(path), **options))  # type: ignore[arg-type]
        self.policies = Policies(configured, log=make_logger("json", "error"), metrics=self.metrics)
        self.context = ValidationContext(Context(), Context())

    async def reply(self) -> Reply | None:
        message = Message(sender="", recipients=["r@b.example"])
        answer = self.policies.ask(Question(PHASE, self.context, Accept("192.0.2.7", 1, "l"), message))
        return await answer if inspect.isawaitable(answer) else answer


SET = "context.set('{0}', 'x'); return {1}"


@pytest.mark.parametrize("late", ["", "await asyncio.sleep(0); "])
@pytest.mark.parametrize(
    ("verdicts", "asked"),
    [(("CONT", "CONT"), "ab"), (("None", "CONT"), "ab"), (("DONE", "CONT"), "a"), (("CONT", "DONE"), "ab")],
)
async def test_done_skips_the_policies_that_follow(
    tmp_path: Path, late: str, verdicts: tuple[str, str], asked: str
) -> None:
    made = Asked(tmp_path, *(late + SET.format(name, verdict) for name, verdict in zip("ab", verdicts, strict=True)))
    assert await made.reply() is None
    assert made.context.message is not None
    assert "".join(made.context.message) == asked


@pytest.mark.parametrize("late", ["", "await asyncio.sleep(0); "])
@pytest.mark.parametrize(
    ("bodies", "reply"),
    [
        (("return refuse(550, '5.7.1 not today')", "return CONT"), "550 5.7.1 not today"),
        (("context.set_code(451, 'later'); return DONE", "return CONT"), "451 later"),
        (("context.set_code(550, 'no'); return CONT", "return CONT"), "550 no"),
        (("context.set_code(550, 'no')", "context.set_code(554, '5.6.0 never')"), "554 5.6.0 never"),
        (("context.set_code(550, 'no')", "context.set_code(250)"), None),
        (("context.disconnect(550, '5.7.1 bye')", "return CONT"), "550 5.7.1 bye"),
        (("return CONT", "return refuse(421, '4.7.0 busy')"), "421 4.7.0 busy"),
    ],
)
async def test_a_refusal_has_the_policys_own_code_and_text(
    tmp_path: Path, late: str, bodies: tuple[str, str], reply: str | None
) -> None:
    made = Asked(tmp_path, *(late + body for body in bodies))
    found = await made.reply()
    assert (None if found is None else str(found)) == reply
    assert made.context.disconnecting == ("disconnect" in bodies[0])


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('x')",
        "return 42",
        "return 'refuse'",
        "return refuse(250, 'fine')",
        "return refuse(550, '4.7.1 of another class')",
        "context.set('a', 1)",
        "[context.set(str(n), 'x') for n in range(10_001)]",
        "context.set('a', 'x' * (1 << 21))",
        "message.set_header('X', 'a\\nB: c')",
        "message.set_header('X Y', 'a')",
        "await asyncio.sleep(0); raise ValueError('x')",
        "await asyncio.sleep(3600)",
    ],
)
async def test_a_policy_that_fails_refuses_for_now_unless_the_operator_chose_to_go_on(
    tmp_path: Path, body: str
) -> None:
    made = Asked(tmp_path, body, SET.format("second", "CONT"), timeout=0.05)
    assert await made.reply() == FAILED
    assert made.metrics.counter("policy_errors_total", "p0.py", PHASE).value == 1
    assert made.context.message is not None
    assert "second" not in made.context.message
    made = Asked(
        tmp_path,
        "context.set_code(550, 'no'); " + body,
        SET.format("second", "CONT"),
        on_error="continue",
        timeout=0.05,
    )
    assert await made.reply() is None
    assert made.context.message is not None
    assert made.context.message.get("second") == "x" or "range" in body or "1 << 21" in body


async def test_policies_of_other_phases_are_not_asked(tmp_path: Path) -> None:
    made = Asked(tmp_path, "return CONT")
    assert made.policies.has(PHASE)
    assert not made.policies.has(Phase.CONNECT)
    question = Question(Phase.CONNECT, made.context, Accept("192.0.2.7", 1, "l"))
    assert made.policies.ask(question) is None


async def test_others_are_served_while_an_async_policy_waits(tmp_path: Path) -> None:
    slow, quick = Asked(tmp_path, "await asyncio.sleep(3600)", timeout=30.0), Asked(tmp_path, "return CONT")
    waiting = asyncio.ensure_future(slow.reply())
    assert await quick.reply() is None
    assert not waiting.done()
    waiting.cancel()
