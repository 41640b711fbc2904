import pytest

from mailwake.policy.lua_source import plain_lua


@pytest.mark.parametrize(
    ("momentum", "plain"),
    [
        ("a != b", "a ~= b"),
        ("if !a and !(b) then", "if  not a and  not (b) then"),
        ("x = '!=' -- a != b\ny = a != b", "x = '!=' -- a != b\ny = a ~= b"),
        ('x = "\\"!" != y', 'x = "\\"!" ~= y'),
        ("x = [[ != ]] != [==[ ]] != ]==]", "x = [[ != ]] ~= [==[ ]] != ]==]"),
        ("--[[ a !=\n b ]] c != d", "--[[ a !=\n b ]] c ~= d"),
        ("--[==[ ]] != ]==] !c", "--[==[ ]] != ]==]  not c"),
        ("x = '\\\n!=' != y", "x = '\\\n!=' ~= y"),
        ("#!/usr/bin/lua\nx", "--#!/usr/bin/lua\nx"),
        ("a ~= b", "a ~= b"),
        ("x = 'open != y", "x = 'open ~= y"),
    ],
)
def test_operators_that_only_momentum_knows(momentum: str, plain: str) -> None:
    assert plain_lua(momentum) == plain
