"""What CI takes for KEDA's answers."""


def test_the_answers_are_of_this_version_of_keda(program, recorded):
    assert recorded or program, "KEDA's version, or the program that asks it, has changed: run ./dev test parity, and commit test/parity/recorded.json"
