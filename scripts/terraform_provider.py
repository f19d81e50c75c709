"""One process of the AWS provider, for every Terraform that runs while it lives.

By itself Terraform starts a provider for each run of each test, and every start takes seconds and half a gigabyte. One
that was started beforehand and is named in `TF_REATTACH_PROVIDERS` is used instead, and left alone. Only for what calls
nothing: `validate`, and tests whose provider is mocked.
"""

import re
import subprocess
import threading


class ProviderMissing(Exception):
    """There is no provider to start, or it did not start."""


class Provider:
    def __init__(self):
        self.lock = threading.Lock()
        self.process = None
        self.environment = None

    def attached(self, find):
        """The variable that names the provider. The first to ask starts what `find` returns the path of."""
        with self.lock:
            if self.environment is None:
                self.environment = {"TF_REATTACH_PROVIDERS": self.start(find())}
            return self.environment

    def start(self, program):
        self.process = subprocess.Popen(
            [str(program), "-debug"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.process.stdout:
            if found := re.search(r"TF_REATTACH_PROVIDERS='(.*)'", line):
                # A full pipe would stop it.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return found[1]
        raise ProviderMissing(f"{program} did not start: it ended with {self.process.wait()}")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
