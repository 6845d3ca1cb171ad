"""How a charge point misbehaves, as data. Every field off is an honest charge point.

`Quirks` holds the fields; `BEHAVIOURS` names ready combinations seen in the field, so that a script can say
`quirks: [wrong_stop_reason, no_subprotocol]`. Fields may be changed while the charge point runs.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

TransactionIdQuirk = Literal["own", "missing", "null"] | int


class Quirks(BaseModel):
    """Misbehaviour on demand. Seconds run on the injected clock; actions are OCPP action names such as `StopTransaction`."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    # -- handshake and transport
    subprotocols: list[str] = Field(default=["ocpp1.6"], description="Sec-WebSocket-Protocol offers; empty sends no header.")
    path: str | None = Field(None, description="Request path sent as it is, e.g. `///{id}` or `/ws://10.0.0.5/{id}/`.")
    headers: dict[str, str] = Field(default={}, description="Extra handshake headers, e.g. `Origin: file://`.")
    basic_auth_user: str | None = Field(None, description="Basic auth user sent instead of the id.")
    basic_auth_hex_decoded: bool = Field(False, description="The password is hex text and goes out as the bytes it encodes.")
    answer_pings: bool = Field(True, description="False: WebSocket pings never get a pong.")
    probe_socket_seconds: float | None = Field(None, ge=0, description="Open a silent socket this long before the real one.")
    reconnect_after_close_seconds: float | None = Field(None, ge=0, description="Pause after a clean Close by the server.")
    never_boot: bool = Field(False, description="Never send BootNotification; go straight to work.")
    boot_on_reconnect: bool = Field(False, description="BootNotification on every connection, without any reboot (OCPP-J 5.4).")
    no_heartbeats: bool = Field(False, description="Send no Heartbeat.")

    # -- answers to the central system
    silent: bool = Field(False, description="Answer no CALL at all; go on sending.")
    silent_to: set[str] = Field(default=set(), description="Actions whose CALLs are not answered and have no effect.")
    answer_delay_seconds: float = Field(0, ge=0, description="Delay of every answer.")
    answer_delays: dict[str, float] = Field(default={}, description="Delay per action; goes before `answer_delay_seconds`.")
    answers: dict[str, dict[str, Any]] = Field(default={}, description="Payload answered per action, with no effect whatever.")
    raw_answers: dict[str, str] = Field(default={}, description="Frame sent as answer per action; `{id}` is the message id.")
    start_before_answer: bool = Field(False, description="StartTransaction goes out before RemoteStart's answer.")
    ignore_charging_profiles: bool = Field(False, description="Accept charging profiles and charge on at full power.")

    # -- messages of the charge point
    message_id: str | None = Field(None, max_length=36, description="One id for all CALLs.")
    restart_message_ids: bool = Field(False, description="Ids count up from 1000000 again on every connection.")
    duplicate: set[str] = Field(default=set(), description="Actions whose CALL goes out twice, same id, same payload.")
    reorder: bool = Field(False, description="Of several waiting transaction messages the second goes first.")
    payload_changes: dict[str, dict[str, Any]] = Field(default={}, description="Fields set in the payload, per action.")
    payload_omissions: dict[str, list[str]] = Field(default={}, description="Fields left out of the payload, per action.")
    clock_offset_seconds: float = Field(0, description="How far the station's clock is off.")
    timestamp_zone: str = Field("Z", description="Suffix of timestamps; empty for none. The time itself stays UTC.")

    # -- transactions
    autostart_id_tag: str | None = Field(None, description="Start by itself with this idTag on plug (free mode).")
    id_tag_format: str = Field("{id_tag}", description="How a tag is written in StartTransaction, e.g. ` {id_tag}`.")
    finishing_refuses_start: bool = Field(False, description="RemoteStart is Rejected until the EV was unplugged once.")
    stop_reason: str | None = Field(None, description="reason of every StopTransaction, e.g. `AppStop`.")
    stop_delay_seconds: float = Field(0, ge=0, description="StopTransaction waits this long; StatusNotification goes first.")
    never_send_stop: bool = Field(False, description="Transactions end without StopTransaction.")
    stop_transaction_id: TransactionIdQuirk = Field("own", description="transactionId in StopTransaction.")
    after_reboot: Literal["stop", "resume", "forget"] = Field("stop", description="What a reboot does to a running transaction.")
    lose_queue_on_hard_reboot: bool = Field(False, description="Queued transaction messages do not survive a hard reboot.")

    # -- metering
    no_meter_values: bool = Field(False, description="Send no MeterValues.")
    meter_values_transaction_id: TransactionIdQuirk = Field("own", description="transactionId in MeterValues.")
    energy_unit: Literal["Wh", "kWh"] = Field("Wh", description="Unit of sampled energy, honestly converted.")
    kwh_labelled_wh: bool = Field(False, description="Sampled energy is in kWh and says Wh.")
    no_units: bool = Field(False, description="Samples bear no unit.")
    values_as_numbers: bool = Field(False, description="Sampled values are JSON numbers instead of strings.")
    session_relative_samples: bool = Field(False, description="Samples count from 0; meterStart and meterStop are lifetime.")
    register_restarts: bool = Field(False, description="Samples, meterStart and meterStop all count from 0 per transaction.")
    zero_samples: set[int] = Field(default=set(), description="Which energy samples of a transaction are 0 (1 is the first).")
    spike_samples: dict[int, int] = Field(default={}, description="Factor per sample of a transaction, e.g. `{4: 10}`.")
    raw_samples: dict[int, str] = Field(default={}, description="Text per sample of a transaction instead of its energy.")
    stale_begin_sample: bool = Field(
        False, description="Each MeterValues repeats the register at start as Transaction.Begin, last."
    )

    # -- statuses
    status_while_charging: str | None = Field(None, description="Status reported instead of Charging, e.g. Available (sockets).")
    charge_while_faulted: bool = Field(False, description="Report Faulted and go on charging.")
    charge_after_stop: bool = Field(False, description="The contactor sticks: power flows on after the transaction ended.")

    @classmethod
    def of(cls, *names: str, **fields: Any) -> Self:
        """Ready behaviours by name, then single fields. Raises KeyError for an unknown name.

        Fields that are mappings or sets are joined, all others: the last word counts.
        """
        joined: dict[str, Any] = {}
        for part in (*(BEHAVIOURS[name][1] for name in names), fields):
            for key, value in part.items():
                known = joined.get(key)
                if isinstance(known, dict) and isinstance(value, dict):
                    joined[key] = {**known, **value}
                elif isinstance(known, set):
                    joined[key] = known | set(value)
                else:
                    joined[key] = value
        return cls.model_validate(joined)


