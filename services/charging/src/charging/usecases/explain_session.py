"""How a session's energy came about, and what it is worth by the tariff that it began with."""

import sqlalchemy as sa

from charging.domain.errors import ConflictError
from charging.domain.evidence import in_words
from charging.domain.states import TransactionState
from charging.tables import meter_values
from charging.usecases.manage_tariffs import read_version
from charging.usecases.show_sessions import read_transaction
from charging.views import DerivationView, EnergyDerivationView, TariffView, TransactionExplanation, TransactionId
from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.charging import EnergyConfidence, EnergyEvidence
from money import explain_energy_charge


async def explain_session(uow: UnitOfWork, transaction_id: TransactionId, principal: Principal) -> TransactionExplanation:
    """`GET /v1/transactions/{id}/explanation`. 409 while it runs: its energy is not final."""
    row = await read_transaction(uow, transaction_id, principal)
    if row.state != TransactionState.STOPPED.value:
        raise ConflictError("The session still runs: its energy is not final yet.")
    proof = EnergyEvidence.model_validate(row.energy_evidence) if row.energy_evidence is not None else None
    readings = await uow.connection.scalar(
        sa.select(sa.func.count()).select_from(meter_values).where(meter_values.c.transaction_id == transaction_id)
    )
    counted_wh = sum(segment.counted_wh for segment in proof.segments) if proof is not None else row.energy_wh
    doubted = proof is not None and (proof.confidence is EnergyConfidence.DISPUTABLE or counted_wh != row.energy_wh)
    tariff = TariffView.of(await read_version(uow, row.tariff_id), now=uow.now) if row.tariff_id is not None else None
    named = f"tariff trf_{row.tariff_id}" if row.tariff_id is not None else "no tariff was set"
    amounts = explain_energy_charge(
        energy_wh=row.energy_wh,
        tariff_paise_per_kwh=row.tariff_paise_per_kwh,
        gst_bps=row.gst_bps,
        sources={
            "energy_wh": f"transaction txn_{row.id}",
            "tariff_paise_per_kwh": named,
            "gst_bps": named,
        },
    )
    sentences = [in_words(proof) if proof is not None else f"{row.energy_wh} Wh were billed; of the readings no more was kept."]
    if row.late_wh:
        sentences.append(f"{row.late_wh} Wh were reported after its end and are not billed.")
    if tariff is not None:
        sentences.append(
            f"It began under {tariff.name} (trf_{tariff.id}), in force since {tariff.effective_from:%Y-%m-%d %H:%M} UTC."
        )
    sentences += [amount.sentence for amount in amounts]
    return TransactionExplanation(
        transaction_id=transaction_id,
        paragraph=" ".join(sentences),
        energy=EnergyDerivationView(
            billed_wh=row.energy_wh,
            meter_start_wh=row.meter_start_wh,
            meter_stop_wh=row.meter_stop_wh,
            counted_wh=counted_wh,
            smaller_because=proof.because if proof is not None and doubted else None,
            late_wh=row.late_wh,
            readings=readings or 0,
            formula="sum of counted_wh over evidence.segments, or power_wh where that is less and the register is in doubt",
            evidence=proof,
        ),
        tariff=tariff,
        amounts=[DerivationView.of(amount) for amount in amounts],
    )
