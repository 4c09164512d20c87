"""Runs a command beside a fresh simulated workspace: `with_workspace.py COMMAND...`; its status is the command's.

The command finds in WORKSPACE what the simulator said of itself, one line of JSON. The simulator's clock stands
at NOW. A process of its own, because Node reads NODE_EXTRA_CA_CERTS only when it starts.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NOW = "2026-11-24T08:00:00Z"

with tempfile.TemporaryDirectory() as folder:
    simulator = subprocess.Popen(
        [
            os.environ["VMINSIGHTS_EXPORTER"], "workspace", "--web.listen-address=127.0.0.1:0", "--log.level=warn",
            f"--now={NOW}", f"--data={HERE / 'data'}", f"--faults={HERE / 'faults.yaml'}", f"--ca-file={folder}/ca.pem",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        access = simulator.stdout.readline()
        if not access:
            sys.exit("the simulated workspace ended before it was ready")
        # A proxy has no way to this machine's own addresses.
        environment = {
            "WORKSPACE": access, "NOW": NOW, "NODE_EXTRA_CA_CERTS": json.loads(access)["ca_file"],
            "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1",
        }
        status = subprocess.run(sys.argv[1:], env={**os.environ, **environment}).returncode
    finally:
        simulator.terminate()
        simulator.wait()
sys.exit(status)