_ACCEPTED = {"status": "Accepted"}
_REJECTED = {"status": "Rejected"}

# name: (what it is, the fields that make it). The rows named are those of the quirk table in VoltLync's design page `ocpp.md`.
BEHAVIOURS: dict[str, tuple[str, dict[str, Any]]] = {
    "no_subprotocol": ("No Sec-WebSocket-Protocol header (row 1).", {"subprotocols": []}),
    "several_subprotocols": ("Offers ocpp2.0.1 first (row 2).", {"subprotocols": ["ocpp2.0.1", "ocpp1.6"]}),
    "probe_socket": ("A silent socket 3 s before the real one (row 2).", {"probe_socket_seconds": 3.0}),
    "double_slash_path": ("Path with needless slashes (row 3).", {"path": "///ocpp//{id}/"}),
    "nested_url_path": ("A whole URL inside the path (row 3).", {"path": "/ocpp/ws://10.0.0.5:9000/{id}/"}),
    "strange_origin": ("Origin: file:// (row 5).", {"headers": {"Origin": "file://"}}),
    "never_answers_pings": ("No pong, ever (row 9).", {"answer_pings": False}),
    "zombie": ("Heartbeats go on, no CALL is answered (row 12).", {"silent": True}),
    "slow": ("A second for every answer (row 94).", {"answer_delay_seconds": 1.0}),
    "slow_return_after_close": ("Returns 10 minutes after a clean Close (row 8).", {"reconnect_after_close_seconds": 600.0}),
    "boots_on_reconnect": ("BootNotification on every connection (row 40).", {"boot_on_reconnect": True}),
    "reuses_message_ids": ("One message id for everything (row 28).", {"message_id": "1000001"}),
    "restarts_message_ids": ("Ids start anew on each connection (row 28).", {"restart_message_ids": True}),
    "truncated_configuration": (
        "GetConfiguration answers half a frame (row 19).",
        {"raw_answers": {"GetConfiguration": '[3,"{id}",{"configurationKey":[]'}},
    ),
    "duplicates_transaction_messages": (
        "Start, Stop and MeterValues twice (rows 50, 79).",
        {"duplicate": {"StartTransaction", "StopTransaction", "MeterValues"}},
    ),
    "reorders": ("Transaction messages out of order.", {"reorder": True}),
    "no_time_zone": ("Timestamps without zone (row 33).", {"timestamp_zone": ""}),
    "clock_in_1970": ("The clock was never set (row 34).", {"clock_offset_seconds": -1_700_000_000.0}),
    "spaced_id_tag": ("idTag with a leading space (row 53).", {"id_tag_format": " {id_tag}"}),
    "rejects_remote_start": ("RemoteStart is Rejected (row 85).", {"answers": {"RemoteStartTransaction": _REJECTED}}),
    "rejects_remote_stop": (
        "RemoteStop is Rejected though charging (row 87).",
        {"answers": {"RemoteStopTransaction": _REJECTED}},
    ),
    "never_starts": ("RemoteStart is Accepted and forgotten (row 84).", {"answers": {"RemoteStartTransaction": _ACCEPTED}}),
    "ignores_stop": ("RemoteStop is Accepted and ignored (row 88).", {"answers": {"RemoteStopTransaction": _ACCEPTED}}),
    "ignores_profiles": ("Charging profiles are Accepted and ignored (row 88).", {"ignore_charging_profiles": True}),
    "start_before_answer": ("StartTransaction before RemoteStart.conf (row 86).", {"start_before_answer": True}),
    "finishing_refuses_start": ("No second start until unplugged (row 45).", {"finishing_refuses_start": True}),
    "wrong_stop_reason": ("reason AppStop, which is none (row 75).", {"stop_reason": "AppStop"}),
    "status_before_stop": ("Available first, StopTransaction 2 s later (row 43).", {"stop_delay_seconds": 2.0}),
    "never_sends_stop": ("Transactions end without a word (row 39).", {"never_send_stop": True}),
    "forgets_transaction_on_reboot": ("Boot, Available, no StopTransaction (row 39).", {"after_reboot": "forget"}),
    "resumes_after_reboot": ("Boot, and the same transaction goes on (row 38).", {"after_reboot": "resume"}),
    "no_transaction_id": ("MeterValues without transactionId (row 58).", {"meter_values_transaction_id": "missing"}),
    "zero_transaction_id": (
        "transactionId 0 throughout (rows 58, 77).",
        {"meter_values_transaction_id": 0, "stop_transaction_id": 0},
    ),
    "negative_transaction_id": (
        "transactionId -1 throughout (rows 58, 77).",
        {"meter_values_transaction_id": -1, "stop_transaction_id": -1},
    ),
    "garbage_transaction_id": ("A constant of its own in MeterValues (row 59).", {"meter_values_transaction_id": 1936029036}),
    "null_transaction_id": ("StopTransaction with transactionId null (row 23).", {"stop_transaction_id": "null"}),
    "connector_zero": ("MeterValues of connector 0 (row 60).", {"payload_changes": {"MeterValues": {"connectorId": 0}}}),
    "kwh_labelled_wh": ("kWh that say Wh (row 61).", {"kwh_labelled_wh": True}),
    "no_units": ("Samples without unit (row 61).", {"no_units": True}),
    "numeric_values": ("Sampled values as JSON numbers (row 21).", {"values_as_numbers": True}),
    "session_relative_samples": ("Samples from 0, meterStart for life (row 62).", {"session_relative_samples": True}),
    "register_restarts": ("The register starts at 0 each transaction (row 63).", {"register_restarts": True}),
    "register_drops_to_zero": ("The third sample is 0 (row 65).", {"zero_samples": {3}}),
    "register_spike": ("The third sample is ten times too high (row 68).", {"spike_samples": {3: 10}}),
    "stale_begin_sample": ("The start's register in every message, last (row 64).", {"stale_begin_sample": True}),
    "no_meter_values": ("No MeterValues at all (row 72).", {"no_meter_values": True}),
    "unknown_meter_stop": ("meterStop -1 (row 81).", {"payload_changes": {"StopTransaction": {"meterStop": -1}}}),
    "empty_stop_id_tag": (
        "StopTransaction with an empty idTag (row 82).",
        {"payload_changes": {"StopTransaction": {"idTag": ""}}},
    ),
    "available_while_charging": (
        "A socket that says Available while power flows (row 42).",
        {"status_while_charging": "Available"},
    ),
    "preparing_while_charging": ("Never Charging, stays Preparing (row 46).", {"status_while_charging": "Preparing"}),
    "charges_while_faulted": ("Faulted, and power flows on (row 47).", {"charge_while_faulted": True}),
    "charges_after_stop": ("Power flows on after StopTransaction.", {"charge_after_stop": True}),
}
