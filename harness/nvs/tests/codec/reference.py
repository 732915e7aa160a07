"""Runs many jobs of Espressif's generator in one process.

Reads a JSON list of jobs {csv, folder, out, size, version, keys} from the file named
by the first argument and prints a JSON list of null (done) or an error's text. A job
{hmac, folder, out} derives the keys of an HMAC key instead, into keys/ of its folder.
"""

import contextlib
import io
import json
import sys
from types import SimpleNamespace

from esp_idf_nvs_partition_gen import nvs_partition_gen as reference


def derive_keys(job):
    arguments = SimpleNamespace(
        keyfile=job["out"],
        outdir=job["folder"],
        key_protect_hmac=True,
        kp_hmac_keygen=False,
        kp_hmac_inputkey=job["hmac"],
    )
    reference.generate_key(arguments)


def generate(job):
    arguments = SimpleNamespace(
        input=[job["csv"]],
        output=job["out"],
        size=job["size"],
        version=job["version"],
        outdir=job["folder"],
    )
    keys = job["keys"] and bytes.fromhex(job["keys"])
    reference.generate(arguments, is_encr_enabled=bool(keys), encr_key=keys)


def run(job):
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        try:
            derive_keys(job) if "hmac" in job else generate(job)
        except BaseException as error:  # the reference exits on most mistakes
            return f"{type(error).__name__}: {error}"
    return None


with open(sys.argv[1]) as jobs:
    results = [run(job) for job in json.load(jobs)]
json.dump(results, sys.stdout)
