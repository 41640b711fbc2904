"""A policy to begin with: a function for each phase, with what it is for, all of them commented out but one."""

from __future__ import annotations

from mailwake.policy.phases import PHASES, Phase

PYTHON_HEAD = '''\
"""A mailwake policy: delete what you do not need. Each function may also be `async def`.

Return CONT (or nothing) to go on, DONE to skip the policies that follow in this phase, or refuse(CODE, TEXT).
`context.set(NAME, VALUE)` sets a variable of the message, `context.connection.set` one of the connection; values are
always strings. What each `smtpapi_…` variable does is in the reference of the X-MSYS-API header and context variables.
"""

from mailwake.policy import CONT, DONE, Accept, Message, ValidationContext, refuse
'''

LUA_HEAD = """\
-- A mailwake policy in Lua, as for Momentum: delete what you do not need.
-- Return msys.core.VALIDATE_CONT to go on, msys.core.VALIDATE_DONE to skip the policies that follow in this phase;
-- vctx:set_code(CODE, TEXT) refuses. Context variables are always strings.
require("msys.core");
require("msys.extended.message");
require("msys.extended.vctx");

local mod = {};
"""

_TYPES = {"accept": "Accept", "context": "ValidationContext", "message": "Message"}
_LUA_NAMES = {"context": "vctx", "message": "msg", "domain": "str", "sender": "str", "recipient": "str"}


def python_skeleton() -> str:
    """The text of a Python policy that sets a campaign, with every other phase in comments."""
    parts = [PYTHON_HEAD]
    for phase, facts in PHASES.items():
        arguments = ", ".join(f"{name}: {_TYPES.get(name, 'str')}" for name in facts.arguments)
        lines = [f"def {phase}({arguments}):", f'    """{facts.when}"""']
        if phase is Phase.EACH_RCPT:
            lines.append('    context.set("smtpapi_campaign_id", "my campaign")')
        parts.append("\n".join(_commented([*lines, "    return CONT"], "# ", keep=phase is Phase.EACH_RCPT)))
    return "\n\n".join(parts) + "\n"


def lua_skeleton() -> str:
    """The same in Lua."""
    parts = [LUA_HEAD]
    for phase, facts in PHASES.items():
        arguments = ", ".join(_LUA_NAMES.get(name, name) for name in facts.arguments)
        lines = [f"function mod:{phase}({arguments})", f"  -- {facts.when}"]
        if phase is Phase.EACH_RCPT:
            lines.append('  msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_campaign_id", "my campaign");')
        lines += ["  return msys.core.VALIDATE_CONT;", "end"]
        parts.append("\n".join(_commented(lines, "-- ", keep=phase is Phase.EACH_RCPT)))
    return "\n\n".join([*parts, 'msys.registerModule("my_policy", mod);\n'])


def _commented(lines: list[str], mark: str, *, keep: bool) -> list[str]:
    return lines if keep else [mark + line for line in lines]
