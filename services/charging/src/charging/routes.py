"""The HTTP door: method, path → use case, who may."""

from charging.domain.errors import ConflictError, InvalidCommandError, NotFoundError
from charging.usecases.command_charger import command_charger, list_commands, show_command
from charging.usecases.command_many import command_many, show_command_batch
from charging.usecases.explain_session import explain_session
from charging.usecases.hand_over_credentials import rotate_credentials
from charging.usecases.manage_chargers import (
    change_charger,
    change_connector,
    create_charger,
    list_chargers,
    list_connectors,
    show_charger,
    show_connector,
)
from charging.usecases.manage_charging_profiles import (
    ask_composite_schedule,
    clear_charging_profiles,
    create_charging_profile,
    delete_charging_profile,
    list_charging_profiles,
    show_composite_schedule,
)
from charging.usecases.manage_id_tags import change_id_tag, create_id_tag, delete_id_tag, list_id_tags, show_id_tag
from charging.usecases.manage_reservations import (
    cancel_reservation,
    create_reservation,
    list_reservations,
    show_reservation,
)
from charging.usecases.manage_stations import (
    change_station,
    create_station,
    list_stations,
    show_station,
)
from charging.usecases.manage_tariffs import create_tariff, list_tariffs, show_tariff, show_tariff_in_force
from charging.usecases.show_configuration import (
    drop_override,
    list_configurations,
    override_key,
    refresh_configuration,
    show_configuration,
)
from charging.usecases.show_local_list import show_local_list, sync_local_list
from charging.usecases.show_quirks import list_quirk_profiles, show_charger_quirks
from charging.usecases.show_reports import list_charger_errors, list_signal_quality
from charging.usecases.show_sessions import (
    list_meter_values,
    list_start_requests,
    list_transactions,
    show_energy,
    show_start_request,
    show_transaction,
    stop_transaction_by_request,
)
from charging.usecases.unknown_charge_points import (
    adopt_unknown_charge_point,
    forget_unknown_charge_point,
    list_unknown_charge_points,
)
from chassis.web import ADMIN, FRANCHISEE, OPERATOR, STAFF, Errors, Route

OPERATORS = ADMIN | OPERATOR
READERS = STAFF | FRANCHISEE

HOW_TO_ROTATE = "A new password: POST /v1/chargers/{charger_id}/credentials with a new key; GET /v1/chargers finds the charger."
"""Whoever lost an answer with a password is told this."""

