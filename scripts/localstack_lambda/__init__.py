"""Runs the functions of LocalStack as processes of this machine, without Docker.

LocalStack asks a runtime executor for an environment per concurrent invocation. Ours starts the function's `bootstrap`
and serves it the Lambda Runtime API. `executor` speaks to LocalStack, `sandbox` to the process, `binary` knows how a
`bootstrap` is started here. What is not played: memory limits, a read-only task root, VPCs, IAM, extensions, layers.
"""
