"""What real charge points say, with values that boxes in the field send; and the CALLs of the diaries in `tests/traces`."""

import json
from pathlib import Path
from typing import Any

TRACES = Path(__file__).resolve().parents[1] / "traces"

SPOKEN: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (1, "Authorize", {"idTag": "5F00BAD1DEA500000001"}),
    (
        2,
        "BootNotification",
        {
            "chargePointVendor": "Wallbox",
            "chargePointModel": "Pulsar Plus",
            "firmwareVersion": "5.7.18",
            "chargePointSerialNumber": "WB-00471",
            "chargeBoxSerialNumber": "WB-00471",
            "iccid": "8991101200003204510",
            "imsi": "404685505601234",
            "meterType": "MID",
            "meterSerialNumber": "M-1",
        },
    ),
    (1, "DataTransfer", {"vendorId": "in.maker", "messageId": "Diagnostics", "data": '{"rssi":-71,"resets":[1,2]}'}),
    (1, "DataTransfer", {"vendorId": "in.maker", "data": {"rssi": -71}}),
    (1, "DiagnosticsStatusNotification", {"status": "Uploading"}),
    (1, "FirmwareStatusNotification", {"status": "Installed"}),
    (12, "Heartbeat", {}),
    (
        12,
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": 1936029036,
            "meterValue": [
                {
                    "timestamp": "2026-01-05T04:32:03Z",
                    "sampledValue": [
                        {
                            "value": "16000120",
                            "unit": "Wh",
                            "context": "Sample.Periodic",
                            "measurand": "Energy.Active.Import.Register",
                        },
                        {"value": "7.2", "unit": "kW", "measurand": "Power.Active.Import", "location": "Outlet"},
                        {"value": "31.4", "unit": "A", "measurand": "Current.Import", "phase": "L1", "format": "Raw"},
                        {"value": "54", "unit": "Percent", "measurand": "SoC", "location": "EV"},
                    ],
                }
            ],
        },
    ),
    (
        3,
        "MeterValues",
        {"connectorId": 0, "meterValue": [{"timestamp": "2026-01-05T04:32:03", "sampledValue": [{"value": "1"}]}]},
    ),
    (
        1,
        "StartTransaction",
        {"connectorId": 1, "idTag": "5F00BAD1DEA500000001", "meterStart": 16000000, "timestamp": "2026-01-05T04:31:03Z"},
    ),
    (
        10,
        "StatusNotification",
        {
            "connectorId": 1,
            "status": "SuspendedEV",
            "errorCode": "NoError",
            "info": "",
            "timestamp": "2026-01-05T04:31:03.000Z",
            "vendorId": "in.maker",
            "vendorErrorCode": "0x00",
        },
    ),
    (
        2,
        "StopTransaction",
        {
            "transactionId": 711,
            "idTag": "5F00BAD1DEA500000001",
            "meterStop": 16012000,
            "timestamp": "2026-01-05T05:31:03Z",
            "reason": "EVDisconnected",
            "transactionData": [
                {
                    "timestamp": "2026-01-05T05:31:03Z",
                    "sampledValue": [{"value": "16012000", "context": "Transaction.End", "format": "Raw", "unit": "Wh"}],
                }
            ],
        },
    ),
)
"""(weight, action, payload): each is answered with a CALLRESULT."""

UNSERVED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SecurityEventNotification", {"type": "TamperDetectionActivated", "timestamp": "2026-01-05T04:31:03Z"}),
    ("SignCertificate", {"csr": "-----BEGIN CERTIFICATE REQUEST-----"}),
    ("LogStatusNotification", {"status": "Uploaded", "requestId": 1}),
    ("RemoteStartTransaction", {"idTag": "5F00BAD1DEA500000001"}),
    ("NotifyEvent", {"seqNo": 0}),
    ("", {}),
)
"""What the gateway knows and does not serve, or does not know: each is answered with a CALLERROR."""

ANSWERS: tuple[list[Any], ...] = (
    [3, "c1", {"status": "Accepted"}],
    [3, "", {}],
    [3, "c1", {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "40"}], "unknownKey": []}],
    [3, "c1", None],
    [4, "c1", "NotImplemented", "", {}],
    [4, "c1", "InternalError", None, "a string"],
    [4, "c1"],
)
"""Answers to CALLs that nobody made."""


def _traced() -> list[tuple[str, dict[str, Any]]]:
    """CALLs of the diaries in `tests/traces`."""
    lines = [json.loads(line) for path in sorted(TRACES.glob("*.jsonl")) for line in path.read_text().splitlines()]
    frames = [line.get("frame") for line in lines if line.get("direction") == "in"]
    return [
        (frame[2], frame[3]) for frame in frames if isinstance(frame, list) and len(frame) == 4 and isinstance(frame[3], dict)
    ]


REAL: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    (action, payload) for weight, action, payload in SPOKEN for _ in range(weight)
)
"""SPOKEN to choose from, the frequent ones more often."""

TRACED: tuple[tuple[str, dict[str, Any]], ...] = tuple(_traced())
"""Good to be mutated; what they are answered with is a matter of their own tests."""

KEYS = sorted({key for _, _, payload in SPOKEN for key in payload} | {"sampledValue", "value", "unit", "measurand", "timestamp"})
"""Names that the gateway looks for."""
