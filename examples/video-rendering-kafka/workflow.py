"""Argo Workflows as the renderer: a Workflow of the template render-video for each job, made with the pod's service account.

The worker waits for its end, so a job that a workflow works on still counts as lag, and KEDA keeps the worker.
"""

import os
import time

import requests

API = os.environ.get("KUBERNETES_API", "https://kubernetes.default.svc")
ACCOUNT = os.environ.get("SERVICE_ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount")
PAUSE_SECONDS, TIMEOUT_SECONDS = 2, 30


def workflow(job, seconds):
    """The name follows from the job's id: a job that is delivered again finds its workflow."""
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": f"render-{job}"},
            "spec": {"workflowTemplateRef": {"name": "render-video"},
                     "arguments": {"parameters": [{"name": "job", "value": job}, {"name": "seconds", "value": f"{seconds:g}"}]}}}


def call(method, name="", body=None):
    def read(file):
        with open(os.path.join(ACCOUNT, file)) as text:
            return text.read().strip()

    url = f"{API}/apis/argoproj.io/v1alpha1/namespaces/{read('namespace')}/workflows{name}"
    return requests.request(method, url, json=body, headers={"Authorization": f"Bearer {read('token')}"},
                            verify=os.path.join(ACCOUNT, "ca.crt"), timeout=TIMEOUT_SECONDS)


def run_workflow(job, seconds):
    """Returns why it failed, or None. The API server may be away meanwhile."""
    while True:
        try:
            answer = call("POST", body=workflow(job, seconds))
            if answer.ok or answer.status_code == 409:  # it is there already
                break
            print(f"workflow of {job}: {answer.status_code} {answer.text[:300]}; trying again", flush=True)
        except requests.RequestException as error:
            print(f"workflow of {job}: {error!r}; trying again", flush=True)
        time.sleep(PAUSE_SECONDS)
    while True:
        try:
            answer = call("GET", f"/render-{job}")
            status = answer.json().get("status", {}) if answer.ok else {}
            if status.get("phase") in ("Failed", "Error"):
                return status.get("message") or "the workflow failed"
            if status.get("phase") == "Succeeded":
                return None
            if answer.status_code == 404:
                return "the workflow was deleted"
        except requests.RequestException as error:
            print(f"workflow of {job}: {error!r}; trying again", flush=True)
        time.sleep(PAUSE_SECONDS)
