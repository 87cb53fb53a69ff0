#!/usr/bin/env python3
"""Makes a video with sound, of about that size: python examples/common/clip.py clip.mkv --megabytes 10"""

import argparse
import os
import subprocess

FRAMES = 25  # per second


def make(path, seconds=4, size="320x240"):
    """A picture that moves, and a tone."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FRAMES}",
                    "-f", "lavfi", "-i", "sine=frequency=440", "-t", f"{seconds:g}", "-c:v", "mpeg4", "-q:v", "5", "-c:a", "mp2", path],
                   check=True)
    return path


def make_megabytes(path, megabytes, size="640x360"):
    """As long as that takes: the size of the first four seconds says how long."""
    sample = os.path.getsize(make(path, 4, size))
    return make(path, 4 * megabytes * 1_000_000 / sample, size)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="such as clip.mkv")
    parser.add_argument("--seconds", type=float, default=4, help="default: %(default)g")
    parser.add_argument("--size", default="320x240", help="default: %(default)s; 640x360 with --megabytes")
    parser.add_argument("--megabytes", type=float, help="as long as that takes")
    options = parser.parse_args()
    if options.megabytes:
        make_megabytes(options.path, options.megabytes)
    else:
        make(options.path, options.seconds, options.size)
    print(f"{options.path}: {os.path.getsize(options.path) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
