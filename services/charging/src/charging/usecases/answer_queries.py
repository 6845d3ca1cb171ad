"""Questions answered by RPC: may this tag charge, who may connect, and whose station a charger stands at."""

import sqlalchemy as sa

from charging.domain.start import normalise_id_tag
from charging.domain.states import StartRequestState
from charging.tables import chargers, start_requests, stations
from charging.usecases.context import Charging
from charging.usecases.look_up_id_tag import id_tag_info
from chassis.database import UnitOfWork
from contracts.charging import SiteOwnerAnswer, SiteOwnerRequested
from contracts.ocpp_gateway import (
    AuthorizeAnswer,
    AuthorizeRequested,
    CredentialsAnswer,
    CredentialsListRequested,
    IdTagStatus,
)


async def authorize(app: Charging, uow: UnitOfWork, query: AuthorizeRequested) -> AuthorizeAnswer:
    """Authorize.req (OCPP 1.6 §4.1), and the idTag of a StopTransaction: staff tags, and minted tags whose start was not refused.

    ConcurrentTx is not for here (§7.2): a tag is also shown to stop what it runs.
    """
    del app
    id_tag = normalise_id_tag(query.id_tag)
    state = await uow.connection.scalar(sa.select(start_requests.c.state).where(start_requests.c.id_tag == id_tag))
    if state is not None:
        open_states = (StartRequestState.REQUESTED.value, StartRequestState.STARTED.value)
        return AuthorizeAnswer(status=IdTagStatus.ACCEPTED if state in open_states else IdTagStatus.BLOCKED)
    info = await id_tag_info(uow, id_tag)
    return AuthorizeAnswer(status=info.status, expiry_date=info.expiry_date, parent_id_tag=info.parent_id_tag)


async def list_credentials(app: Charging, uow: UnitOfWork, query: CredentialsListRequested) -> CredentialsAnswer:
    """A page of all chargers' salted hashes in order of charge_point_id, or one charger's, whatever case it is asked in."""
    c = chargers.c
    statement = sa.select(
        c.charge_point_id,
        c.password_salt,
        c.password_hash,
        c.credentials_version,
        c.enabled,
        c.previous_password_salt,
        c.previous_password_hash,
        c.vendor,
        c.model,
        c.firmware_version,
        c.quirks,
    )
    if query.charge_point_id is not None:
        statement = statement.where(sa.func.lower(c.charge_point_id) == query.charge_point_id.lower())
    else:
        statement = statement.where(c.charge_point_id > query.after)
    # One more than asked for says whether there is a next page.
    rows = (await uow.connection.execute(statement.order_by(c.charge_point_id).limit(query.limit + 1))).all()
    page = rows[: query.limit]
    return CredentialsAnswer(
        credentials=tuple(
            CredentialsAnswer.Credential(
                charge_point_id=row.charge_point_id,
                salt=row.password_salt,
                password_hash=row.password_hash,
                version=row.credentials_version,
                enabled=row.enabled,
                previous_salt=row.previous_password_salt,
                previous_password_hash=row.previous_password_hash,
                close_without_frame=app.quirk_profile_of(row).close_without_frame,
            )
            for row in page
        ),
        next_after=page[-1].charge_point_id if len(rows) > query.limit else None,
    )


async def tell_site_owner(app: Charging, uow: UnitOfWork, query: SiteOwnerRequested) -> SiteOwnerAnswer:
    """Payments is about to let a franchisee take riders' money at this charger: whose is it now?"""
    del app
    statement = (
        sa.select(stations.c.id, stations.c.franchisee_id)
        .join(chargers, chargers.c.station_id == stations.c.id)
        .where(chargers.c.charge_point_id == query.charge_point_id)
    )
    row = (await uow.connection.execute(statement)).one_or_none()
    return SiteOwnerAnswer() if row is None else SiteOwnerAnswer(station_id=row.id, franchisee_id=row.franchisee_id)
