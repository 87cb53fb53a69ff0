"""Renders a video: frames of FFmpeg's test picture and a tone, to VIDEOS/ID.mp4, and reports how much is done.

    python render.py --job ID --seconds 20        # a step of a workflow; the worker calls render()
"""

import argparse
import contextlib
import glob
import os
import shlex
import subprocess
import uuid

from events import Events

FRAMES = 25  # per second of the video
VIDEOS = os.environ.get("VIDEOS", "/videos")
ENCODER = os.environ.get("FFMPEG_ENCODER", "libx264")  # h264_nvenc where there is a GPU
INPUT_OPTIONS = shlex.split(os.environ.get("FFMPEG_INPUT_OPTIONS", ""))  # "-re": no faster than the video plays
MAX_ERROR_CHARS = 500


class Failed(Exception):
    """FFmpeg cannot render this."""


def render(job, seconds, size="320x240", percent=lambda number: None):
    """Calls percent(number) for each ten percent. A job that is rendered again replaces its file.

    Two may render a job at once, because Kafka gives it to another worker after some time without network: each has a part of its own,
    and the first that ends removes those of the others, which may have been killed."""
    path = os.path.join(VIDEOS, f"{job}.mp4")
    part = f"{path}.{uuid.uuid4()}.part"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-progress", "pipe:1", "-stats_period", "0.2",
               *INPUT_OPTIONS, "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FRAMES}", "-f", "lavfi", "-i", "sine=frequency=440",
               "-t", f"{seconds:g}", "-threads", os.environ.get("FFMPEG_THREADS", "1"), "-c:v", ENCODER, "-pix_fmt", "yuv420p", "-c:a", "aac",
               "-f", "mp4", part]
    reported = 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as ffmpeg:  # a SIGTERM to the worker's process group is not meant for FFmpeg
        for line in ffmpeg.stdout:
            name, _, value = line.strip().partition("=")
            if name == "frame" and (done := min(90, 10 * int(10 * int(value) / (seconds * FRAMES)))) > reported:
                reported = done
                percent(done)
        errors = ffmpeg.stderr.read()
    if ffmpeg.returncode:
        remove(part)
        raise Failed(errors[-MAX_ERROR_CHARS:].strip() or f"FFmpeg ended with {ffmpeg.returncode}")
    try:
        os.rename(part, path)
    except FileNotFoundError:
        if not os.path.exists(path):  # by another one, which has ended first
            raise
    remove(*glob.glob(f"{glob.escape(path)}.*.part"))


def remove(*paths):
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--job", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    events = Events()
    render(options.job, options.seconds, percent=lambda number: events.send(options.job, "percent", percent=number))
    events.flush()


if __name__ == "__main__":
    main()
