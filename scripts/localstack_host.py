"""Runs LocalStack in this process, without Docker.

Two places of LocalStack 4.13 want a later Python than 3.11, and it does not always stop when told to; all is mended here
before it runs. With LAMBDA_RUNTIME_EXECUTOR=process functions run as processes of this machine.
"""

import contextlib
import hashlib
import logging
import os
import sys
import threading
import traceback
import uuid


def main():
    allow_lock_in_annotations()
    allow_bytes_in_uuid5()
    if os.environ.get("LAMBDA_RUNTIME_EXECUTOR") == "process":
        # Before LocalStack is imported for itself, and here rather than by an entry point, which would be cached.
        import localstack_lambda.executor

        import localstack_lambda.metric_filters

        localstack_lambda.executor.register()
        localstack_lambda.metric_filters.register()
    wake_to_stop()
    from localstack.runtime.main import main as run

    end_with(run)


def end_with(run):
    """Ends the process once all services are stopped, with threads that wait for an answer which nobody gives any more."""
    code = 1
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception:
        traceback.print_exc()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def allow_lock_in_annotations():
    """Makes `Lock | None` an expression: until Python 3.13 `threading.Lock` is a function."""
    if isinstance(threading.Lock, type):
        return
    make_lock = threading.Lock

    class Lock:
        def __new__(cls):
            return make_lock()

    threading.Lock = Lock
    try:
        import localstack.packages.api  # noqa: F401
    finally:
        threading.Lock = make_lock


def allow_bytes_in_uuid5():
    """Takes bytes as the name, as Python 3.12 does."""

    def uuid5(namespace, name):
        name = name if isinstance(name, bytes) else name.encode()
        digest = hashlib.sha1(namespace.bytes + name, usedforsecurity=False).digest()
        return uuid.UUID(bytes=digest[:16], version=5)

    uuid.uuid5 = uuid5


def wake_to_stop():
    """Has the main loop see that it was stopped: another thread does that, without waking it."""
    from localstack.runtime.server.hypercorn import HypercornRuntimeServer

    shutdown = HypercornRuntimeServer.shutdown

    def shutdown_awake(server):
        shutdown(server)
        with contextlib.suppress(RuntimeError):  # It is closed already.
            server.loop.call_soon_threadsafe(server.loop.stop)

    HypercornRuntimeServer.shutdown = shutdown_awake


if __name__ == "__main__":
    main()
