"""Runs many jobs of Espressif's generator in one process.

Reads a JSON list of jobs {csv, out, size, version, keys} from the file named by
the first argument and prints a JSON list of null (done) or an error's text.
"""

import contextlib
import io
import json
import sys
from types import SimpleNamespace

from esp_idf_nvs_partition_gen import nvs_partition_gen as reference


def run(job):
    arguments = SimpleNamespace(
        input=[job["csv"]],
        output=job["out"],
        size=job["size"],
        version=job["version"],
        outdir=job["folder"],
    )
    keys = job["keys"] and bytes.fromhex(job["keys"])
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        try:
            reference.generate(arguments, is_encr_enabled=bool(keys), encr_key=keys)
        except BaseException as error:  # the reference exits on most mistakes
            return f"{type(error).__name__}: {error}"
    return None


with open(sys.argv[1]) as jobs:
    results = [run(job) for job in json.load(jobs)]
json.dump(results, sys.stdout)
