"""What a service runs on: time, ids, settings, tasks that are watched, work that is counted, and its life from start to stop."""

from chassis.runtime.clock import Clock, SystemClock
from chassis.runtime.ids import Ids, SystemIds
from chassis.runtime.service import Part, Service, run
from chassis.runtime.settings import DatabaseSettings, Environment, RedisSettings, ServiceSettings
from chassis.runtime.sweeps import Sweep, Sweeps
from chassis.runtime.tasks import Tasks
from chassis.runtime.work import Work
from chassis.runtime.worker import Worker

__all__ = [
    "Clock",
    "DatabaseSettings",
    "Environment",
    "Ids",
    "Part",
    "RedisSettings",
    "Service",
    "ServiceSettings",
    "Sweep",
    "Sweeps",
    "SystemClock",
    "SystemIds",
    "Tasks",
    "Work",
    "Worker",
    "run",
]
