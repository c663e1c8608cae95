"""
A NATS that is not the chart's, as the value sets `existing` and `credentials` name it: its certificate, its users, and the secrets that an
administrator makes for the chart. Certificates and keys are made by openssl.
"""

import base64
import binascii
import dataclasses
import json
import pathlib
import subprocess
import tempfile
import urllib.request

import rendering

HOST = "nats.messaging"
ROLES = ("profile", "locator", "sync", "alert", "crm")
# What is otherwise than in the value sets: there is one server only, and no registry from which a digest came.
ONE_SERVER = "--set externalNats.replicas=1"


@dataclasses.dataclass
class Known:
    """Whom this NATS knows."""

    # Options of helm beside the value set.
    values: str
    # The secret with the certificate of the command line.
    operator: str
    # The users that are connected once everything runs.
    names: list


def by_certificates(shell):
    """`existing`: each role is a user by its certificate, as `postroad nats permissions` says. Nothing is made by Helm."""
    shell.run("kubectl create namespace postroad")
    authority = Authority(shell.site / "authority", "roles")
    people = {role: f"{role}.roles.postroad.internal" for role in (*ROLES, "prepare")} | {"operator": "operator.people.postroad.internal"}
    for name, dns in people.items():
        secret(shell, f"tls-{name}", authority.issue(dns))
    shell.run("postroad key new --out sealing.key; postroad key new --out sealing-1.key")
    shell.run("kubectl create secret generic postroad-key --namespace postroad --from-file=sealing.key --from-file=sealing-1.key")
    shell.run("postroad nats permissions --conf > permissions.conf")
    # NATS has another authority than the roles, which it tells by theirs.
    tls(shell, "verify_and_map: true", authority.certificate)
    users = (shell.site / "users.conf", shell.site / "permissions.conf")
    users[0].write_text("".join(file.read_text() for file in users))
    return Known(f"--set image.digest= {ONE_SERVER}", "tls-operator", [people[role] for role in ROLES])


