"""Certificates that are made on the spot."""

from pathlib import Path

import trustme

CA_FILE = "ca.pem"


def certificate(authority: trustme.CA, name: str, directory: Path) -> dict[str, str]:
    issued = authority.issue_cert(name)
    places = {"nats_cert_file": directory / f"{name}.pem", "nats_key_file": directory / f"{name}.key"}
    issued.cert_chain_pems[0].write_to_path(places["nats_cert_file"])
    issued.private_key_pem.write_to_path(places["nats_key_file"])
    return {setting: str(place) for setting, place in places.items()}
