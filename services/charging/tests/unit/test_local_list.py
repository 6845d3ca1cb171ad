"""Local Authorization Lists: the fewest messages, and a charger that follows them ends with what was desired."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charging.domain.local_list import Bounds, Update, apply, bounds_of, difference, plan, read_update

ACCEPTED = {"status": "Accepted"}
GROUP = {"status": "Accepted", "parentIdTag": "G"}


class Book:
    """A charger's list, kept as §5.15 has it; it remembers nothing of how ours is written."""

    def __init__(self, version, entries):
        self.version = version
        self.entries = dict(entries)

    def receive(self, request, length_max):
        listed = request.get("localAuthorizationList", [])
        if len(listed) > length_max:
            return "Failed"
        if request["updateType"] == "Full":
            self.entries = {}
        elif request["listVersion"] <= self.version:
            return "VersionMismatch"
        for entry in listed:
            if "idTagInfo" in entry:
                self.entries[entry["idTag"]] = entry["idTagInfo"]
            else:
                del self.entries[entry["idTag"]]
        self.version = request["listVersion"]
        return "Accepted"


lists = st.dictionaries(st.sampled_from([f"TAG{n}" for n in range(12)]), st.sampled_from([ACCEPTED, GROUP]))


@given(held=lists, known=st.booleans(), desired=lists, version=st.integers(0, 100), length_max=st.integers(1, 6))
def test_a_charger_that_takes_the_plan_holds_what_is_desired(held, known, desired, version, length_max):
    book = Book(version, held)
    confirmed = dict(held) if known else None
    updates = plan(confirmed, desired, version=version + 1, length_max=length_max)
    for update in updates:
        request = update.payload()
        assert read_update(request) == update
        assert book.receive(request, length_max) == "Accepted"
        confirmed = apply(confirmed, update)
        assert confirmed == book.entries
    assert book.entries == desired
    if known:
        assert (not updates) == (held == desired)
        # One message where one is enough.
        assert len(updates) <= 1 or len(difference(held, desired)) > length_max
    else:
        assert updates[0].full


def test_a_difference_names_what_is_new_changed_and_gone():
    held = {"A": ACCEPTED, "B": ACCEPTED, "C": ACCEPTED}
    desired = {"A": ACCEPTED, "B": GROUP, "D": ACCEPTED}
    assert difference(held, desired) == {"B": GROUP, "D": ACCEPTED, "C": None}
    [update] = plan(held, desired, version=8, length_max=3)
    assert update.payload() == {
        "listVersion": 8,
        "updateType": "Differential",
        "localAuthorizationList": [
            {"idTag": "B", "idTagInfo": GROUP},
            {"idTag": "D", "idTagInfo": ACCEPTED},
            {"idTag": "C"},
        ],
    }


def test_what_does_not_fit_goes_as_a_full_list_continued_by_differentials():
    desired = {f"T{n}": ACCEPTED for n in range(5)}
    updates = plan({}, desired, version=4, length_max=2)
    assert [(u.version, u.full, list(u.entries)) for u in updates] == [
        (4, True, ["T0", "T1"]),
        (5, False, ["T2", "T3"]),
        (6, False, ["T4"]),
    ]
    assert [u.payload() for u in plan(None, {}, version=1, length_max=2)] == [{"listVersion": 1, "updateType": "Full"}]


def test_a_differential_to_an_unknown_list_leaves_it_unknown():
    assert apply(None, Update(2, False, {"A": ACCEPTED})) is None
    assert apply({"A": GROUP}, Update(2, True, {})) == {}


@pytest.mark.parametrize(
    ("configuration", "bounds"),
    [
        ({}, Bounds()),
        ({"sendlocallistmaxlength": "20", "localauthlistmaxlength": "x"}, Bounds(send_length_max=20)),
        ({"sendlocallistmaxlength": "0", "supportedfeatureprofiles": "Core,SmartCharging"}, Bounds(managed=False)),
        ({"supportedfeatureprofiles": "Core, LocalAuthListManagement"}, Bounds(managed=True)),
    ],
)
def test_a_chargers_bounds(configuration, bounds):
    assert bounds_of(configuration) == bounds
