"""As much of the Kubernetes API as helm asks before it renders: its version, its kinds, and the secrets that are there."""

import contextlib
import http.server
import json
import threading

VERSION = {"major": "1", "minor": "31", "gitVersion": "v1.31.0"}
KINDS = {
    "v1": {"Secret": "secrets", "ConfigMap": "configmaps", "Service": "services", "ServiceAccount": "serviceaccounts", "Pod": "pods"},
    "apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "batch/v1": {"Job": "jobs"},
}


def resources(version):
    kinds = [{"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get", "list"]} for kind, name in KINDS[version].items()]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": kinds}


def groups():
    for version in KINDS:
        if "/" in version:
            group, number = version.split("/")
            known = {"groupVersion": version, "version": number}
            yield {"name": group, "versions": [known], "preferredVersion": known}


@contextlib.contextmanager
def serve(objects):
    """Serves the secrets among `objects` (by KIND/NAME); gives the URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0].strip("/").split("/")
            match path:
                case ["version"]:
                    self.answer(200, VERSION)
                case ["api"]:
                    self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
                case ["apis"]:
                    self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups())})
                case ["api", "v1"]:
                    self.answer(200, resources("v1"))
                case ["apis", group, number] if f"{group}/{number}" in KINDS:
                    self.answer(200, resources(f"{group}/{number}"))
                case ["api", "v1", "namespaces", _, "secrets", name] if f"Secret/{name}" in objects:
                    self.answer(200, objects[f"Secret/{name}"])
                case _:
                    self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})

        def answer(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
