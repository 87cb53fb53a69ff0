"""A small stand-in for an image API, with the interface of Hugging Face's inference: POST /models/NAME {"inputs": TEXT} returns a picture.

It writes the text on a picture of its own. {"parameters": {"seconds": 2}} is how long that takes. A text without letters, or with more than
200, is refused, as a model refuses what it cannot do.
"""

import hashlib
import html
import os
import textwrap
import time

import waitress
from flask import Flask, Response, request

MAX_LETTERS, MAX_SECONDS = 200, 60
LINE = 18  # letters of a line

app = Flask(__name__)


def draw(text):
    """SVG: one half of the lines above the face, the other below; many are smaller. The colour follows from the text."""
    hue = hashlib.sha256(text.encode()).digest()[0] * 360 // 256
    lines = textwrap.wrap(text.upper(), LINE)
    top = (len(lines) + 1) // 2
    size = min(32, 140 // top)
    texts = "".join(f'<text x="240" y="{y:g}">{html.escape(line)}</text>' for number, line in enumerate(lines)
                    for y in [size * 1.2 * (number + 1) + 4 if number < top else 350 - size * 1.2 * (len(lines) - 1 - number)])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 360"><rect width="480" height="360" fill="hsl({hue},60%,35%)"/>'
            f'<g transform="translate(0 -10)"><circle cx="240" cy="190" r="85" fill="hsl({hue},70%,60%)"/><circle cx="208" cy="172" r="12"/>'
            '<circle cx="272" cy="172" r="12"/><path d="M192 212 Q240 258 288 212" fill="none" stroke="#000" stroke-width="10" stroke-linecap="round"/></g>'
            f'<g font-family="Impact,sans-serif" font-size="{size}" font-weight="bold" text-anchor="middle" fill="#fff" stroke="#000" '
            f'stroke-width="{size / 20:g}">{texts}</g></svg>')


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
