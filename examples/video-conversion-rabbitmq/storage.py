"""The storage of the videos: any S3-compatible server, with a bucket for uploads and one for results.

Browsers send and fetch videos by presigned URLs, which carry a permission for one object and a few minutes. So no video passes
through the API, and nobody but API and workers has the keys.
"""

import datetime
import os
import urllib.parse

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error, ServerError

INPUT, OUTPUT = "input", "output"
PRESIGNED = datetime.timedelta(seconds=600)
TIMEOUT = urllib3.Timeout(connect=5, read=60)  # seconds
TYPES = {"mp4": "video/mp4", "mkv": "video/x-matroska", "mov": "video/quicktime"}  # the output formats; each has H.264 and AAC

MISSING = ("NoSuchKey", "NoSuchObject")
TEMPORARY = ("SlowDown", "RequestTimeout", "TooManyRequests")  # and all with a status of 5xx
FAILURES = (MinioException, urllib3.exceptions.HTTPError, OSError)


def connect(variable="S3_ENDPOINT", host=""):
    """S3_PUBLIC_ENDPOINT is the address that browsers have; it is part of what a presigned URL signs. {host} in it becomes the host."""
    url = urllib.parse.urlsplit((os.environ.get(variable) or os.environ["S3_ENDPOINT"]).replace("{host}", host))
    return Minio(endpoint=url.netloc, secure=url.scheme == "https", region="us-east-1",
                 access_key=os.environ["S3_ACCESS_KEY"], secret_key=os.environ["S3_SECRET_KEY"],
                 http_client=urllib3.PoolManager(timeout=TIMEOUT, retries=urllib3.Retry(2, backoff_factor=0.2)))


def reason(error):
    """Why it failed, for a user: without addresses."""
    if isinstance(error, S3Error):
        return f"the storage refused it: {error.code}: {error.message}"
    if isinstance(error, ServerError):
        return f"the storage failed with HTTP {error.status_code}"
    if isinstance(error, MinioException):
        return "the storage gave no valid answer"
    return str(error) if isinstance(error, OSError) else "the storage cannot be reached"


def may_pass(error):
    """Whether the same request may succeed later: the storage cannot be reached, is overloaded or full, but does not refuse it."""
    return not isinstance(error, S3Error) or error.code in TEMPORARY or error.response.status >= 500


def make_buckets(storage):
    for bucket in (INPUT, OUTPUT):
        if not storage.bucket_exists(bucket_name=bucket):
            storage.make_bucket(bucket_name=bucket)


def exists(storage, bucket, name):
    try:
        storage.stat_object(bucket_name=bucket, object_name=name)
        return True
    except S3Error as error:
        if error.code in MISSING:
            return False
        raise
