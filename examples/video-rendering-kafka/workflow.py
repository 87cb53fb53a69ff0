"""Argo Workflows as the renderer: a Workflow of the template render-video for each job, made with the pod's service account.

The worker waits for its end, so a job that a workflow works on still counts as lag, and KEDA keeps the worker.
"""

import os
import time

import requests

API = os.environ.get("KUBERNETES_API", "https://kubernetes.default.svc")
ACCOUNT = os.environ.get("SERVICE_ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount")
PAUSE_SECONDS, TIMEOUT_SECONDS = 2, 30
MAY_PASS = (408, 429)  # of 4xx: the API server is busy


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


def refusal(job, answer):
    """What the job's viewer sees where trying again would not help, as without the right to it (403, 422); or None."""
    if answer.ok:
        return None
    is_final = answer.status_code < 500 and answer.status_code not in MAY_PASS
    print(f"workflow of {job}: {answer.status_code} {answer.text[:300]}{'' if is_final else '; trying again'}", flush=True)
    return f"the API server refuses the workflow: {answer.status_code}" if is_final else None


def run_workflow(job, seconds):
    """Returns why it failed, or None. The API server may be away meanwhile."""
    while True:
        try:
            answer = call("POST", body=workflow(job, seconds))
            if answer.ok or answer.status_code == 409:  # it is there already
                break
            if (error := refusal(job, answer)) is not None:
                return error
        except requests.RequestException as error:
            print(f"workflow of {job}: {error!r}; trying again", flush=True)
        time.sleep(PAUSE_SECONDS)
    was_read = False
    while True:
        try:
            answer = call("GET", f"/render-{job}")
            was_read = was_read or answer.ok
            status = answer.json().get("status", {}) if answer.ok else {}
            if status.get("phase") in ("Failed", "Error"):
                return status.get("message") or "the workflow failed"
            if status.get("phase") == "Succeeded":
                return None
            if answer.status_code == 404:
                return "the workflow was deleted"
            error = refusal(job, answer)
            if error is not None and not was_read:  # later it runs on, and the right may come back
                return error
        except requests.RequestException as error:
            print(f"workflow of {job}: {error!r}; trying again", flush=True)
        time.sleep(PAUSE_SECONDS)
