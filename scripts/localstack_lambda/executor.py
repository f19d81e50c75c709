"""The runtime executor that LocalStack knows as `process`."""

import datetime
import json
import os

from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import EXECUTOR_PLUGIN_MANAGER, RuntimeExecutor
from plux import PluginFinder, PluginSpec

from .binary import CannotRun, command_of
from .sandbox import Invocation, Sandbox

NAME = "process"


def register():
    """Adds our executor to those that `LAMBDA_RUNTIME_EXECUTOR` may name."""
    EXECUTOR_PLUGIN_MANAGER.finder = WithOurs(EXECUTOR_PLUGIN_MANAGER.finder)
    ExecutionEnvironment.get_log_group_name = log_group_of


class WithOurs(PluginFinder):
    def __init__(self, others):
        self.others = others

    def find_plugins(self):
        ours = PluginSpec(RuntimeExecutorPlugin.namespace, NAME, ProcessExecutorPlugin)
        return [*self.others.find_plugins(), ours]


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = NAME

    def load(self, *_args, **_kwargs):
        return ProcessExecutor


def log_group_of(environment):
    """The log group that the function asks for, which LocalStack itself ignores."""
    version = environment.function_version
    return version.config.logging_config.get("LogGroup") or f"/aws/lambda/{version.id.function_name}"


class ProcessExecutor(RuntimeExecutor):
    """One execution environment: a process at a time, started again when it has ended."""

    def __init__(self, id, function_version):
        super().__init__(id=id, function_version=function_version)
        self.config = function_version.config
        self.environment = {}
        self.sandbox = None

    @classmethod
    def prepare_version(cls, function_version):
        """Unpacks the zip. A function that cannot run here is said to be so now rather than at its first invocation."""
        config = function_version.config
        if not (config.runtime or "").startswith("provided"):
            raise CannotRun(f"only the runtimes `provided.*` run here, not `{config.runtime}`")
        config.code.prepare_for_execution()
        command_of(config.code.get_unzipped_code_location(), config.architectures[0])

    @classmethod
    def cleanup_version(cls, function_version):
        pass

    def start(self, env_vars):
        directory = self.directory()
        system = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "en_US.UTF-8"}
        ours = {"LAMBDA_TASK_ROOT": str(directory), "LAMBDA_RUNTIME_DIR": str(directory)}
        theirs = {name: str(value) for name, value in env_vars.items() if not name.startswith("LOCALSTACK_")}
        self.environment = system | theirs | ours
        self.sandbox = self.make_sandbox()

    def stop(self):
        if self.sandbox is not None:
            self.sandbox.close()

    def invoke(self, payload):
        invocation = Invocation(
            payload["invoke-id"],
            payload["invoked-function-arn"],
            payload["trace-id"],
            payload["payload"].encode(),
            self.config.timeout,
        )
        if not self.sandbox.is_alive():
            self.renew()
        outcome = self.sandbox.invoke(invocation)
        if outcome.status == "untaken":  # It ended while it had nothing to do.
            self.renew()
            outcome = self.sandbox.invoke(invocation)
        logs = self.report(invocation, outcome)
        return InvocationResult(invocation.request_id, outcome.payload, outcome.is_error, logs)

    def make_sandbox(self):
        directory = self.directory()
        return Sandbox(command_of(directory, self.config.architectures[0]), self.environment, directory)

    def renew(self):
        self.sandbox.close()
        self.sandbox = self.make_sandbox()

    def directory(self):
        return self.config.code.get_unzipped_code_location()

    def report(self, invocation, outcome):
        """What was printed, between the lines that AWS adds."""
        version = self.function_version.id.qualifier
        about = {"requestId": invocation.request_id}
        if self.config.logging_config.get("LogFormat") == "JSON":
            metrics = {"durationMs": round(outcome.duration_ms, 3), "memorySizeMB": self.config.memory_size}
            if outcome.init_ms is not None:
                metrics["initDurationMs"] = round(outcome.init_ms, 3)
            begin = platform_line("start", about | {"version": version})
            end = platform_line("report", about | {"metrics": metrics, "status": outcome.status})
        else:
            init = "" if outcome.init_ms is None else f"\tInit Duration: {outcome.init_ms:.2f} ms"
            begin = f"START RequestId: {invocation.request_id} Version: {version}"
            end = (
                f"END RequestId: {invocation.request_id}\n"
                f"REPORT RequestId: {invocation.request_id}\tDuration: {outcome.duration_ms:.2f} ms"
                f"\tMemory Size: {self.config.memory_size} MB{init}"
            )
            if outcome.status == "timeout":
                end += f"\n{now()} {json.loads(outcome.payload)['errorMessage']}"
        return "\n".join([begin, outcome.logs.rstrip("\n"), end]) + "\n"

    # What LocalStack asks of its own executor, whose processes are in containers.

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return ""

    def get_logs(self):
        return ""


def platform_line(kind, record):
    return json.dumps({"time": now(), "type": f"platform.{kind}", "record": record})


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
