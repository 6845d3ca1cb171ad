"""Where the onboarding goes on: nothing is done while Razorpay has another stakeholder than is wanted."""

import pytest

from settlement.domain.link import NEXT_STEP, LinkStep, stakeholder_correction, with_corrections

ASHA = {"name": "Asha Rao", "email": "asha@acme.example", "pan": "ABCPA1234F"}


def test_what_may_be_corrected_is_name_and_pan() -> None:
    assert stakeholder_correction(ASHA) == {"name": "Asha Rao", "kyc": {"pan": "ABCPA1234F"}}
    assert stakeholder_correction({**ASHA, "pan": None}) == {"name": "Asha Rao"}


@pytest.mark.parametrize("step", LinkStep)
def test_only_what_is_done_is_taken_up_again(step: LinkStep) -> None:
    wanted, other = stakeholder_correction(ASHA), stakeholder_correction({**ASHA, "name": "Asha Rau"})
    ended = step in (LinkStep.DONE, LinkStep.CORRECTION)
    assert with_corrections(step, wanted=wanted, sent=wanted) is (LinkStep.DONE if ended else step)
    assert with_corrections(step, wanted=wanted, sent=None) is (LinkStep.DONE if ended else step)
    for sent in (other, {}):
        assert with_corrections(step, wanted=wanted, sent=sent) is (LinkStep.CORRECTION if ended else step)


def test_every_step_ends() -> None:
    for step in LinkStep:
        seen = [step]
        while seen[-1] is not LinkStep.DONE:
            seen.append(NEXT_STEP[seen[-1]])
            assert len(seen) <= len(LinkStep)
