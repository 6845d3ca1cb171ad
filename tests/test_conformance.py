"""The scoreboard says what there is: each row and case has its test or its reason, and the page names just those."""

from tests.field.table import PAGE, marked_tests, page, rows


def test_markers_name_rows_and_cases_that_exist() -> None:
    known = rows()
    strangers = [
        f"{marker}({argument!r})"
        for marker, argument in marked_tests()
        if argument not in known[f"{marker}s" if marker == "quirk" else marker]
    ]
    assert not strangers


def test_every_quirk_row_has_a_test() -> None:
    marked = marked_tests()
    assert [row for row in rows()["quirks"] if not marked.get(("quirk", row))] == []


def test_every_oca_case_has_a_test_or_a_reason() -> None:
    marked, known = marked_tests(), rows()
    untold = [case for case in known["oca"] if not marked.get(("oca", case)) and case not in known["not_applicable"]]
    assert untold == []
    assert [case for case in known["not_applicable"] if marked.get(("oca", case))] == [], "it has a test: no reason is needed"


def test_the_page_is_that_of_these_tests_and_all_passed() -> None:
    marked = marked_tests()
    passing = {test: "passes" for tests in marked.values() for test in tests}
    assert PAGE.read_text() == page(marked, passing), "run `make conformance`"
