from mailwake.smtp.states import TRANSITIONS, State, Verb, out_of_sequence


def test_every_state_of_a_running_session_can_be_left() -> None:
    for state, legal in TRANSITIONS.items():
        assert legal[Verb.QUIT] is State.CLOSING, state


def test_every_verb_is_legal_somewhere_and_every_state_is_reached() -> None:
    assert {verb for legal in TRANSITIONS.values() for verb in legal} == set(Verb)
    reached = {state for legal in TRANSITIONS.values() for state in legal.values()}
    # The others are entered from within a command or an event, never by accepting one.
    assert set(State) - reached == {State.REFUSED, State.CHUNK, State.AUTH}


def test_no_transaction_is_opened_before_a_greeting_or_inside_another() -> None:
    assert [state for state, legal in TRANSITIONS.items() if Verb.MAIL in legal] == [State.READY]
    assert [state for state, legal in TRANSITIONS.items() if Verb.DATA in legal] == [State.RCPT]
    assert [state for state, legal in TRANSITIONS.items() if Verb.STARTTLS in legal] == [State.READY]


def test_out_of_sequence_names_what_is_legal() -> None:
    assert str(out_of_sequence(State.REFUSED, Verb.MAIL)) == (
        "503 5.5.1 Bad sequence of commands: MAIL is not possible now; possible are QUIT"
    )
