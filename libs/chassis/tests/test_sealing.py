"""Sealed values open with their key, for their purpose, and not otherwise."""

import pytest

from chassis.sealing import SealingBox, Unopenable


def test_what_is_sealed_opens_again_and_never_looks_the_same():
    box = SealingBox.of(SealingBox.new_key())
    one, other = box.seal(b"secret", purpose="command"), box.seal(b"secret", purpose="command")
    assert one != other
    assert "secret" not in one
    assert box.open(one, purpose="command") == box.open(other, purpose="command") == b"secret"


@pytest.mark.parametrize("spoil", ["key", "purpose", "text", "not sealed at all", ""])
def test_anything_else_does_not_open(spoil):
    box = SealingBox.of(SealingBox.new_key())
    sealed = box.seal(b"secret", purpose="command")
    if spoil == "key":
        box = SealingBox.of(SealingBox.new_key())
    elif spoil == "text":
        sealed = sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB")
    elif spoil != "purpose":
        sealed = spoil
    with pytest.raises(Unopenable):
        box.open(sealed, purpose="other" if spoil == "purpose" else "command")


def test_a_key_that_is_none_is_refused_without_telling_it():
    with pytest.raises(ValueError, match="32 bytes"):
        SealingBox.of("c2hvcnQ")