def by_credentials(shell):
    """`credentials`: all roles are one user, by a credentials file as `nsc` makes it. There is no cert-manager: Helm makes the roles' certificates."""
    shell.run("kubectl create namespace postroad")
    tls(shell, "")
    operator, system, account, user = Nkey("operator"), Nkey("account"), Nkey("account"), Nkey("user")
    everything = {"subs": -1, "data": -1, "payload": -1}
    limits = everything | {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    preloaded = {
        system.public: operator.claims(system, "SYS", "account", limits=limits),
        account.public: operator.claims(account, "POSTROAD", "account", limits=limits | storage),
    }
    with (shell.site / "users.conf").open("a") as file:
        file.write(f"operator: {operator.claims(operator, 'contoso', 'operator', system_account=system.public)}\n")
        file.write(f"system_account: {system.public}\nresolver: MEMORY\nresolver_preload: {json.dumps(preloaded)}\n")
    claims = account.claims(user, "postroad", "user", pub={}, sub={}, **everything)
    (shell.site / "nats.creds").write_text(
        f"-----BEGIN NATS USER JWT-----\n{claims}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed()}\n------END USER NKEY SEED------\n"
    )
    shell.run("kubectl create secret generic postroad-nats-credentials --namespace postroad --from-file=nats.creds")
    values = f"--set tls.mode=generated --set externalNats.authority.existingSecret=nats-authority --set externalNats.monitoring=http://{HOST}:8222 {ONE_SERVER}"
    return Known(values, "postroad-operator-tls", [user.public])


# The value sets with a NATS that exists, and how it knows its users.
USERS = {"existing": by_certificates, "credentials": by_credentials}


def tls(shell, more, clients=None):
    """A certificate for NATS by an authority of its own, and the section `tls` of users.conf."""
    authority = Authority(shell.site / "messaging", "messaging")
    files = authority.issue(HOST)
    if clients:
        (files / "ca.crt").write_text(clients.read_text())
    secret(shell, "outside-nats-tls", files)
    shell.run(f"kubectl create secret generic nats-authority --namespace postroad --from-file=ca.crt={authority.certificate.relative_to(shell.site)}")
    verified = "ca_file: /etc/nats-tls/ca.crt" if clients else ""
    (shell.site / "users.conf").write_text(f"tls {{ cert_file: /etc/nats-tls/tls.crt, key_file: /etc/nats-tls/tls.key, timeout: 5\n{verified}\n{more} }}\n")


def secret(shell, name, files):
    parts = " ".join(f"--from-file={files.relative_to(shell.site)}/{file}" for file in ("tls.crt", "tls.key", "ca.crt"))
    shell.run(f"kubectl create secret generic {name} --namespace postroad {parts}")


def start(cluster, site):
    """Starts the server; gives its address."""
    state = cluster.State()
    configuration, pod = cluster.yaml.safe_load_all((rendering.TESTS / "outside.yaml").read_text())
    configuration["data"]["users.conf"] = (site / "users.conf").read_text()
    state.objects["ConfigMap/outside-nats"] = configuration
    cluster.play(state, "outside-nats", {"metadata": pod["metadata"], "spec": pod["spec"]}, [HOST], "outside-nats")
    cluster.ready(state, "outside-nats", 300)
    return state.pods["outside-nats"]["address"]


def served(cluster, address, known):
    """That server has the journal, and these users are connected to it, by TLS."""
    accounts = asked(address, "jsz?accounts=1&streams=1")["account_details"]
    streams = {stream["name"]: stream["state"]["messages"] for account in accounts for stream in account.get("stream_detail", [])}
    assert sum(count for name, count in streams.items() if name.startswith("JOURNAL")) > 0, f"the journal is not in the NATS that exists: {streams}"
    connections = lambda: asked(address, "connz?auth=1")["connections"]
    wanted = set(known.names)
    who = lambda: sorted({connection.get("authorized_user", connection.get("nkey", "")) for connection in connections()})
    cluster.eventually(120, lambda: f"{sorted(wanted)} are connected, and not {who()}", lambda: set(who()) == wanted)
    assert all(connection.get("tls_version") for connection in connections()), "somebody is connected without TLS"


def asked(address, what):
    with urllib.request.urlopen(f"http://{address}:8222/{what}", timeout=60) as answer:
        return json.load(answer)


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **more).stdout


class Authority:
    """Issues certificates, each into a folder of its own."""

    def __init__(self, folder, name):
        self.folder, self.certificate, self.key = folder, folder / "authority.crt", folder / "authority.key"
        folder.mkdir()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name} authority",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, dns):
        files = self.folder / dns
        files.mkdir()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={dns}",
                "-addext", f"subjectAltName=DNS:{dns}", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth,clientAuth",
                "-CA", self.certificate, "-CAkey", self.key, "-keyout", files / "tls.key", "-out", files / "tls.crt")
        (files / "ca.crt").write_text(self.certificate.read_text())
        return files


class Nkey:
    """An identity of NATS: an Ed25519 key, written in NATS' own way."""

    PREFIXES = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
    SEED = 18 << 3

    def __init__(self, kind):
        self.prefix = self.PREFIXES[kind]
        self.key = openssl("genpkey", "-algorithm", "ed25519", "-outform", "DER")
        public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", input=self.key)
        # Both encodings end with the 32 bytes of the key.
        self.public = self.written(bytes([self.prefix]) + public[-32:])

    def seed(self):
        return self.written(bytes([self.SEED | self.prefix >> 5, (self.prefix & 31) << 3]) + self.key[-32:])

    @staticmethod
    def written(data):
        return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")

    def claims(self, subject, name, kind, **more):
        """What this one says about a subject: a token."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {"jti": subject.public, "iat": 1700000000, "iss": self.public, "sub": subject.public, "name": name, "nats": {"type": kind, "version": 2, **more}}
        signed = ".".join(url_safe(json.dumps(part).encode()) for part in (head, body))
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "key").write_bytes(self.key)
            (folder / "signed").write_text(signed)
            signature = openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", folder / "key", "-in", folder / "signed")
        return f"{signed}.{url_safe(signature)}"


def url_safe(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
