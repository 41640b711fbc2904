import pytest

from mailwake.policy.context import Context


def test_one_recipients_changes_never_reach_another() -> None:
    message = Context({"a": "1"})
    first, second = message.copy(), message.copy()
    first.set("a", "2")
    first.set("b", "3")
    assert second.get("a") == message.get("a") == "1"
    assert "b" not in second
    assert first != second == message


def test_variables_are_always_strings() -> None:
    context = Context()
    for value in (1, True, None, b"x"):
        with pytest.raises(TypeError, match="always strings"):
            context.set("smtpapi_open_tracking", value)  # type: ignore[arg-type]


def test_delete() -> None:
    context = Context({"a": "1"})
    assert context.delete("a") is True
    assert context.delete("a") is False
    assert context.get("a") is None
    assert len(context) == 0


def test_a_messages_variables_stand_over_its_connections() -> None:
    connection = Context({"mo_customer_id": "7", "smtpapi_campaign_id": "a"})
    message = Context({"smtpapi_campaign_id": "b"})
    assert message.over(connection) == {"mo_customer_id": "7", "smtpapi_campaign_id": "b"}
    assert Context().over(connection) == {"mo_customer_id": "7", "smtpapi_campaign_id": "a"}
    assert connection.get("smtpapi_campaign_id") == "a"
