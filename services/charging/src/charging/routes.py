"""The HTTP door: method, path → use case, who may."""

from charging.domain.errors import ConflictError, InvalidCommandError, NotFoundError
from charging.usecases.command_charger import command_charger, list_commands, show_command
from charging.usecases.manage_chargers import (
    change_charger,
    change_connector,
    create_charger,
    list_chargers,
    list_connectors,
    rotate_credentials,
    show_charger,
    show_connector,
)
from charging.usecases.manage_id_tags import change_id_tag, create_id_tag, list_id_tags
from charging.usecases.manage_stations import (
    change_station,
    create_station,
    create_tariff,
    list_stations,
    list_tariffs,
    show_station,
    show_tariff,
)
from charging.usecases.show_quirks import list_quirk_profiles, show_charger_quirks
from charging.usecases.show_reports import list_charger_errors, list_signal_quality
from charging.usecases.show_sessions import (
    list_meter_values,
    list_start_requests,
    list_transactions,
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

ROUTES = (
    Route("POST", "/v1/stations", create_station, roles=OPERATORS, status=201, summary="Create a station"),
    Route("GET", "/v1/stations", list_stations, roles=READERS, summary="List stations"),
    Route("GET", "/v1/stations/{station_id}", show_station, roles=READERS, summary="Show a station"),
    Route("PATCH", "/v1/stations/{station_id}", change_station, roles=OPERATORS, summary="Change a station"),
    Route("POST", "/v1/tariffs", create_tariff, roles=OPERATORS, status=201, summary="Set a tariff: a new version"),
    Route("GET", "/v1/tariffs", list_tariffs, roles=READERS, summary="List tariffs"),
    Route("GET", "/v1/tariffs/{tariff_id}", show_tariff, roles=READERS, summary="Show a tariff"),
    Route("POST", "/v1/chargers", create_charger, roles=ADMIN, status=201, summary="Create a charger; shows its password once"),
    Route("GET", "/v1/chargers", list_chargers, roles=READERS, summary="List chargers"),
    Route("GET", "/v1/chargers/{charger_id}", show_charger, roles=READERS, summary="Show a charger"),
    Route("PATCH", "/v1/chargers/{charger_id}", change_charger, roles=OPERATORS, summary="Change a charger"),
    Route(
        "POST",
        "/v1/chargers/{charger_id}/credentials",
        rotate_credentials,
        roles=ADMIN,
        status=201,
        summary="Give a charger a new password; shown once",
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
    Route("PATCH", "/v1/id-tags/{id_tag_id}", change_id_tag, roles=OPERATORS, summary="Change a staff tag"),
    Route("GET", "/v1/start-requests", list_start_requests, roles=READERS, summary="List paid starts"),
    Route("GET", "/v1/start-requests/{start_request_id}", show_start_request, roles=READERS, summary="Show a paid start"),
    Route("GET", "/v1/transactions", list_transactions, roles=READERS, summary="List transactions"),
    Route("GET", "/v1/transactions/{transaction_id}", show_transaction, roles=READERS, summary="Show a transaction"),
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
    Route("GET", "/v1/commands/{command_id}", show_command, roles=READERS, summary="Show a command and its answer"),
)

ERRORS: Errors = {
    NotFoundError: (404, "There is no such thing"),
    ConflictError: (409, "Not in this state"),
    InvalidCommandError: (422, "The command is not valid"),
}