ROUTES = (
    Route("POST", "/v1/stations", create_station, roles=OPERATORS, status=201, summary="Create a station"),
    Route("GET", "/v1/stations", list_stations, roles=READERS, summary="List stations"),
    Route("GET", "/v1/stations/{station_id}", show_station, roles=READERS, summary="Show a station"),
    Route("PATCH", "/v1/stations/{station_id}", change_station, roles=OPERATORS, summary="Change a station"),
    Route("POST", "/v1/tariffs", create_tariff, roles=OPERATORS, status=201, summary="Set a tariff: a new version"),
    Route("GET", "/v1/tariffs", list_tariffs, roles=READERS, summary="List tariffs"),
    Route(
        "GET",
        "/v1/tariffs/in-force",
        show_tariff_in_force,
        roles=READERS,
        summary="Show what energy costs at a charger, now or at a time, and what is planned",
    ),
    Route("GET", "/v1/tariffs/{tariff_id}", show_tariff, roles=READERS, summary="Show a tariff"),
    Route(
        "POST",
        "/v1/chargers",
        create_charger,
        roles=ADMIN,
        status=201,
        summary="Create a charger; shows its password once",
        shown_once=HOW_TO_ROTATE,
    ),
    Route("GET", "/v1/chargers", list_chargers, roles=READERS, summary="List chargers"),
    Route("GET", "/v1/chargers/{charger_id}", show_charger, roles=READERS, summary="Show a charger"),
    Route("PATCH", "/v1/chargers/{charger_id}", change_charger, roles=OPERATORS, summary="Change a charger"),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/credentials",
        rotate_credentials,
        roles=ADMIN,
        status=201,
        summary="Give a charger a new password; shown once, or delivered to it",
        shown_once=HOW_TO_ROTATE,
    ),
    Route("GET", "/v1/quirk-profiles", list_quirk_profiles, roles=STAFF, summary="List what is known of charger models"),
    Route(
        "GET",
        "/v1/chargers/{charger_id}/quirks",
        show_charger_quirks,
        roles=READERS,
        summary="Show which quirks apply to a charger, and from where",
    ),
    Route("GET", "/v1/charger-errors", list_charger_errors, roles=READERS, summary="List errors that chargers reported"),
    Route("GET", "/v1/signal-quality", list_signal_quality, roles=READERS, summary="List how well chargers' modems hear"),
    Route(
        "GET",
        "/v1/unknown-charge-points",
        list_unknown_charge_points,
        roles=OPERATORS,
        summary="List charge points that nobody registered",
    ),
    Route(
        "POST",
        "/v1/unknown-charge-points/{unknown_id}/adopt",
        adopt_unknown_charge_point,
        roles=ADMIN,
        status=201,
        summary="Make a charger of it; shows its password once",
        shown_once=HOW_TO_ROTATE,
    ),
    Route(
        "DELETE",
        "/v1/unknown-charge-points/{unknown_id}",
        forget_unknown_charge_point,
        roles=OPERATORS,
        status=204,
        summary="Take it off the list",
    ),
    Route("GET", "/v1/connectors", list_connectors, roles=READERS, summary="List connectors"),
    Route(
        "GET",
        "/v1/chargers/{charger_id}/connectors/{connector_id}",
        show_connector,
        roles=READERS,
        summary="Show a connector",
    ),
    Route(
        "PATCH",
        "/v1/chargers/{charger_id}/connectors/{connector_id}",
        change_connector,
        roles=OPERATORS,
        summary="Say where a connector differs from its charger",
    ),
    Route("POST", "/v1/id-tags", create_id_tag, roles=OPERATORS, status=201, summary="Create a staff tag"),
    Route("GET", "/v1/id-tags", list_id_tags, roles=STAFF, summary="List staff tags"),
    Route("GET", "/v1/id-tags/{id_tag_id}", show_id_tag, roles=STAFF, summary="Show a staff tag"),
    Route("PATCH", "/v1/id-tags/{id_tag_id}", change_id_tag, roles=OPERATORS, summary="Change a staff tag"),
    Route("DELETE", "/v1/id-tags/{id_tag_id}", delete_id_tag, roles=OPERATORS, summary="Delete a staff tag that was never used"),
    Route(
        "GET",
        "/v1/chargers/{charger_id}/local-list",
        show_local_list,
        roles=READERS,
        summary="Show a charger's Local Authorization List: desired, confirmed, and where they differ",
    ),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/local-list/sync",
        sync_local_list,
        roles=OPERATORS,
        status=202,
        summary="Bring a charger's Local Authorization List into step",
    ),
    Route("POST", "/v1/reservations", create_reservation, roles=OPERATORS, status=201, summary="Reserve a connector"),
    Route("GET", "/v1/reservations", list_reservations, roles=READERS, summary="List reservations"),
    Route("GET", "/v1/reservations/{reservation_id}", show_reservation, roles=READERS, summary="Show a reservation"),
    Route(
        "DELETE",
        "/v1/reservations/{reservation_id}",
        cancel_reservation,
        roles=OPERATORS,
        status=202,
        summary="Cancel a reservation",
    ),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/charging-profiles",
        create_charging_profile,
        roles=OPERATORS,
        status=201,
        summary="Set a charging profile",
    ),
    Route(
        "GET",
        "/v1/chargers/{charger_id}/charging-profiles",
        list_charging_profiles,
        roles=READERS,
        summary="List a charger's charging profiles",
    ),
    Route(
        "DELETE",
        "/v1/chargers/{charger_id}/charging-profiles",
        clear_charging_profiles,
        roles=OPERATORS,
        status=202,
        summary="Clear charging profiles by connector, purpose and stack level",
    ),
    Route(
        "DELETE",
        "/v1/chargers/{charger_id}/charging-profiles/{profile_id}",
        delete_charging_profile,
        roles=OPERATORS,
        status=202,
        summary="Clear a charging profile",
    ),
    Route(
        "GET",
        "/v1/chargers/{charger_id}/composite-schedule",
        show_composite_schedule,
        roles=READERS,
        summary="Show what a connector's charging profiles come to",
    ),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/composite-schedule",
        ask_composite_schedule,
        roles=OPERATORS,
        waits=True,
        summary="The same, beside what the charger itself says",
    ),
    Route("GET", "/v1/start-requests", list_start_requests, roles=READERS, summary="List paid starts"),
    Route("GET", "/v1/start-requests/{start_request_id}", show_start_request, roles=READERS, summary="Show a paid start"),
    Route("GET", "/v1/transactions", list_transactions, roles=READERS, summary="List transactions"),
    Route("GET", "/v1/transactions/{transaction_id}", show_transaction, roles=READERS, summary="Show a transaction"),
    Route(
        "GET",
        "/v1/transactions/{transaction_id}/energy",
        show_energy,
        roles=READERS,
        summary="Show which readings a session's bill rests on, and how sure it is",
    ),
    Route(
        "GET",
        "/v1/transactions/{transaction_id}/explanation",
        explain_session,
        roles=READERS,
        summary="Explain a session's energy and its worth: readings, tariff version, rounding",
    ),
    Route(
        "GET",
        "/v1/transactions/{transaction_id}/meter-values",
        list_meter_values,
        roles=READERS,
        summary="List a transaction's meter values",
    ),
    Route(
        "POST",
        "/v1/transactions/{transaction_id}/stop",
        stop_transaction_by_request,
        roles=OPERATORS,
        status=202,
        summary="Stop a running transaction",
    ),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/commands",
        command_charger,
        roles=OPERATORS,
        status=201,
        waits=True,
        summary="Send an OCPP operation to a charger",
    ),
    Route("GET", "/v1/chargers/{charger_id}/commands", list_commands, roles=READERS, summary="List a charger's commands"),
    Route("GET", "/v1/commands/{command_id}", show_command, roles=READERS, summary="Show a command, its answer and its effect"),
    Route("POST", "/v1/commands", command_many, roles=OPERATORS, status=201, summary="Send an OCPP operation to many chargers"),
    Route(
        "GET",
        "/v1/command-batches/{command_batch_id}",
        show_command_batch,
        roles=READERS,
        summary="Show what became of a command to many chargers",
    ),
    Route("GET", "/v1/configurations", list_configurations, roles=READERS, summary="List chargers' configuration, or its drift"),
    Route(
        "GET",
        "/v1/chargers/{charger_id}/configuration",
        show_configuration,
        roles=READERS,
        summary="Show a charger's configuration: desired, reported, drift",
    ),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/configuration/refresh",
        refresh_configuration,
        roles=OPERATORS,
        status=202,
        summary="Read a charger's configuration anew",
    ),
    Route(
        "PUT",
        "/v1/chargers/{charger_id}/configuration/{key}",
        override_key,
        roles=OPERATORS,
        status=202,
        summary="Set a configuration key for this charger alone",
    ),
    Route(
        "DELETE",
        "/v1/chargers/{charger_id}/configuration/{key}",
        drop_override,
        roles=OPERATORS,
        status=204,
        summary="Drop a charger's own value of a key",
    ),
)

ERRORS: Errors = {
    NotFoundError: (404, "There is no such thing"),
    ConflictError: (409, "Not in this state"),
    InvalidCommandError: (422, "The command is not valid"),
}
