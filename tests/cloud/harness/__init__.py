# SPDX-License-Identifier: Apache-2.0
"""What the tests against a simulated AWS share: moto on a free loopback port (moto.py), a proxy in
front of it that records, delays and breaks (proxy.py), CloudTrail events (events.py), the rectify
binary with a state directory of its own (rectify.py) or as a daemon (daemon.py), a PostgreSQL
cluster (postgres.py), and the cases' base class (cases.py)."""
from .cases import CloudCase, OWNER_POLICY, main
from .daemon import Daemon, TOKEN, UnixConnection
from .events import (create_bucket, create_key, disable_key_rotation, authorize_ingress, event,
                     put_bucket_tagging, envelope, write_events)
from .moto import ACCOUNT, REGION, Moto
from .postgres import Postgres
from .proxy import Proxy
from .rectify import Rectify, RECTIFY, ROOT, EXIT_OK, EXIT_FAILED, EXIT_WAITING, EXIT_USAGE

__all__ = ["ACCOUNT", "CloudCase", "Daemon", "EXIT_FAILED", "EXIT_OK", "EXIT_USAGE",
           "EXIT_WAITING", "Moto", "OWNER_POLICY", "Postgres", "Proxy", "RECTIFY", "REGION", "ROOT",
           "Rectify",
           "TOKEN", "UnixConnection", "authorize_ingress", "create_bucket", "create_key",
           "disable_key_rotation", "envelope", "event", "main", "put_bucket_tagging",
           "write_events"]
