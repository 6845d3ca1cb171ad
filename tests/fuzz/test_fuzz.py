"""The short form of `make fuzz`, and what the oracle knows."""

import pytest

from testkit.servers import Servers
from tests.fuzz import mutate, oracle
from tests.fuzz.run import attack, growth_mib, report

FRAMES = 14_000
SEED = 1

TIMEOUT_SECONDS = 900
"""A quiet machine needs about 15 s; a busy one must not be taken for one that hangs."""

SHORT_GROWTH_MIB_MAX = 40.0
"""A process that has seen 1,400 frames still fills its caches and arenas; the bound of the long form is half of this."""


@pytest.mark.servers
@pytest.mark.timeout(TIMEOUT_SECONDS)
async def test_fuzzed_frames_harm_nobody_and_are_answered(servers: Servers) -> None:
    tally, findings = await attack(servers, SEED, range(FRAMES), growth_mib_max=SHORT_GROWTH_MIB_MAX)
    print(report(tally))
    assert not findings, "\n".join(findings)
    assert tally.frames == FRAMES
    assert tally.garbage.total() > 0
    assert tally.witnessed > 0


def test_a_frame_is_the_same_whenever_it_is_made() -> None:
    assert [mutate.frame(5, number) for number in range(300)] == [mutate.frame(5, number) for number in range(300)]
    assert mutate.frame(5, 0).wire != mutate.frame(6, 0).wire


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b'[2,"1","Heartbeat",{}]', ("text", "1")),
        (b'["2","1","Heartbeat",null,{},7]', ("text", "1")),
        (b'[2,"1"]', ("text", "1")),
        (b"[2,null,5]", ("literal", None)),
        (b'[2,17,"X",{}]', ("number", 17.0)),
        (b'[2,"a\\u0000\\ud800b","X",{}]', ("text", "a\ufffdb")),
        ('[2,"é","X",{}]'.encode("latin-1"), ("text", "é")),
        (b'[2,"1","X",' + b"[" * 300 + b"]" * 300 + b"]", ("text", "1")),
    ],
)
def test_calls_must_be_answered(data: bytes, key: oracle.Key) -> None:
    assert oracle.expected(data) == oracle.Expected(key)


@pytest.mark.parametrize(
    "data",
    [
        b'[3,"1",{}]', b'[4,"1"]', b'[5,"1"]', b"[2]", b"{}", b"null", b"7", b'[true,"1","Heartbeat",{}]',
        b'[2,["1"],"Heartbeat",{}]',
        b'[2,"' + b"x" * 256 + b'","Heartbeat",{}]',
    ],
)  # fmt: skip
def test_other_json_must_not_be_answered(data: bytes) -> None:
    assert oracle.expected(data) == oracle.Expected(None, 0)


@pytest.mark.parametrize(
    ("data", "at_most"),
    [
        (b"", 0),
        (b"\xff\xfe", 0),
        (b'[2,"1","Heartbeat",{}', 1),
        (b'[2,"1","Heartbeat",{}][2,"2","Heartbeat",{}]', 2),
        (b"[" * 1000, 16),
        (b'[2,1e999,"Heartbeat",{}]', 1),
        (b'[2,1,"Heartbeat",' + b"[" * 300 + b"]" * 300 + b"]", 1),
    ],
)
def test_what_is_broken_may_be_answered(data: bytes, at_most: int) -> None:
    assert oracle.expected(data) == oracle.Expected(None, at_most)


@pytest.mark.parametrize(
    "answer",
    [[3, "1"], [3, "1", None], [4, "1", "OccurrenceConstraintViolation", "", {}], [4, "1", "GenericError", "x" * 256, {}], {}],
)
def test_answers_that_ocpp_does_not_know_are_faults(answer: object) -> None:
    assert oracle.fault(answer) is not None


def test_growth_counts_from_the_end_of_the_warm_up() -> None:
    assert growth_mib([50.0] * 10 + [100.0] * 95 + [130.0] * 95) == pytest.approx(30.0)
    assert growth_mib([10.0] * 20 + [100.0] * 180) == pytest.approx(0.0)
