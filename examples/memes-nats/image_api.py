"""A small stand-in for an image API, with the interface of Hugging Face's inference: POST /models/NAME {"inputs": TEXT} returns a picture.

It writes the text on a picture of its own. {"parameters": {"seconds": 2}} is how long that takes. A text without letters, or with more than
200, is refused, as a model refuses what it cannot do.
"""

import hashlib
import html
import os
import time

import waitress
from flask import Flask, Response, request

MAX_LETTERS, MAX_SECONDS = 200, 60
LINE = 24  # letters of a line

app = Flask(__name__)


def lines(text):
    """Words, as many in a line as it holds."""
    found = [""]
    for word in text.upper().split():
        if found[-1] and len(found[-1]) + len(word) >= LINE:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    return found


def draw(text):
    """SVG: the colour follows from the text."""
    hue = hashlib.sha256(text.encode()).digest()[0] * 360 // 256
    texts = "".join(f'<text x="240" y="{60 + 38 * number}">{html.escape(line)}</text>' for number, line in enumerate(lines(text)))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 360"><rect width="480" height="360" fill="hsl({hue},60%,35%)"/>'
            f'<circle cx="240" cy="235" r="90" fill="hsl({hue},70%,60%)"/><circle cx="208" cy="215" r="12"/><circle cx="272" cy="215" r="12"/>'
            '<path d="M190 260 Q240 310 290 260" fill="none" stroke="#000" stroke-width="10" stroke-linecap="round"/>'
            '<g font-family="Impact,sans-serif" font-size="32" font-weight="bold" text-anchor="middle" fill="#fff" stroke="#000" '
            f'stroke-width="1.5">{texts}</g></svg>')


@app.post("/models/<path:_name>")
def make(_name):
    job = request.get_json(silent=True)
    text = job.get("inputs") if isinstance(job, dict) else None
    if not isinstance(text, str) or not any(map(str.isalnum, text)):
        return {"error": "inputs: a text with at least one letter is needed"}, 400
    if len(text) > MAX_LETTERS:
        return {"error": f"inputs: {len(text)} letters, at most {MAX_LETTERS} are possible"}, 400
    time.sleep(min(MAX_SECONDS, max(0, float((job.get("parameters") or {}).get("seconds", 0)))))
    return Response(draw(text), content_type="image/svg+xml")


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


def main():
    server = waitress.create_server(app, host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8001")), threads=32)
    print(f"listening on port {server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
